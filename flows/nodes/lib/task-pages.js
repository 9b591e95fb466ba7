'use strict';
// Tasks, newest first, a page at a time. A page begins after the last task of the one before it, so that tasks that
// come in between neither repeat nor hide one.

const { queues } = require('./platform');

const STATUSES = ['queued', 'running', 'completed', 'failed'];
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 200;
const PARAMETERS = ['status', 'workflow_id', 'limit', 'cursor'];
const POSITION = /^(\d{1,16})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

const cursorOf = ({ microseconds, task_id: taskId }) => Buffer.from(`${microseconds}.${taskId}`).toString('base64url');

function positionOf(cursor) {
  const [, microseconds, taskId] = POSITION.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  return taskId === undefined ? undefined : { microseconds, taskId };
}

const JUDGES = {
  status: (given) => (STATUSES.includes(given) ? given : { problem: `expected one of ${STATUSES.join(', ')}` }),
  workflow_id: (given) => (/^[\x21-\x7e]{1,200}$/.test(given) ? given : { problem: 'expected the id of a workflow, such as describe-text' }),
  limit: (given) => (/^\d{1,3}$/.test(given) && given >= 1 && given <= LARGEST_LIMIT
    ? Number(given) : { problem: `expected a whole number from 1 to ${LARGEST_LIMIT}` }),
  cursor: (given) => positionOf(given) ?? { problem: 'expected the next of the page before' },
};

// A query string -> {filter} or {errors}, all of them.
function readFilter(query) {
  const filter = { limit: DEFAULT_LIMIT };
  const errors = [];
  for (const [parameter, given] of Object.entries(query)) {
    const read = !PARAMETERS.includes(parameter) ? { problem: `expected one of ${PARAMETERS.join(', ')}` }
      : typeof given !== 'string' ? { problem: 'expected it once' }
        : JUDGES[parameter](given);
    if (read.problem === undefined) filter[parameter] = read;
    else errors.push({ parameter, detail: read.problem });
  }
  return errors.length > 0 ? { errors } : { filter };
}

// The fields of the view flowship.task_documents without those that may be large: the view would read them for each row.
// `workflows`: those whose tasks the caller may see; null for all.
// -> {text, values} of one row more than the page holds: it says whether another page follows.
function pageQuery({ status, workflow_id: workflowId, workflows = null, limit, cursor }) {
  const values = [];
  const value = (given) => `$${values.push(given)}`;
  const conditions = [`t.queue = ${value(queues.task)}`];
  if (status !== undefined) conditions.push(`t.status = ${value(status)}`);
  if (workflowId !== undefined) conditions.push(`t.workflow_id = ${value(workflowId)}`);
  if (workflows !== null) conditions.push(`t.workflow_id = ANY (${value(workflows)})`);
  if (cursor !== undefined) {
    const at = `timestamptz 'epoch' + ${value(cursor.microseconds)}::bigint * interval '1 microsecond'`;
    conditions.push(`(t.created_at, t.task_id) < (${at}, ${value(cursor.taskId)}::uuid)`);
  }
  const text = `
    SELECT t.task_id, (extract(epoch FROM t.created_at) * 1000000)::bigint::text AS microseconds,
        jsonb_build_object(
            'task_id', t.task_id,
            'workflow_id', t.workflow_id,
            'status', t.status,
            'not_before', CASE WHEN t.status = 'queued' THEN t.not_before END,
            'attempts', t.attempts,
            'last_error', t.last_error,
            'created_at', t.created_at,
            'updated_at', t.updated_at,
            'retry_of', t.retry_of,
            'retried_by', (SELECT n.task_id FROM flowship.tasks n WHERE n.retry_of = t.task_id),
            'error', (SELECT r.error FROM flowship.task_results r WHERE r.task_id = t.task_id)
        ) AS summary
    FROM flowship.tasks t
    WHERE ${conditions.join(' AND ')}
    ORDER BY t.created_at DESC, t.task_id DESC
    LIMIT ${value(limit + 1)}`;
  return { text, values };
}

// -> {tasks, next}: next is the cursor of the page that follows, or null.
async function taskPage(database, filter) {
  const { text, values } = pageQuery(filter);
  const { rows } = await database.query(text, values);
  const page = rows.slice(0, filter.limit);
  return { tasks: page.map(({ summary }) => summary), next: rows.length > page.length ? cursorOf(page.at(-1)) : null };
}

module.exports = { LARGEST_LIMIT, pageQuery, readFilter, taskPage };
