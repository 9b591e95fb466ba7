'use strict';
// The http-in nodes' listener, behind the edge. It counts what is in flight, and while the replica
// drains it asks clients to leave the connection.

const http = require('node:http');
const { refusal } = require('./browser-guard');
const { close } = require('./listening');
const { sendProblem, sendUnanswered } = require('./problem');

// Longer than the edge keeps an idle connection: the side that reuses connections must close first.
const KEEP_ALIVE_MS = 75000;
const UNMATCHED = 'unmatched';

// `app`: what answers. `closeWebSockets`: tells their clients to leave. On a developer's machine no name that was pointed to it is answered.
function createFlowsListener({ app, closeWebSockets, onDevelopersMachine = false, lifecycle, requests, metrics, log, now = process.hrtime.bigint }) {
  const answering = new Set();
  // Those of WebSockets are not the server's any more, and it waits for them all the same.
  const connections = new Set();
  let idle = null;
  metrics.set('flowship_http_requests_in_flight', {}, 0);

  function account(req, res) {
    const startedAt = now();
    answering.add(res);
    metrics.set('flowship_http_requests_in_flight', {}, answering.size);
    res.once('close', () => {
      answering.delete(res);
      requests.end(res);
      metrics.set('flowship_http_requests_in_flight', {}, answering.size);
      if (answering.size === 0) idle?.();
      const route = req.route?.path ? String(req.route.path) : UNMATCHED;
      const status = res.writableFinished ? String(res.statusCode) : 'aborted';
      metrics.increment('flowship_http_requests_total', { method: req.method, route, status });
      metrics.observe('flowship_http_request_duration_seconds', { method: req.method, route }, Number(now() - startedAt) / 1e9);
    });
  }

  function handOver(req, res) {
    requests.begin(req, res);
    app()(req, res, (error) => {
      if (!error) return sendUnanswered(app(), req, res);
      const status = error.status >= 400 && error.status < 500 ? error.status : 500;
      if (status === 500) log.error({ error }, 'a request failed outside the flows');
      return sendProblem(res, status, status === 500 ? 'this request could not be answered' : error.message);
    });
  }

  // Node-RED answers 404 for routes that it is about to replace, and drops messages to nodes that it is about to start.
  async function handOverWhenDeployed(req, res) {
    const deployed = await requests.untilDeployed();
    if (res.closed) return;
    if (deployed) handOver(req, res);
    else sendProblem(res, 503, 'the flows are still being deployed; ask again', { 'retry-after': '1' });
  }

  const server = http.createServer((req, res) => {
    account(req, res);
    if (lifecycle.draining()) res.setHeader('connection', 'close');
    if (!lifecycle.started()) {
      sendProblem(res, 503, 'this replica is still starting', { 'retry-after': '1' });
      return;
    }
    const refused = onDevelopersMachine ? refusal(req, { pages: true }) : null;
    if (refused !== null) {
      sendProblem(res, 403, refused);
      return;
    }
    if (requests.deploying()) handOverWhenDeployed(req, res);
    else handOver(req, res);
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 5000;

  return {
    server,
    // For requests from this process, without a path.
    url() {
      const { address, port } = server.address();
      const host = ['0.0.0.0', '::'].includes(address) ? '127.0.0.1' : address;
      return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    },
    // Ends when the last answer is out. What a client has not begun to ask by then is not waited for,
    // since Node would keep an idle or silent connection open and the close with it. Nor for a stream of events when it is
    // `late`: its client connects again.
    async finish(late) {
      for (const res of answering) if (!res.headersSent) res.setHeader('connection', 'close');
      late.addEventListener('abort', () => requests.endStreams());
      const closed = close(server);
      const answered = new Promise((resolve) => {
        idle = resolve;
      });
      if (answering.size === 0) idle();
      await Promise.all([answered, closeWebSockets()]);
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

module.exports = { createFlowsListener };
