'use strict';
// Takes tasks from one queue, hundreds at once, and works on each. One statement takes many, one heartbeat keeps all of
// them alive; a task in flight holds no connection. A worker of pg-boss holds one place for one job, or waits for the
// slowest of a batch.

const { untilDatabaseAnswers } = require('./database');
const { Batch } = require('./batch');
const { queues } = require('./platform');

const MOST_AT_ONCE = 64;
// While tasks come and go all the time, they are taken together.
const AFTER_NEWS_MS = 5;
const AFTER_END_MS = 20;

const numbers = (map) => JSON.stringify(Object.fromEntries(map));

class TaskLoop {
  #jobs = new Map();
  #running = new Map();
  #turns = new Map();
  #turn = 0;
  #characters = 0;
  #started = false;
  // Settles when what is being taken has begun.
  #taking;
  #again = false;
  // Whether more waits than was taken, as far as is known.
  #hungry = false;
  #taken = 0;
  #timer;
  #heartbeat;
  #leave;

  // `work(job)` -> {status: 'completed'}, {status: 'failed' or 'deadletter', output}, or undefined when nothing
  // is left to do about the job. `limits()` -> {workflow id: how many at once}. `report(error)`: null when all is well.
  constructor({ name, queue, database, inFlight, limits, work, report }) {
    Object.assign(this, { name, queue, database, inFlight, limits, work, report });
    this.completions = new Batch(async (jobs) => {
      await this.queue.boss.complete(this.name, jobs);
      return [];
    });
  }

  get size() {
    return this.#jobs.size;
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.#leave = this.queue.onNews(this.name, () => this.#soon(AFTER_NEWS_MS));
    this.#soon(0);
  }

  // Takes nothing new. -> when everything that was taken has ended
  async stop() {
    this.#started = false;
    clearTimeout(this.#timer);
    this.#leave?.();
    await this.#taking;
    await Promise.allSettled([...this.#jobs.values()].map(({ ended }) => ended));
  }

  #soon(ms) {
    if (!this.#started) return;
    if (this.#taking) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#take(), Math.max(0, this.#taken + ms - performance.now()));
  }

  #take() {
    const room = this.#characters > queues.in_flight_characters ? 0 : Math.min(MOST_AT_ONCE, this.inFlight - this.#jobs.size);
    this.#hungry = room <= 0;
    // Whoever ends looks again.
    if (!this.#started || room <= 0) return;
    this.#again = false;
    this.#taken = performance.now();
    this.#taking = this.#takeUpTo(room).then((wait) => {
      this.#taking = undefined;
      this.#soon(wait);
    });
  }

  // -> how long to wait until the next time, in milliseconds
  async #takeUpTo(room) {
    let wait = this.queue.listens ? queues.poll_ms * 4 : queues.poll_ms;
    try {
      const limits = this.limits();
      const { rows } = await this.database.query(
        `SELECT taken.*, (extract(epoch FROM clock_timestamp() - created_at) * 1000)::float AS age_ms
         FROM flowship.take_tasks($1, $2, $3, $4, $5, $6) taken`,
        [this.name, room, numbers(this.#running), numbers(this.#turns), JSON.stringify(limits), queues.concurrency],
      );
      this.#turn += 1;
      for (const row of rows) this.#begin(row);
      const full = (count, workflow) => count >= (limits[workflow] ?? queues.concurrency);
      this.#hungry = rows.length >= room || [...this.#running].some(([workflow, count]) => full(count, workflow));
      if (rows.length >= room || this.#again) wait = AFTER_NEWS_MS;
      this.report(null);
    } catch (error) {
      this.report(error);
    }
    return wait;
  }

  #begin(row) {
    const controller = new AbortController();
    const job = {
      id: row.job,
      name: this.name,
      retryCount: row.retry_count,
      retryLimit: row.retry_limit,
      taskId: row.task_id,
      workflowId: row.workflow_id,
      // A task that has ended before has no more to it.
      // Its age is the database's: the clock of this machine may be off.
      task: row.created_at === null ? undefined : { input: JSON.parse(row.input), accepted: performance.now() - row.age_ms, parks: row.parks },
      signal: controller.signal,
    };
    const characters = row.input?.length ?? 0;
    const timer = setTimeout(() => controller.abort(), row.expire_seconds * 1000);
    this.#characters += characters;
    this.#turns.set(job.workflowId, this.#turn);
    this.#running.set(job.workflowId, (this.#running.get(job.workflowId) ?? 0) + 1);
    const ended = this.#attempt(job).finally(() => {
      clearTimeout(timer);
      if (this.#jobs.get(job.id)?.job === job) this.#jobs.delete(job.id);
      this.#characters -= characters;
      const left = this.#running.get(job.workflowId) - 1;
      if (left === 0) this.#running.delete(job.workflowId);
      else this.#running.set(job.workflowId, left);
      if (this.#hungry) this.#soon(AFTER_END_MS);
    });
    // An attempt that has lost its job may still be at work when the next one comes here too.
    this.#jobs.get(job.id)?.controller.abort();
    this.#jobs.set(job.id, { job, controller, ended });
    this.#heartbeat ??= setInterval(() => this.#beat(), queues.heartbeat_seconds * 500);
  }

  async #attempt(job) {
    try {
      const outcome = await this.work(job);
      if (outcome !== undefined) await untilDatabaseAnswers(() => this.#settle(job, outcome), job.signal);
    } catch (error) {
      // The queue repeats it when the attempt's time is over or the heartbeat lapsed.
      this.report(error);
    }
  }

  async #settle(job, { status, output }) {
    const { boss } = this.queue;
    const claim = { id: job.id, retryCount: job.retryCount };
    if (status === 'completed') return this.completions.add(Object.assign(claim, { length: 1 }));
    if (status === 'deadletter' && job.retryCount < job.retryLimit) {
      await this.database.query(
        "UPDATE pgboss.job SET retry_limit = retry_count WHERE name = $1 AND id = $2 AND state = 'active' AND retry_count = $3",
        [this.name, job.id, job.retryCount],
      );
    }
    return boss.fail(this.name, [claim], output);
  }

  // One sign of life for all; an attempt whose job is another's by now ends.
  async #beat() {
    const held = [...this.#jobs.values()].map(({ job: { id, retryCount } }) => ({ id, retryCount }));
    if (held.length === 0) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = undefined;
      return;
    }
    try {
      const alive = new Set((await this.queue.boss.touch(this.name, held)).settled);
      for (const { id } of held) if (!alive.has(id)) this.#jobs.get(id)?.controller.abort();
    } catch (error) {
      this.report(error);
    }
  }
}

module.exports = { TaskLoop };
