'use strict';
// MCP servers that speak the protocol and misbehave: what is repeated, what is shared, what one call does to others.

const assert = require('node:assert/strict');
const http = require('node:http');
const { describe, test } = require('node:test');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { McpClients } = require('../../nodes/lib/mcp-clients');
const { TOOLS, listening, scripted } = require('../mcp-server');
const { freePort, until } = require('../platform');

function clientsOf(t, servers, options) {
  const clients = new McpClients(servers, options);
  t.after(() => clients.close());
  return clients;
}

function call(clients, tool = 'send', more = {}) {
  return clients.call({ server: 'stub', tool, args: {}, timeoutMs: 30_000, ...more });
}

describe('one call and the others', () => {
  test('a time-out ends its own call, tells the server, and leaves the others and the session alone', async (t) => {
    const held = [];
    const stub = await scripted(t, { 'tools/call': (message, response) => { held.push([message, response]); } });
    const clients = clientsOf(t, { stub: stub.url });
    const patient = call(clients, 'read');
    await until('the patient call is there', () => held.length >= 1);
    await assert.rejects(call(clients, 'read', { timeoutMs: 50 }), { code: 'mcp_timeout' });
    await until('the server is told', () => stub.count('notifications/cancelled') >= 1);
    const [message, response] = held[0];
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [{ type: 'text', text: 'late' }] } }));
    assert.equal((await patient).output, 'late');
    assert.equal(stub.count('initialize'), 1);
  });

  test('a short time-out does not end the greeting and the list that others wait for', async (t) => {
    let greet;
    const stub = await scripted(t, {
      'tools/list': async () => {
        await new Promise((resolve) => { greet = resolve; });
        return { tools: TOOLS };
      },
    });
    const clients = clientsOf(t, { stub: stub.url });
    const patient = call(clients, 'read');
    await assert.rejects(call(clients, 'read', { timeoutMs: 50 }), { code: 'mcp_timeout', permanent: false });
    await until('the list is asked for', () => greet !== undefined);
    greet();
    assert.equal((await patient).output, 'done');
    assert.deepEqual([stub.count('initialize'), stub.count('tools/list'), stub.count('tools/call')], [1, 1, 1]);
  });

  test('an expired session is renewed once for all callers, and nothing ran twice', async (t) => {
    for (const status of [404, 400]) {
      let ran = 0;
      const stub = await scripted(t, {
        'tools/call': (message, response, { sessions }) => {
          if (!sessions.has(stub.seen.at(-1).session)) return response.writeHead(404).end();
          ran += 1;
          return { content: [{ type: 'text', text: 'done' }] };
        },
      });
      const clients = clientsOf(t, { stub: stub.url });
      await call(clients);
      stub.sessions.clear();
      if (status === 400) {
        const [listener] = stub.server.listeners('request');
        stub.server.removeAllListeners('request');
        stub.server.on('request', (request, response) => {
          const session = request.headers['mcp-session-id'];
          if (session === 's1' && request.method === 'POST') return request.resume().on('end', () => response.writeHead(400).end('{"error":{"message":"Bad Request: No valid session ID provided"}}'));
          return listener(request, response);
        });
      }
      const answers = await Promise.all(Array.from({ length: 8 }, () => call(clients)));
      assert.equal(answers.length, 8);
      assert.equal(ran, 9);
      assert.equal(stub.count('initialize'), 2);
    }
  });

  test('a session that expires again and again is not renewed without end', async (t) => {
    const stub = await scripted(t, { 'tools/call': (_message, response) => { response.writeHead(404).end(); } });
    await assert.rejects(call(clientsOf(t, { stub: stub.url })), { code: 'mcp_refused', permanent: false });
    assert.equal(stub.count('tools/call'), 2);
  });
});

