'use strict';
// A task and its job are written by one statement: there is never one without the other.

const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');

// `limits`: what the workflow asks of the queue, as `jobOptions` gives it.
async function submitTask({ database, queue }, { workflowId, input, queueName, apiKey, idempotencyKey = null, limits = {} }) {
  await queue.started();
  const taskId = crypto.randomUUID();
  let created;
  const executeSql = async (send, [job]) => {
    ({ rows: [{ created }] } = await database.query(
      'SELECT flowship.submit_task($1, $2, $3, $4, $5, $6, $7, $8) AS created',
      [taskId, workflowId, queueName, JSON.stringify(input), apiKey, idempotencyKey, send, job],
    ));
    return { rows: [{ id: taskId }] };
  };
  await queue.send(queueName, { task_id: taskId, workflow_id: workflowId }, { executeSql }, { ...limits, id: taskId });
  return created ? { taskId, status: 'queued', created } : repeated(database, { workflowId, input, apiKey, idempotencyKey });
}

async function repeated(database, { workflowId, input, apiKey, idempotencyKey }) {
  const { rows: [earlier] } = await database.query(
    'SELECT task_id, workflow_id, input, status FROM flowship.tasks WHERE api_key = $1 AND idempotency_key = $2',
    [apiKey, idempotencyKey],
  );
  const same = earlier.workflow_id === workflowId && isDeepStrictEqual(earlier.input, input);
  if (!same) return { conflict: true, taskId: earlier.task_id };
  return { taskId: earlier.task_id, status: earlier.status, created: false };
}

module.exports = { submitTask };
