'use strict';
// Puts the parts together, starts them in order and stops them in order.

const fs = require('node:fs');
const path = require('node:path');
const RED = require('node-red');

const platform = require('../platform.json');
const { withFlowsPort } = require('./config');
const { createDependencies } = require('./dependencies');
const { createDeployment } = require('./deployment');
const { createEditorListener } = require('./editor-listener');
const { watchEventLoop } = require('./event-loop');
const { createFlowGate } = require('./flow-gate');
const { createFlowsListener } = require('./flows-listener');
const { createHold, createWithdrawal } = require('./hold');
const { createKeeper } = require('./keeper');
const { createLabels, labelMessages } = require('./labels');
const { createLifecycle } = require('./lifecycle');
const { listen, close } = require('./listening');
const { captureConsole, createLog } = require('./logging');
const { createMetrics } = require('./metrics');
const { nodeRedLogging } = require('./node-red-log');
const { createOpsListener } = require('./ops-listener');
const { createReadiness } = require('./readiness');
const { registerChecks } = require('./readiness-checks');
const { createReadyListener } = require('./ready-listener');
const { createRefusals } = require('./refusals');
const { createRequests } = require('./requests');
const { acceptedSecrets, hide, readSecret } = require('./secrets');
const { createSmoke } = require('./smoke');
const { createStorage } = require('./storage');
const { closeWebSockets } = require('./web-sockets');

async function launch(initialConfig) {
  let config = initialConfig;
  const labels = createLabels(platform.labels);
  const metrics = createMetrics(platform.metrics, {
    onCollectError: (metric, error) => log.debug({ metric, reason: error.message }, 'a metric has no value'),
  });
  const log = createLog({
    labelNames: platform.labels,
    labels,
    base: { component: config.component, environment: config.environment },
    level: config.logLevel,
    onLine: (level) => metrics.increment('flowship_log_lines_total', { level }),
  });
  const failures = new Map();
  captureConsole(log, (text) => failures.set('', text));
  const end = (code) => process.exit(code);
  process.on('uncaughtException', (error) => {
    log.fatal({ error }, `not caught: ${error?.message ?? error}`);
    end(1);
  });

  const lifecycle = createLifecycle({ drain: config.drain, isWithdrawn: createWithdrawal({ file: config.holdFile }), log, metrics });
  const hold = createHold({
    file: config.holdFile,
    log,
    admit: async () => {
      if (lifecycle.draining()) return;
      close(flows.server);
      await listen(flows.server, config.flows, 'flows', log);
    },
  });
  hold.admitted().catch((error) => {
    log.fatal({ error }, `cannot be admitted: ${error.message}`);
    end(1);
  });
  const dependencies = createDependencies({ log, metrics });
  const smoke = createSmoke({ definition: platform.smoke, dependencies, metrics, log });
  const keeper = createKeeper();
  const readiness = createReadiness();
  const eventLoop = watchEventLoop();
  const refusals = createRefusals({ notify: (event) => RED.events.emit('runtime-event', event) });
  const storage = createStorage({
    flowsDir: config.flowsDir, log, writable: config.editor !== null, judge: createFlowGate(config.flowGate, log), refusals,
  });

  const requests = createRequests({ limits: platform.requests, log });
  const flows = createFlowsListener({
    app: () => RED.httpNode, closeWebSockets: () => closeWebSockets(RED, deployment.running()), onDevelopersMachine: config.inDevelopment, lifecycle, requests, metrics, log,
  });
  const editor = config.editor && createEditorListener(config);
  // Node-RED knows one server, which has both its editor and the WebSockets of the flows.
  if (editor) flows.server.on('upgrade', (req, socket, head) => editor.server.emit('upgrade', req, socket, head));
  let deployment;
  // Read back from Node-RED; whether it is that of the files is a check.
  const runningRev = () => (storage.state().problem === null ? deployment?.runningRev() ?? null : null);
  const ready = createReadyListener({ readiness, dependencies, lifecycle, hold, runningRev, refusals, config });

  let stopping = null;
  const stop = (reason) => {
    stopping ??= lifecycle.drain(reason).then(
      ({ clean }) => end(clean ? 0 : 1),
      (error) => {
        log.fatal({ error }, 'the drain failed');
        end(1);
      },
    );
  };
  // SIGTERM may come twice, from a supervisor and from a process group: only a second Ctrl-C is impatience.
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => (stopping ? end(130) : stop('SIGINT')));

  try {
    if (hold.reason() === null) config = withFlowsPort(config, await listen(flows.server, config.flows, 'flows', log));
    // Its smoke run finds the flows there. An edge finds nobody and asks another replica.
    else await listen(flows.server, { host: '127.0.0.1', port: 0 }, 'held flows', log);
    await listen(ready.server, config.ready, 'ready', log);

    prepareUserDir(config.userDir);
    initNodeRed({ config, labels, log, metrics, dependencies, lifecycle, hold, smoke, keeper, storage, failures, flowsUrl: flows.url, server: editor?.server ?? flows.server });
    deployment = createDeployment({ RED, storage, failures, log });
    labelMessages(RED.hooks, labels, requests.received);
    requests.follow(RED, deployment.running);
    registerChecks({ readiness, config, storage, deployment, lifecycle, eventLoop, flowsListener: flows.server, RED });
    collectState({ metrics, ready, config });

    const ops = createOpsListener({ config, metrics, ready, smoke, keeper, deployment, refusals, log, requestDrain: stop });
    await listen(ops.server, config.ops, 'ops', log);
    drainStages({ lifecycle, flows, ready, ops, editor });

    const settled = flowsSettled();
    await RED.start();
    await settled;
    if (editor) {
      editor.serve(RED.httpAdmin, storage);
      await listen(editor.server, config.editor, 'editor', log);
    }
    await eventLoop.forget();
    lifecycle.markStarted();
    const { status, checks } = await ready.state();
    const failed = checks.filter((check) => check.status === 'failed');
    log[failed.length === 0 ? 'info' : 'error']({ status, failed, startup_ms: Math.round(performance.now()) }, `started: ${status}`);
  } catch (error) {
    log.fatal({ error }, `cannot start: ${error.message}`);
    end(1);
  }
}

