'use strict';
// One pool for all nodes of the process. It outlives the server: what it throws says whether the database
// is away (try again) or the statement is wrong (do not).

const pg = require('pg');
const { Failure } = require('./failure');

const AWAY = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH',
  '57P01', '57P02', '57P03', '57P05', '53300', '25006', '28P01', '3D000',
]);
const AWAY_MESSAGE = /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|the database system is)/;

function isAway(error) {
  if (error.unavailable === 'database') return true;
  const code = String(error.code ?? '');
  return AWAY.has(code) || code.startsWith('08') || AWAY_MESSAGE.test(error.message ?? '');
}

function databaseFailure(error) {
  if (error instanceof Failure) return error;
  if (isAway(error)) {
    return new Failure(`PostgreSQL does not answer: ${error.message || error.code}`, {
      code: 'database_unavailable', unavailable: 'database', cause: error,
    });
  }
  return error;
}

function connectionSettings(postgres, readSecret, applicationName) {
  return {
    host: postgres.host,
    port: postgres.port,
    database: postgres.database,
    user: postgres.user,
    // Read for each connection, so that a rotated password needs no restart.
    password: async () => readSecret(postgres.passwordFile),
    application_name: applicationName,
    connectionTimeoutMillis: 2000,
    keepAlive: true,
  };
}

class Database {
  constructor({ settings, report = () => {}, onQuery = () => {} }) {
    this.report = report;
    this.onQuery = onQuery;
    this.pool = new pg.Pool({
      max: 10, idleTimeoutMillis: 30_000, statement_timeout: 5000, query_timeout: 6000, ...settings,
    });
    // An idle connection that breaks is replaced by the pool; unheard, the event would end the process.
    this.pool.on('error', (error) => this.report(error));
  }

  async query(text, values) {
    return this.#observed(() => this.pool.query(text, values));
  }

  async transaction(work) {
    return this.#observed(async () => {
      const client = await this.pool.connect();
      let broken;
      const onError = (error) => { broken = error; };
      client.on('error', onError);
      try {
        await client.query('BEGIN');
        const result = await work(client);
        await client.query('COMMIT');
        return result;
      } catch (error) {
        if (broken === undefined && !isAway(error)) {
          await client.query('ROLLBACK').catch((rollbackError) => { broken = rollbackError; });
        } else {
          broken ??= error;
        }
        throw error;
      } finally {
        client.removeListener('error', onError);
        client.release(broken);
      }
    });
  }

  async #observed(work) {
    const started = performance.now();
    try {
      const result = await work();
      this.onQuery('ok', (performance.now() - started) / 1000);
      this.report(null);
      return result;
    } catch (error) {
      const failure = databaseFailure(error);
      this.onQuery(failure.unavailable === 'database' ? 'unavailable' : 'error', (performance.now() - started) / 1000);
      // An answer with an error is an answer.
      this.report(failure.unavailable === 'database' ? failure : null);
      throw failure;
    }
  }

  async close() {
    await this.pool.end();
  }
}

// Keeps trying while the database is away: for what must not be lost, such as the result of a finished attempt.
async function untilDatabaseAnswers(work, signal, pauseMs = 500) {
  const { setTimeout: pause } = require('node:timers/promises');
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error)) throw error;
      if (signal?.aborted) throw error;
      await pause(pauseMs, undefined, { signal }).catch(() => { throw error; });
    }
  }
}

module.exports = { Database, connectionSettings, databaseFailure, isAway, untilDatabaseAnswers };
