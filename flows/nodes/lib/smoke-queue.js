'use strict';
// A smoke run has a queue of its own, so that a replica answers for itself; the queue ends with the run.

const crypto = require('node:crypto');
const { Failure } = require('./failure');
const { queues, smoke } = require('./platform');

// Longer than any run, also of another release.
const ABANDONED_AFTER_SECONDS = 4 * smoke.time_limit_ms / 1000;

async function withSmokeQueue(queue, { runId, log, whatIsDown, limitMs = smoke.time_limit_ms - 1500 }, work) {
  const name = `${queues.smoke_prefix}${runId}-${crypto.randomBytes(3).toString('hex')}`;
  await queue.createSmokeQueue(name);
  let timer;
  const deadline = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Failure(`no end after ${limitMs} ms${whatIsDown()}`, { code: 'smoke_timeout' })), limitMs);
  });
  deadline.catch(() => {});
  try {
    return await work(name, deadline);
  } finally {
    clearTimeout(timer);
    await remove(queue, name).catch((error) => log.warn({ queue: name, reason: error.message }, 'the queue of a smoke run could not be removed'));
  }
}

// What a run left behind whose replica was killed, or could not reach the database at its end.
async function removeAbandoned({ database, queue }) {
  const { rows } = await database.query(
    'SELECT name FROM pgboss.queue WHERE starts_with(name, $1) AND created_on < now() - make_interval(secs => $2)',
    [queues.smoke_prefix, ABANDONED_AFTER_SECONDS],
  );
  for (const { name } of rows) {
    await database.query('SELECT flowship.forget_smoke_tasks($1)', [name]);
    await queue.removeSmokeQueue(name);
  }
}

async function remove(queue, name) {
  await queue.offWork(name, { wait: true });
  await queue.removeSmokeQueue(name);
}

module.exports = { removeAbandoned, withSmokeQueue };
