'use strict';
// The smoke flow says what is broken, exactly: each dependency is taken away and given back.

const assert = require('node:assert/strict');
const net = require('node:net');
const { after, before, describe, test } = require('node:test');
const { startPlatform, until } = require('../platform.js');
const { smoke } = require('../../platform.json');

let platform;
before(async () => { platform = await startPlatform(); });
after(() => platform?.stop());

async function assertFailed(expected) {
  const report = await platform.smoke();
  assert.deepEqual(report.checks.map(({ name }) => name), smoke.checks);
  assert.deepEqual(report.failed, expected, JSON.stringify(report.checks, null, 1));
  assert.equal(report.httpStatus, expected.length === 0 ? 200 : 503);
  assert.equal(report.status, expected.length === 0 ? 'passed' : 'failed');
  for (const check of report.checks) assert.equal(check.error === null, check.status === 'passed');
  return Object.fromEntries(report.checks.map((check) => [check.name, check]));
}

async function dependencyIs(name, up) {
  await until(`${name} is reported ${up ? 'up' : 'down'}`, async () => {
    const { httpStatus, degraded } = await platform.ready();
    assert.equal(httpStatus, 200);
    return degraded.some(({ dependency }) => dependency === name) !== up;
  });
}

test('all five pass, and leave nothing behind', async () => {
  const checks = await assertFailed([]);
  assert.equal(checks.end_to_end.detail, 'queued running completed');
  const runs = await Promise.all([platform.smoke(), platform.smoke(), platform.smoke()]);
  assert.deepEqual(runs.map(({ status }) => status), ['passed', 'passed', 'passed']);
  assert.deepEqual(await platform.postgres.query("SELECT name FROM pgboss.queue WHERE name LIKE 'smoke-%'"), []);
  assert.deepEqual(await platform.postgres.query('SELECT task_id FROM flowship.tasks'), []);
});

test('one check can be asked for alone', async () => {
  const report = await platform.smoke(['queue']);
  assert.deepEqual(report.checks.map(({ name, status }) => [name, status]), [['queue', 'passed']]);
});

test('two replicas answer each for itself', async () => {
  const second = await platform.startReplica('b');
  const [a, b] = await Promise.all([platform.smoke(), platform.smoke(undefined, second)]);
  assert.deepEqual([a.status, b.status], ['passed', 'passed']);
  await second.child.stop();
  assert.deepEqual(second.child.end, { code: 0, signal: null }, second.child.stderr);
});

describe('each dependency', () => {
  test('a wrong key for the model', async () => {
    platform.writeSecret('llm', 'wrong');
    const checks = await assertFailed(['llm_provider', 'end_to_end']);
    assert.match(checks.llm_provider.error, /refuses the key \(401\).*LLM_API_KEY_FILE/);
    assert.match(checks.end_to_end.error, /refuses the key/);
    await dependencyIs('llm_provider', false);
    platform.writeSecret('llm', 'llm-key-of-the-test');
    await assertFailed([]);
    await dependencyIs('llm_provider', true);
  });

  test('the model away', async () => {
    await platform.llm.stop();
    const checks = await assertFailed(['llm_provider', 'end_to_end']);
    assert.match(checks.llm_provider.error, /cannot be reached/);
    await platform.llm.start();
    await assertFailed([]);
  });

  test('the model hangs: its address is named, and how long it was waited for', async () => {
    await platform.llm.stop();
    const silent = net.createServer().listen(platform.llm.port, '127.0.0.1');
    try {
      const checks = await assertFailed(['llm_provider', 'end_to_end']);
      const waited = `the LLM provider default at http://127.0.0.1:${platform.llm.port}/v1 did not answer within `;
      assert.equal(checks.llm_provider.error, `${waited}6000 ms`);
      assert.ok(checks.end_to_end.error.includes(waited), checks.end_to_end.error);
    } finally {
      silent.close();
      await platform.llm.start();
    }
    await assertFailed([]);
  });

  test('the MCP server away', async () => {
    await platform.mcp.stop();
    const checks = await assertFailed(['mcp_routing', 'end_to_end']);
    assert.match(checks.mcp_routing.error, /does not answer/);
    await platform.mcp.start();
    await assertFailed([]);
  });

  test('PostgreSQL away', async () => {
    await platform.postgres.kill();
    const checks = await assertFailed(['database', 'queue', 'end_to_end']);
    for (const name of ['database', 'queue', 'end_to_end']) assert.match(checks[name].error, /PostgreSQL/);
    await dependencyIs('database', false);
    await platform.postgres.start();
    await until('all is well again', async () => (await platform.smoke()).status === 'passed');
    await dependencyIs('database', true);
  });
});

test('a replica that starts without the database is ready, says so, and works when the database comes', async () => {
  await platform.postgres.kill();
  const second = await platform.startReplica('b');
  const state = await platform.ready(second);
  assert.equal(state.status, 'ready');
  const refused = await platform.submit('describe-text', { text: 'x' }, { replica: second });
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  await platform.postgres.start();
  await until('the replica works', async () => (await platform.smoke(undefined, second)).status === 'passed');
  await second.child.stop();
});
