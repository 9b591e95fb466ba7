'use strict';
// Attempts that fail: repeated with backoff, then stored as failed and kept as dead letters, then retried on demand.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { scripted } = require('../mcp-server.js');
const { startPlatform, until, withProvider } = require('../platform.js');
const { queues } = require('../../platform.json');

let platform;
before(async () => { platform = await startPlatform(); });
after(() => platform?.stop());

async function failedTask(text) {
  const { body: { task_id: taskId } } = await platform.submit('describe-text', { text });
  return platform.ended(taskId, 60_000);
}

test('a task that fails for a while is repeated and completes, with one result', async () => {
  await platform.mcp.stop();
  const { body: { task_id: taskId } } = await platform.submit('describe-text', { text: 'Try again.' });
  const waiting = await until('the first attempt failed', async () => {
    const task = await platform.task(taskId);
    return task.last_error !== null && task;
  });
  assert.equal(waiting.status, 'running');
  assert.match(waiting.last_error, /MCP server tools .* does not answer/);
  await platform.mcp.start();
  const task = await platform.ended(taskId);
  assert.equal(task.status, 'completed');
  assert.ok(task.attempts >= 2);
  assert.deepEqual(task.transitions.map(({ status }) => status), ['queued', 'running', 'completed']);
});

test('what cannot end better is not repeated; the failure is the result and the job a dead letter', async () => {
  const task = await withProvider(platform, (response) => response.writeHead(400).end('{}'), () => failedTask('Refused.'));
  assert.equal(task.status, 'failed');
  assert.equal(task.attempts, 1);
  assert.equal(task.result, null);
  assert.equal(task.error.code, 'llm_error');
  assert.deepEqual(task.transitions.map(({ status }) => status), ['queued', 'running', 'failed']);
  assert.equal((await platform.request('GET', '/api/v1/queues/tasks')).body.failed, 1);

  const { status, body } = await platform.request('POST', '/api/v1/queues/tasks/retry-failed');
  assert.equal(status, 200);
  assert.equal(body.remaining, 0);
  assert.deepEqual(body.retried.map(({ retry_of: old }) => old), [task.task_id]);
  const [{ task_id: newId }] = body.retried;
  const retried = await platform.ended(newId);
  assert.equal(retried.status, 'completed');
  assert.equal(retried.retry_of, task.task_id);
  const old = await platform.task(task.task_id);
  assert.equal(old.status, 'failed');
  assert.equal(old.retried_by, newId);
  assert.deepEqual((await platform.request('POST', '/api/v1/queues/tasks/retry-failed')).body.retried, []);
});

test('after the last attempt the task has failed, and retrying twice at once retries once', { timeout: 120_000 }, async () => {
  await platform.mcp.stop();
  const task = await failedTask('Never.');
  assert.equal(task.status, 'failed');
  assert.equal(task.attempts, queues.retry_limit + 1);
  assert.equal(task.error.code, 'mcp_unavailable');
  await until('the dead letter is there', async () => (await platform.request('GET', '/api/v1/queues/tasks')).body.failed === 1);
  await platform.mcp.start();
  const answers = await Promise.all([1, 2, 3].map(() => platform.request('POST', '/api/v1/queues/tasks/retry-failed')));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  const retried = answers.flatMap(({ body }) => body.retried);
  assert.equal(retried.length, 1);
  assert.equal((await platform.ended(retried[0].task_id)).status, 'completed');
});

test('a tool that may have run is not called again, by nobody; one that may run again is', { timeout: 120_000 }, async (t) => {
  await platform.mcp.stop();
  const tool = { name: 'text_statistics', inputSchema: { type: 'object' } };
  for (const [annotations, code, calls] of [
    [{}, 'mcp_outcome_unknown', 1],
    [{ idempotentHint: true }, 'mcp_unavailable', queues.retry_limit + 1],
  ]) {
    let called = 0;
    const stub = await scripted(t, {
      'tools/list': () => ({ tools: [{ ...tool, annotations }] }),
      'tools/call': (_message, response) => { called += 1; response.destroy(); },
    }, { port: platform.mcp.port });
    const task = await failedTask('Once.');
    assert.deepEqual([task.error.code, called], [code, calls]);
    stub.server.close();
    stub.server.closeAllConnections();
  }
  await platform.mcp.start();
});

test('a replica killed in the middle of an attempt loses nothing: another one ends the task', { timeout: 120_000 }, async () => {
  const second = await platform.startReplica('b');
  await platform.replicas[0].child.stop();
  let asked = 0;
  const taskId = await withProvider(platform, () => { asked += 1; }, async () => {
    const { body } = await platform.submit('answer-question', { question: 'Who ends this?' }, { replica: second });
    await until('the model is being asked', () => asked > 0);
    await second.child.stop('SIGKILL');
    return body.task_id;
  });
  const third = await platform.startReplica('a');
  platform.replicas = [third];
  const task = await platform.ended(taskId, 60_000);
  assert.equal(task.status, 'completed');
  assert.equal(task.attempts, 2);
  assert.deepEqual(task.transitions.map(({ status }) => status), ['queued', 'running', 'completed']);
});

test('a task whose attempts all ended without a word is stored as failed', async () => {
  await platform.request('POST', '/api/v1/queues/tasks/drain');
  const { body: { task_id: taskId } } = await platform.submit('describe-text', { text: 'Silence.' });
  // What the queue does by itself after the last lapsed heartbeat.
  await platform.postgres.query(
    'WITH gone AS (DELETE FROM pgboss.job WHERE name = $1 AND id = $2 RETURNING data) INSERT INTO pgboss.job (name, data) SELECT $3, data FROM gone',
    [queues.task, taskId, queues.dead_letter],
  );
  const task = await platform.ended(taskId);
  assert.equal(task.status, 'failed');
  assert.equal(task.error.code, 'abandoned');
  await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { resume: true } });
});

test('SIGTERM lets the attempt in hand end and its result be stored', { timeout: 60_000 }, async () => {
  const [replica] = platform.replicas;
  const held = [];
  const taskId = await withProvider(platform, (response) => held.push(response), async () => {
    const { body } = await platform.submit('answer-question', { question: 'Slow?' });
    await until('the model is being asked', () => held.length > 0);
    replica.child.process.kill('SIGTERM');
    await replica.child.said('the replica drains', (line) => line.message === 'draining');
    held[0].setHeader('content-type', 'application/json').end(JSON.stringify({
      model: 'slow', choices: [{ message: { content: 'At last.' }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 2 },
    }));
    assert.deepEqual(await replica.child.ended, { code: 0, signal: null });
    return body.task_id;
  });
  const [task] = await platform.postgres.query('SELECT status, attempts FROM flowship.tasks WHERE task_id = $1', [taskId]);
  assert.deepEqual({ ...task }, { status: 'completed', attempts: 1 });
});
