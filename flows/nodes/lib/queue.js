'use strict';
// pg-boss for all nodes of the process: started as soon as the database answers, never the end of it.

const crypto = require('node:crypto');
const { setTimeout: pause } = require('node:timers/promises');
const { PgBoss } = require('pg-boss');
const { databaseFailure, followLogin } = require('./database');
const { Failure } = require('./failure');
const { queues } = require('./platform');

const START_PATIENCE_MS = 3000;
// Where pg-boss says that a job was sent, for its schema `pgboss`; it offers no other way to hear of it than a worker.
const CHANNEL = `pgboss_${crypto.createHash('sha224').update('pgboss').digest('hex').slice(0, 24)}`;

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
  #news = new Map();
  #listening;
  #stopFollowing;

  constructor({ settings, log, hold, onUnavailable = () => {} }) {
    this.log = log;
    this.hold = hold;
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
    // pg-boss listens with clients of its own, for which it reads these settings each time; a login that was rotated ends them.
    this.login = settings.login;
    if (settings.login) Object.defineProperty(this.boss.getDb().config, 'user', { enumerable: true, get: () => settings.login().user });
    this.boss.on('error', (error) => {
      onUnavailable(error);
      this.log.warn({ queue_error: error.message }, 'the queue reports an error and goes on');
    });
    this.boss.on('warning', (warning) => this.log.warn({ queue_warning: warning.message }, 'the queue reports a warning'));
    const held = hold.reason() !== null;
    this.ready = this.#untilDone(() => this.#start());
    this.ready.catch(() => {});
    if (held) Promise.all([this.ready, hold.admitted()]).then(() => this.#untilDone(() => this.#ensureQueues())).catch(() => {});
  }

  async #start() {
    await this.boss.start();
    if (this.login) this.#stopFollowing ??= followLogin(this.boss.getDb().pool, this.login);
    await this.#ensureQueues();
    await this.#listen();
    this.#started = true;
  }

  async #untilDone(work) {
    let complained = '';
    for (;;) {
      try {
        return await work();
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

  // News only save time: who missed them finds the job when it looks next.
  async #listen() {
    const all = () => { for (const heard of this.#news.values()) heard(); };
    try {
      this.#listening ??= await this.boss.getDb().listen(CHANNEL, (name) => this.#news.get(name)?.(), all);
    } catch (error) {
      this.log.warn({ queue_error: error.message }, 'the queue cannot be listened to; it is asked more often instead');
    }
  }

  get listens() {
    return this.#listening !== undefined;
  }

  // `heard` is called when a job was sent to the queue. -> a function that ends this
  onNews(name, heard) {
    this.#news.set(name, heard);
    return () => { if (this.#news.get(name) === heard) this.#news.delete(name); };
  }

  async #ensureQueues() {
    const forever = { retentionSeconds: queues.retention_seconds, deleteAfterSeconds: queues.delete_after_seconds };
    await this.#ensureQueue(queues.dead_letter, forever);
    await this.#ensureQueue(queues.task, { ...queueOptions(), deadLetter: queues.dead_letter });
  }

  async #ensureQueue(name, options) {
    if (await this.boss.getQueue(name) === null) await this.boss.createQueue(name, options);
    // Others work on it, and this release may never be admitted.
    if (this.hold.reason() !== null) return;
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

  // `db` carries pg-boss's statement out: in a transaction, or within a statement of its own.
  async send(name, data, db, options) {
    try {
      await this.boss.send(name, data, { ...options, db });
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

  // One job at a time, for a queue that has no tasks in it.
  async work(name, handler) {
    const seconds = queues.poll_ms / 1000;
    await this.boss.work(name, { batchSize: 1, pollingIntervalSeconds: seconds, notifyPollingIntervalSeconds: seconds * 4 }, ([job]) => handler(job));
  }

  async offWork(name, options) {
    await this.boss.offWork(name, options);
  }

  async close(timeoutMs = 5000) {
    this.#stopping.abort();
    await this.ready.catch(() => {});
    this.#stopFollowing?.();
    await this.#listening?.close();
    await this.boss.stop({ graceful: true, timeout: timeoutMs });
  }
}

function inTransaction(client) {
  return { executeSql: (text, values) => client.query(text, values) };
}

module.exports = { Queue, inTransaction, queueOptions };
