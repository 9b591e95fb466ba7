'use strict';
// What a workflow says about its tasks holds: how many at once, how long, how often, before whom. No workflow starves
// another, and a long task lives as long as its replica.

const assert = require('node:assert/strict');
const { after, afterEach, before, test } = require('node:test');
const { startPlatform, until, withProvider } = require('../platform.js');
const { queues } = require('../../platform.json');

const ANSWER = JSON.stringify({ model: 'm', choices: [{ message: { content: 'At last.' }, finish_reason: 'stop' }] });
const AT_ONCE = 4;

let platform;
before(async () => {
  platform = await startPlatform({
    edit: (byId) => {
      byId['worker-tasks'].concurrency = AT_ONCE;
      Object.assign(byId['workflow-describe-text'], { concurrency: 2 });
      Object.assign(byId['workflow-describe-numbers'], { priority: 5, time_limit: 3, retries: 0 });
      Object.assign(byId['workflow-answer-question'], { time_limit: 1200 });
    },
  });
});
after(() => platform?.stop());
afterEach(async () => {
  await until('nothing waits or runs', async () => {
    const [{ count }] = await platform.postgres.query("SELECT count(*)::int AS count FROM flowship.tasks WHERE status IN ('queued', 'running')");
    return count === 0;
  });
});

const INPUTS = { 'describe-text': { text: 'Short.' }, 'describe-numbers': { numbers: [1, 2] }, 'answer-question': { question: 'Why?' } };

async function submit(workflow, count) {
  const ids = [];
  for (let one = 0; one < count; one += 1) {
    const { status, body } = await platform.submit(workflow, INPUTS[workflow]);
    assert.equal(status, 202);
    ids.push(body.task_id);
  }
  return ids;
}

const drain = (body) => platform.request('POST', '/api/v1/queues/tasks/drain', { body });

// A provider that keeps its answers until it is told.
function keeping() {
  const held = [];
  return { held, onCompletion: (response) => held.push(response), answer: () => { while (held.length > 0) held.pop().setHeader('content-type', 'application/json').end(ANSWER); } };
}

// The workflows in the order in which their tasks began.
async function order() {
  const rows = await platform.postgres.query(
    "SELECT t.workflow_id FROM flowship.tasks t JOIN flowship.task_transitions h USING (task_id) WHERE h.status = 'running' ORDER BY h.position",
  );
  return rows.map((row) => row.workflow_id);
}

test('a workflow has no more at once than it says, and the others have the rest of the replica', async () => {
  const { held, onCompletion, answer } = keeping();
  await withProvider(platform, onCompletion, async () => {
    const ids = await submit('describe-text', 6);
    await until('two of them ask', () => held.length === 2);
    ids.push(...await submit('answer-question', 3));
    await until('two others ask', () => held.length === AT_ONCE);
    const { body: queue } = await platform.request('GET', '/api/v1/queues/tasks');
    assert.deepEqual([queue.queued, queue.active], [5, AT_ONCE]);
    const running = await platform.postgres.query("SELECT workflow_id, count(*)::int AS count FROM flowship.tasks WHERE status = 'running' GROUP BY 1 ORDER BY 1");
    assert.deepEqual(running.map((row) => ({ ...row })), [{ workflow_id: 'answer-question', count: 2 }, { workflow_id: 'describe-text', count: 2 }]);
    await until('all end', async () => {
      assert.ok(held.length <= AT_ONCE);
      answer();
      const tasks = await Promise.all(ids.map((id) => platform.task(id)));
      return tasks.every(({ status }) => status === 'completed');
    });
  });
});

test('one task is not behind sixty of another workflow, and a higher priority goes before both', async () => {
  await platform.postgres.query('DELETE FROM flowship.task_transitions');
  await drain({});
  const many = await submit('answer-question', 60);
  const [one] = await submit('describe-text', 1);
  const urgent = await submit('describe-numbers', 3);
  await drain({ resume: true });
  for (const id of [...urgent, one, ...many]) assert.equal((await platform.ended(id)).status, 'completed');
  const began = await order();
  assert.equal(began.length, 64);
  assert.deepEqual(began.slice(0, AT_ONCE).filter((workflow) => workflow === 'describe-numbers').length, 3, `${began.slice(0, 8)}`);
  assert.ok(began.indexOf('describe-text') < 2 * AT_ONCE, `${began.slice(0, 12)}`);
});

test('an attempt that takes longer than its workflow allows has failed, and is repeated as often as that says', async () => {
  const { onCompletion } = keeping();
  await withProvider(platform, onCompletion, async () => {
    const [id] = await submit('describe-numbers', 1);
    const task = await platform.ended(id);
    assert.deepEqual([task.status, task.attempts, task.error.code, task.transitions.length], ['failed', 1, 'expired', 3]);
    const seconds = (Date.parse(task.updated_at) - Date.parse(task.transitions[1].at)) / 1000;
    assert.ok(seconds >= 3 && seconds < queues.expire_seconds / 2, `${seconds}`);
    await until('the job is a dead letter', async () => (await platform.request('GET', '/api/v1/queues/tasks')).body.failed === 1);
  });
});

test('long tasks outlive a heartbeat, and a killed replica is noticed by it, not by their time limit', { timeout: 120_000 }, async () => {
  const { held, onCompletion, answer } = keeping();
  await withProvider(platform, onCompletion, async () => {
    const ids = await submit('answer-question', AT_ONCE);
    await until('they all ask', () => held.length === AT_ONCE);
    const jobs = () => platform.postgres.query("SELECT state, expire_seconds, extract(epoch FROM heartbeat_on - started_on)::float AS alive FROM pgboss.job WHERE id = ANY ($1)", [ids]);
    const alive = await until('they live longer than a heartbeat', async () => {
      const found = await jobs();
      return found.every((job) => job.alive > queues.heartbeat_seconds) && found;
    });
    assert.deepEqual(alive.map(({ state, expire_seconds: limit }) => [state, limit]), Array(AT_ONCE).fill(['active', 1200]));
    for (const id of ids) assert.equal((await platform.task(id)).attempts, 1);
    await platform.replicas[0].child.stop('SIGKILL');
    held.length = 0;
    platform.replicas = [await platform.startReplica('b')];
    await until('another replica asks for all of them', () => held.length === AT_ONCE, 60_000);
    answer();
    for (const id of ids) {
      const task = await platform.ended(id);
      assert.deepEqual([task.status, task.attempts, task.transitions.map(({ status }) => status).join(' ')], ['completed', 2, 'queued running completed']);
    }
  });
});
