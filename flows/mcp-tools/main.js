'use strict';
// An MCP server over Streamable HTTP: /mcp for clients, /livez for the engine. Stateless, a server for each
// request, so that any replica can answer any client.

const http = require('node:http');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const express = require('express');
const { guard } = require('../runtime/browser-guard');
const { startService, cannotListen, closeOnSignal } = require('../runtime/service-process');
const { registerTools } = require('./tools');

const { host, port, inDevelopment, labels, log } = startService('mcp-tools');
const app = express();
app.disable('x-powered-by');
app.get('/livez', (_request, response) => {
  response.json({ status: 'ok' });
});
app.all('/livez', (_request, response) => refuse(response.set('Allow', 'GET, HEAD'), 405, -32000, 'use GET'));
if (inDevelopment) app.use(guard((response, status, detail) => refuse(response, status, -32000, detail)));
app.use(express.json({ limit: '1mb', strict: false }));

app.post('/mcp', async (request, response) => {
  const server = new McpServer({ name: 'flowship-mcp-tools', version: '0.1.0' });
  registerTools(server);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on('close', () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
  const { method, params } = request.body ?? {};
  if (method === 'tools/call') {
    labels.run({ task_id: params?._meta?.['flowship/task_id'] }, () => log.info({ tool: params?.name }, 'a tool was called'));
  }
});
app.all('/mcp', (_request, response) => {
  refuse(response.set('Allow', 'POST'), 405, -32000, 'this server keeps no sessions: use POST');
});
app.use((error, _request, response, _next) => {
  const status = error.status ?? 500;
  if (status >= 500) log.error({ error }, 'a request failed');
  if (!response.headersSent) refuse(response, status, status >= 500 ? -32603 : -32700, error.message);
});

function refuse(response, status, code, message) {
  response.status(status).json({ jsonrpc: '2.0', error: { code, message }, id: null });
}

const server = http.createServer(app);
server.on('error', cannotListen('mcp-tools', host, port));
server.listen(port, host, () => log.info({ host, port: server.address().port }, 'listening'));
closeOnSignal(log, () => {
  server.close();
  server.closeIdleConnections();
});
