'use strict';
// A provider that asks for patience: the task is parked in the queue, uses up no attempt, and ends once, whoever is
// killed meanwhile.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { scripted } = require('../mcp-server.js');
const { startPlatform, until, withProvider } = require('../platform.js');
const { queues } = require('../../platform.json');

let platform;
before(async () => { platform = await startPlatform(); });
after(() => platform?.stop());

const ANSWER = JSON.stringify({ model: 'm', choices: [{ message: { content: 'At last.' }, finish_reason: 'stop' }] });

// Asks for patience as often as there are values, then answers.
function patience(...headers) {
  let asked = 0;
  return {
    get asked() { return asked; },
    onCompletion(response) {
      const given = headers[asked];
      asked += 1;
      if (given === undefined) response.setHeader('content-type', 'application/json').end(ANSWER);
      else response.writeHead(given.status ?? 429, given.headers).end('{"error":{"message":"slow down"}}');
    },
  };
}

const after60 = { headers: { 'retry-after': '60' } };

async function question(text) {
  const { body } = await platform.submit('answer-question', { question: text });
  return body.task_id;
}

async function parked(taskId, parks = 1) {
  return until('the task is parked', async () => {
    const [{ parks: found }] = await platform.postgres.query('SELECT parks FROM flowship.tasks WHERE task_id = $1', [taskId]);
    return found >= parks && platform.task(taskId);
  });
}

async function letTimePass() {
  await platform.postgres.query("UPDATE pgboss.job SET start_after = now() WHERE state = 'retry'");
}

async function assertEndedOnce(taskId) {
  const [row] = await platform.postgres.query(
    `SELECT (SELECT count(*)::int FROM flowship.task_results WHERE task_id = $1) AS results,
            (SELECT count(*)::int FROM flowship.task_transitions WHERE task_id = $1 AND status IN ('completed', 'failed')) AS ends`, [taskId],
  );
  assert.deepEqual({ ...row }, { results: 1, ends: 1 });
}

test('60 seconds mean 60 seconds: the task is shown as queued until then, and no attempt is used up', { timeout: 60_000 }, async () => {
  // More often than there are attempts.
  const provider = patience(...new Array(queues.retry_limit + 3).fill(after60), ...new Array(3).fill({ status: 500, headers: {} }));
  await withProvider(platform, provider.onCompletion, async () => {
    const submitted = Date.now();
    const taskId = await question('When?');
    for (let parks = 1; parks <= queues.retry_limit + 3; parks += 1) {
      const task = await parked(taskId, parks);
      assert.equal(task.status, 'queued');
      assert.equal(task.attempts, 0);
      assert.match(task.last_error, /429: slow down/);
      const seconds = (Date.parse(task.not_before) - submitted) / 1000;
      assert.ok(seconds >= 60 && seconds < 90, `${seconds}`);
      assert.equal(provider.asked, parks);
      const { body: queue } = await platform.request('GET', '/api/v1/queues/tasks');
      assert.deepEqual([queue.queued, queue.parked, queue.oldest_seconds, queue.failed], [1, 1, 0, 0]);
      await letTimePass();
    }
    // All attempts are still there: one fails, the next one ends well.
    await until('an attempt has failed', async () => /answered 500/.test((await platform.task(taskId)).last_error));
    const task = await until('the task ends', async () => {
      await letTimePass();
      const found = await platform.task(taskId);
      return found.status === 'completed' && found;
    });
    assert.equal(task.attempts, 2);
    assert.equal(task.not_before, null);
    assert.deepEqual(task.transitions.map(({ status }) => status), ['queued', 'running', 'completed']);
    await assertEndedOnce(taskId);
    assert.match(await platform.metrics(), /flowship_task_attempts_total\{workflow_id="answer-question",outcome="parked"\} 6/);
  });
});

test('a wait that passes ends by itself; 503 is the same; 0 is now', { timeout: 60_000 }, async () => {
  const now = new Array(3).fill({ headers: { 'retry-after': '0' } });
  const provider = patience({ status: 503, headers: { 'retry-after': '3' } }, ...now);
  await withProvider(platform, provider.onCompletion, async () => {
    const started = Date.now();
    const task = await platform.ended(await question('And now?'));
    assert.ok(Date.now() - started >= 3000);
    assert.deepEqual([task.status, task.attempts, provider.asked], ['completed', 1, 5]);
  });
});

test('what is asked beyond reason is bounded', async () => {
  const provider = patience({ headers: { 'retry-after': '99999999999999' } });
  await withProvider(platform, provider.onCompletion, async () => {
    const taskId = await question('In an age?');
    const { not_before: notBefore } = await parked(taskId);
    const seconds = (Date.parse(notBefore) - Date.now()) / 1000;
    assert.ok(seconds <= queues.park_max_seconds && seconds > queues.park_max_seconds - 30, `${seconds}`);
    await letTimePass();
    assert.equal((await platform.ended(taskId)).status, 'completed');
  });
});

