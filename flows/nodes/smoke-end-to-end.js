'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { launcherOf } = require('./lib/launcher');
const { databaseFailure } = require('./lib/database');
const { Failure, failMessage } = require('./lib/failure');
const { withSmokeQueue } = require('./lib/smoke-queue');

async function answerOf(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Failure(`${response.url} answered ${response.status}: ${body.detail ?? ''}`, { code: 'api_error' });
  return body;
}

module.exports = (RED) => {
  RED.nodes.registerType('smoke-end-to-end', function SmokeEndToEnd(definition) {
    RED.nodes.createNode(this, definition);
    const { config, dependencies: { whatIsDown }, flowsUrl, log, readSecret } = launcherOf(RED, 'smoke-end-to-end');
    const postgres = RED.nodes.getNode(definition.database);
    const api = () => `${flowsUrl()}/api/v1`;

    const submit = async (queueName) => answerOf(await fetch(`${api()}/workflows/${definition.workflow}/tasks`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${readSecret(config.apiKeyFile)}`,
        'content-type': 'application/json',
        'flowship-queue': queueName,
        'flowship-queue-proof': readSecret(config.opsTokenFile),
      },
      body: JSON.stringify({ input: JSON.parse(definition.input) }),
      signal: AbortSignal.timeout(5000),
    }));

    const finished = async (taskId, signal) => {
      for (;;) {
        const task = await answerOf(await fetch(`${api()}/tasks/${taskId}`, {
          headers: { authorization: `Bearer ${readSecret(config.apiKeyFile)}` },
          signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
        }));
        if (task.status === 'failed') throw new Failure(`the task failed: ${task.error.message}`, { code: task.error.code });
        if (task.status === 'completed') return task;
        await pause(50, undefined, { signal });
      }
    };

    this.on('input', async (message, send, done) => {
      const ended = new AbortController();
      try {
        const [worker] = postgres.workers;
        if (worker === undefined) throw new Failure('no task-worker node runs on this replica', { code: 'no_worker' });
        message.payload = await withSmokeQueue(postgres.queue, { runId: message.smoke.run_id, log, whatIsDown }, async (queueName, deadline) => {
          const release = worker.adopt(queueName);
          try {
            const { task_id: taskId } = await submit(queueName);
            return await Promise.race([finished(taskId, ended.signal), deadline]);
          } finally {
            ended.abort();
            await release();
            await postgres.database.query('SELECT flowship.forget_smoke_tasks($1)', [queueName]);
          }
        });
        message.history = message.payload.transitions.map((transition) => transition.status).join(' ');
        send(message);
        done();
      } catch (error) {
        failMessage(message, databaseFailure(error), done);
      }
    });
  });
};
