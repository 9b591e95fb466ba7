'use strict';
// Offers tasks to a platform that runs, for `cargo xtask bench tasks`: `node load.js MODE SETTINGS`, both from the
// program; the result is one JSON object on stdout. Times between acceptance and stored result are PostgreSQL's own, so
// that asking for them costs the platform nothing while it works.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');
const pg = require('pg');
const { PgBoss } = require('pg-boss');

const CONNECTIONS = 16;
const LOOK_MS = 250;
const BARE_QUEUE = 'bench-bare';

function read(file) {
  return fs.readFileSync(file, 'utf8').trim();
}

function connection({ postgres }) {
  return { host: postgres.host, port: postgres.port, database: postgres.database, user: postgres.user, password: read(postgres.password_file) };
}

async function withBoss(settings, work) {
  const boss = new PgBoss({ ...connection(settings), max: 8, migrate: false, createSchema: false, schedule: false, supervise: false });
  boss.on('error', () => {});
  await boss.start();
  try {
    return await work(boss);
  } finally {
    await boss.stop({ graceful: false });
  }
}

async function withClient(settings, work) {
  const client = new pg.Client(connection(settings));
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function caller({ apis, key_file: keyFile }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 512 });
  const authorization = `Bearer ${read(keyFile)}`;
  let turn = 0;
  const call = (method, where, body) => new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    turn += 1;
    const request = http.request(`${apis[turn % apis.length]}${where}`, {
      method,
      agent,
      headers: { authorization, ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) },
    }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(parts).toString();
        if (response.statusCode < 300) resolve(JSON.parse(answer));
        else reject(new Error(`${method} ${where} answered ${response.statusCode}: ${answer.slice(0, 300)}`));
      });
    });
    request.on('error', reject);
    request.end(text);
  });
  return { call, close: () => agent.destroy() };
}

// So many at once, until `more` says no.
async function atOnce(width, more, work) {
  await Promise.all(Array.from({ length: width }, async () => {
    while (more()) await work();
  }));
}

function percentiles(seconds) {
  const sorted = [...seconds].sort((left, right) => left - right);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p99: at(0.99) };
}

// The least that a worker on pg-boss does: one job is sent by one statement; jobs are fetched and completed one by one by
// as many as send, or by one in batches.
async function bare(settings) {
  return withBoss(settings, async (boss) => {
    await boss.createQueue(BARE_QUEUE);
    let left = settings.count;
    const sending = performance.now();
    await atOnce(CONNECTIONS, () => { left -= 1; return left >= 0; }, () => boss.send(BARE_QUEUE, { task_id: crypto.randomUUID() }));
    const sent = (performance.now() - sending) / 1000;
    const before = process.cpuUsage();
    const working = performance.now();
    let done = 0;
    let more = true;
    await atOnce(settings.batch > 1 ? 1 : CONNECTIONS, () => more, async () => {
      const jobs = await boss.fetch(BARE_QUEUE, { batchSize: settings.batch });
      more &&= jobs.length > 0;
      if (jobs.length > 0) await boss.complete(BARE_QUEUE, jobs);
      done += jobs.length;
    });
    const worked = (performance.now() - working) / 1000;
    const { user, system } = process.cpuUsage(before);
    await boss.deleteQueue(BARE_QUEUE);
    return { sends_per_second: settings.count / sent, done_per_second: done / worked, processor_seconds: (user + system) / 1e6 / done };
  });
}

