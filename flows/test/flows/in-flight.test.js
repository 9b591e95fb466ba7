'use strict';
// A replica that waits for a model has hundreds of tasks in flight, on a handful of connections; none is lost and none
// ends twice when it is killed, and all end when it is stopped.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, until, withProvider } = require('../platform.js');

const ANSWER = JSON.stringify({ model: 'm', choices: [{ message: { content: 'At last.' }, finish_reason: 'stop' }] });
const MANY = 200;

let platform;
before(async () => { platform = await startPlatform(); });
after(() => platform?.stop());

async function submit(count) {
  const answers = await Promise.all(Array.from({ length: count }, (_, number) => platform.submit('answer-question', { question: `Number ${number}?` })));
  return answers.map(({ status, body }) => {
    assert.equal(status, 202);
    return body.task_id;
  });
}

const histories = (ids) => platform.postgres.query(
  `SELECT t.status, t.attempts, string_agg(h.status, ' ' ORDER BY h.position) AS history,
          (SELECT count(*)::int FROM flowship.task_results r WHERE r.task_id = t.task_id) AS results
   FROM flowship.tasks t JOIN flowship.task_transitions h USING (task_id) WHERE t.task_id = ANY ($1) GROUP BY t.task_id`, [ids],
);

const counted = (rows) => Object.entries(Object.groupBy(rows, (row) => JSON.stringify(row))).map(([row, of]) => [JSON.parse(row), of.length]);

test('200 tasks wait for the model at once, and a killed replica loses none of them', { timeout: 120_000 }, async () => {
  const held = [];
  await withProvider(platform, (response) => held.push(response), async () => {
    const ids = await submit(MANY);
    await until('all of them ask', () => held.length === MANY);
    assert.match(await platform.metrics(), new RegExp(`^flowship_tasks_in_flight ${MANY}$`, 'm'));
    const [{ count }] = await platform.postgres.query("SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'flowship_app'");
    assert.ok(count <= 16, `${count} connections`);
    held.splice(0, 50).forEach((response) => response.setHeader('content-type', 'application/json').end(ANSWER));
    await until('fifty have ended', async () => (await histories(ids)).filter(({ status }) => status === 'completed').length === 50);
    await platform.replicas[0].child.stop('SIGKILL');
    held.length = 0;
    platform.replicas = [await platform.startReplica('b')];
    await until('another replica asks for the rest', () => held.length === MANY - 50, 60_000);
    held.forEach((response) => response.setHeader('content-type', 'application/json').end(ANSWER));
    await until('all have ended', async () => (await histories(ids)).every(({ status }) => status === 'completed'));
    assert.deepEqual(counted(await histories(ids)).sort(([left], [right]) => left.attempts - right.attempts), [
      [{ status: 'completed', attempts: 1, history: 'queued running completed', results: 1 }, 50],
      [{ status: 'completed', attempts: 2, history: 'queued running completed', results: 1 }, MANY - 50],
    ]);
  });
});

test('a replica that is stopped takes nothing new, and ends when all that it has has ended', { timeout: 60_000 }, async () => {
  const held = [];
  await withProvider(platform, (response) => held.push(response), async () => {
    const [{ child }] = platform.replicas;
    const ids = await submit(MANY);
    await until('all of them ask', () => held.length === MANY);
    child.process.kill('SIGTERM');
    await child.said('it drains', (line) => line.message === 'draining');
    held.forEach((response) => response.setHeader('content-type', 'application/json').end(ANSWER));
    assert.deepEqual(await child.ended, { code: 0, signal: null });
    assert.deepEqual(counted(await histories(ids)), [[{ status: 'completed', attempts: 1, history: 'queued running completed', results: 1 }, MANY]]);
    const active = await platform.postgres.query("SELECT id FROM pgboss.job WHERE name = 'tasks' AND state = 'active'");
    assert.deepEqual(active, []);
    platform.replicas = [await platform.startReplica('a')];
  });
});
