'use strict';
// A held replica runs its flows and is not ready; it is admitted when the file is gone, and not before it is known to be.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { freePort } = require('../platform');
const { project, launched, start } = require('./launcher');
const { endpoint, fn } = require('./flow');

const FLOWS = endpoint('greet', 'get', '/greet', [fn('say', 'greet', "msg.payload = 'hi'; return msg;")]);

async function held(running) {
  await running.started();
  const { status, body } = await running.get('ready', '/readyz');
  assert.deepEqual([status, body.status], [503, 'held'], JSON.stringify(body));
  assert.deepEqual(body.checks.filter((check) => check.status !== 'ok'), []);
  return body;
}

test('held while the file exists, admitted within 200 ms when it goes, and not held again', async (t) => {
  const made = project(t, { flows: FLOWS });
  const file = made.file('hold');
  fs.writeFileSync(file, '');
  const port = await freePort();
  const running = await launched(t, made, { HOLD_FILE: file, FLOWSHIP_RELEASE: 'v1.2.3', FLOWS_PORT: String(port) });
  const body = await held(running);
  assert.equal(body.reason, `held: ${file} exists; remove it to admit this replica`);
  assert.equal(body.release, 'v1.2.3');
  assert.match(body.rev, /^[0-9a-f]{64}$/);
  assert.equal((await running.get('ready', '/livez')).status, 200);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/greet`), ({ cause }) => cause.code === 'ECONNREFUSED');
  assert.equal((await running.get('held flows', '/greet')).body, 'hi', 'for its own smoke run');
  assert.match((await running.get('ops', '/metrics')).body, /^flowship_ready 0$/m);
  assert.deepEqual((await running.get('ops', '/readyz')).body, (await running.get('ready', '/readyz')).body);
  fs.rmSync(file);
  const removed = Date.now();
  const { body: after } = await running.readyz(({ status }) => status === 'ready');
  assert.ok(Date.now() - removed < 200);
  assert.deepEqual([after.reason, after.rev], [null, body.rev]);
  assert.equal(await running.url('flows', ''), `http://127.0.0.1:${port}`);
  assert.equal((await running.get('flows', '/greet')).body, 'hi');
  await assert.rejects(running.get('held flows', '/greet'), ({ cause }) => cause.code === 'ECONNREFUSED');
  fs.writeFileSync(file, '');
  assert.equal((await running.get('ready', '/readyz')).status, 200);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

test('one that the edge was told to leave out does not wait until the edge sees that it drains', async (t) => {
  for (const [made, shorter] of [['before', false], ['since', true]]) {
    const scratch = project(t, { flows: FLOWS });
    const file = scratch.file('hold');
    const withdraw = () => fs.writeFileSync(`${file}.withdrawn`, '');
    if (made === 'before') withdraw();
    const running = await launched(t, scratch, { HOLD_FILE: file, DRAIN_DELAY_MS: '700' });
    await running.started();
    assert.equal(fs.existsSync(`${file}.withdrawn`), false, 'what an earlier process was told is gone');
    if (made === 'since') withdraw();
    assert.deepEqual(await running.stop(), { code: 0, signal: null });
    const { delay_ms: delay } = running.lines.find(({ message }) => message === 'draining');
    assert.equal(delay, shorter ? 100 : 700, made);
  }
});

test('one that cannot listen when it is admitted ends with the reason', async (t) => {
  const made = project(t, { flows: FLOWS });
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  fs.writeFileSync(made.file('hold'), '');
  const running = await launched(t, made, { HOLD_FILE: made.file('hold'), FLOWS_PORT: String(taken.address().port) });
  await held(running);
  fs.rmSync(made.file('hold'));
  assert.deepEqual(await running.exit, { code: 1, signal: null });
  assert.match(running.lines.at(-1).message, /^cannot be admitted: flows: cannot listen on .* \(EADDRINUSE\)/);
});

test('what else is wrong is said beside it', async (t) => {
  const made = project(t, { flows: FLOWS });
  fs.writeFileSync(made.file('hold'), '');
  const running = await launched(t, made, { HOLD_FILE: made.file('hold') });
  await held(running);
  made.write('flows_cred.json', {});
  const { body } = await running.get('ready', '/readyz');
  assert.equal(body.status, 'held');
  assert.match(body.reason, /^held: .* exists; remove it to admit this replica; credentials: .*flows_cred\.json exists/);
});

test('a crash before the admission leaves it held; one after it does not', async (t) => {
  const made = project(t, { flows: FLOWS });
  const file = made.file('hold');
  fs.writeFileSync(file, '');
  const first = await launched(t, made, { HOLD_FILE: file });
  await held(first);
  await first.stop('SIGKILL');
  const second = await launched(t, made, { HOLD_FILE: file });
  await held(second);
  fs.rmSync(file);
  await second.readyz(({ status }) => status === 'ready');
  await second.stop('SIGKILL');
  const third = await launched(t, made, { HOLD_FILE: file });
  await third.started();
  assert.equal((await third.get('ready', '/readyz')).body.status, 'ready');
});

test('a held replica drains like another', async (t) => {
  const made = project(t, { flows: FLOWS });
  fs.writeFileSync(made.file('hold'), '');
  const running = await launched(t, made, { HOLD_FILE: made.file('hold') });
  await held(running);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

const UNKNOWN = {
  'a folder': ['it is not a regular file', (file) => fs.mkdirSync(file)],
  'a link, also one to nothing': ['it is not a regular file', (file) => fs.symlinkSync('nothing', file)],
  'a path below a file': ['ENOTDIR', (file) => fs.writeFileSync(file, ''), '/below'],
  'a file in a folder that is not there': ['its folder does not exist', () => {}, '/below'],
};
for (const [title, [why, make, below = '']] of Object.entries(UNKNOWN)) {
  test(`${title} counts as held, and is said`, async (t) => {
    const made = project(t, { flows: FLOWS });
    make(made.file('hold'));
    const file = `${made.file('hold')}${below}`;
    const { reason } = await held(await launched(t, made, { HOLD_FILE: file }));
    assert.equal(reason, `held: could not look for the hold file ${file}: ${why}; this replica counts as held until that is repaired`);
  });
}

test('a relative path is refused', async (t) => {
  const running = start(t, project(t), { HOLD_FILE: 'hold' });
  assert.deepEqual(await running.exit, { code: 2, signal: null });
  assert.match(running.stderr, /HOLD_FILE=hold: expected the absolute path of a file/);
});
