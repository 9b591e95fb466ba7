'use strict';
// A replica that is told to stop finishes what it accepted, and only then ends.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { test } = require('node:test');
const { project, launched } = require('./launcher');
const { endpoint, fn, node } = require('./flow');

const slow = (ms) => endpoint('slow', 'get', '/slow', [fn('wait', 'slow', `node.log('accepted'); setTimeout(() => { msg.payload = 'done'; node.send(msg); }, ${ms});`)]);
const accepted = (line) => line.message === 'accepted';

test('SIGTERM with a 3 s request in flight: it completes, then the process ends with 0', async (t) => {
  const running = await launched(t, project(t, { flows: slow(3000) }));
  const answer = running.get('flows', '/slow');
  await running.log(accepted);
  running.child.kill('SIGTERM');
  const { status, body, headers } = await answer;
  assert.deepEqual([status, body, headers.get('connection')], [200, 'done', 'close']);
  assert.deepEqual(await running.exit, { code: 0, signal: null });
  assert.equal(running.lines.at(-1).message, 'drained');
});

test('a second SIGTERM changes nothing', async (t) => {
  const running = await launched(t, project(t, { flows: slow(400) }));
  const answer = running.get('flows', '/slow');
  await running.log(accepted);
  running.child.kill('SIGTERM');
  await running.log((line) => line.message === 'draining');
  running.child.kill('SIGTERM');
  assert.equal((await answer).status, 200);
  assert.deepEqual(await running.exit, { code: 0, signal: null });
});

test('silent and idle connections do not hold the process', async (t) => {
  const running = await launched(t, project(t, { flows: slow(10) }));
  const { hostname, port } = new URL(await running.url('flows', '/'));
  const silent = net.connect(Number(port), hostname).on('error', () => {});
  t.after(() => silent.destroy());
  await once(silent, 'connect');
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const [res] = await once(http.get({ hostname, port, path: '/slow', agent }), 'response');
  res.resume();
  await once(res, 'end');
  const asked = Date.now();
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
  assert.ok(Date.now() - asked < 5000);
});

test('POST /drain does the same, behind the token', async (t) => {
  const running = await launched(t, project(t, { flows: slow(300) }));
  assert.equal((await running.ask('POST', 'ops', '/drain')).status, 401);
  const answer = running.get('flows', '/slow');
  await running.log(accepted);
  assert.equal((await running.operate('/drain')).status, 202);
  assert.equal((await answer).body, 'done');
  assert.deepEqual(await running.exit, { code: 0, signal: null });
});

test('what the nodes registered with onDrain is awaited, and knows that it drains', async (t) => {
  const made = project(t);
  const [tab, ...rest] = slow(10);
  made.write('flows.json', [tab, ...rest, node('worker', 'slow', 'fixture-slow-drain', [], { ms: 300, file: made.file('finished') })]);
  const running = await launched(t, made);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
  assert.equal(fs.readFileSync(made.file('finished'), 'utf8'), 'draining=true');
});

test('what does not end in time is named, and the exit code is 1', async (t) => {
  const made = project(t);
  const [tab, ...rest] = endpoint('hang', 'get', '/slow', [fn('never', 'hang', "node.log('accepted');")]);
  made.write('flows.json', [tab, ...rest, node('worker', 'hang', 'fixture-slow-drain', [], { ms: 30000, file: made.file('finished') })]);
  const running = await launched(t, made, { DRAIN_TIMEOUT_MS: '300' });
  const answer = running.get('flows', '/slow').catch(() => 'reset');
  await running.log(accepted);
  assert.deepEqual(await running.stop(), { code: 1, signal: null });
  assert.equal(await answer, 'reset');
  assert.deepEqual(running.lines.findLast((line) => line.level === 'error').left, ['requests in flight', 'fixture worker']);
});

test('an error that nobody caught ends the process, with the reason logged', async (t) => {
  const running = await launched(t, project(t, { flows: endpoint('crash', 'post', '/crash', [node('saboteur', 'crash', 'fixture-saboteur')]) }));
  await running.post('flows', '/crash', { plant: 'crash' }).catch(() => {});
  assert.deepEqual(await running.exit, { code: 1, signal: null });
  assert.ok(running.lines.some((line) => line.level === 'fatal' && line.message === 'not caught: planted: not caught'));
});

// Two replicas take turns in being restarted; the client asks only those that say they are ready,
// like the edge does, and never repeats a request.
test('a rolling restart under load fails no request and loses nothing that was accepted', async (t) => {
  const made = project(t);
  made.write('flows.json', endpoint('work', 'post', '/work', [node('journal', 'work', 'fixture-journal', [], { file: made.file('journal') })]));
  const env = { DRAIN_DELAY_MS: '600' };
  const pool = await Promise.all([launched(t, made, env), launched(t, made, { ...env, FLOWSHIP_REPLICA: 'b' })]);
  const ready = new Map();
  let running = true;

  async function poll(index) {
    while (running) {
      const replica = pool[index];
      const answer = await replica.get('ready', '/readyz').catch(() => ({ status: 0 }));
      ready.set(index, pool[index] === replica && answer.status === 200);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const answered = [];
  const failures = [];
  async function load(worker) {
    const agent = new http.Agent({ keepAlive: true });
    for (let count = 0; running; count++) {
      const index = [0, 1].filter((one) => ready.get(one))[count % 2] ?? [0, 1].find((one) => ready.get(one));
      if (index === undefined) {
        failures.push('nobody is ready');
        break;
      }
      const id = `${worker}-${count}`;
      const outcome = await send(await pool[index].url('flows', '/work'), { id }, agent).catch((error) => error.code);
      if (outcome === 200) answered.push(id);
      else failures.push(`${id}: ${outcome}`);
    }
    agent.destroy();
  }

  const polls = [poll(0), poll(1)];
  while (!(ready.get(0) && ready.get(1))) await new Promise((resolve) => setImmediate(resolve));
  const loads = Array.from({ length: 6 }, (_, worker) => load(worker));
  for (const index of [0, 1, 0]) {
    const before = answered.length;
    assert.deepEqual(await pool[index].stop(), { code: 0, signal: null });
    pool[index] = await launched(t, made, { ...env, FLOWSHIP_REPLICA: 'ab'[index] });
    while (!ready.get(index)) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(answered.length > before, 'the load went on during the restart');
  }
  running = false;
  await Promise.all([...polls, ...loads]);

  assert.deepEqual(failures, []);
  const journal = fs.readFileSync(made.file('journal'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(journal.toSorted(), answered.toSorted());
});

function send(url, body, agent) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json' } }, (res) => {
      res.resume().on('end', () => resolve(res.statusCode)).on('error', reject);
    });
    req.on('error', reject).end(JSON.stringify(body));
  });
}
