'use strict';

const { launcherOf } = require('./lib/launcher');
const { isAway, untilDatabaseAnswers } = require('./lib/database');
const { shortened } = require('./lib/failure');
const { parkSeconds } = require('./lib/parking');
const { queues } = require('./lib/platform');
const { concludeAbandoned, drainingQueues } = require('./lib/queue-administration');
const { storable } = require('./lib/storable');

module.exports = (RED) => {
  RED.nodes.registerType('task-worker', function TaskWorker(definition) {
    RED.nodes.createNode(this, definition);
    const { labels, lifecycle, log, metrics } = launcherOf(RED, 'task-worker');
    const postgres = RED.nodes.getNode(definition.database);
    const { attempts, database, queue } = postgres;
    const concurrency = Number(definition.concurrency) || queues.concurrency;
    const inFlight = new Set();
    let fetching = false;
    let stopped = false;
    let controlTimer;

    // The queue settles the job by what this returns; the result is stored before, whatever becomes of the job.
    const work = async (job) => {
      const attempt = labels.run({ node_id: this.id, task_id: job.data.task_id, workflow_id: job.data.workflow_id }, () => runAttempt(job));
      inFlight.add(attempt);
      try {
        return await attempt;
      } finally {
        inFlight.delete(attempt);
      }
    };

    const runAttempt = async (job) => {
      const { task_id: taskId, workflow_id: workflowId } = job.data;
      const begun = await untilDatabaseAnswers(() => database.query(
        'SELECT b.*, t.parks FROM flowship.begin_attempt($1) b JOIN flowship.tasks t ON t.task_id = $1', [taskId],
      ), job.signal);
      if (begun.rowCount === 0) {
        log.info({ queue: job.name }, 'the task has ended before: nothing to do');
        return { id: job.id, status: 'completed', output: { already_ended: true } };
      }
      const [task] = begun.rows;
      const { key, outcome } = attempts.begin(job.signal);
      // The queue counts a parked attempt, in both of its numbers; nobody else does.
      task.attempt = job.retryCount + 1 - task.parks;
      log.info({ queue: job.name, attempt: task.attempt }, 'an attempt begins');
      this.send({
        task: {
          task_id: taskId, workflow_id: workflowId, attempt: task.attempt, attempts: job.retryLimit + 1 - task.parks, queue: job.name, key,
        },
        task_id: taskId,
        workflow_id: workflowId,
        payload: task.input,
      });
      const { result, failure } = await outcome;
      return failure === undefined ? complete(job, task, result) : fail(job, task, failure);
    };

    const finish = async (job, task, status, { result = null, error = null, cleaned = null }) => {
      const { rows: [{ stored }] } = await untilDatabaseAnswers(() => database.query(
        'SELECT flowship.finish_task($1, $2, $3, $4, $5) AS stored', [job.data.task_id, status, result, error, cleaned],
      ), job.signal);
      count(job, task, status, stored);
    };

    const complete = async (job, task, given) => {
      let changes;
      try {
        const { value, changes: cleaned } = storable(given);
        changes = cleaned;
        await finish(job, task, 'completed', {
          result: JSON.stringify(value ?? null), cleaned: changes.length === 0 ? null : JSON.stringify(changes),
        });
      } catch (error) {
        if (isAway(error)) throw error;
        // The next attempt could not store it either, and would pay for it once more.
        return fail(job, task, { code: 'result_not_stored', message: `the result cannot be stored: ${shortened(error.message, 500)}`, permanent: true });
      }
      if (changes.length > 0) log.warn({ cleaned: changes }, 'the result could not be stored as it was: these places were changed');
      log.info({ queue: job.name, attempt: task.attempt }, 'the task is completed');
      return { id: job.id, status: 'completed' };
    };

    const fail = async (job, task, failure) => {
      const error = { code: failure.code, message: failure.message, attempt: task.attempt };
      if (failure.permanent !== true && failure.retry_after_seconds != null) {
        const parked = await park(job, task, failure);
        if (parked !== undefined) return parked;
      }
      if (job.retryCount >= job.retryLimit || failure.permanent === true) {
        await finish(job, task, 'failed', { error: JSON.stringify(error) });
        log.error({ reason: error.message, code: error.code }, 'the task failed for good and goes to the dead letters');
        return { id: job.id, status: 'deadletter', output: error };
      }
      await untilDatabaseAnswers(() => database.query(
        "UPDATE flowship.tasks SET last_error = $2, updated_at = now() WHERE task_id = $1 AND status = 'running'",
        [job.data.task_id, error.message],
      ), job.signal);
      metrics.increment('flowship_task_attempts_total', { workflow_id: job.data.workflow_id, outcome: 'retried' });
      log.warn({ reason: error.message, code: error.code, attempt: error.attempt }, 'the attempt failed and will be repeated');
      return { id: job.id, status: 'failed', output: error };
    };

    const park = async (job, task, failure) => {
      const seconds = parkSeconds(failure.retry_after_seconds, task.parks, (Date.now() - task.created_at.getTime()) / 1000);
      if (seconds === undefined) return undefined;
      const { rows: [{ not_before: notBefore }] } = await untilDatabaseAnswers(() => database.query(
        'SELECT flowship.park_attempt($1, $2, $3, $4, $5, $6) AS not_before',
        [job.data.task_id, job.name, job.id, job.retryCount, seconds, failure.message],
      ), job.signal);
      if (notBefore === null) {
        log.warn({ reason: failure.message, code: failure.code }, 'the attempt had lost its job: its failure changes nothing');
        return { id: job.id, status: 'completed' };
      }
      metrics.increment('flowship_task_attempts_total', { workflow_id: job.data.workflow_id, outcome: 'parked' });
      log.warn({ reason: failure.message, code: failure.code, attempt: task.attempt, not_before: notBefore }, 'the task is parked, as it was asked for');
      // The queue hears a word about an attempt that it does not know any more, and leaves the job as it is.
      return { id: job.id, status: 'completed' };
    };

    function count(job, task, status, stored) {
      const workflow_id = job.data.workflow_id;
      metrics.increment('flowship_task_attempts_total', { workflow_id, outcome: stored ? status : 'lost' });
      if (!stored) return;
      metrics.increment('flowship_tasks_finished_total', { workflow_id, status });
      metrics.observe('flowship_task_duration_seconds', { workflow_id, status }, (Date.now() - task.created_at.getTime()) / 1000);
    }

    let shown;
    const show = (fill, text) => {
      if (shown !== text) this.status({ fill, shape: 'dot', text });
      shown = text;
    };

    // Follows what the operator decided about the queue, and looks after tasks that no attempt answers for.
    const control = async () => {
      try {
        await queue.ready;
        const wanted = !stopped && !(await drainingQueues(database)).has(queues.task);
        if (wanted && !fetching) {
          fetching = true;
          await queue.work(queues.task, concurrency, work);
        } else if (!wanted && fetching) {
          fetching = false;
          await queue.offWork(queues.task, { wait: false });
        }
        for (const task of await concludeAbandoned(database)) {
          metrics.increment('flowship_tasks_finished_total', { workflow_id: task.workflow_id, status: 'failed' });
          log.error({ abandoned_task: task.task_id }, 'every attempt at the task ended without an answer: it is stored as failed');
        }
        show(fetching ? 'green' : 'grey', fetching ? 'working' : 'draining');
      } catch (error) {
        if (!stopped) show('red', error.message.slice(0, 60));
      }
      if (!stopped) controlTimer = setTimeout(control, queues.control_poll_ms);
    };

    this.adopt = (queueName) => queue.work(queueName, 1, work);
    this.release = (queueName) => queue.offWork(queueName, { wait: false });

    const stop = async () => {
      stopped = true;
      clearTimeout(controlTimer);
      if (fetching) await queue.offWork(queues.task, { wait: false });
      fetching = false;
      await Promise.allSettled(inFlight);
    };

    postgres.workers.add(this);
    const leaveDrain = lifecycle.onDrain(`task-worker ${this.id}`, stop);
    control();
    this.on('close', async (done) => {
      postgres.workers.delete(this);
      leaveDrain?.();
      const patience = new Promise((resolve) => { setTimeout(resolve, 10_000).unref(); });
      await Promise.race([stop(), patience]);
      done();
    });
  });
};
