'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { launcherOf } = require('./lib/launcher');
const { answerProblem } = require('./lib/problem');
const { failMessage } = require('./lib/failure');
const { jobOptions, knownLimits } = require('./lib/limits');
const { queues } = require('./lib/platform');
const { NAMES, queueState, retryFailed, setDraining } = require('./lib/queue-administration');

const LONGEST_WAIT_SECONDS = 20;

async function drain({ database }, name, { resume = false, wait_seconds: wait = 5 }) {
  await setDraining(database, name, !resume);
  if (resume) return { ...await queueState(database, name), drained: false };
  const deadline = Date.now() + wait * 1000;
  // Every worker has noticed after this; what is active then is all that will be.
  await pause(Math.min(wait * 1000, queues.control_poll_ms * 2));
  for (;;) {
    const state = await queueState(database, name);
    if (state.active === 0 || Date.now() >= deadline) return { ...state, drained: state.active === 0 };
    await pause(200);
  }
}

function drainProblem(body) {
  const unknown = Object.keys(body).filter((key) => !['resume', 'wait_seconds'].includes(key));
  if (unknown.length > 0) return `The body may have resume and wait_seconds, not ${unknown.join(', ')}.`;
  if (body.resume !== undefined && typeof body.resume !== 'boolean') return 'resume must be true or false.';
  const wait = body.wait_seconds;
  if (wait !== undefined && !(typeof wait === 'number' && wait >= 0 && wait <= LONGEST_WAIT_SECONDS)) {
    return `wait_seconds must be a number from 0 to ${LONGEST_WAIT_SECONDS}.`;
  }
  return undefined;
}

const OPERATIONS = {
  list: async (postgres) => ({ queues: await Promise.all(NAMES.map((name) => queueState(postgres.database, name))) }),
  get: (postgres, name) => queueState(postgres.database, name),
  'retry-failed': async (postgres, name, _body, limits) => {
    const retried = await retryFailed(postgres, name, (workflowId) => jobOptions(limits.get(workflowId)));
    const { failed } = await queueState(postgres.database, name);
    return { name, retried, remaining: failed };
  },
  drain,
};

module.exports = (RED) => {
  RED.nodes.registerType('queue-admin', function QueueAdmin(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'queue-admin');
    const postgres = RED.nodes.getNode(definition.database);
    const operation = OPERATIONS[definition.operation];
    if (operation === undefined) {
      throw new Error(`the operation '${definition.operation}' is not known: expected one of ${Object.keys(OPERATIONS).join(', ')}`);
    }

    this.on('input', async (message, send, done) => {
      try {
        const { name } = message.req.params;
        const refusal = refusalOf(definition.operation, name, message.payload);
        if (refusal !== undefined) {
          send([null, answerProblem(message, ...refusal)]);
          return done();
        }
        message.payload = await operation(postgres, name, message.payload, knownLimits(RED));
        if (message.req.method === 'POST') {
          log.info({ queue: name, operation: definition.operation, api_key: message.api_key, answer: message.payload }, 'an operator changed a queue');
        }
        message.statusCode = 200;
        message.headers = { 'Content-Type': 'application/json' };
        send([message, null]);
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });

  function refusalOf(operation, name, body) {
    if (operation !== 'list' && !NAMES.includes(name)) return [404, `There is no queue '${name}'; known are ${NAMES.join(', ')}.`];
    const problem = operation === 'drain' ? drainProblem(body) : undefined;
    return problem === undefined ? undefined : [400, problem];
  }
};
