'use strict';
// PostgreSQL killed under load, twice: what was acknowledged is not lost, ends, and has one result.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, until } = require('../platform.js');

let platform;
before(async () => {
  platform = await startPlatform();
  await platform.startReplica('b');
});
after(() => platform?.stop());

// Submits and reads until it is told to stop, a few requests at a time, over both replicas.
function load() {
  const seen = { acknowledged: [], refused: 0, wrong: [], statuses: new Set() };
  let stopped = false;
  let number = 0;
  const client = async () => {
    while (!stopped) {
      const replica = platform.replicas[number % 2];
      number += 1;
      const answers = [await platform.submit('describe-text', { text: `Task ${number}.` }, { replica })];
      const [submitted] = answers;
      if (submitted.status === 202) seen.acknowledged.push(submitted.body.task_id);
      if (seen.acknowledged.length > 0) {
        answers.push(await platform.request('GET', `/api/v1/tasks/${seen.acknowledged.at(-1)}`, { replica }));
      }
      for (const answer of answers) {
        seen.statuses.add(answer.status);
        const refused = answer.status === 503 && Number(answer.headers.get('retry-after')) > 0;
        if (refused) seen.refused += 1;
        else if (![200, 202].includes(answer.status)) seen.wrong.push([answer.status, answer.body]);
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  return { seen, stop: () => { stopped = true; return clients; } };
}

test('acknowledged tasks survive a killed database, each with exactly one result', { timeout: 180_000 }, async () => {
  const { seen, stop } = load();
  for (const round of [1, 2]) {
    const before = seen.acknowledged.length;
    await until(`tasks are acknowledged before kill ${round}`, () => seen.acknowledged.length >= before + 30);
    const refusedBefore = seen.refused;
    await platform.postgres.kill();
    await until('requests are refused', () => seen.refused > refusedBefore + 10);
    for (const replica of platform.replicas) {
      const state = await until('the replica names the dependency', async () => {
        const answer = await platform.ready(replica);
        return answer.degraded.length > 0 && answer;
      });
      assert.equal(state.httpStatus, 200);
      assert.deepEqual(state.degraded.map(({ dependency }) => dependency), ['database']);
    }
    await platform.postgres.start();
  }
  const afterwards = seen.acknowledged.length;
  await until('tasks are acknowledged again', () => seen.acknowledged.length >= afterwards + 10);
  await stop();

  assert.deepEqual(seen.wrong, []);
  const open = await until('every task ends', async () => {
    const [{ count }] = await platform.postgres.query("SELECT count(*)::int AS count FROM flowship.tasks WHERE status IN ('queued', 'running')");
    return count === 0 && 'none';
  }, 120_000);
  assert.equal(open, 'none');

  const rows = await platform.postgres.query(
    `SELECT t.task_id, t.status, (SELECT count(*)::int FROM flowship.task_results r WHERE r.task_id = t.task_id) AS results,
            (SELECT string_agg(h.status, ' ' ORDER BY h.position) FROM flowship.task_transitions h WHERE h.task_id = t.task_id) AS history
     FROM flowship.tasks t`,
  );
  const byId = new Map(rows.map((row) => [row.task_id, row]));
  assert.deepEqual(seen.acknowledged.filter((taskId) => !byId.has(taskId)), [], 'acknowledged and lost');
  for (const row of rows) {
    assert.deepEqual({ ...row }, { task_id: row.task_id, status: 'completed', results: 1, history: 'queued running completed' });
  }
  for (const { child } of platform.replicas) assert.equal(child.end, undefined, 'the launcher lives');
  await until('all is well again', async () => (await platform.smoke()).status === 'passed');
});
