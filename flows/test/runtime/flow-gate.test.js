'use strict';
// Nothing that the gate refuses runs, by whichever way it comes; what ran goes on.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { project, launched, failed, DEV } = require('./launcher');
const { endpoint, fn, node, tab } = require('./flow');

const GATE = path.join(__dirname, 'fixtures', 'gate.js');
const say = (word, name = 'say') => endpoint('one', 'get', '/one', [fn('say', 'one', `msg.payload = '${word}'; return msg;`)].map((one) => ({ ...one, name })));
const gated = (made) => ({ ...DEV, FLOW_GATE: JSON.stringify([process.execPath, GATE, made.file('flows.json')]) });
const unknown = [tab('off', { disabled: true }), node('u', 'off', 'no-such-type')];

const FAULTS = {
  'what the gate refuses': [(flows) => flows.map((one) => (one.id === 'say' ? { ...one, name: 'refused' } : one)), /flows\.json:\d+: \[planted\] <b>refused<\/b>/],
  'an unknown type on a disabled tab': [(flows) => [...flows, ...unknown], /flows\.json: node u \(u\): unknown node type "no-such-type" on tab off/],
  'an id twice': [(flows) => [...flows, node('say', 'one', 'comment')], /the id is already used/],
  'a gate that breaks': [(flows) => flows.map((one) => (one.id === 'say' ? { ...one, name: 'odd' } : one)), /could not be judged[^]*planted: the gate broke/],
};

async function runsOn(running, made, before) {
  assert.equal(made.read('flows.json'), before);
  assert.equal((await running.get('flows', '/one')).body, 'hello');
  const { status, body } = await running.get('ready', '/readyz');
  assert.equal(status, 200, JSON.stringify(failed(body)));
}

for (const [title, [spoil, reason]] of Object.entries(FAULTS)) {
  test(`${title} is refused by every way into the editor's API`, async (t) => {
    const made = project(t, { flows: say('hello') });
    const running = await launched(t, made, gated(made));
    const before = made.read('flows.json');
    const spoilt = spoil(say('never'));
    const { body: { rev } } = await running.ask('GET', 'editor', '/admin/flows', { headers: { authorization: 'Bearer ops-token-of-the-test', 'node-red-api-version': 'v2' } });
    const ways = [
      ...['full', 'nodes', 'flows'].flatMap((type) => [
        ['POST', '/admin/flows', spoilt, { 'node-red-deployment-type': type }],
        ['POST', '/admin/flows', { flows: spoilt, rev }, { 'node-red-deployment-type': type, 'node-red-api-version': 'v2' }],
      ]),
      ['PUT', '/admin/flow/one', { id: 'one', label: 'one', nodes: spoilt.filter(({ id }) => id !== 'one') }],
    ];
    for (const [method, where, body, headers] of ways) {
      const answer = await running.send(method, 'editor', where, body, headers);
      assert.ok(answer.status === 422 || (where.includes('/flow/') && answer.status === 400), `${method} ${where} ${answer.status}`);
      assert.equal(typeof answer.body.message, 'string');
      if (answer.status === 422) assert.match(answer.body.message, reason);
      await runsOn(running, made, before);
    }
    assert.equal((await running.send('POST', 'editor', '/admin/flow', { label: 'new', nodes: [node('v', 'x', 'no-such-type')] })).status, 400);
    await runsOn(running, made, before);
    assert.equal((await running.send('POST', 'editor', '/admin/flows/state', { state: 'stop' })).status, 404);
    await runsOn(running, made, before);

    made.write('flows.json', spoilt);
    const onDisk = made.read('flows.json');
    for (const answer of [
      await running.send('POST', 'editor', '/admin/flows', undefined, { 'node-red-deployment-type': 'reload' }),
      await running.operate('/reload'),
    ]) {
      assert.equal(answer.status, 422, JSON.stringify(answer.body));
      assert.match(answer.body.message ?? answer.body.detail, reason);
      await runsOn(running, made, onDisk);
    }

    made.write('flows.json', say('bonjour'));
    assert.equal((await running.operate('/reload')).status, 200);
    assert.equal((await running.get('flows', '/one')).body, 'bonjour');
  });
}

