'use strict';
// An MCP server for tests that speaks the protocol, and does with each method what the test wants.

const { once } = require('node:events');
const http = require('node:http');

const TOOLS = [
  { name: 'send', inputSchema: { type: 'object' } },
  { name: 'read', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
  { name: 'put', inputSchema: { type: 'object' }, annotations: { idempotentHint: true } },
];

async function listening(t, server, port = 0) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}/mcp`;
}

// Answers as a server does, but for the methods in `answers`: (message, response, server) => result, or undefined when
// it has dealt with the response itself.
async function scripted(t, answers = {}, { sessions = true, port = 0 } = {}) {
  const stub = { seen: [], sessions: new Set(), next: 1 };
  stub.count = (method) => stub.seen.filter((message) => message.method === method).length;
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    if (request.method === 'GET') return response.writeHead(405).end();
    const session = request.headers['mcp-session-id'];
    if (request.method === 'DELETE') {
      stub.seen.push({ method: 'DELETE', session });
      stub.sessions.delete(session);
      return response.writeHead(200).end();
    }
    const message = JSON.parse(text);
    stub.seen.push({ ...message, session });
    if (sessions && message.method !== 'initialize' && !stub.sessions.has(session)) return response.writeHead(404).end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
    if (message.id === undefined) return response.writeHead(202).end();
    const usual = {
      initialize: () => {
        const id = `s${stub.next++}`;
        stub.sessions.add(id);
        if (sessions) response.setHeader('mcp-session-id', id);
        return { protocolVersion: message.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'stub', version: '1' } };
      },
      'tools/list': () => ({ tools: TOOLS }),
      'tools/call': () => ({ content: [{ type: 'text', text: 'done' }] }),
      ping: () => ({}),
    };
    const result = await (answers[message.method] ?? usual[message.method])(message, response, stub);
    if (result === undefined) return;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result.rpcError ? { error: result.rpcError } : { result }) }));
  });
  stub.url = await listening(t, server, port);
  stub.server = server;
  return stub;
}

module.exports = { TOOLS, listening, scripted };
