'use strict';
// application/problem+json (RFC 9457), the only shape of an error that leaves this process.

const { STATUS_CODES } = require('node:http');

// `members`: what else it says, by name.
function sendProblem(res, status, detail, headers = {}, members = {}) {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, ...members });
  res.writeHead(status, { 'content-type': 'application/problem+json', 'content-length': Buffer.byteLength(body), ...headers });
  res.end(body);
}

// For what no route of an application has answered: 405 with Allow where another method has one, else 404.
function sendUnanswered(app, req, res) {
  const path = req.url.split('?')[0];
  const allowed = allowedMethods(app, path);
  if (allowed.length === 0) sendProblem(res, 404, `nothing answers ${req.method} ${path}`);
  else sendProblem(res, 405, `${path} does not answer ${req.method}: use ${allowed.join(', ')}`, { allow: allowed.join(', ') });
}

// Express 4 (Node-RED's own) keeps its routes elsewhere than Express 5.
function allowedMethods(app, path) {
  const layers = (app._router ?? app.router)?.stack ?? [];
  const methods = new Set();
  for (const layer of layers.filter(({ route }) => route !== undefined)) {
    if (matches(layer, path)) for (const method of Object.keys(layer.route.methods)) methods.add(method.toUpperCase());
  }
  methods.delete('_ALL');
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].toSorted();
}

function matches(layer, path) {
  try {
    return layer.match(path);
  } catch {
    // A path that cannot be decoded matches no route.
    return false;
  }
}

function sendJson(res, status, value) {
  const body = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
  res.end(body);
}

module.exports = { sendJson, sendProblem, sendUnanswered };
