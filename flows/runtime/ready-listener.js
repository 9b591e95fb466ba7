'use strict';
// /livez and /readyz, for the edge and the engine.

const http = require('node:http');
const express = require('express');
const { guard } = require('./browser-guard');
const { sendJson, sendProblem, sendUnanswered } = require('./problem');

function createReadyListener({ readiness, dependencies, lifecycle, storage, refusals, config }) {
  async function state() {
    const checks = await readiness.report();
    const failed = checks.filter((check) => check.status !== 'ok');
    return {
      status: lifecycle.draining() ? 'draining' : failed.length === 0 ? 'ready' : 'not_ready',
      // Early, since who probes shows the beginning of an answer.
      reason: failed.length === 0 ? null : failed.map(({ name, error }) => `${name}: ${error}`).join('; '),
      replica: config.replica,
      rev: storage.state().fileRev,
      checks,
      degraded: dependencies.degraded(),
      refused: refusals.last(),
    };
  }

  const app = express();
  app.disable('x-powered-by');
  if (config.inDevelopment) app.use(guard(sendProblem));
  app.get('/livez', (_req, res) => sendJson(res, 200, { status: 'live' }));
  app.get('/readyz', async (_req, res) => {
    const answer = await state();
    sendJson(res, answer.status === 'ready' ? 200 : 503, answer);
  });
  app.use((req, res) => sendUnanswered(app, req, res));
  return { server: http.createServer(app), state };
}

module.exports = { createReadyListener };
