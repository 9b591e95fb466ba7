'use strict';
// Against the real MCP server of the platform, and a second one that offers something else.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { McpClients } = require('../../nodes/lib/mcp-clients');
const { Service, freePort } = require('../platform');

const service = new Service('mcp-tools/main.js', { FLOWSHIP_COMPONENT: 'mcp-tools' });
let url;
before(async () => {
  await service.start();
  url = `http://127.0.0.1:${service.port}/mcp`;
});
after(() => service.stop());

function clientsOf(t, servers) {
  const clients = new McpClients(servers);
  t.after(() => clients.close());
  return clients;
}

const words = { tool: 'text_statistics', args: { text: 'a b' }, timeoutMs: 3000 };

test('a call reaches the server that is named, or the one that offers the tool', async (t) => {
  const clients = clientsOf(t, { first: url, second: url });
  assert.equal((await clients.call({ ...words, server: 'second' })).server, 'second');
  const found = await clients.call(words);
  assert.deepEqual(found, { server: 'first', tool: 'text_statistics', output: { characters: 3, words: 2, sentences: 1 } });
});

test('the task is named as the idempotency key', async (t) => {
  await clientsOf(t, { tools: url }).call({ ...words, taskId: 'the-task' });
  await service.child.said('the task is logged', (line) => line.task_id === 'the-task');
});

test('a tool that fails, a tool and a server that are not there', async (t) => {
  const clients = clientsOf(t, { tools: url });
  await assert.rejects(clients.call({ ...words, server: 'tools', args: { text: 7 } }), { code: 'mcp_tool_failed', message: /text_statistics of tools failed/ });
  await assert.rejects(clients.call({ ...words, tool: 'no_such_tool' }), { code: 'mcp_tool_unknown', message: /tools: text_statistics, number_statistics/ });
  await assert.rejects(clients.call({ ...words, server: 'other' }), { code: 'mcp_server_unknown', message: /MCP_SERVERS names tools/ });
});

test('a server that is away is told so; the other ones still answer', async (t) => {
  const away = `http://127.0.0.1:${await freePort()}/mcp`;
  const clients = clientsOf(t, { away, tools: url });
  await assert.rejects(clients.call({ ...words, server: 'away' }), { code: 'mcp_unavailable', unavailable: 'mcp', message: /ECONNREFUSED/ });
  assert.equal((await clients.call(words)).server, 'tools');
});

test('a server that was restarted is found again', async (t) => {
  const clients = clientsOf(t, { tools: url });
  await clients.call(words);
  await service.stop();
  await assert.rejects(clients.call(words), { code: 'mcp_unavailable' });
  await service.start();
  assert.equal((await clients.call(words)).output.words, 2);
});

test('the server refuses what is not for it', async () => {
  const post = (body, headers = {}) => fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers } });
  assert.equal((await post('{')).status, 400);
  assert.equal((await fetch(url)).status, 405);
  assert.equal((await fetch(`http://127.0.0.1:${service.port}/livez`)).status, 200);
});
