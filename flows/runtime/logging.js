'use strict';
// One JSON object per line on stdout, with the five labels on each, whoever logs.

const util = require('node:util');
const pino = require('pino');
const { hide } = require('./secrets');

function createLog({ labelNames, labels, base, level, onLine, destination = pino.destination({ fd: 1, sync: true }) }) {
  const unknown = Object.fromEntries(labelNames.map((name) => [name, '']));
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => ({ ...unknown, ...base, ...labels.current() }),
      serializers: { error: (error) => (error instanceof Error ? pino.stdSerializers.err(error) : error) },
      redact: ['authorization', 'password', 'token', 'headers.authorization', 'req.headers.authorization'],
      hooks: {
        logMethod(args, method, number) {
          onLine?.(this.levels.labels[number]);
          method.apply(this, args);
        },
      },
    },
    withoutSecrets(destination),
  );
}

function withoutSecrets(destination) {
  const write = destination.write.bind(destination);
  destination.write = (line) => write(hide(line));
  return destination;
}

const STACK = /^\w*Error: .*\n\s+at /;

// Libraries that print would break the one-object-per-line promise of stdout. Node-RED prints the error, and no more, of
// flows that do not start: `onError` gets the text.
function captureConsole(log, onError = () => {}) {
  for (const [name, level] of [['log', 'info'], ['info', 'info'], ['debug', 'debug'], ['trace', 'debug'], ['warn', 'warn'], ['error', 'error']]) {
    console[name] = (...values) => {
      const text = util.format(...values);
      const isError = STACK.test(text);
      if (isError) onError(text.split('\n')[0]);
      log[isError ? 'error' : level]({ source: 'console' }, text);
    };
  }
  process.on('warning', (warning) => log.warn({ source: 'node', error: warning }, warning.message));
}

module.exports = { createLog, captureConsole };