test('good flows pass by every way', async (t) => {
  const made = project(t, { flows: say('hello') });
  const running = await launched(t, made, gated(made));
  let number = 0;
  // Node-RED answers a deployment before its nodes run, and what comes in between reaches nobody.
  const says = async (wanted) => {
    const address = await running.url('flows', '/one');
    const deadline = Date.now() + 20_000;
    const once = () => fetch(address, { signal: AbortSignal.timeout(500) }).then((answer) => answer.text()).catch(() => null);
    while ((await once()) !== wanted) assert.ok(Date.now() < deadline, `"${wanted}" never ran`);
  };
  for (const [method, where, body, headers] of [
    ...['full', 'nodes', 'flows'].map((type) => ['POST', '/admin/flows', (flows) => flows, { 'node-red-deployment-type': type }]),
    ['PUT', '/admin/flow/one', (flows) => ({ id: 'one', label: 'one', nodes: flows.filter(({ id }) => id !== 'one') })],
  ]) {
    number += 1;
    const answer = await running.send(method, 'editor', where, body(say(`round ${number}`)), headers);
    assert.ok(answer.status < 300, `${method} ${where} ${JSON.stringify(answer.body)}`);
    await says(`round ${number}`);
  }
  made.write('flows.json', say('from the file'));
  assert.equal((await running.send('POST', 'editor', '/admin/flows', undefined, { 'node-red-deployment-type': 'reload' })).status, 204);
  await says('from the file');
});

test('a warning refuses no deployment, stays out of a refusal, and goes to the log', async (t) => {
  const made = project(t, { flows: say('hello') });
  const running = await launched(t, made, gated(made));
  const doubtful = (word, ...more) => [...say(word, 'doubtful'), ...more];
  const answer = await running.send('POST', 'editor', '/admin/flows', doubtful('bonjour'));
  assert.equal(answer.status, 204, JSON.stringify(answer.body));
  await running.log(({ level, message }) => level === 'warn' && /^flows\.json:\d+: warning: \[planted\] doubtful$/.test(message), 'the warning');
  const refused = await running.send('POST', 'editor', '/admin/flows', doubtful('never', { ...node('r', 'one', 'comment'), name: 'refused' }));
  assert.equal(refused.status, 422);
  assert.match(refused.body.message, /^refused, the flows that ran go on:\nflows\.json:\d+: \[planted\] <b>refused<\/b>$/);
});

test('flows that the gate refuses do not run at the start either, and readiness says why', async (t) => {
  const made = project(t, { flows: say('hello', 'refused') });
  const running = await launched(t, made, gated(made));
  const { body } = await running.get('ready', '/readyz');
  assert.match(body.checks.find(({ name }) => name === 'flows_loaded').error, /\[planted\]/);
  assert.equal((await running.get('flows', '/one')).status, 404);
});

test('a gate that cannot be started is no judgement', async (t) => {
  const made = project(t, { flows: say('hello') });
  const running = await launched(t, made, { ...DEV, FLOW_GATE: '["/nowhere/xtask"]' });
  const { body } = await running.get('ready', '/readyz');
  assert.match(body.checks.find(({ name }) => name === 'flows_loaded').error, /could not be judged: \/nowhere\/xtask/);
});

test('the editor shows a refusal as text, and other programs get JSON', async (t) => {
  const made = project(t, { flows: say('hello') });
  const running = await launched(t, made, gated(made));
  const shown = await running.send('POST', 'editor', '/admin/flows', say('never', 'refused'), { 'x-requested-with': 'XMLHttpRequest' });
  assert.equal(shown.status, 422);
  assert.match(shown.headers.get('content-type'), /^text\/html/);
  assert.match(shown.body, /^refused, the flows that ran go on&#58;<br>flows\.json&#58;\d+&#58; \[planted\] &#60;b&#62;refused&#60;\/b&#62;$/);
});
