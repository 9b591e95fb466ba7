// An MCP server over Streamable HTTP: /mcp for clients, /livez for the engine. Stateless, a server for each
// request, so that any replica can answer any client.

'use strict';

const http = require('node:http');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { localhostHostValidation } = require('@modelcontextprotocol/sdk/server/middleware/hostHeaderValidation.js');
const express = require('express');
const { listenAddress, logLine, closeOnSignal } = require('./service.js');
const { registerTools } = require('./tools.js');

const { host, port } = listenAddress('mcp-tools');
const app = express();
app.disable('x-powered-by');
app.get('/livez', (_request, response) => {
  response.json({ status: 'ok' });
});
// A page in a browser must not reach a server on loopback by a name it controls.
if (['127.0.0.1', '::1', 'localhost'].includes(host)) app.use(localhostHostValidation());
app.use(express.json({ limit: '1mb' }));
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
  if (request.body?.method === 'tools/call') {
    logLine('info', `called tool ${request.body.params?.name}`, {
      task_id: request.body.params?._meta?.['flowship/task_id'] ?? '',
    });
  }
});
app.all('/mcp', (_request, response) => {
  response.set('Allow', 'POST').status(405).json({
    jsonrpc: '2.0',
    error: { code: -32000, message: 'This server keeps no sessions: use POST.' },
    id: null,
  });
});
app.use((error, _request, response, _next) => {
  logLine('error', error.message);
  if (!response.headersSent) {
    response.status(error.status ?? 500).json({ jsonrpc: '2.0', error: { code: -32603, message: error.message }, id: null });
  }
});

const server = http.createServer(app);
server.listen(port, host, () => logLine('info', `listening on ${host}:${server.address().port}`, { port: server.address().port }));
closeOnSignal(async () => {
  server.close();
  server.closeIdleConnections();
});
