'use strict';
// Connections that have no end of their own: WebSockets and streams of events.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const { describe, test } = require('node:test');
const { project, launched, DEV } = require('./launcher');
const { fn, httpIn, node, tab } = require('./flow');

// Acknowledges each message once it has been written to the journal.
function socketFlow(file) {
  return [
    tab('chat'),
    { id: 'listener', type: 'websocket-listener', path: '/chat', wholemsg: 'false' },
    node('chat-in', 'chat', 'websocket in', ['chat-parse'], { server: 'listener' }),
    fn('chat-parse', 'chat', 'msg.payload = JSON.parse(msg.payload); return msg;', ['chat-journal']),
    node('chat-journal', 'chat', 'fixture-journal', ['chat-ack'], { file }),
    fn('chat-ack', 'chat', "msg.payload = 'ack ' + msg.payload.id; return msg;", ['chat-out']),
    node('chat-out', 'chat', 'websocket out', [], { server: 'listener' }),
  ];
}

const addressOf = async (running) => (await running.url('flows', '/chat')).replace('http:', 'ws:');

async function connected(running) {
  const socket = new WebSocket(await addressOf(running));
  socket.acknowledged = new Set();
  socket.addEventListener('message', ({ data }) => socket.acknowledged.add(data.slice('ack '.length)));
  socket.closed = once(socket, 'close').then(([event]) => event);
  await once(socket, 'open');
  return socket;
}

async function acknowledged(socket, id) {
  const heard = new Promise((resolve) => {
    socket.addEventListener('message', function listener({ data }) {
      if (data !== `ack ${id}`) return;
      socket.removeEventListener('message', listener);
      resolve();
    });
  });
  socket.send(JSON.stringify({ id }));
  await heard;
}

describe('a WebSocket of a replica that is told to stop', () => {
  test('works until the replica is out of the pool, then its client is told to connect again', async (t) => {
    const made = project(t);
    made.write('flows.json', socketFlow(made.file('journal')));
    const running = await launched(t, made, { DRAIN_DELAY_MS: '500' });
    const socket = await connected(running);
    await acknowledged(socket, 'before');
    running.child.kill('SIGTERM');
    await running.log(({ message }) => message === 'draining');
    assert.equal((await running.get('ready', '/readyz')).body.status, 'draining');
    await acknowledged(socket, 'meanwhile');
    const { code, reason, wasClean } = await socket.closed;
    assert.deepEqual([code, reason, wasClean], [1012, 'this replica stops: connect again', true]);
    assert.deepEqual(await running.exit, { code: 0, signal: null }, JSON.stringify(running.lines.at(-1)));
    assert.equal(made.read('journal'), 'before\nmeanwhile\n');
  });

  test('the same in development, where Node-RED has another server; the editor lets nobody in there', async (t) => {
    const made = project(t);
    made.write('flows.json', socketFlow(made.file('journal')));
    const running = await launched(t, made, DEV);
    const intruder = new WebSocket((await addressOf(running)).replace('/chat', '/admin/comms'));
    await once(intruder, 'error');
    const socket = await connected(running);
    await acknowledged(socket, 'one');
    assert.deepEqual(await running.stop(), { code: 0, signal: null });
    assert.equal((await socket.closed).code, 1012);
  });

  test('is cut off when its client does not answer', async (t) => {
    const made = project(t);
    made.write('flows.json', socketFlow(made.file('journal')));
    const running = await launched(t, made);
    const { hostname, port } = new URL(await running.url('flows', '/'));
    const silent = net.connect(Number(port), hostname);
    t.after(() => silent.destroy());
    silent.write([
      'GET /chat HTTP/1.1', `Host: ${hostname}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}`, '', '',
    ].join('\r\n'));
    await once(silent, 'data');
    const ended = once(silent, 'close');
    assert.deepEqual(await running.stop(), { code: 0, signal: null });
    await ended;
  });

  test('a client that connects again loses no message that was acknowledged', async (t) => {
    const made = project(t);
    made.write('flows.json', socketFlow(made.file('journal')));
    const pool = await Promise.all([launched(t, made), launched(t, made, { FLOWSHIP_REPLICA: 'b' })]);
    const counted = new Set();
    let sent = 0;
    let home = 0;
    let reconnected = 0;
    async function client(name) {
      while (counted.size < 400) {
        const mine = home;
        const socket = await connected(pool[mine]);
        for (const until = reconnected; counted.size < 400 && socket.readyState === WebSocket.OPEN && until === reconnected;) {
          const id = `${name}-${sent += 1}`;
          const ended = await Promise.race([acknowledged(socket, id).then(() => false), socket.closed]);
          for (const one of socket.acknowledged) counted.add(one);
          if (ended) {
            assert.equal(ended.code, 1012);
            home = 1;
            reconnected += 1;
          }
        }
        socket.close();
        await socket.closed;
        for (const one of socket.acknowledged) counted.add(one);
      }
    }
    const clients = Promise.all(['x', 'y', 'z'].map(client));
    while (counted.size < 100) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(await pool[0].stop(), { code: 0, signal: null });
    await clients;
    assert.ok(reconnected > 0);
    const written = new Set(fs.readFileSync(made.file('journal'), 'utf8').trimEnd().split('\n'));
    assert.deepEqual([...counted].filter((id) => !written.has(id)), []);
  });
});

