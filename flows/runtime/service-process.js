'use strict';
// What the small services beside Node-RED share: where they listen, their log lines, their end.

const platform = require('../platform.json');
const { EnvironmentError, readEnvironment, text, name, tier, port, secretFile } = require('./environment');
const { createLabels } = require('./labels');
const { captureConsole, createLog } = require('./logging');
const { readSecret } = require('./secrets');

// -> {host, port, inDevelopment, secrets: {NAME_FILE: value}, log, labels}; ends the process with 2 when the environment is wrong
function startService(program, { secretFiles = [] } = {}) {
  const table = {
    HOST: text(`the address that ${program} listens on, such as 127.0.0.1`),
    PORT: port(),
    FLOWSHIP_ENVIRONMENT: name('the name of the environment'),
    FLOWSHIP_TIER: tier(),
    FLOWSHIP_COMPONENT: text(`the name of this component, ${program}`),
    ...Object.fromEntries(secretFiles.map((name) => [name, secretFile()])),
  };
  const { values, problems } = readEnvironment(process.env, table);
  if (problems.length > 0) {
    for (const problem of new EnvironmentError(problems).problems) process.stderr.write(`${program}: ${problem}\n`);
    process.exit(2);
  }
  const labels = createLabels(platform.labels);
  const log = createLog({
    labelNames: platform.labels,
    labels,
    base: { component: values.FLOWSHIP_COMPONENT, environment: values.FLOWSHIP_ENVIRONMENT },
    level: 'info',
  });
  captureConsole(log);
  process.on('uncaughtException', (error) => {
    log.fatal({ error }, `not caught: ${error?.message ?? error}`);
    process.exit(1);
  });
  return {
    host: values.HOST,
    port: values.PORT,
    inDevelopment: values.FLOWSHIP_TIER === 'development',
    secrets: Object.fromEntries(secretFiles.map((name) => [name, readSecret(values[name])])),
    labels,
    log,
  };
}

function cannotListen(program, host, port) {
  return (error) => {
    process.stderr.write(`${program} cannot listen on ${host}:${port}: ${error.message}; choose a free HOST and PORT\n`);
    process.exit(1);
  };
}

function closeOnSignal(log, close) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
      log.info({ signal }, 'stopping');
      await close();
    });
  }
}

module.exports = { startService, cannotListen, closeOnSignal };
