'use strict';
// /livez and /readyz, for the edge and the engine.

const http = require('node:http');
const express = require('express');
const { guard } = require('./browser-guard');
const { sendJson, sendProblem, sendUnanswered } = require('./problem');

function createReadyListener({ readiness, dependencies, lifecycle, hold, runningRev, refusals, config }) {
  function statusOf(held, failed) {
    if (lifecycle.draining()) return 'draining';
    if (held !== null) return 'held';
    return failed.length === 0 ? 'ready' : 'not_ready';
  }

  async function state() {
    const checks = await readiness.report();
    const failed = checks.filter((check) => check.status !== 'ok');
    const held = hold.reason();
    const reasons = [...(held === null ? [] : [`held: ${held}`]), ...failed.map(({ name, error }) => `${name}: ${error}`)];
    return {
      status: statusOf(held, failed),
      // Early, since who probes shows the beginning of an answer.
      reason: reasons.length === 0 ? null : reasons.join('; '),
      replica: config.replica,
      release: config.release,
      rev: runningRev(),
      checks,
      degraded: dependencies.degraded(),
      refused: refusals.last(),
    };
  }

  async function answer(_req, res) {
    const said = await state();
    sendJson(res, said.status === 'ready' ? 200 : 503, said);
  }

  const app = express();
  app.disable('x-powered-by');
  if (config.inDevelopment) app.use(guard(sendProblem));
  app.get('/livez', (_req, res) => sendJson(res, 200, { status: 'live' }));
  app.get('/readyz', answer);
  app.use((req, res) => sendUnanswered(app, req, res));
  return { server: http.createServer(app), state, answer };
}

module.exports = { createReadyListener };
