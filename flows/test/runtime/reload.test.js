'use strict';
// POST /reload: new flows are live when it answers, broken ones never replace running ones.

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { json } = require('node:stream/consumers');
const { test } = require('node:test');
const { BROKEN } = require('./broken');
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

for (const [title, { nodes, told }] of Object.entries(BROKEN)) {
  test(`${title} is refused, and the flows before run on`, async (t) => {
    const made = project(t, { flows: greeting('base', 'hello') });
    const running = await launched(t, made, DEV_ONLY);
    made.write('flows.json', [...greeting('base', 'other'), ...nodes]);
    const { status, body } = await running.operate('/reload');
    assert.deepEqual([status, body.detail], [422, `${told}; the previous flows run on`]);
    assert.equal((await running.get('flows', '/base')).body, 'hello');
    assert.equal((await running.get('ready', '/readyz')).status, 200);
  });
}

test('a reload that leaves broken what was broken takes the rest, and says that it is not whole', async (t) => {
  const { nodes, told } = BROKEN['a node in a subflow'];
  const made = project(t, { flows: [...greeting('base', 'hello'), ...nodes] });
  const running = await launched(t, made, DEV_ONLY);
  const moved = nodes.map((one) => (one.id === 'inner' ? { ...one, name: 'another' } : one));
  for (const content of [[...greeting('base', 'changed'), ...moved], [...greeting('base', 'changed'), ...moved]]) {
    made.write('flows.json', content);
    const { status, body } = await running.operate('/reload');
    assert.deepEqual([status, body.detail], [422, `the flows of the files run, but not whole: ${told}`]);
    assert.equal((await running.get('flows', '/base')).body, 'changed');
    const ready = await running.get('ready', '/readyz');
    assert.deepEqual([ready.status, ready.body.reason], [503, `nodes_started: ${told}`]);
  }
  assert.match((await running.get('ops', '/metrics')).body, /^flowship_reloads_total\{outcome="incomplete"\} 2$/m);
  made.write('flows.json', greeting('base', 'mended'));
  assert.equal((await running.operate('/reload')).status, 200);
  assert.equal((await running.get('ready', '/readyz')).status, 200);
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

// Each deployment takes this long, since a node that it changes takes its time to end.
const WINDOW_MS = 700;
const window = (name) => node('window', 'work', 'fixture-slow-close', [], { name, ms: WINDOW_MS });
const accepting = (id, ms) => fn(id, 'work', `node.log('accepted'); setTimeout(() => node.send(msg), ${ms});`);
const saying = (word) => fn('say', 'work', `msg.payload = '${word}'; return msg;`);
const accepted = (line) => line.message === 'accepted';

async function askedAgain({ status, headers, body }) {
  assert.deepEqual([status, headers.get('retry-after'), headers.get('content-type')], [503, '1', 'application/problem+json']);
  assert.equal(body.detail, 'the flows were reloaded while the request was on its way; ask again');
}

const onItsWay = {
  'whose message is in a node that changes is told to ask again': {
    flows: (word) => endpoint('work', 'get', '/work', [accepting('wait', word === 'old' ? 30000 : 1)]),
    check: askedAgain,
  },
  'whose message is in any node is told to ask again when all are replaced': {
    flows: (word) => endpoint('work', 'get', '/work', [accepting('wait', word === 'old' ? 30000 : 1)]).map((one) => (one.type === 'tab' ? { ...one, info: word } : { ...one, name: word })),
    check: askedAgain,
  },
  'whose message is sent to a node while that is away is told to ask again': {
    flows: (word) => [...endpoint('work', 'get', '/work', [accepting('wait', WINDOW_MS / 3), saying(word)]), window(word)],
    check: askedAgain,
  },
  'whose message has left the node that changes is answered': {
    flows: (word) => endpoint('work', 'get', '/work', [saying(word), accepting('wait', 500)]),
    check: ({ status, body }) => assert.deepEqual([status, body], [200, 'old']),
  },
};
for (const [title, { flows, check }] of Object.entries(onItsWay)) {
  test(`a request ${title}`, async (t) => {
    const made = project(t, { flows: flows('old') });
    const running = await launched(t, made, DEV_ONLY);
    const answer = running.get('flows', '/work');
    await running.log(accepted);
    made.write('flows.json', flows('new'));
    assert.equal((await running.operate('/reload')).status, 200);
    await check(await answer);
  });
}

test('a request that comes during a deployment waits for the new flows', async (t) => {
  const flows = (word) => [...endpoint('work', 'get', '/work', [saying(word)]), window(word)].map((one) => ({ ...one, name: word }));
  const made = project(t, { flows: flows('old') });
  const running = await launched(t, made, DEV_ONLY);
  made.write('flows.json', flows('new'));
  const reloaded = running.operate('/reload');
  await running.log((line) => line.message === 'Stopping modified nodes');
  const { status, body } = await running.get('flows', '/work');
  assert.deepEqual([status, body], [200, 'new']);
  assert.equal((await reloaded).status, 200);
});

test('a request whose body was still coming when its route was replaced is told to ask again', async (t) => {
  const flows = (word) => endpoint('work', 'post', '/work', [saying(word)]).map((one) => ({ ...one, name: word }));
  const made = project(t, { flows: flows('old') });
  const running = await launched(t, made, DEV_ONLY);
  const req = http.request(await running.url('flows', '/work'), { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': 20 } });
  req.write('{"a":');
  while (!/^flowship_http_requests_in_flight 1$/m.test((await running.get('ops', '/metrics')).body));
  made.write('flows.json', flows('new'));
  assert.equal((await running.operate('/reload')).status, 200);
  const [res] = await once(req, 'response');
  await askedAgain({ status: res.statusCode, headers: new Headers(res.headers), body: await json(res) });
  req.destroy();
});

test('a node that answers although it was stopped does so in vain, and that is a warning', async (t) => {
  const flows = (word) => endpoint('work', 'get', '/work', [{ ...node('stubborn', 'work', 'fixture-stubborn', [], { ms: 600 }), name: word }]);
  const made = project(t, { flows: flows('old') });
  const running = await launched(t, made, DEV_ONLY);
  const answer = running.get('flows', '/work');
  await running.log(accepted);
  made.write('flows.json', flows('new'));
  assert.equal((await running.operate('/reload')).status, 200);
  await askedAgain(await answer);
  const late = await running.log((line) => line.message === 'an answer came too late: the client has one');
  assert.deepEqual([late.level, late.node_id, late.status], ['warn', 'work-out', 503]);
  assert.equal((await running.get('flows', '/work')).status, 200);
  assert.deepEqual(running.lines.filter(({ level }) => ['error', 'fatal'].includes(level)), []);
});

test('it needs the token, and exists in development only', async (t) => {
  const made = project(t, { flows: greeting('one', 'hello') });
  const production = await launched(t, made);
  assert.equal((await production.ask('POST', 'ops', '/reload')).status, 401);
  assert.equal((await production.post('ops', '/reload', undefined, { authorization: 'Bearer wrong' })).status, 401);
  const { status, body } = await production.operate('/reload');
  assert.equal(status, 403);
  assert.match(body.detail, /in development only, and production is not/);
});