describe('what is repeated', () => {
  const lost = {
    'the connection broke': (_message, response) => { response.destroy(); },
    'half an answer': (_message, response) => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' }).write('{"jsonrpc"'); setTimeout(() => response.destroy(), 20); },
    'an answer that is no JSON': (_message, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end('<html>'); },
    'an answer of another type': (_message, response) => { response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'); },
    'an event stream that ends early': (_message, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': nothing\n\n'); },
    'an event stream that breaks': (_message, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': nothing\n\n'); setTimeout(() => response.destroy(), 20); },
    'a stream that cannot be resumed': (_message, response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).end('retry: 10\nid: 1\ndata:\n\n'); },
    'somebody else\'s answer': (message, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message.id + 77, result: {} })); },
    'a gateway': (_message, response) => { response.writeHead(502).end('bad gateway'); },
    'an error of the server': (_message, response) => { response.writeHead(500).end(); },
    silence: () => {},
  };
  for (const [name, answer] of Object.entries(lost)) {
    test(`${name}: the outcome is unknown`, async (t) => {
      const stub = await scripted(t, { 'tools/call': answer });
      const clients = clientsOf(t, { stub: stub.url });
      const timeoutMs = name === 'silence' ? 200 : 30_000;
      await clients.tools('stub', 30_000);
      const started = performance.now();
      await assert.rejects(call(clients, 'send', { timeoutMs }), { code: 'mcp_outcome_unknown', permanent: true, message: /^outcome unknown, not repeated: the MCP server stub at http.*the tool send may have run/ });
      assert.equal(stub.count('tools/call'), 1);
      for (const tool of ['read', 'put']) {
        await assert.rejects(call(clients, tool, { timeoutMs }), (error) => /^mcp_(timeout|unavailable)$/.test(error.code) && error.permanent === false, tool);
      }
      // None of it waited for the time-out.
      if (name !== 'silence') assert.ok(performance.now() - started < 20_000);
      assert.equal(stub.count('initialize'), 1);
    });
  }

  test('where nothing ran the task may try again, and waits as it is asked to', async (t) => {
    const away = clientsOf(t, { stub: `http://127.0.0.1:${await freePort()}/mcp` });
    await assert.rejects(call(away), { code: 'mcp_unavailable', permanent: false, unavailable: 'mcp', message: /ECONNREFUSED/ });
    for (const [status, expected] of [
      [401, { code: 'mcp_refused', permanent: false }],
      [413, { code: 'mcp_refused', permanent: false }],
      [429, { code: 'mcp_unavailable', permanent: false, retryAfterSeconds: 30 }],
      [503, { code: 'mcp_unavailable', permanent: false, retryAfterSeconds: 30 }],
      [302, { code: 'mcp_refused', permanent: false }],
    ]) {
      const stub = await scripted(t, { 'tools/call': (_message, response) => { response.writeHead(status, { 'retry-after': '30', location: 'http://elsewhere.example/mcp' }).end('no'); } });
      await assert.rejects(call(clientsOf(t, { stub: stub.url })), expected, String(status));
      assert.equal(stub.count('tools/call'), 1);
    }
    const busy = await scripted(t, { initialize: (_message, response) => { response.writeHead(429, { 'retry-after': '45' }).end(); } });
    await assert.rejects(call(clientsOf(t, { stub: busy.url })), { code: 'mcp_unavailable', retryAfterSeconds: 45 });
    // The server goes away after the list was read.
    const leaving = await scripted(t);
    const clients = clientsOf(t, { stub: leaving.url });
    await call(clients);
    leaving.server.close();
    leaving.server.closeAllConnections();
    await assert.rejects(call(clients), { code: 'mcp_unavailable', permanent: false });
  });

  test('a tool with effects is not called on a connection that the other side may have given up', async (t) => {
    const used = new WeakSet();
    const stub = await scripted(t, {
      'tools/call': (_message, response) => {
        if (response.req.first) return { content: [] };
        response.destroy();
        return undefined;
      },
    });
    stub.server.prependListener('request', (request) => {
      request.first = !used.has(request.socket);
      used.add(request.socket);
    });
    const clients = clientsOf(t, { stub: stub.url });
    await clients.tools('stub', 30_000);
    assert.equal((await call(clients, 'send')).tool, 'send');
  });

  test('a tool that failed is repeated only where it says that it may be', async (t) => {
    const failing = await scripted(t, { 'tools/call': () => ({ isError: true, content: [{ type: 'text', text: 'no money, key sk-abcdefghijk' }] }) });
    const clients = clientsOf(t, { stub: failing.url });
    await assert.rejects(call(clients, 'send'), { code: 'mcp_tool_failed', permanent: true, message: /failed: no money, key sk-\*\*\*$/ });
    await assert.rejects(call(clients, 'put'), { code: 'mcp_tool_failed', permanent: false });
    const refusing = await scripted(t, { 'tools/call': ({ params }) => ({ rpcError: { code: params.name === 'send' ? -32603 : -32602, message: 'no' } }) });
    const others = clientsOf(t, { stub: refusing.url });
    await assert.rejects(call(others, 'send'), { code: 'mcp_refused', permanent: true });
    await assert.rejects(call(others, 'put'), { code: 'mcp_refused', permanent: false });
  });
});

