'use strict';
// What the editor saves is taken apart again: smoke tabs never enter flows.json.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const { test } = require('node:test');
const { project, launched, DEV, OPS_TOKEN } = require('./launcher');
const { endpoint, fn, node, tab } = require('./flow');

const FLOWS = [...endpoint('one', 'get', '/one', [fn('say', 'one', "msg.payload = 'hello'; return msg;")])];
const SMOKE = [tab('smoke'), node('smoke-in', 'smoke', 'fixture-smoke', [], { check: 'queue', behaviour: 'pass' })];

function save(running, flows, type = 'nodes') {
  return running.post('editor', '/admin/flows', flows, { 'node-red-deployment-type': type });
}

test('the editor sees both files and saves only the platform flows, in a stable order', async (t) => {
  const made = project(t, { flows: FLOWS, smoke: SMOKE });
  const running = await launched(t, made, DEV);
  const { body: shown } = await running.get('editor', '/admin/flows');
  assert.deepEqual(shown, [...FLOWS, ...SMOKE]);

  const edited = shown.map((one) => (one.id === 'say' ? { ...one, func: "msg.payload = 'edited'; return msg;" } : one));
  const added = node('note', 'one', 'comment');
  const onSmokeTab = node('note-on-smoke', 'smoke', 'comment');
  assert.equal((await save(running, [added, onSmokeTab, ...edited.toReversed()])).status, 204);

  const expected = [...FLOWS.map((one) => (one.id === 'say' ? edited.find(({ id }) => id === 'say') : one)), added];
  assert.equal(made.read('flows.json'), `${JSON.stringify(expected, null, 4)}\n`);
  assert.equal(made.read('test-smoke.json'), `${JSON.stringify(SMOKE, null, 4)}\n`);
  assert.deepEqual(fs.readdirSync(made.file('')).toSorted(), ['flows.json', 'nodes', 'test-smoke.json']);
  // Node-RED answers a save before the new nodes run, and what comes in between reaches nobody.
  await running.log(({ message }) => message === 'Started modified nodes');
  await running.readyz(({ status }) => status === 'ready');
  assert.equal((await running.get('flows', '/one')).body, 'edited');
  assert.deepEqual((await running.operate('/reload')).body.changed, [], 'a save needs no reload');
});

test('saving what was loaded changes no byte', async (t) => {
  const made = project(t, { flows: FLOWS, smoke: SMOKE });
  const running = await launched(t, made, DEV);
  const before = made.read('flows.json');
  assert.equal((await save(running, [...FLOWS, ...SMOKE])).status, 204);
  assert.equal(made.read('flows.json'), before);
});

test('a save never buries what was changed on disk, nor a broken file', async (t) => {
  const made = project(t, { flows: FLOWS });
  const running = await launched(t, made, DEV);
  for (const content of [`${JSON.stringify(FLOWS.with(1, { ...FLOWS[1], name: 'changed elsewhere' }), null, 4)}\n`, '[{']) {
    made.write('flows.json', content);
    const { status, body } = await save(running, FLOWS);
    assert.ok(status >= 400, String(status));
    assert.match(JSON.stringify(body), /changed on disk since it was loaded: reload it/);
    assert.equal(made.read('flows.json'), content);
  }
});

test('credentials that somebody types into a node are refused, not stored', async (t) => {
  const made = project(t, { flows: FLOWS });
  const running = await launched(t, made, DEV);
  const withCredentials = [...FLOWS, node('call', 'one', 'http request', [], { method: 'GET', url: 'http://127.0.0.1', credentials: { user: 'u', password: 'typed-in' } })];
  const { status, body } = await save(running, withCredentials);
  assert.ok(status >= 400, String(status));
  assert.match(JSON.stringify(body), /node call holds credentials: they are never stored/);
  assert.doesNotMatch(made.read('flows.json'), /typed-in/);
  assert.deepEqual(fs.readdirSync(made.file('')).toSorted(), ['flows.json', 'nodes', 'test-smoke.json']);
});

test('a refused save is told by /readyz until one is taken', async (t) => {
  const made = project(t, { flows: FLOWS });
  const running = await launched(t, made, DEV);
  const refusal = async () => (await running.get('ready', '/readyz')).body.refused;
  assert.equal(await refusal(), null);
  const unknown = [...FLOWS, node('odd', 'one', 'no-such-type')];
  const credentials = [...FLOWS, node('call', 'one', 'http request', [], { credentials: { user: 'u', password: 'typed-in' } })];
  for (const [flows, reason] of [[unknown, /node odd \(odd\): unknown node type "no-such-type"/], [credentials, /node call holds credentials/]]) {
    assert.ok((await save(running, flows)).status >= 400);
    const { at, what, reason: told } = await refusal();
    assert.deepEqual([what, new Date(at).toISOString()], ['Deploy', at]);
    assert.match(told, reason);
    assert.equal((await running.get('ready', '/readyz')).status, 200);
    assert.equal((await save(running, FLOWS)).status, 204);
    assert.equal(await refusal(), null);
  }
  made.write('flows.json', '[{');
  assert.ok((await save(running, FLOWS, 'reload')).status >= 400, 'the restart of all flows');
  assert.match((await refusal()).reason, /flows\.json: not valid JSON/);
});

test('the editor is served under /admin, on its own listener alone', async (t) => {
  const running = await launched(t, project(t, { flows: FLOWS }), DEV);
  const page = await running.get('editor', '/admin/');
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>Flowship<\/title>/);
  assert.equal((await running.get('flows', '/admin/')).status, 404);
  assert.equal((await running.get('editor', '/one')).status, 404);
});

test('the editor hears what happens over its socket', async (t) => {
  const running = await launched(t, project(t, { flows: FLOWS }), DEV);
  const address = (await running.url('editor', '/admin/comms')).replace('http:', 'ws:');
  const socket = new WebSocket(address, { headers: { authorization: `Bearer ${OPS_TOKEN}` } });
  t.after(() => socket.close());
  await once(socket, 'open');
});