// `rate` tasks a second, 0 for as many as are accepted, for so many seconds; then waits for the results that come.
async function offer(settings) {
  const { call, close } = caller(settings);
  return withClient(settings, async (client) => {
    const { rows: [{ begun }] } = await client.query('SELECT clock_timestamp()::text AS begun');
    const body = { input: settings.input };
    let accepted = 0;
    let failure;
    const submit = async () => {
      await call('POST', `/api/v1/workflows/${settings.workflow}/tasks`, body);
      accepted += 1;
    };
    const begin = performance.now();
    const until = begin + settings.seconds * 1000;
    if (settings.rate === 0) {
      await atOnce(CONNECTIONS, () => performance.now() < until, submit);
    } else {
      const open = new Set();
      for (let offered = 0; offered < settings.rate * settings.seconds; offered += 1) {
        const wait = begin + offered * 1000 / settings.rate - performance.now();
        if (wait > 1) await pause(wait);
        const one = submit().catch((error) => { failure ??= error; }).finally(() => open.delete(one));
        open.add(one);
      }
      await Promise.all(open);
      if (failure !== undefined) throw failure;
    }
    const submitting = (performance.now() - begin) / 1000;
    const giveUp = performance.now() + settings.settle_seconds * 1000;
    for (;;) {
      const { rows: [{ stored }] } = await client.query('SELECT count(*)::int AS stored FROM flowship.task_results WHERE stored_at >= $1', [begun]);
      if (stored >= accepted || performance.now() > giveUp) break;
      await pause(LOOK_MS);
    }
    close();
    const { rows: [found] } = await client.query(
      `SELECT count(*)::int AS stored, count(*) FILTER (WHERE r.status <> 'completed')::int AS failed,
              extract(epoch FROM max(r.stored_at) - min(t.created_at))::float AS since_first,
              extract(epoch FROM max(r.stored_at) - min(r.stored_at))::float AS between,
              percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM r.stored_at - t.created_at)::float) AS took
       FROM flowship.tasks t JOIN flowship.task_results r USING (task_id) WHERE t.created_at >= $1`, [begun],
    );
    if (found.stored === 0 || found.failed > 0) throw new Error(`of ${accepted} tasks ${found.stored} ended and ${found.failed} failed`);
    const delay = settings.delay_seconds;
    return {
      accepted,
      stored: found.stored,
      submits_per_second: accepted / submitting,
      tasks_per_second: delay === 0 ? found.stored / found.since_first : found.stored / Math.max(found.between, 1e-3),
      overhead_p50: found.took[0] - delay,
      overhead_p99: found.took[1] - delay,
    };
  });
}

// What the API answers while so many tasks wait: they are put there at once, and nobody works on them.
async function queued(settings) {
  const { call, close } = caller(settings);
  await call('POST', '/api/v1/queues/tasks/drain', {});
  const waiting = Array.from({ length: settings.count }, () => crypto.randomUUID());
  await withClient(settings, (client) => client.query(
    `WITH task AS (INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key)
       SELECT id, $2, 'tasks', $3, 'bootstrap' FROM unnest($1::uuid[]) AS id RETURNING task_id)
     INSERT INTO flowship.task_transitions (task_id, status) SELECT task_id, 'queued' FROM task`,
    [waiting, settings.workflow, JSON.stringify(settings.input)],
  ));
  await withBoss(settings, (boss) => boss.insert('tasks', waiting.map((id) => ({ id, data: { task_id: id, workflow_id: settings.workflow } }))));
  const timed = async (count, width, work) => {
    const seconds = [];
    let left = count;
    const begin = performance.now();
    await atOnce(width, () => { left -= 1; return left >= 0; }, async () => {
      const before = performance.now();
      await work();
      seconds.push((performance.now() - before) / 1000);
    });
    return { per_second: count / ((performance.now() - begin) / 1000), ...percentiles(seconds) };
  };
  const { queued: found } = await call('GET', '/api/v1/queues/tasks');
  if (found < settings.count) throw new Error(`${found} tasks are queued instead of ${settings.count}`);
  const submits = await timed(settings.requests, CONNECTIONS, () => call('POST', `/api/v1/workflows/${settings.workflow}/tasks`, { input: settings.input }));
  const tasks = await timed(settings.requests, 4, () => call('GET', `/api/v1/tasks/${waiting[Math.floor(Math.random() * waiting.length)]}`));
  const queues = await timed(settings.requests, 4, () => call('GET', '/api/v1/queues'));
  close();
  return { submits, tasks, queues };
}

const MODES = { bare, offer, queued };
const [mode, settings] = process.argv.slice(2);
MODES[mode](JSON.parse(settings)).then((result) => process.stdout.write(`${JSON.stringify(result)}\n`), (error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
