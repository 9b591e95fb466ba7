'use strict';
// What an operator sees of a queue and may do to it.

const crypto = require('node:crypto');
const { inTransaction } = require('./queue');
const { databaseFailure } = require('./database');
const { queues } = require('./platform');

const BATCH = 1000;
const NAMES = [queues.task];

async function queueState(database, name) {
  const { rows: [row] } = await database.query(
    // What waits is counted in an index that has nothing else, also beside a week of finished jobs.
    `SELECT w.queued, w.parked, w.oldest_seconds,
            (SELECT count(*) FROM pgboss.job_common j WHERE j.name = $1 AND j.state = 'active')::int AS active,
            (SELECT count(*) FROM pgboss.job_common j WHERE j.name = $2 AND j.state < 'completed')::int AS failed,
            coalesce((SELECT c.draining FROM flowship.queue_controls c WHERE c.queue = $1), false) AS draining
     FROM (SELECT count(*)::int AS queued, count(*) FILTER (WHERE j.start_after > now())::int AS parked,
                  coalesce(extract(epoch FROM now() - min(greatest(j.created_on, j.start_after)) FILTER (
                    WHERE j.start_after <= now())), 0)::float AS oldest_seconds
           FROM pgboss.job_common j WHERE j.name = $1 AND j.state < 'active' AND NOT j.blocked) w`,
    [name, queues.dead_letter],
  );
  return { name, dead_letter: queues.dead_letter, ...row };
}

// A stored result stays what it is. To retry a failed task is to submit its input as a new task that names
// the old one; a constraint lets that happen once.
// `limitsOf(workflow id)`: as for a task that is submitted.
async function retryFailed({ database, queue }, name, limitsOf = () => ({})) {
  await queue.started();
  return database.transaction(async (client) => {
    const db = inTransaction(client);
    const letters = await queue.boss.findJobs(queues.dead_letter, { queued: true, limit: BATCH, db }).catch((error) => { throw databaseFailure(error); });
    const retried = [];
    for (const letter of letters) {
      const taskId = crypto.randomUUID();
      const { rows: [task] } = await client.query(
        `INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, retry_of)
         SELECT $1, workflow_id, queue, input, api_key, task_id FROM flowship.tasks
         WHERE task_id = $2 AND queue = $3 AND status = 'failed'
         ON CONFLICT (retry_of) DO NOTHING RETURNING workflow_id, queue`,
        [taskId, letter.data.task_id, name],
      );
      if (task === undefined) continue;
      await client.query("INSERT INTO flowship.task_transitions (task_id, status) VALUES ($1, 'queued')", [taskId]);
      await queue.send(task.queue, { task_id: taskId, workflow_id: task.workflow_id }, db, { ...limitsOf(task.workflow_id), id: taskId });
      await queue.boss.deleteJob(queues.dead_letter, letter.id, { db });
      retried.push({ task_id: taskId, retry_of: letter.data.task_id });
    }
    return retried;
  });
}

async function setDraining(database, name, draining) {
  await database.query(
    `INSERT INTO flowship.queue_controls (queue, draining) VALUES ($1, $2)
     ON CONFLICT (queue) DO UPDATE SET draining = excluded.draining, changed_at = now()`,
    [name, draining],
  );
}

async function drainingQueues(database) {
  const { rows } = await database.query('SELECT queue FROM flowship.queue_controls WHERE draining');
  return new Set(rows.map((row) => row.queue));
}

// Tasks whose attempts all ended without a word (a killed process): the queue gave up, so the task failed.
async function concludeAbandoned(database) {
  const { rows } = await database.query(
    `SELECT t.task_id, t.workflow_id, t.created_at,
            flowship.finish_task(t.task_id, 'failed', NULL,
                '{"code": "abandoned", "message": "every attempt ended without an answer"}') AS stored
     FROM pgboss.job j JOIN flowship.tasks t ON t.task_id = (j.data ->> 'task_id')::uuid
     WHERE j.name = $1 AND t.status IN ('queued', 'running')`,
    [queues.dead_letter],
  );
  return rows.filter((row) => row.stored);
}

module.exports = { NAMES, queueState, retryFailed, setDraining, drainingQueues, concludeAbandoned };
