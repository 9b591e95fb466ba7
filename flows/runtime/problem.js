'use strict';
// application/problem+json (RFC 9457), the only shape of an error that leaves this process.

const { STATUS_CODES } = require('node:http');

function sendProblem(res, status, detail, headers = {}) {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
  res.writeHead(status, { 'content-type': 'application/problem+json', 'content-length': Buffer.byteLength(body), ...headers });
  res.end(body);
}

function sendJson(res, status, value) {
  const body = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
  res.end(body);
}

module.exports = { sendProblem, sendJson };
