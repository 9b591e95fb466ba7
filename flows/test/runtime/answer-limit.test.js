'use strict';
// A client of the flows always gets an answer: 504 when they give none in time, and the log names who had the message.

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { text } = require('node:stream/consumers');
const { test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const { requests: limits } = require('../../platform.json');
const { createRequests } = require('../../runtime/requests');
const { project, launched, DEV } = require('./launcher');
const { endpoint, fn, httpIn, node, tab } = require('./flow');

const LIMIT = { name: 'REQUEST_LIMIT_SECONDS', type: 'num' };
const limited = (seconds, nodes) => nodes.map((one) => (one.type === 'tab' ? { ...one, env: [{ ...LIMIT, value: String(seconds) }] } : one));
const route = (z, middle, method = 'get') => limited(0.4, endpoint(z, method, `/${z}/:id`, middle));
const switching = (z) => node(`${z}-choose`, z, 'switch', [], { property: 'payload', propertyType: 'msg', rules: [{ t: 'eq', v: 'never', vt: 'str' }], checkall: 'true', repair: false, outputs: 1 });
const isLimit = (line) => line.limit_seconds !== undefined;
const isLate = (line) => line.message.startsWith('an answer came too late');

const HANGING = {
  'a function that sends nothing': { middle: (z) => [fn(`${z}-never`, z, 'return null;')], last: ['never', 'function'] },
  'a function that throws, and no catch': { middle: (z) => [fn(`${z}-throw`, z, "throw new Error('planted');")], last: ['throw', 'function'] },
  'a function that sends another message': { middle: (z) => [fn(`${z}-other`, z, "return { payload: 'x' };")], last: ['other', 'function'] },
  'a switch that lets nothing pass': { middle: (z) => [fn(`${z}-before`, z, 'return msg;'), switching(z)], last: ['choose', 'switch'] },
  'a response that cannot be sent': { middle: (z) => [fn(`${z}-circular`, z, 'msg.payload = {}; msg.payload.me = msg.payload; return msg;')], last: ['out', 'http response'] },
  'a later answer': { middle: (z) => [fn(`${z}-slow`, z, 'setTimeout(() => node.send(msg), 900);')], last: ['slow', 'function'], late: 'out' },
  'a later answer by the function itself': { middle: (z) => [fn(`${z}-self`, z, "setTimeout(() => msg.res._res.status(200).set('x-a', '1').json({ late: true }), 900);")], last: ['self', 'function'], late: 'self' },
  'a later answer in pieces': { middle: (z) => [fn(`${z}-pieces`, z, "setTimeout(() => { msg.res._res.writeHead(200); msg.res._res.write('a'); msg.res._res.end('b'); }, 900);")], last: ['pieces', 'function'], late: 'pieces' },
};

test('each client gets 504 with the reason, and the log has who had the message and who answered late', async (t) => {
  const kinds = Object.entries(HANGING).map(([title, kind], index) => ({ title, ...kind, z: `kind${index}` }));
  const running = await launched(t, project(t, { flows: kinds.flatMap(({ z, middle }) => route(z, middle(z))) }));
  const asked = await Promise.all(kinds.map(({ z }) => running.get('flows', `/${z}/7`)));
  for (const [index, { status, headers, body }] of asked.entries()) {
    const shown = `GET /${kinds[index].z}/:id`;
    assert.equal(headers.get('content-type'), 'application/problem+json');
    assert.deepEqual({ status, ...body }, {
      status: 504, type: 'about:blank', title: 'Gateway Timeout', route: shown,
      detail: `no answer to ${shown} within 0.4 s; what it began may still be going on`,
    });
  }
  for (const { title, z, last: [id, type] } of kinds) {
    const line = await running.log((one) => isLimit(one) && one.route === `GET /${z}/:id`, title);
    assert.deepEqual([line.level, line.node_id, line.node_type, line.node_name], ['error', `${z}-${id}`, type, `${z}-${id}`], title);
    assert.equal(line.message, `no answer to GET /${z}/:id within 0.4 s: node ${z}-${id} had the message last`);
  }
  for (const { title, z, late } of kinds.filter((kind) => kind.late)) {
    const line = await running.log((one) => isLate(one) && one.node_id === `${z}-${late}`, title);
    assert.deepEqual([line.level, line.status, line.route, line.error, line.stack], ['warn', 504, `GET /${z}/:id`, undefined, undefined], title);
  }
  const { body } = await running.get('ops', '/metrics');
  for (const { z } of kinds) assert.ok(body.includes(`flowship_http_requests_total{method="GET",route="/${z}/:id",status="504"} 1`), body);
  assert.match(body, /^flowship_http_requests_in_flight 0$/m);
  const faults = running.lines.filter((line) => ['error', 'fatal'].includes(line.level) && !isLimit(line)).map((line) => line.message.split('\n')[0]);
  assert.equal(faults.length, 2, `only what was planted is an error: ${faults.join('; ')}`);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

test('the line has the labels of the task', async (t) => {
  const flows = route('work', [fn('mark', 'work', "msg.task_id = 'task-7'; msg.workflow_id = 'describe'; return msg;"), fn('never', 'work', 'return null;')]);
  const running = await launched(t, project(t, { flows }));
  assert.equal((await running.get('flows', '/work/7')).status, 504);
  const line = await running.log(isLimit);
  assert.deepEqual([line.task_id, line.workflow_id, line.node_id], ['task-7', 'describe', 'never']);
});

test('a group has a limit of its own, and who answers in time or has begun to is left alone', async (t) => {
  const slow = fn('slow', 'work', "setTimeout(() => node.send(msg), 900);");
  const inGroup = limited(0.4, endpoint('work', 'get', '/work', [slow])).map((one) => (one.id === 'work-in' ? { ...one, g: 'patient' } : one));
  const group = { id: 'patient', type: 'group', z: 'work', name: 'patient', style: {}, nodes: ['work-in'], env: [{ ...LIMIT, value: '5' }] };
  const begun = fn('begun', 'pieces', "const res = msg.res._res; res.write('first, '); setTimeout(() => res.end('last'), 900);");
  const running = await launched(t, project(t, { flows: [...inGroup, group, ...route('pieces', [begun]), ...route('upload', [], 'post')] }));
  const upload = http.request(await running.url('flows', '/upload/1'), { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': 7 } });
  upload.write('{"a":');
  const sent = pause(900).then(() => upload.end('1}'));
  const [work, pieces, [res]] = await Promise.all([running.get('flows', '/work'), running.get('flows', '/pieces/1'), once(upload, 'response'), sent]);
  assert.equal(work.status, 200);
  assert.deepEqual([pieces.status, pieces.body], [200, 'first, last']);
  assert.deepEqual([res.statusCode, await text(res)], [200, '{"a":1}']);
  assert.deepEqual(running.lines.filter(isLimit), []);
});

test('an http in that is wired to nothing hangs nobody either', async (t) => {
  const running = await launched(t, project(t, { flows: limited(0.4, [tab('lone'), httpIn('in', 'lone', 'get', '/lone', [])]) }));
  assert.equal((await running.get('flows', '/lone')).status, 504);
  assert.equal((await running.log(isLimit)).message, 'no answer to GET /lone within 0.4 s: no node got its message');
});

test('a limit that is none is told, and the limit of the platform holds', async (t) => {
  const values = ['soon', '0', '-1', String(limits.edge_limit_seconds)];
  const flows = values.flatMap((value, index) => limited(value, endpoint(`t${index}`, 'get', `/t${index}`, [])).map((one) => (one.env ? { ...one, env: [{ ...LIMIT, type: 'str', value }] } : one)));
  const running = await launched(t, project(t, { flows }));
  for (const [index, value] of values.entries()) {
    const line = await running.log((one) => one.node_id === `t${index}-in`);
    assert.equal(line.level, 'warn');
    assert.equal(line.message, `REQUEST_LIMIT_SECONDS is "${value}": expected a number of seconds above 0 and below ${limits.edge_limit_seconds}, when the edge gives up; this route has ${limits.answer_limit_seconds}`);
    assert.equal((await running.get('flows', `/t${index}`)).status, 200);
  }
});

test('a reload changes the limit', async (t) => {
  const flows = (seconds) => limited(seconds, endpoint('work', 'get', '/work', [fn('slow', 'work', 'setTimeout(() => node.send(msg), 900);')]));
  const made = project(t, { flows: flows(0.4) });
  const running = await launched(t, made, { ...DEV, EDITOR_HOST: undefined, EDITOR_PORT: undefined });
  assert.equal((await running.get('flows', '/work')).status, 504);
  made.write('flows.json', flows(5));
  assert.equal((await running.operate('/reload')).status, 200);
  assert.equal((await running.get('flows', '/work')).status, 200);
});

test('a route without a limit of its own has that of the platform', async (t) => {
  const requests = createRequests({ limits: { answer_limit_seconds: 0.2, edge_limit_seconds: 60 }, log: { error() {}, warn() {} } });
  const server = http.createServer((req, res) => requests.begin(req, res.once('close', () => requests.end(res)))).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { status } = await fetch(`http://127.0.0.1:${server.address().port}/anything`);
  assert.equal(status, 504);
});