test('parking does not bring back used attempts, and a task parked for too long fails like any other', { timeout: 60_000 }, async () => {
  const provider = patience({ status: 500, headers: {} }, { status: 500, headers: {} }, { status: 500, headers: {} }, after60, after60, { status: 400, headers: {} });
  await withProvider(platform, provider.onCompletion, async () => {
    const taskId = await question('How often?');
    const task = await parked(taskId);
    assert.equal(task.attempts, 1);
    await letTimePass();
    await parked(taskId, 2);
    await platform.postgres.query("UPDATE flowship.tasks SET created_at = now() - interval '30 days' WHERE task_id = $1", [taskId]);
    await letTimePass();
    const ended = await platform.ended(taskId);
    assert.deepEqual([ended.status, ended.attempts, ended.error.attempt], ['failed', 2, 2]);
    await assertEndedOnce(taskId);
  });
});

test('killed at any moment around the parking, a task loses nothing and ends once', { timeout: 120_000 }, async () => {
  const provider = patience(after60, after60);
  await withProvider(platform, provider.onCompletion, async () => {
    const taskId = await question('Who is there?');
    // With the first kill the parking is stored or not: the answer is on its way.
    await until('the model was asked', () => provider.asked === 1);
    await platform.replicas[0].child.stop('SIGKILL');
    platform.replicas = [await platform.startReplica('b')];
    await until('the queue has noticed', async () => {
      await letTimePass();
      return provider.asked >= 2;
    }, 60_000);
    await parked(taskId);
    await platform.replicas[0].child.stop('SIGKILL');
    platform.replicas = [await platform.startReplica('a')];
    await letTimePass();
    const task = await platform.ended(taskId, 60_000);
    assert.equal(task.status, 'completed');
    assert.ok(task.attempts <= 2, `${task.attempts}`);
    await assertEndedOnce(taskId);
  });
});

test('an attempt that had lost its job changes nothing when it wants to park', async () => {
  const held = [];
  await withProvider(platform, (response) => held.push(response), async () => {
    const taskId = await question('Too late?');
    await until('the model is asked', () => held.length === 1);
    // Another worker took the job, as the queue does when a heartbeat lapsed.
    await platform.postgres.query("UPDATE pgboss.job SET retry_count = retry_count + 1 WHERE data ->> 'task_id' = $1", [taskId]);
    held[0].writeHead(429, { 'retry-after': '60' }).end('{}');
    await platform.replicas[0].child.said('the attempt says so', (line) => line.task_id === taskId && /had lost its job/.test(line.message));
    const [job] = await platform.postgres.query("SELECT state, start_after <= now() AS due FROM pgboss.job WHERE data ->> 'task_id' = $1", [taskId]);
    assert.deepEqual({ ...job }, { state: 'active', due: true });
    assert.equal((await platform.task(taskId)).status, 'running');
    await platform.postgres.query("DELETE FROM pgboss.job WHERE data ->> 'task_id' = $1", [taskId]);
  });
});

describe('a tool with effects', () => {
  const tools = [{ name: 'text_statistics', inputSchema: { type: 'object' } }];
  const withTool = async (t, onCall) => {
    await platform.mcp.stop();
    const stub = await scripted(t, { 'tools/list': () => ({ tools }), 'tools/call': onCall }, { port: platform.mcp.port });
    t.after(async () => {
      stub.server.close();
      stub.server.closeAllConnections();
      await platform.mcp.start();
    });
    const { body } = await platform.submit('describe-text', { text: 'Send it.' });
    return body.task_id;
  };

  test('it runs once for a task that is parked and repeated after it', { timeout: 60_000 }, async (t) => {
    let ran = 0;
    const provider = patience(after60, { status: 500, headers: {} }, { status: 500, headers: {} }, { status: 500, headers: {} }, after60);
    await withProvider(platform, provider.onCompletion, async () => {
      const taskId = await withTool(t, () => { ran += 1; return { content: [{ type: 'text', text: `run ${ran}` }] }; });
      await parked(taskId);
      await letTimePass();
      await parked(taskId, 2);
      await letTimePass();
      const task = await platform.ended(taskId);
      assert.deepEqual([task.status, task.attempts, task.result.tool.output, ran], ['completed', 2, 'run 1', 1]);
    });
  });

  test('killed during the call, nobody runs it again', { timeout: 120_000 }, async (t) => {
    let ran = 0;
    const taskId = await withTool(t, () => { ran += 1; });
    await until('the tool runs', () => ran === 1);
    await platform.replicas[0].child.stop('SIGKILL');
    platform.replicas = [await platform.startReplica('b')];
    const task = await platform.ended(taskId, 60_000);
    assert.deepEqual([task.status, task.error.code, ran], ['failed', 'mcp_outcome_unknown', 1]);
    await assertEndedOnce(taskId);
  });
});
