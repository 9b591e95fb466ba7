'use strict';

const { launcherOf } = require('./lib/launcher');
const { sameSecret } = require('./lib/api-keys');
const { answerProblem } = require('./lib/problem');
const { failMessage } = require('./lib/failure');
const { jobOptions, knownLimits } = require('./lib/limits');
const { queues } = require('./lib/platform');
const { submitTask } = require('./lib/submission');
const { inputProblems, knownWorkflows } = require('./lib/workflows');

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

module.exports = (RED) => {
  RED.nodes.registerType('task-enqueue', function TaskEnqueue(definition) {
    RED.nodes.createNode(this, definition);
    const { config, labels, metrics, acceptedSecrets } = launcherOf(RED, 'task-enqueue');
    const postgres = RED.nodes.getNode(definition.database);
    let workflows;
    let limits;

    // A caller who proves to be the operator may name the queue of a smoke run.
    function queueFor(headers) {
      const wanted = headers['flowship-queue'];
      if (wanted === undefined) return queues.task;
      const proof = headers['flowship-queue-proof'] ?? '';
      const proven = acceptedSecrets(config.opsTokenFile).some((accepted) => sameSecret(proof, accepted));
      return proven && wanted.startsWith(queues.smoke_prefix) ? wanted : undefined;
    }

    function refusalOf(message, headers, queueName) {
      const workflowId = message.req.params.workflow_id;
      workflows ??= knownWorkflows(RED);
      if (!workflows.has(workflowId)) {
        return [404, `There is no workflow '${workflowId}'; known are ${[...workflows.keys()].sort().join(', ')}.`];
      }
      const validate = workflows.get(workflowId);
      if (validate === undefined) return [503, `The workflow '${workflowId}' could not be started; the log of the platform says why.`];
      if (queueName === undefined) return [403, 'Only the operator may choose a queue.'];
      if (headers['idempotency-key'] !== undefined && !IDEMPOTENCY_KEY.test(headers['idempotency-key'])) {
        return [400, 'Idempotency-Key must have 1 to 255 visible ASCII characters.'];
      }
      const unknown = Object.keys(message.payload).filter((key) => key !== 'input');
      if (message.payload.input === undefined || unknown.length > 0) {
        return [400, `The body must be {"input": ...}${unknown.length > 0 ? `, without ${unknown.join(', ')}` : ''}.`];
      }
      const problems = inputProblems(validate, message.payload.input);
      if (problems.length > 0) return [422, `The input does not fit workflow ${workflowId}.`, { errors: problems }];
      return undefined;
    }

    this.on('input', async (message, send, done) => {
      try {
        const { headers } = message.req;
        const queueName = queueFor(headers);
        const refusal = refusalOf(message, headers, queueName);
        if (refusal !== undefined) {
          send([null, answerProblem(message, ...refusal)]);
          return done();
        }
        const workflowId = message.req.params.workflow_id;
        labels.assign({ workflow_id: workflowId });
        limits ??= knownLimits(RED);
        const task = await submitTask(postgres, {
          workflowId,
          input: message.payload.input,
          queueName,
          apiKey: message.api_key,
          idempotencyKey: headers['idempotency-key'],
          // A smoke run's queue has limits of its own.
          limits: queueName === queues.task ? jobOptions(limits.get(workflowId)) : {},
        });
        if (task.conflict) {
          send([null, answerProblem(message, 409, `The Idempotency-Key was used for another request; it made task ${task.taskId}.`)]);
          return done();
        }
        if (task.created) metrics.increment('flowship_tasks_accepted_total', { workflow_id: workflowId });
        const location = `/api/v1/tasks/${task.taskId}`;
        message.workflow_id = workflowId;
        message.task_id = task.taskId;
        message.statusCode = 202;
        message.headers = { 'Content-Type': 'application/json', Location: location };
        message.payload = { task_id: task.taskId, workflow_id: workflowId, status: task.status, location };
        send([message, null]);
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
    // The workflows may have changed with the same deployment that left this node alone.
    const forget = () => {
      workflows = undefined;
      limits = undefined;
    };
    RED.events.on('flows:started', forget);
    this.on('close', () => RED.events.removeListener('flows:started', forget));
  });
};