describe('the list of tools', () => {
  test('it is read once for all, in pages, and not without end', async (t) => {
    const pages = [];
    const stub = await scripted(t, {
      'tools/list': ({ params }) => {
        const page = Number(params?.cursor ?? 0);
        pages.push(page);
        return { tools: [{ name: `tool${page}`, inputSchema: { type: 'object' } }], ...(page < 3 ? { nextCursor: String(page + 1) } : {}) };
      },
    });
    const clients = clientsOf(t, { stub: stub.url });
    await Promise.all([0, 1, 2, 3, 3, 3].map((page) => call(clients, `tool${page}`, { server: '' })));
    await call(clients, 'tool3', { server: '' });
    assert.deepEqual(pages, [0, 1, 2, 3]);
    assert.deepEqual(await clients.tools('stub', 30_000), ['tool0', 'tool1', 'tool2', 'tool3']);

    for (const nextCursor of [() => 'same', (count) => `never the same ${count}`]) {
      const warnings = [];
      let count = 0;
      const endless = await scripted(t, { 'tools/list': () => { count += 1; return { tools: TOOLS, nextCursor: nextCursor(count) }; } });
      assert.equal((await call(clientsOf(t, { stub: endless.url }, { log: { warn: (_fields, text) => warnings.push(text) } }), 'read', { server: '' })).output, 'done');
      assert.ok(count <= 100);
      assert.match(warnings[0], /has no end/);
    }
  });

  test('a tool that is missed is looked for again; odd lists are read as far as they go', async (t) => {
    let tools = [null, 7, {}, { name: 3 }, ...TOOLS];
    const stub = await scripted(t, { 'tools/list': () => ({ tools }) });
    const clients = clientsOf(t, { stub: stub.url });
    await assert.rejects(call(clients, 'later', { server: '' }), { code: 'mcp_tool_unknown', message: /stub: send, read, put\)/ });
    tools = [...TOOLS, { name: 'later', inputSchema: { type: 'object' } }];
    await until('the new tool is found', () => call(clients, 'later', { server: '' }).then(() => true, () => false));
  });

  test('a server without a list is called by its name; one that hangs stands in nobody\'s way for long', async (t) => {
    const secretive = await scripted(t, { 'tools/list': () => ({ rpcError: { code: -32601, message: 'no such method' } }) });
    assert.equal((await call(clientsOf(t, { stub: secretive.url }))).output, 'done');
    const hanging = await scripted(t, { initialize: () => {} });
    const good = await scripted(t);
    const clients = clientsOf(t, { hanging: hanging.url, good: good.url });
    assert.equal((await call(clients, 'read', { server: '', timeoutMs: 1000 })).server, 'good');
    const started = performance.now();
    assert.equal((await call(clients, 'read', { server: '' })).server, 'good');
    assert.ok(performance.now() - started < 10_000);
  });
});