function initNodeRed({ config, labels, log, metrics, dependencies, lifecycle, hold, smoke, keeper, storage, failures, flowsUrl, server }) {
  RED.init(server, {
    ...require('../settings.js'),
    storageModule: storage.module,
    logging: nodeRedLogging({ log, metrics, failures, level: config.logLevel, translate: RED.log._ }),
    flowship: Object.freeze({
      config,
      acceptedSecrets,
      readSecret,
      hide,
      metrics: pick(metrics, ['increment', 'observe', 'set', 'collect']),
      log: pick(log, ['debug', 'info', 'warn', 'error']),
      labels,
      dependencies: pick(dependencies, ['register', 'report', 'state', 'whatIsDown']),
      lifecycle: pick(lifecycle, ['onDrain', 'draining']),
      hold: pick(hold, ['reason', 'admitted']),
      flowsUrl,
      smoke: pick(smoke, ['register', 'result']),
      keeper: pick(keeper, ['register']),
    }),
  });
}

// Node-RED logs an error when its user folder has no package.json.
function prepareUserDir(userDir) {
  try {
    fs.writeFileSync(path.join(userDir, 'package.json'), '{"name":"node-red-user-dir","private":true}\n', { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

function pick(source, names) {
  return Object.freeze(Object.fromEntries(names.map((name) => [name, source[name].bind(source)])));
}

// RED.start() answers before the flows run; they either start or Node-RED says that it refuses them.
function flowsSettled() {
  return new Promise((resolve) => {
    RED.events.once('flows:started', resolve);
    RED.events.on('runtime-event', ({ id, payload }) => {
      if (id === 'runtime-state' && payload?.error) resolve();
    });
  });
}

function collectState({ metrics, ready, config }) {
  metrics.collect('flowship_ready', async () => ((await ready.state()).status === 'ready' ? 1 : 0));
  metrics.collect('flowship_readiness_check_ok', async () =>
    (await ready.state()).checks.map(({ name, status }) => ({ labels: { check: name }, value: status === 'ok' ? 1 : 0 })),
  );
  metrics.collect('flowship_build_info', async () => [
    {
      labels: { rev: (await ready.state()).rev ?? '', release: config.release ?? '', environment: config.environment, replica: config.replica },
      value: 1,
    },
  ]);
}

// The nodes' pools must outlive the requests in flight, and the answers about health outlive both.
function drainStages({ lifecycle, flows, ready, ops, editor }) {
  lifecycle.addStage((late) => [['requests in flight', () => flows.finish(late)], ...lifecycle.leaving()]);
  lifecycle.addStage(() => [['Node-RED', () => RED.stop()]]);
  lifecycle.addStage(() =>
    [ready.server, ops.server, editor?.server].filter(Boolean).map((server, index) => [`listener ${index}`, () => closeNow(server)]),
  );
}

async function closeNow(server) {
  const closed = close(server);
  server.closeAllConnections();
  await closed;
}

module.exports = { launch };
