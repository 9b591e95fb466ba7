'use strict';
// One pool for all nodes of the process. It outlives the server: what it throws says whether the database
// is away (try again) or the statement is wrong (do not).

const pg = require('pg');
const { Failure } = require('./failure');

const AWAY = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH',
  '57P01', '57P02', '57P03', '57P05', '53300', '25006', '28000', '28P01', '3D000',
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

// How often a pool looks whether its login has changed, and for how long it then looks for connections with the former one.
const LOOK_MS = 500;
const REPLACING_MS = 60_000;

// `USER:PASSWORD`, or the password of the role that the platform names.
function loginOf(postgres, readSecret) {
  const text = readSecret(postgres.passwordFile);
  const colon = text.indexOf(':');
  return colon < 0 ? { user: postgres.user, password: text } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

// Reads its login when it connects: user and password change together, and need no restart.
class LoginClient extends pg.Client {
  #login;

  constructor(settings) {
    super(settings);
    this.#login = settings.login;
  }

  connect(callback) {
    try {
      const { user, password } = this.#login();
      this.user = user;
      this.connectionParameters.user = user;
      this.password = password;
      this.connectionParameters.password = password;
    } catch (error) {
      if (callback === undefined) return Promise.reject(error);
      process.nextTick(callback, error);
      return undefined;
    }
    return super.connect(callback);
  }
}

// Connections with a former login are closed while nobody uses them. Not by their age: a machine that is short of time would
// have to connect all the time. -> a function that ends this
function followLogin(pool, login) {
  let user;
  let until = 0;
  const look = () => {
    let now;
    try {
      now = login().user;
    } catch {
      return; // Who needs a connection hears of it.
    }
    if (user !== undefined && now !== user) until = Date.now() + REPLACING_MS;
    user = now;
    if (Date.now() > until) return;
    for (let idle = pool.idleCount; idle > 0; idle -= 1) {
      pool.connect().then((client) => client.release(client.user !== now), () => {});
    }
  };
  look();
  const looking = setInterval(look, LOOK_MS).unref();
  return () => clearInterval(looking);
}

function connectionSettings(postgres, readSecret, applicationName) {
  const login = () => loginOf(postgres, readSecret);
  return {
    Client: LoginClient,
    login,
    host: postgres.host,
    port: postgres.port,
    database: postgres.database,
    user: postgres.user,
    password: async () => login().password,
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
    if (settings.login) this.stopFollowing = followLogin(this.pool, settings.login);
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
    this.stopFollowing?.();
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

module.exports = { Database, connectionSettings, databaseFailure, followLogin, isAway, untilDatabaseAnswers };