describe('a server made with the SDK', () => {
  // Keeps sessions, sends events, and says that its tools changed.
  async function real(t) {
    const found = { transports: new Map(), deleted: [], servers: [], lists: 0 };
    const server = http.createServer(async (request, response) => {
      const id = request.headers['mcp-session-id'];
      if (request.method === 'DELETE') found.deleted.push(id);
      let transport = found.transports.get(id);
      if (transport === undefined) {
        transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => `session-${found.transports.size + 1}`, onsessioninitialized: (session) => found.transports.set(session, transport) });
        const mcp = new McpServer({ name: 'real', version: '1' });
        mcp.registerTool('picture', { description: 'p', annotations: { readOnlyHint: true } }, async () => ({
          content: [
            { type: 'text', text: 'two parts' }, { type: 'image', data: 'AAAA', mimeType: 'image/png' },
            { type: 'resource', resource: { uri: 'file:///a', text: 'inside' } }, { type: 'resource_link', uri: 'file:///b', name: 'b' },
          ],
        }));
        found.servers.push(mcp);
        await mcp.connect(transport);
      }
      await transport.handleRequest(request, response);
    });
    found.url = await listening(t, server);
    return found;
  }

  test('images and resources are passed on, and DELETE ends the session', async (t) => {
    const server = await real(t);
    const clients = new McpClients({ stub: server.url });
    const answer = await call(clients, 'picture');
    assert.equal(answer.output, 'two parts\ninside');
    assert.deepEqual(answer.content.map(({ type }) => type), ['text', 'image', 'resource', 'resource_link']);
    assert.equal(answer.content[1].data, 'AAAA');
    await clients.close();
    assert.deepEqual(server.deleted, ['session-1']);
  });

  test('list_changed makes the list new, with no wait', async (t) => {
    const server = await real(t);
    const clients = clientsOf(t, { stub: server.url });
    assert.deepEqual(await clients.tools('stub', 30_000), ['picture']);
    const [mcp] = server.servers;
    mcp.registerTool('sound', { description: 's' }, async () => ({ content: [{ type: 'audio', data: 'BBBB', mimeType: 'audio/wav' }] }));
    await until('the new list is known', async () => (await clients.tools('stub', 30_000)).includes('sound'));
    assert.deepEqual((await call(clients, 'sound')).content, [{ type: 'audio', data: 'BBBB', mimeType: 'audio/wav' }]);
  });
});

test('a probe asks little, and a server that refuses is there', async (t) => {
  const stub = await scripted(t);
  const clients = clientsOf(t, { stub: stub.url });
  await clients.ping('stub', 30_000);
  await clients.ping('stub', 30_000);
  assert.deepEqual([stub.count('initialize'), stub.count('ping'), stub.count('tools/list')], [1, 2, 0]);
  const rude = await scripted(t, { ping: () => ({ rpcError: { code: -32601, message: 'no' } }) });
  await clientsOf(t, { stub: rude.url }).ping('stub', 30_000);
  await assert.rejects(clientsOf(t, { stub: `http://127.0.0.1:${await freePort()}/mcp` }).ping('stub', 1000), { unavailable: 'mcp' });
});

test('what the database cannot hold is cleaned in an answer, and said so', async (t) => {
  const stub = await scripted(t, { 'tools/call': () => ({ structuredContent: { text: 'a\0', half: '\ud800' }, content: [] }) });
  const answer = await call(clientsOf(t, { stub: stub.url }));
  assert.deepEqual(answer.output, { text: 'a\ufffd', half: '\ufffd' });
  assert.deepEqual(answer.cleaned.map(({ pointer }) => pointer), ['/output/text', '/output/half']);
});

test('closing waits for nobody for long', async (t) => {
  const stub = await scripted(t);
  const clients = new McpClients({ stub: stub.url });
  await call(clients);
  stub.server.removeAllListeners('request');
  stub.server.on('request', () => {});
  const started = performance.now();
  await clients.close();
  assert.ok(performance.now() - started < 10_000);
});
