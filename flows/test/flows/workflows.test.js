'use strict';
// Workflows as people write them: what is missing is said at the first attempt, before anything is paid for.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, until, withProvider } = require('../platform.js');

// A workflow of its own, whose prompt wants more than its schema.
function addGreeting(byId, nodes) {
  nodes.push({ id: 'workflow-greet', type: 'workflow', name: 'Greet', workflow_id: 'greet', schema: '{"type": "object"}' });
  const { 'worker-route': router, 'worker-answer': answer } = byId;
  router.rules.push({ property: 'workflow_id', operator: 'equals', value: 'greet', output: 'greet' });
  router.outputNames.push('greet');
  router.outputs += 1;
  router.wires.splice(-1, 0, ['worker-greet']);
  nodes.push({ ...answer, id: 'worker-greet', name: 'greet', prompt: '{{#payload.polite}}Dear {{/payload.polite}}{{payload.name}}' });
}

let platform;
before(async () => { platform = await startPlatform({ edit: addGreeting }); });
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

test('a workflow that cannot work is named at the start, and takes no task; the others do', async () => {
  const workflow = (id, workflowId, schema) => ({ id, type: 'workflow', name: `workflow ${id}`, workflow_id: workflowId, schema });
  const project = platform.edited((_byId, nodes) => nodes.push(
    workflow('w1', 'typo', '{"type": "objekt"}'), workflow('w2', 'twice', '{}'), workflow('w3', 'twice', '{}'), workflow('w4', 'Upper', '{}'),
  ));
  const replica = await platform.startReplica('b', { FLOWS_DIR: project }, { becomesReady: false });
  for (const said of [
    'the input schema of workflow typo (node w1) is not a JSON Schema: at "/type"', "the workflow id 'twice' belongs to two nodes, w2 and w3",
    "the workflow id 'Upper' of node w4 is not valid",
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
