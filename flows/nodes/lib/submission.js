'use strict';
// A task and its job are written by one statement, with others of the same moment: there is never one without the other.

const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');
const { Batch } = require('./batch');

// -> a Batch of what is submitted at one moment; `send` and `job` are what pg-boss would do for one.
function submissionsTo(database) {
  return new Batch(async (items) => {
    const created = new Set();
    for (const [send, of] of Map.groupBy(items, (item) => item.send)) {
      const { rows } = await database.query(
        'SELECT flowship.submit_tasks($1, $2, $3) AS task_id',
        [`[${of.map(({ task }) => task).join()}]`, send, `[${of.map(({ job }) => job.slice(1, -1)).join()}]`],
      );
      for (const row of rows) created.add(row.task_id);
    }
    return items.map(({ taskId }) => created.has(taskId));
  });
}

// `limits`: what the workflow asks of the queue, as `jobOptions` gives it.
async function submitTask({ database, queue, submissions }, { workflowId, input, queueName, apiKey, idempotencyKey = null, limits = {} }) {
  await queue.started();
  const taskId = crypto.randomUUID();
  const task = JSON.stringify({ task_id: taskId, workflow_id: workflowId, queue: queueName, input, api_key: apiKey, idempotency_key: idempotencyKey });
  let created;
  // A job is sent as an array with this one in it.
  const executeSql = async (send, [job]) => {
    created = await submissions.add({ taskId, task, send, job, length: task.length });
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

module.exports = { submissionsTo, submitTask };
