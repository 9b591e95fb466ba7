'use strict';
// pg-boss for all nodes of the process: started as soon as the database answers, never the end of it.

const { setTimeout: pause } = require('node:timers/promises');
const { PgBoss } = require('pg-boss');
const { databaseFailure } = require('./database');
const { Failure } = require('./failure');
const { queues } = require('./platform');

const START_PATIENCE_MS = 3000;

function queueOptions() {
  return {
    retryLimit: queues.retry_limit,
    retryDelay: queues.retry_delay_seconds,
    retryDelayMax: queues.retry_delay_max_seconds,
    retryBackoff: queues.retry_backoff,
    expireInSeconds: queues.expire_seconds,
    heartbeatSeconds: queues.heartbeat_seconds,
    retentionSeconds: queues.retention_seconds,
    deleteAfterSeconds: queues.delete_after_seconds,
    notify: true,
  };
}

class Queue {
  #stopping = new AbortController();
  #started = false;
  #startFailure;

  constructor({ settings, log, onUnavailable = () => {} }) {
    this.log = log;
    this.boss = new PgBoss({
      ...settings,
      max: 4,
      // A server that hangs must not hold a worker for ever.
      query_timeout: 30_000,
      migrate: false,
      createSchema: false,
      schedule: false,
      useListenNotify: true,
      superviseIntervalSeconds: queues.monitor_seconds,
      monitorIntervalSeconds: queues.monitor_seconds,
      // Rebuilding an index needs its owner; the application is not.
      reindex: false,
    });
    this.boss.on('error', (error) => {
      onUnavailable(error);
      this.log.warn({ queue_error: error.message }, 'the queue reports an error and goes on');
    });
    this.boss.on('warning', (warning) => this.log.warn({ queue_warning: warning.message }, 'the queue reports a warning'));
    this.ready = this.#start();
    this.ready.catch(() => {});
  }

  async #start() {
    let complained = '';
    for (;;) {
      try {
        await this.boss.start();
        await this.#ensureQueues();
        this.#started = true;
        return;
      } catch (error) {
        this.#startFailure = error;
        if (error.message !== complained) {
          complained = error.message;
          this.log.warn({ queue_error: error.message }, 'the queue cannot start yet and will be tried again');
        }
        await pause(500, undefined, { signal: this.#stopping.signal });
      }
    }
  }

  async #ensureQueues() {
    const forever = { retentionSeconds: queues.retention_seconds, deleteAfterSeconds: queues.delete_after_seconds };
    await this.#ensureQueue(queues.dead_letter, forever);
    await this.#ensureQueue(queues.task, { ...queueOptions(), deadLetter: queues.dead_letter });
  }

  async #ensureQueue(name, options) {
    if (await this.boss.getQueue(name) === null) await this.boss.createQueue(name, options);
    await this.boss.updateQueue(name, options);
  }

  // A replica is ready before its queue: the first requests wait for it, unless it is known not to start.
  async started() {
    if (this.#started) return;
    if (this.#startFailure === undefined) {
      await Promise.race([this.ready, pause(START_PATIENCE_MS, undefined, { ref: false })]).catch(() => {});
      if (this.#started) return;
    }
    throw new Failure(`the queue has not started: ${this.#startFailure?.message || 'PostgreSQL does not answer'}`, {
      code: 'database_unavailable', unavailable: 'database', cause: this.#startFailure,
    });
  }

  async send(name, data, client, id) {
    try {
      await this.boss.send(name, data, { id, db: inTransaction(client) });
    } catch (error) {
      throw databaseFailure(error);
    }
  }

  // A smoke run answers for this replica alone and at once: its queue has no second attempt.
  async createSmokeQueue(name) {
    await this.started();
    try {
      await this.boss.createQueue(name, { ...queueOptions(), retryLimit: 0 });
    } catch (error) {
      throw databaseFailure(error);
    }
  }

  async removeSmokeQueue(name) {
    await this.boss.deleteQueue(name);
  }

  // A worker of pg-boss pauses after each job; while there is work, ours looks again at once.
  async work(name, concurrency, handler) {
    const seconds = queues.poll_ms / 1000;
    const options = {
      includeMetadata: true,
      batchSize: 1,
      pollingIntervalSeconds: seconds,
      notifyPollingIntervalSeconds: seconds * 4,
      perJobResults: true,
    };
    for (let count = 0; count < concurrency; count += 1) {
      const worker = await this.boss.work(name, options, async ([job]) => {
        try {
          return [await handler(job)];
        } finally {
          this.boss.notifyWorker(worker);
        }
      });
    }
  }

  async offWork(name, options) {
    await this.boss.offWork(name, options);
  }

  async close(timeoutMs = 5000) {
    this.#stopping.abort();
    await this.ready.catch(() => {});
    await this.boss.stop({ graceful: true, timeout: timeoutMs });
  }
}

function inTransaction(client) {
  return { executeSql: (text, values) => client.query(text, values) };
}

module.exports = { Queue, inTransaction, queueOptions };
