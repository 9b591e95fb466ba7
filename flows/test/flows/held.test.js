'use strict';
// A new release is verified alone beside the old one: it takes no task of the queue that both share, and its smoke run says
// what it can do itself.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { startPlatform, until, withProvider } = require('../platform.js');

let platform;
before(async () => { platform = await startPlatform({ env: { DRAIN_DELAY_MS: '2000' } }); });
after(() => platform?.stop());

const leftovers = async () => [
  ...await platform.postgres.query("SELECT name FROM pgboss.queue WHERE name LIKE 'smoke-%'"),
  ...await platform.postgres.query("SELECT task_id FROM flowship.tasks WHERE queue LIKE 'smoke-%'"),
];

async function startHeld(name, env = {}) {
  const file = path.join(platform.folder, `hold-${name}`);
  fs.writeFileSync(file, '');
  const replica = await platform.startReplica(name, { HOLD_FILE: file, ...env }, { becomesReady: false });
  await until('it is held', async () => {
    const { status, checks } = await platform.ready(replica);
    return status === 'held' && checks.every((check) => check.status === 'ok');
  });
  const admit = async () => {
    fs.rmSync(file);
    replica.ports.flows = (await replica.child.said('it is admitted', ({ listener }) => listener === 'flows')).port;
  };
  return { replica, admit };
}

test('a held replica passes its own smoke run, leaves the tasks alone, and works on them once it is admitted', async () => {
  const [old] = platform.replicas;
  const { replica, admit } = await startHeld('held');
  old.child.process.kill('SIGTERM');
  await old.child.said('it takes no more tasks', ({ message }) => message === 'draining');
  const { status, body } = await platform.submit('describe-text', { text: 'held' });
  assert.equal(status, 202);
  await old.child.ended;
  platform.replicas = [replica];
  const report = await platform.smoke();
  assert.equal(report.status, 'passed', JSON.stringify(report.checks));
  const [task] = await platform.postgres.query('SELECT status, attempts FROM flowship.tasks WHERE task_id = $1', [body.task_id]);
  assert.deepEqual(task, { status: 'queued', attempts: 0 });
  await admit();
  assert.equal((await platform.ended(body.task_id)).status, 'completed');
  assert.deepEqual(await leftovers(), []);
});

test('a held replica does not change the queue that others work on, an admitted one does', async () => {
  const limit = async () => (await platform.postgres.query("SELECT retry_limit FROM pgboss.queue WHERE name = 'tasks'"))[0].retry_limit;
  const usual = await limit();
  await platform.postgres.query("UPDATE pgboss.queue SET retry_limit = 7 WHERE name = 'tasks'");
  const { replica, admit } = await startHeld('settings');
  assert.equal((await platform.smoke(['queue'], replica)).status, 'passed');
  assert.equal(await limit(), 7);
  await admit();
  await until('it has its settings', async () => await limit() === usual);
  await replica.child.stop();
});

test('a broken release beside a good one: its smoke run fails each time, the other passes each time', { timeout: 120_000 }, async () => {
  const [good] = platform.replicas;
  const FLOWS_DIR = platform.edited((nodes) => { nodes['worker-result'].rules[0].to = 'nothing.that.exists'; });
  const { replica: broken } = await startHeld('broken', { FLOWS_DIR });
  for (let round = 0; round < 8; round += 1) {
    const reports = await Promise.all([good, broken, good, broken].map((replica) => platform.smoke(undefined, replica)));
    assert.deepEqual(reports.map(({ failed }) => failed), [[], ['end_to_end'], [], ['end_to_end']], JSON.stringify(reports));
  }
  assert.deepEqual(await leftovers(), []);
  await broken.child.stop();
});

test('what a replica leaves behind that is killed during its smoke run is removed by another', async () => {
  const { replica } = await startHeld('killed');
  const asked = [];
  await withProvider(platform, (response) => asked.push(response), async () => {
    const report = platform.smoke(['end_to_end'], replica).catch((error) => error);
    await until('its model is asked', () => asked.length > 0);
    await replica.child.stop('SIGKILL');
    await report;
  });
  assert.equal((await leftovers()).length, 2);
  await platform.postgres.query("UPDATE pgboss.queue SET created_on = created_on - interval '1 hour' WHERE name LIKE 'smoke-%'");
  await until('nothing is left', async () => (await leftovers()).length === 0);
  assert.equal((await platform.smoke()).status, 'passed');
});
