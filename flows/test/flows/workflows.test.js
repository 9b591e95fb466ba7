'use strict';
// Workflows as people write them: what is missing is said at the first attempt, before anything is paid for.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, until, withProvider } = require('../platform.js');

// A workflow of its own, which the router leads to a node.
function add(byId, nodes, workflowId, node) {
  nodes.push({ id: `workflow-${workflowId}`, type: 'workflow', name: workflowId, workflow_id: workflowId, schema: '{"type": "object"}' });
  const router = byId['worker-route'];
  router.rules.push({ property: 'workflow_id', operator: 'equals', value: workflowId, output: workflowId });
  router.outputNames.push(workflowId);
  router.outputs += 1;
  router.wires.splice(-1, 0, [node.id]);
  nodes.push(node);
}

function edit(byId, nodes) {
  const { 'worker-text': call, 'worker-answer': answer, 'worker-store': store } = byId;
  // Its prompt wants more than its schema.
  add(byId, nodes, 'greet', { ...answer, id: 'worker-greet', name: 'greet', prompt: '{{#payload.polite}}Dear {{/payload.polite}}{{payload.name}}' });
  add(byId, nodes, 'count', { ...call, id: 'worker-count', name: 'count', arguments: 'payload.about' });
  add(byId, nodes, 'keep', { ...store, id: 'worker-keep', name: 'keep', property: 'payload.about' });
}

let platform;
before(async () => { platform = await startPlatform({ edit }); });
after(() => platform?.stop());

test('a prompt that misses a variable or is empty fails at the first attempt and is never sent', async () => {
  let asked = 0;
  const count = (response) => { asked += 1; response.writeHead(500).end(); };
  await withProvider(platform, count, async () => {
    for (const [input, code, message] of [
      [{ nam: 'Ada' }, 'template_variable_missing', "the prompt of 'greet' cannot be filled in: {{payload.name}} has no value; there are nam"],
      [{ name: null }, 'template_variable_missing', "the prompt of 'greet' cannot be filled in: {{payload.name}} has no value; there are name"],
      [{ name: ' \n' }, 'prompt_empty', "the prompt of 'greet' came out empty: the model is not asked"],
    ]) {
      const { body: { task_id: taskId } } = await platform.submit('greet', input);
      const { status, attempts, error } = await platform.ended(taskId);
      assert.deepEqual({ status, attempts, code: error.code, message: error.message }, { status: 'failed', attempts: 1, code, message });
    }
  });
  assert.equal(asked, 0);
  const { body: { task_id: taskId } } = await platform.submit('greet', { name: 'Ada' });
  assert.equal((await platform.ended(taskId)).status, 'completed');
  const { body: { tasks } } = await platform.request('GET', '/api/v1/tasks?status=failed&workflow_id=greet');
  assert.deepEqual(tasks.map(({ error: { code } }) => code), ['prompt_empty', 'template_variable_missing', 'template_variable_missing']);
});

test('what another attempt cannot mend fails at the first one, with the property that is missing', async () => {
  for (const [workflowId, input, code, message] of [
    ['count', {}, 'mcp_arguments', 'the arguments of the tool text_statistics are msg.payload.about: expected an object, found nothing'],
    ['count', { about: 'text' }, 'mcp_arguments', 'the arguments of the tool text_statistics are msg.payload.about: expected an object, found "text"'],
    ['keep', {}, 'result_missing', 'the message has no payload.about: a completed task needs a result'],
  ]) {
    const { body: { task_id: taskId } } = await platform.submit(workflowId, input);
    const { status, attempts, error } = await platform.ended(taskId);
    assert.deepEqual({ status, attempts, code: error.code, message: error.message }, { status: 'failed', attempts: 1, code, message });
  }
  const { body: { task_id: taskId } } = await platform.submit('count', { about: { text: 'One two.' } });
  assert.equal((await platform.ended(taskId)).status, 'completed');
});

test('a workflow that cannot work is named at the start, and takes no task; the others do', async () => {
  const workflow = (id, workflowId, schema) => ({ id, type: 'workflow', name: `workflow ${id}`, workflow_id: workflowId, schema });
  const project = platform.edited((byId, nodes) => {
    byId['worker-answer'].temperature = 'warm';
    byId['worker-route'].rules.unshift({ property: 'workflow_id', operator: 'exists', value: '', output: 'text' });
    nodes.push(
      workflow('w1', 'typo', '{"type": "objekt"}'), workflow('w2', 'twice', '{}'), workflow('w3', 'twice', '{}'), workflow('w4', 'Upper', '{}'),
    );
  });
  const replica = await platform.startReplica('b', { FLOWS_DIR: project }, { becomesReady: false });
  for (const said of [
    'the input schema of workflow typo (node w1) is not a JSON Schema: at "/type"', "the workflow id 'twice' belongs to two nodes, w2 and w3",
    "the workflow id 'Upper' of node w4 is not valid",
    "the request of 'answer the question' cannot work: its temperature is 'warm': expected a number from 0 on, or nothing",
    "the router 'which tool?' cannot work: rule 2 never holds where rule 1 does not: change it, or put it before that one; rule 3 never holds",
  ]) await replica.child.said(said, ({ level, message }) => level === 'error' && message?.includes(said));
  const ready = await until('the flows have started', async () => {
    const answer = await platform.ready(replica);
    return JSON.stringify(answer).includes('could not be started') && answer;
  });
  assert.equal(ready.httpStatus, 503);
  for (const [workflowId, status] of [['typo', 503], ['twice', 503], ['Upper', 503], ['describe-text', 202], ['nothing', 404]]) {
    assert.equal((await platform.submit(workflowId, { text: 'x' }, { replica })).status, status, workflowId);
  }
  await replica.child.stopOrKill();
});
