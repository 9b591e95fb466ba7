'use strict';
// A replica that is told to stop takes no more tasks, and hands back what it cannot end in time: another replica goes on with
// it, and there is one result, whatever the first one's calls still answer.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { scripted } = require('../mcp-server.js');
const { startPlatform, until, withProvider } = require('../platform.js');

// After the model has answered, a tool with effects is called.
function withTool(nodes, all) {
  nodes['worker-answer'].wires = [['worker-tool']];
  all.push({ id: 'worker-tool', type: 'mcp-call', z: 'worker', name: 'send', servers: 'mcp', server: '', tool: 'send', arguments: 'llm', timeout: 10000, x: 900, y: 180, wires: [['worker-result']] });
  // Keeps the process alive after its tasks were handed back.
  all.push({ id: 'hang', type: 'http in', z: 'api', name: '', url: '/hang', method: 'get', upload: false, swaggerDoc: '', x: 100, y: 900, wires: [[]] });
}

let platform;
let tools;
const ends = [];
before(async () => {
  tools = await scripted({ after: (end) => ends.push(end) });
  platform = await startPlatform({ edit: withTool, env: { MCP_SERVERS: `tools=${tools.url}` } });
});
after(async () => {
  await platform?.stop();
  for (const end of ends) end();
});

const answer = (response, content) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ model: 'm', choices: [{ message: { content }, finish_reason: 'stop' }] }));

async function question() {
  const { status, body } = await platform.submit('answer-question', { question: 'How long?' });
  assert.equal(status, 202);
  return body.task_id;
}

async function assertEndedOnce(taskId, expected) {
  const { status, attempts, result, transitions } = await platform.task(taskId);
  assert.deepEqual({ status, attempts, answer: result.answer }, { status: 'completed', attempts: 1, answer: expected });
  assert.deepEqual(transitions.map((transition) => transition.status), ['queued', 'running', 'completed']);
  assert.deepEqual(await platform.postgres.query("SELECT id FROM pgboss.job WHERE name = 'tasks' AND state = 'active'"), []);
}

// Replaces the first replica by another one that works beside it.
async function besides(name, env) {
  const [old] = platform.replicas;
  platform.replicas = [await platform.startReplica(name, env), old];
  return old;
}

test('a call of the model that takes longer than the drain limit ends elsewhere, with one result', { timeout: 60_000 }, async () => {
  await platform.replicas[0].child.stop();
  platform.replicas = [await platform.startReplica('a', { DRAIN_TIMEOUT_MS: '3000' })];
  const held = [];
  await withProvider(platform, (response) => held.push(response), async () => {
    const taskId = await question();
    await until('the model is asked', () => held.length === 1);
    const { child } = await besides('b', { DRAIN_TIMEOUT_MS: '6000' });
    child.process.kill('SIGTERM');
    assert.deepEqual(await child.ended, { code: 0, signal: null }, child.stderr);
    assert.ok(child.lines.some(({ message, task_id: id }) => id === taskId && message === 'the task did not end before the replica stops and goes back to the queue'));
    await until('another replica asks the model', () => held.length === 2);
    answer(held[1], 'At last.');
    await platform.ended(taskId);
    await assertEndedOnce(taskId, 'At last.');
  });
});

test('a late answer to a replica that has handed the task back changes nothing and calls no tool', { timeout: 60_000 }, async () => {
  const before = tools.count('tools/call');
  const held = [];
  await withProvider(platform, (response) => held.push(response), async () => {
    const taskId = await question();
    await until('the model is asked', () => held.length === 1);
    const old = await besides('c');
    const hanging = platform.request('GET', '/hang', { replica: old }).catch((error) => error);
    await until('it is on its way', async () => /^flowship_http_requests_in_flight 1$/m.test(await platform.metrics(old)));
    const { child } = old;
    child.process.kill('SIGTERM');
    await child.said('the task is handed back', ({ message }) => message?.endsWith('goes back to the queue'));
    answer(held[0], 'Late.');
    await child.said('the late answer changes nothing', ({ message }) => message === 'the attempt was settled before: this failure changes nothing');
    await until('another replica asks the model', () => held.length === 2);
    answer(held[1], 'At last.');
    await platform.ended(taskId);
    await Promise.all([child.ended, hanging]);
    await assertEndedOnce(taskId, 'At last.');
    assert.equal(tools.count('tools/call') - before, 1);
  });
});

test('a replica takes nothing from the moment it is told to stop, also while it still answers requests', { timeout: 60_000 }, async () => {
  await platform.replicas[0].child.stop();
  platform.replicas = [await platform.startReplica('d', { DRAIN_DELAY_MS: '3000' })];
  const [{ child }] = platform.replicas;
  child.process.kill('SIGTERM');
  await child.said('it drains', ({ message }) => message === 'draining');
  const taskId = await question();
  assert.equal((await platform.ready()).status, 'draining');
  assert.deepEqual(await child.ended, { code: 0, signal: null });
  const [task] = await platform.postgres.query('SELECT status, attempts FROM flowship.tasks WHERE task_id = $1', [taskId]);
  assert.deepEqual(task, { status: 'queued', attempts: 0 });
  platform.replicas = [await platform.startReplica('e')];
  const ended = await platform.ended(taskId);
  assert.equal(ended.status, 'completed', JSON.stringify(ended));
});
