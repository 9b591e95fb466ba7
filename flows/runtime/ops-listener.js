'use strict';
// /metrics for Prometheus; /readyz for who rolls a release out, where no other port leads to a replica; /smoke, /keys, /reload
// and /drain for the operator, behind a bearer token.

const http = require('node:http');
const express = require('express');
const { requireBearer } = require('./bearer');
const { guard } = require('./browser-guard');
const { ReloadError } = require('./deployment');
const { sendJson, sendProblem, sendUnanswered } = require('./problem');
const { UnknownCheckError } = require('./smoke');

function createOpsListener({ config, metrics, ready, smoke, keeper, deployment, refusals, log, requestDrain }) {
  const bearer = requireBearer(config.opsTokenFile);
  const app = express();
  app.disable('x-powered-by');
  if (config.inDevelopment) app.use(guard(sendProblem));

  app.get('/metrics', async (_req, res) => {
    const { contentType, body } = await metrics.exposition();
    res.set('content-type', contentType).send(body);
  });

  app.get('/readyz', ready.answer);

  app.post('/smoke', bearer, express.json({ limit: '16kb', strict: false }), async (req, res) => {
    const { body = {} } = req;
    if (body === null || typeof body !== 'object' || Array.isArray(body)) {
      sendProblem(res, 400, 'the body must be a JSON object, such as {"checks": ["database"]}, or left out');
      return;
    }
    try {
      const answer = await smoke.run(body.checks);
      sendJson(res, answer.status === 'passed' ? 200 : 503, answer);
    } catch (error) {
      if (!(error instanceof UnknownCheckError)) throw error;
      sendProblem(res, 400, error.message);
    }
  });

  const keys = (answer) => async (req, res) => {
    const current = keeper.current();
    if (current === undefined) {
      sendProblem(res, 503, 'the flows that keep the API keys do not run: see the log');
      return;
    }
    try {
      await answer(current, req, res);
    } catch (error) {
      if (!error.unavailable) throw error;
      sendProblem(res, 503, `the ${error.unavailable} does not answer: ${error.message}`);
    }
  };
  app.get('/keys', bearer, keys(async (current, _req, res) => sendJson(res, 200, await current.list())));
  app.post('/keys', bearer, express.json({ limit: '16kb' }), keys(async (current, req, res) => sendJson(res, 201, await current.create(req.body ?? {}))));
  app.delete('/keys/:name', bearer, keys(async (current, req, res) => sendJson(res, 200, await current.revoke(req.params.name))));

  // `refused`: who watches the files judged them, and says why they are not to be loaded.
  app.post('/reload', bearer, express.json({ limit: '1mb' }), async (req, res) => {
    if (!config.inDevelopment) {
      sendProblem(res, 403, `flows are reloaded in development only, and ${config.environment} is not: roll out a release`);
      return;
    }
    try {
      if (typeof req.body?.refused === 'string') throw new ReloadError(req.body.refused);
      const answer = await deployment.reload();
      refusals.take();
      metrics.increment('flowship_reloads_total', { outcome: answer.changed.length > 0 ? 'changed' : 'unchanged' });
      sendJson(res, 200, answer);
    } catch (error) {
      metrics.increment('flowship_reloads_total', { outcome: error.outcome ?? 'refused' });
      if (!(error instanceof ReloadError)) throw error;
      refusals.refuseFiles(error.message);
      log.warn({ reason: error.message, outcome: error.outcome }, error.outcome === 'refused' ? 'the reload was refused, the previous flows run on' : 'the flows were reloaded and do not run whole');
      sendProblem(res, 422, error.message);
    }
  });

  // The same as SIGTERM: the process ends when it is drained.
  app.post('/drain', bearer, (_req, res) => {
    sendJson(res, 202, { status: 'draining' });
    requestDrain('POST /drain');
  });

  app.use((req, res) => sendUnanswered(app, req, res));
  // Express knows an error handler by its four parameters.
  app.use((error, _req, res, _next) => {
    const status = error.status >= 400 && error.status < 500 ? error.status : 500;
    if (status === 500) log.error({ error }, 'an operation failed');
    sendProblem(res, status, status === 500 ? 'the operation failed: see the log' : error.message);
  });
  return { server: http.createServer(app) };
}

module.exports = { createOpsListener };
