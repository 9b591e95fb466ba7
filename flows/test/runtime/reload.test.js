'use strict';
// POST /reload: new flows are live when it answers, broken ones never replace running ones.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { project, launched, DEV } = require('./launcher');
const { endpoint, fn, node, tab } = require('./flow');

const greeting = (z, word) => endpoint(z, 'get', `/${z}`, [fn(`${z}-say`, z, `msg.payload = '${word}'; return msg;`)]);
const DEV_ONLY = { ...DEV, EDITOR_HOST: undefined, EDITOR_PORT: undefined };

test('new flows are live when it answers, and only what changed is restarted', async (t) => {
  const ticks = (z) => endpoint(z, 'get', `/${z}`, [fn(`${z}-count`, z, "context.set('n', (context.get('n') || 0) + 1); msg.payload = String(context.get('n')); return msg;")]);
  const made = project(t, { flows: [...greeting('one', 'hello'), ...ticks('kept')] });
  const running = await launched(t, made, DEV_ONLY);
  const before = (await running.get('ready', '/readyz')).body.rev;
  await running.get('flows', '/kept');

  for (const word of ['bonjour', 'ciao', 'hola']) {
    made.write('flows.json', [...greeting('one', word), ...ticks('kept')]);
    const { status, body } = await running.operate('/reload');
    assert.equal(status, 200);
    assert.deepEqual(body.changed, ['one-say']);
    assert.equal((await running.get('flows', '/one')).body, word);
    const ready = await running.get('ready', '/readyz');
    assert.equal(ready.status, 200, JSON.stringify(ready.body));
    assert.equal(ready.body.rev, body.rev);
    assert.notEqual(body.rev, before);
  }
  assert.equal((await running.get('flows', '/kept')).body, 2, 'the context of an unchanged node survives');
  assert.deepEqual((await running.operate('/reload')).body.changed, []);
  assert.match((await running.get('ops', '/metrics')).body, /^flowship_reloads_total\{outcome="changed"\} 3$/m);
});

test('tabs come and go, and test-smoke.json is read too', async (t) => {
  const made = project(t, { flows: greeting('one', 'hello') });
  const running = await launched(t, made, DEV_ONLY);
  made.write('flows.json', greeting('two', 'hi'));
  made.write('test-smoke.json', [tab('smoke'), node('smoke-in', 'smoke', 'fixture-smoke', [], { check: 'queue', behaviour: 'pass' })]);
  const { body } = await running.operate('/reload');
  assert.deepEqual(body.changed, ['two', 'two-in', 'two-say', 'two-out', 'smoke', 'smoke-in', 'one', 'one-in', 'one-say', 'one-out']);
  assert.equal((await running.get('flows', '/one')).status, 404);
  assert.equal((await running.get('flows', '/two')).body, 'hi');
  assert.equal((await running.operate('/smoke', { checks: ['queue'] })).status, 200);
});

test('broken flows are refused with the reason and the old ones run on', async (t) => {
  const made = project(t, { flows: greeting('one', 'hello') });
  const running = await launched(t, made, DEV_ONLY);
  const { rev } = (await running.get('ready', '/readyz')).body;
  const faults = [
    ['[{', /flows\.json: not valid JSON/],
    [[...greeting('one', 'other'), node('u', 'one', 'no-such-type')], /flows\.json: node u \(u\): unknown node type "no-such-type"/],
    [[...greeting('one', 'other'), ...greeting('one', 'other')], /the id is already used/],
    [[...greeting('one', 'other'), node('bad', 'one', 'fixture-broken')], /node bad \(fixture-broken\) could not be started/],
  ];
  for (const [content, reason] of faults) {
    made.write('flows.json', content);
    const { status, headers, body } = await running.operate('/reload');
    assert.equal(status, 422);
    assert.equal(headers.get('content-type'), 'application/problem+json');
    assert.match(body.detail, reason);
    assert.equal((await running.get('flows', '/one')).body, 'hello');
    const ready = await running.get('ready', '/readyz');
    assert.deepEqual([ready.status, ready.body.rev], [200, rev], JSON.stringify(ready.body));
  }
  made.write('flows.json', greeting('one', 'repaired'));
  assert.equal((await running.operate('/reload')).status, 200);
  assert.equal((await running.get('flows', '/one')).body, 'repaired');
});

test('a replica that started with broken flows is healed by a reload', async (t) => {
  const made = project(t);
  made.write('flows.json', '[{"id":');
  const running = await launched(t, made, DEV_ONLY);
  assert.equal((await running.get('ready', '/readyz')).status, 503);
  made.write('flows.json', greeting('one', 'hello'));
  assert.equal((await running.operate('/reload')).status, 200);
  assert.equal((await running.get('flows', '/one')).body, 'hello');
  assert.equal((await running.get('ready', '/readyz')).status, 200);
});

test('a request in flight on nodes that did not change completes', async (t) => {
  const slow = endpoint('slow', 'get', '/slow', [fn('wait', 'slow', "node.log('accepted'); setTimeout(() => { msg.payload = 'done'; node.send(msg); }, 600);")]);
  const made = project(t, { flows: [...greeting('one', 'hello'), ...slow] });
  const running = await launched(t, made, DEV_ONLY);
  const answer = running.get('flows', '/slow');
  await running.log((line) => line.message === 'accepted');
  made.write('flows.json', [...greeting('one', 'changed'), ...slow]);
  assert.equal((await running.operate('/reload')).status, 200);
  assert.equal((await running.get('flows', '/one')).body, 'changed');
  assert.equal((await answer).body, 'done');
});

test('it needs the token, and exists in dev only', async (t) => {
  const made = project(t, { flows: greeting('one', 'hello') });
  const production = await launched(t, made);
  assert.equal((await production.ask('POST', 'ops', '/reload')).status, 401);
  assert.equal((await production.post('ops', '/reload', undefined, { authorization: 'Bearer wrong' })).status, 401);
  const { status, body } = await production.operate('/reload');
  assert.equal(status, 403);
  assert.match(body.detail, /in dev only, this is production/);
});
