'use strict';
// The flow files by themselves: whole, wired, placed, and every request answered whatever happens.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const platform = require('../../platform.json');

const read = (name) => fs.readFileSync(path.join(__dirname, '..', '..', name), 'utf8');
const files = Object.fromEntries(['flows.json', 'test-smoke.json'].map((name) => [name, JSON.parse(read(name))]));
const nodes = Object.values(files).flat();
const byId = new Map(nodes.map((node) => [node.id, node]));

function reachable(start) {
  const seen = new Set();
  const open = [start];
  while (open.length > 0) {
    const node = open.pop();
    if (seen.has(node)) continue;
    seen.add(node);
    for (const id of [...(node.wires ?? []).flat(), ...(node.type === 'link out' ? node.links : [])]) open.push(byId.get(id));
  }
  return seen;
}

test('the files are as the editor saves them', () => {
  for (const [name, content] of Object.entries(files)) assert.equal(read(name), `${JSON.stringify(content, null, 4)}\n`, name);
});

test('ids are unique, wires and references lead somewhere, and every node has its place', () => {
  assert.equal(byId.size, nodes.length);
  for (const node of nodes) {
    for (const id of [...(node.wires ?? []).flat(), ...(node.links ?? []), ...(Array.isArray(node.scope) ? node.scope : [])]) {
      assert.ok(byId.has(id), `${node.id} leads to ${id}, which is not there`);
    }
    for (const reference of ['database', 'provider', 'servers']) if (node[reference]) assert.ok(byId.has(node[reference]), `${node.id}: ${reference}`);
    if (node.wires) {
      assert.ok(Number.isFinite(node.x) && Number.isFinite(node.y), `${node.id} has no place`);
      assert.equal(byId.get(node.z)?.type, 'tab', `${node.id} is on no tab`);
    }
    assert.equal(node.credentials, undefined);
  }
});

test('every http in, and every Catch node beside one, reaches a response', () => {
  const inputs = nodes.filter((node) => node.type === 'http in');
  assert.ok(inputs.length > 0);
  for (const input of inputs) {
    assert.ok([...reachable(input)].some((node) => node.type === 'http response'), input.id);
    const catches = nodes.filter((node) => node.type === 'catch' && node.z === input.z && node.scope === null);
    assert.ok(catches.length > 0, `${input.id} is covered by no Catch node`);
    for (const node of catches) assert.ok([...reachable(node)].some((end) => end.type === 'http response'), node.id);
  }
});

test('every refusal of a request goes to a response', () => {
  for (const node of nodes.filter(({ type }) => ['api-auth', 'api-body', 'task-enqueue', 'task-list', 'queue-admin'].includes(type))) {
    const [, refused] = node.wires;
    assert.deepEqual(refused.map((id) => byId.get(id).type), ['http response'], node.id);
  }
});

test('every way of a task, and its failures, end the attempt', () => {
  const [worker] = nodes.filter((node) => node.type === 'task-worker');
  for (const node of reachable(worker)) {
    if (node.type !== 'task-complete') assert.ok(node.wires.every((wire) => wire.length > 0), `${node.id} drops a message`);
  }
  const [whenFailed] = nodes.filter((node) => node.type === 'catch' && node.z === worker.z);
  assert.ok([...reachable(whenFailed)].some((node) => node.type === 'task-fail'));
});

test('the smoke flow has the five checks in order, each with one way in and one out, covered by a Catch node', () => {
  const smoke = files['test-smoke.json'];
  assert.deepEqual(smoke.filter(({ type }) => type === 'smoke-in').map(({ check }) => check), platform.smoke.checks);
  for (const input of smoke.filter(({ type }) => type === 'smoke-in')) {
    const ends = [...reachable(input)].filter(({ type }) => type === 'smoke-out');
    assert.equal(ends.length, 1, input.id);
    const between = [...reachable(input)].filter((node) => node !== input && node !== ends[0]).map(({ id }) => id);
    const covered = smoke.find((node) => node.type === 'catch' && node.wires.flat().includes(ends[0].id));
    assert.deepEqual([...covered.scope].sort(), between.sort());
  }
});