describe('a stream of events', () => {
  // Sends an event for each request to /next, and goes on after the client has gone.
  const flows = [
    tab('events'),
    httpIn('stream-in', 'events', 'get', '/events', ['stream']),
    fn('stream', 'events', "const res = msg.res._res; res.writeHead(200, { 'content-type': 'text/event-stream' }); res.flushHeaders(); flow.set('res', res); return null;", ['unused']),
    httpIn('next-in', 'events', 'post', '/next', ['next']),
    fn('next', 'events', "flow.get('res').write('data: ' + msg.payload.id + '\\n\\n'); return msg;", ['next-out']),
    node('next-out', 'events', 'http response', [], { statusCode: '', headers: {} }),
    node('unused', 'events', 'debug', [], { active: false }),
  ];

  async function listening(running) {
    const response = await fetch(await running.url('flows', '/events'), { headers: { accept: 'text/event-stream' } });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    return { response, next: async () => (await reader.read()) };
  }

  test('is passed on unbuffered and uncompressed', async (t) => {
    const running = await launched(t, project(t, { flows }));
    const { response, next } = await listening(running);
    assert.deepEqual([response.status, response.headers.get('content-encoding')], [200, null]);
    for (const id of [1, 2, 3]) {
      await running.post('flows', '/next', { id });
      assert.equal((await next()).value, `data: ${id}\n\n`);
    }
  });

  test('has until the end of the drain; then it ends as a whole answer, and what is written later is dropped', async (t) => {
    const made = project(t);
    const ticking = "const res = msg.res._res; res.writeHead(200, { 'content-type': 'text/event-stream' }); setInterval(() => res.write(': tick\\n\\n'), 20); return null;";
    made.write('flows.json', [
      tab('events'),
      httpIn('ticks-in', 'events', 'get', '/events', ['ticks']),
      fn('ticks', 'events', ticking, ['unused']),
      node('unused', 'events', 'debug', [], { active: false }),
      node('longer', 'events', 'fixture-slow-drain', [], { ms: 1000, file: made.file('finished') }),
    ]);
    const running = await launched(t, made, { DRAIN_TIMEOUT_MS: '1500' });
    const { next } = await listening(running);
    assert.match((await next()).value, /^: tick\n/);
    running.child.kill('SIGTERM');
    let last;
    do last = await next(); while (!last.done);
    assert.deepEqual(await running.exit, { code: 0, signal: null });
    assert.equal(made.read('finished'), 'draining=true');
  });
});
