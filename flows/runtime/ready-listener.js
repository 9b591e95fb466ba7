'use strict';
// /livez and /readyz, for the edge and the engine.

const http = require('node:http');
const express = require('express');
const { sendJson, sendProblem } = require('./problem');

function createReadyListener({ readiness, dependencies, lifecycle, storage, config }) {
  async function state() {
    const checks = await readiness.report();
    const passed = checks.every((check) => check.status === 'ok');
    return {
      status: lifecycle.draining() ? 'draining' : passed ? 'ready' : 'not_ready',
      replica: config.replica,
      rev: storage.state().fileRev,
      checks,
      degraded: dependencies.degraded(),
    };
  }

  const app = express();
  app.disable('x-powered-by');
  app.get('/livez', (_req, res) => sendJson(res, 200, { status: 'live' }));
  app.get('/readyz', async (_req, res) => {
    const answer = await state();
    sendJson(res, answer.status === 'ready' ? 200 : 503, answer);
  });
  app.use((req, res) => sendProblem(res, 404, `${req.method} ${req.path} does not exist here: try /livez or /readyz`));
  return { server: http.createServer(app), state };
}

module.exports = { createReadyListener };
