'use strict';
// A task and its job are written in one transaction: there is never one without the other.

const crypto = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');

async function submitTask({ database, queue }, { workflowId, input, queueName, apiKey, idempotencyKey = null }) {
  await queue.started();
  return database.transaction(async (client) => {
    const taskId = crypto.randomUUID();
    const inserted = await client.query(
      `INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, idempotency_key)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (api_key, idempotency_key) DO NOTHING RETURNING created_at`,
      [taskId, workflowId, queueName, JSON.stringify(input), apiKey, idempotencyKey],
    );
    if (inserted.rowCount === 0) return repeated(client, { workflowId, input, apiKey, idempotencyKey });
    await client.query("INSERT INTO flowship.task_transitions (task_id, status) VALUES ($1, 'queued')", [taskId]);
    await queue.send(queueName, { task_id: taskId, workflow_id: workflowId }, client, taskId);
    return { taskId, status: 'queued', created: true };
  });
}

async function repeated(client, { workflowId, input, apiKey, idempotencyKey }) {
  const { rows: [earlier] } = await client.query(
    'SELECT task_id, workflow_id, input, status FROM flowship.tasks WHERE api_key = $1 AND idempotency_key = $2',
    [apiKey, idempotencyKey],
  );
  const same = earlier.workflow_id === workflowId && isDeepStrictEqual(earlier.input, input);
  if (!same) return { conflict: true, taskId: earlier.task_id };
  return { taskId: earlier.task_id, status: earlier.status, created: false };
}

module.exports = { submitTask };
