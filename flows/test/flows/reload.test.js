'use strict';
// In dev, editing the flows takes effect while tasks go on: the worker included.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { FLOWS, startPlatform, until } = require('../platform');

let platform;
let project;
before(async () => {
  platform = await startPlatform();
  project = fs.mkdtempSync(path.join(platform.folder, 'project-'));
  fs.symlinkSync(path.join(FLOWS, 'nodes'), path.join(project, 'nodes'));
  for (const name of ['flows.json', 'test-smoke.json']) fs.copyFileSync(path.join(FLOWS, name), path.join(project, name));
  const [first] = platform.replicas;
  await first.child.stop();
  platform.replicas = [];
  await platform.startReplica('a', { FLOWSHIP_TIER: 'development', FLOWS_DIR: project });
});
after(() => platform?.stop());

async function reload(edit) {
  const file = path.join(project, 'flows.json');
  const nodes = JSON.parse(fs.readFileSync(file, 'utf8'));
  edit(Object.fromEntries(nodes.map((node) => [node.id, node])), nodes);
  fs.writeFileSync(file, `${JSON.stringify(nodes, null, 4)}\n`);
  const response = await fetch(`http://127.0.0.1:${platform.replicas[0].ports.ops}/reload`, { method: 'POST', headers: { authorization: 'Bearer ops-token-of-the-test' } });
  return { status: response.status, body: await response.json() };
}

test('a new workflow is known after the reload, and its rule routes it', async () => {
  assert.equal((await platform.submit('count-words', { text: 'a b c' })).status, 404);
  const answer = await reload((byId, nodes) => {
    nodes.push({ ...byId['workflow-describe-text'], id: 'workflow-count-words', workflow_id: 'count-words' });
    byId['worker-route'].rules.push({ property: 'workflow_id', operator: 'equals', value: 'count-words', output: 'text' });
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { body } = await platform.submit('count-words', { text: 'a b c' });
  const task = await platform.ended(body.task_id);
  assert.equal(task.result.tool.output.words, 3);
});

test('the worker can be replaced while it works: nothing that was accepted is lost', async () => {
  const accepted = [];
  let stopped = false;
  const client = (async () => {
    while (!stopped) accepted.push((await platform.submit('describe-text', { text: `Task ${accepted.length}.` })).body.task_id);
  })();
  for (const concurrency of [2, 3]) {
    const enough = accepted.length + 10;
    await until('tasks are accepted', () => accepted.length > enough);
    const answer = await reload((byId) => { byId['worker-tasks'].concurrency = concurrency; });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
  stopped = true;
  await client;
  for (const taskId of accepted) assert.equal((await platform.ended(taskId)).status, 'completed');
});

test('the database node can be replaced', async () => {
  const answer = await reload((byId) => { byId.postgres.name = 'Another name'; });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal((await platform.smoke()).status, 'passed');
});

test('rules that cannot work are refused and the flows before go on', async () => {
  const answer = await reload((byId) => { byId['worker-route'].rules[0].output = 'nowhere'; });
  assert.equal(answer.status, 422, JSON.stringify(answer.body));
  assert.equal((await platform.smoke()).status, 'passed');
});
