'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { launcherOf } = require('./lib/launcher');
const { isAway, untilDatabaseAnswers } = require('./lib/database');
const { shortened } = require('./lib/failure');
const { knownLimits } = require('./lib/limits');
const { outcomesTo } = require('./lib/outcomes');
const { parkSeconds } = require('./lib/parking');
const { queues } = require('./lib/platform');
const { concludeAbandoned, drainingQueues } = require('./lib/queue-administration');
const { removeAbandoned } = require('./lib/smoke-queue');
const { storable } = require('./lib/storable');
const { TaskLoop } = require('./lib/task-loop');

// How long a deployment waits for what this node works on, and a smoke run for its one task.
const PATIENCE_MS = 10_000;
const RELEASE_MS = 1_000;

const ageSeconds = (task) => (performance.now() - task.accepted) / 1000;

const HANDED_BACK = Object.freeze({ code: 'handed_back', message: 'the replica that worked on it stops; another one goes on' });

module.exports = (RED) => {
  RED.nodes.registerType('task-worker', function TaskWorker(definition) {
    RED.nodes.createNode(this, definition);
    const { hide, hold, labels, lifecycle, log, metrics } = launcherOf(RED, 'task-worker');
    const postgres = RED.nodes.getNode(definition.database);
    const { attempts, database, queue } = postgres;
    let stopped = false;
    let controlTimer;
    let concluded = 0;

    let limits;
    const limitsNow = () => {
      limits ??= Object.fromEntries([...knownLimits(RED)].flatMap(([id, { concurrency }]) => (concurrency === undefined ? [] : [[id, concurrency]])));
      return limits;
    };
    // The workflows may have changed with the same deployment that left this node alone.
    const forgetLimits = () => { limits = undefined; };
    RED.events.on('flows:started', forgetLimits);

    let complained;
    const report = (error) => {
      if (error !== null && error.message !== complained && !stopped) log.warn({ queue_error: error.message }, 'the worker cannot reach its queue and goes on trying');
      complained = error?.message;
    };

    const loopOn = (name, inFlight) => new TaskLoop({ name, queue, database, inFlight, limits: limitsNow, report, work });
    const loop = loopOn(queues.task, Number(definition.concurrency) || queues.in_flight);
    const outcomes = outcomesTo(postgres);

    // The loop settles the job by what this returns; the result is stored before, whatever becomes of the job.
    const { id: nodeId } = this;
    function work(job) {
      return labels.run({ node_id: nodeId, task_id: job.taskId, workflow_id: job.workflowId }, () => runAttempt(job));
    }

    const runAttempt = async (job) => {
      const { taskId, workflowId, task } = job;
      if (task === undefined) {
        log.info({ queue: job.name }, 'the task has ended before: nothing to do');
        return { status: 'completed' };
      }
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

    // Each of them is JSON already.
    const finish = async (job, task, status, { result = null, error = null, cleaned = null }) => {
      const text = `{"task_id":"${job.taskId}","status":"${status}","result":${result},"error":${error},"cleaned":${cleaned}}`;
      const stored = await untilDatabaseAnswers(() => outcomes.add({ job, status, text, length: text.length }), job.signal);
      count(job, task, status, stored);
    };

    // With the result the job has ended.
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
      return undefined;
    };

    const fail = async (job, task, found) => {
      if (found === HANDED_BACK) return handBack(job, task);
      const failure = { ...found, message: hide(found.message) };
      const error = { code: failure.code, message: failure.message, attempt: task.attempt };
      if (failure.permanent !== true && failure.retry_after_seconds != null) {
        // Its job is not this attempt's any more.
        if (await park(job, task, failure)) return undefined;
      }
      if (job.retryCount >= job.retryLimit || failure.permanent === true) {
        await finish(job, task, 'failed', { error: JSON.stringify(error) });
        log.error({ ...failure.origin, reason: error.message, code: error.code }, 'the task failed for good and goes to the dead letters');
        return { status: 'deadletter', output: error };
      }
      await untilDatabaseAnswers(() => database.query(
        "UPDATE flowship.tasks SET last_error = $2, updated_at = now() WHERE task_id = $1 AND status = 'running'",
        [job.taskId, error.message],
      ), job.signal);
      metrics.increment('flowship_task_attempts_total', { workflow_id: job.workflowId, outcome: 'retried' });
      log.warn({ ...failure.origin, reason: error.message, code: error.code, attempt: error.attempt }, 'the attempt failed and will be repeated');
      return { status: 'failed', output: error };
    };

    // -> when it may be taken again; null when the attempt had lost its job. The attempt is not used up.
    const putBack = async (job, seconds, reason) => {
      const { rows: [{ not_before: notBefore }] } = await untilDatabaseAnswers(() => database.query(
        'SELECT flowship.park_attempt($1, $2, $3, $4, $5, $6) AS not_before',
        [job.taskId, job.name, job.id, job.retryCount, seconds, reason],
      ), job.signal);
      return notBefore;
    };

    const handBack = async (job, task) => {
      await putBack(job, 0, HANDED_BACK.message);
      metrics.increment('flowship_task_attempts_total', { workflow_id: job.workflowId, outcome: HANDED_BACK.code });
      log.warn({ queue: job.name, attempt: task.attempt }, 'the task did not end before the replica stops and goes back to the queue');
      return undefined;
    };

    const park = async (job, task, failure) => {
      const seconds = parkSeconds(failure.retry_after_seconds, task.parks, ageSeconds(task));
      if (seconds === undefined) return false;
      const notBefore = await putBack(job, seconds, failure.message);
      if (notBefore === null) {
        log.warn({ ...failure.origin, reason: failure.message, code: failure.code }, 'the attempt had lost its job: its failure changes nothing');
        return true;
      }
      metrics.increment('flowship_task_attempts_total', { workflow_id: job.workflowId, outcome: 'parked' });
      log.warn({ ...failure.origin, reason: failure.message, code: failure.code, attempt: task.attempt, not_before: notBefore }, 'the task is parked, as it was asked for');
      return true;
    };

    function count(job, task, status, stored) {
      const workflow_id = job.workflowId;
      metrics.increment('flowship_task_attempts_total', { workflow_id, outcome: stored ? status : 'lost' });
      if (!stored) return;
      metrics.increment('flowship_tasks_finished_total', { workflow_id, status });
      metrics.observe('flowship_task_duration_seconds', { workflow_id, status }, ageSeconds(task));
    }

    let shown;
    const show = (fill, text) => {
      if (shown !== text) this.status({ fill, shape: 'dot', text });
      shown = text;
    };

    // Follows what the operator decided about the queue, and looks after tasks that no attempt answers for.
    const control = async () => {
      try {
        if (hold.reason() !== null) show('grey', 'held');
        await hold.admitted();
        await queue.ready;
        const wanted = !(await drainingQueues(database)).has(queues.task);
        if (stopped) return;
        if (wanted) loop.start();
        else loop.stop();
        const due = performance.now() - concluded >= queues.monitor_seconds * 1000;
        if (due) concluded = performance.now();
        for (const task of due ? await concludeAbandoned(database) : []) {
          metrics.increment('flowship_tasks_finished_total', { workflow_id: task.workflow_id, status: 'failed' });
          log.error({ abandoned_task: task.task_id }, 'every attempt at the task ended without an answer: it is stored as failed');
        }
        if (due) await removeAbandoned(postgres);
        show(wanted ? 'green' : 'grey', wanted ? 'working' : 'draining');
      } catch (error) {
        if (!stopped) show('red', error.message.slice(0, 60));
      }
      if (!stopped) controlTimer = setTimeout(control, queues.control_poll_ms);
    };

    // -> what releases it
    this.adopt = (queueName) => {
      const adopted = loopOn(queueName, 1);
      adopted.start();
      return () => Promise.race([adopted.stop(), pause(RELEASE_MS, undefined, { ref: false })]);
    };

    const stop = () => {
      stopped = true;
      clearTimeout(controlTimer);
      return loop.stop();
    };

    postgres.workers.add(this);
    const leaveDrain = lifecycle.onDrain(`task-worker ${this.id}`, (late) => {
      late.addEventListener('abort', () => attempts.settleAll({ failure: HANDED_BACK }));
      return stop();
    });
    control();
    this.on('close', async (done) => {
      postgres.workers.delete(this);
      leaveDrain?.();
      RED.events.removeListener('flows:started', forgetLimits);
      await Promise.race([stop(), pause(PATIENCE_MS, undefined, { ref: false })]);
      done();
    });
  });
};
