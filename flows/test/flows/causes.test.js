'use strict';
// The log names the node that failed, with its reason and stack, not the node that reports it.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, withProvider } = require('../platform.js');

const THROWS = "throw new TypeError('planted: thrown');";
const func = (id, z, more = {}) => ({ id, type: 'function', z, name: `the ${id}`, func: THROWS, outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '', libs: [], x: 1, y: 1, wires: [[]], ...more });

let platform;
before(async () => {
  platform = await startPlatform({
    edit(byId, nodes) {
      byId['worker-numbers'].wires = [['broken']];
      byId['worker-answer'].wires = [['instance']];
      byId['task-query'].query = 'SELECT nothing_like_that';
      nodes.push(
        func('broken', 'worker'),
        { id: 'sub', type: 'subflow', name: 'sub', info: '', in: [{ x: 1, y: 1, wires: [{ id: 'inner' }] }], out: [] },
        func('inner', 'sub'),
        { id: 'instance', type: 'subflow:sub', z: 'worker', name: '', x: 1, y: 1, wires: [] },
      );
    },
  });
});
after(() => platform?.stop());

async function lineOf(workflow, input) {
  const { body: { task_id: taskId } } = await platform.submit(workflow, input);
  return platform.replicas[0].child.said(`task ${taskId} fails`, (line) => line.task_id === taskId && ['warn', 'error'].includes(line.level));
}

const CAUSES = {
  'a function': {
    line: () => lineOf('describe-numbers', { numbers: [1, 2] }),
    node: ['broken', 'function', 'the broken'], reason: /planted: thrown/,
  },
  'a node in a subflow, by the id that it has there': {
    line: () => lineOf('answer-question', { question: 'Who?' }),
    node: ['inner', 'function', 'the inner'], reason: /planted: thrown/,
  },
  'a call of the model': {
    line: () => withProvider(platform, (response) => response.writeHead(400).end('{}'), () => lineOf('describe-text', { text: 'Refused.' })),
    node: ['worker-explain', 'llm-request', 'explain the figures'], reason: /400/, stack: /chat-completion\.js:\d+/,
  },
};
for (const [title, { line, node, reason, stack }] of Object.entries(CAUSES)) {
  test(title, async () => {
    const said = await line();
    assert.deepEqual([said.node_id, said.node_type, said.node_name], node, JSON.stringify(said));
    assert.match(said.reason, reason);
    assert.match(said.error.message, reason);
    if (stack) assert.match(said.error.stack, stack);
  });
}

test('a call of a tool, when its server is away', async () => {
  await platform.mcp.stop();
  const said = await lineOf('describe-text', { text: 'Nobody there.' });
  await platform.mcp.start();
  assert.deepEqual([said.node_id, said.node_type], ['worker-text', 'mcp-call']);
  assert.match(said.reason, /does not answer/);
  assert.match(said.error.stack, /mcp-clients\.js:\d+/);
});

test('a request that fails', async () => {
  assert.equal((await platform.request('GET', '/api/v1/tasks/6a1d4e1c-3f57-4d8e-9f5b-2d9f0b9c5a11')).status, 500);
  const said = await platform.replicas[0].child.said('the failure is logged', (line) => line.message === 'a request failed');
  assert.deepEqual([said.level, said.node_id, said.node_type, said.node_name], ['error', 'task-query', 'sql-query', 'task']);
  assert.match(said.reason, /nothing_like_that/);
  assert.match(said.error.stack, /database\.js:\d+/);
});
