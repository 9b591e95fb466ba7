'use strict';
// The migrations, on a real PostgreSQL: the queue's schema is pg-boss's own, the rules hold for every client.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const pg = require('pg');
const { getConstructionPlans, PgBoss } = require('pg-boss');
const { pageQuery, readFilter } = require('../../nodes/lib/task-pages');
const { Postgres } = require('../platform');

const MIGRATIONS = path.join(__dirname, '..', '..', 'migrations');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-migrations-'));
fs.chmodSync(folder, 0o755);
let postgres;
before(async () => {
  postgres = new Postgres(folder);
  await postgres.initialise();
});
after(async () => {
  await postgres?.child?.stop('SIGQUIT');
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function asApplication(text, values) {
  const client = new pg.Client({ host: '127.0.0.1', port: postgres.port, database: 'flowship', user: 'flowship_app', password: 'application-of-the-test' });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function task(id, status = 'queued') {
  await asApplication('INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, status) VALUES ($1, $2, $3, $4, $5, $6)', [id, 'w', 'tasks', '{}', 'k', status]);
}

test("the queue's schema is the plan of the installed pg-boss", () => {
  const lines = (text) => text.split('\n').map((line) => line.trim()).filter((line) => !['', 'BEGIN;', 'COMMIT;'].includes(line));
  const migration = fs.readFileSync(path.join(MIGRATIONS, '20261101000001_pgboss_schema.sql'), 'utf8');
  const [, up] = /-- migrate:up\n([\s\S]*)-- migrate:down/.exec(migration);
  assert.deepEqual(lines(up), lines(getConstructionPlans('pgboss')), 'pg-boss changed: add a migration made of getMigrationPlans');
});

test('a task has one result and one transition for a status, and one end', async () => {
  const id = '10000000-0000-4000-8000-000000000001';
  await task(id);
  const finish = (status, result, error) => asApplication('SELECT flowship.finish_task($1, $2, $3, $4) AS stored', [id, status, result, error]);
  const answers = await Promise.all([finish('completed', '{"a":1}', null), finish('failed', null, '{"message":"no"}'), finish('completed', '{"a":2}', null)]);
  assert.equal(answers.filter(([{ stored }]) => stored).length, 1);
  const [{ results, ends }] = await postgres.query(
    `SELECT (SELECT count(*)::int FROM flowship.task_results WHERE task_id = $1) AS results,
            (SELECT count(*)::int FROM flowship.task_transitions WHERE task_id = $1 AND status <> 'queued') AS ends`, [id],
  );
  assert.deepEqual({ results, ends }, { results: 1, ends: 1 });
  await assert.rejects(asApplication("INSERT INTO flowship.task_transitions (task_id, status) VALUES ($1, 'completed'), ($1, 'failed')", [id]), { code: '23505' });
  assert.deepEqual(await asApplication('SELECT * FROM flowship.begin_attempt($1)', [id]), [], 'an ended task is not begun again');
});

test('a result is complete: a completed task has a result, a failed one an error', async () => {
  const id = '10000000-0000-4000-8000-000000000002';
  await task(id);
  for (const [status, result, error] of [['completed', null, null], ['failed', '{}', null], ['completed', '{}', '{}']]) {
    await assert.rejects(asApplication('INSERT INTO flowship.task_results (task_id, status, result, error) VALUES ($1, $2, $3, $4)', [id, status, result, error]), { code: '23514' });
  }
});

test('the application cannot change or remove what was stored, nor the schema', async () => {
  for (const statement of [
    "UPDATE flowship.task_results SET result = '{}'", 'DELETE FROM flowship.task_results', 'DELETE FROM flowship.task_transitions',
    'DELETE FROM flowship.tasks', "UPDATE flowship.tasks SET input = '{}'", 'DELETE FROM flowship.api_keys', 'TRUNCATE flowship.tasks',
    'CREATE TABLE flowship.mine (n int)', 'CREATE TABLE pgboss.mine (n int)', 'CREATE TABLE public.mine (n int)', 'DROP TABLE pgboss.job',
  ]) await assert.rejects(asApplication(statement), { code: '42501' }, statement);
});

test('only the tasks of a smoke run can be forgotten', async () => {
  const id = '10000000-0000-4000-8000-000000000003';
  await task(id);
  const [{ forgotten }] = await asApplication("SELECT flowship.forget_smoke_tasks('tasks')::int AS forgotten");
  assert.equal(forgotten, 0);
});

test('each page of 100,000 tasks is found without reading them all', async () => {
  await postgres.query(`
    INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, status, created_at)
    SELECT gen_random_uuid(), 'workflow-' || n % 7, 'tasks', '{}', 'k',
           CASE WHEN n % 500 = 0 THEN 'failed' WHEN n > 99900 THEN 'queued' ELSE 'completed' END, now() - n * interval '1 second'
    FROM generate_series(1, 100000) n`);
  await postgres.query('ANALYZE flowship.tasks');
  const nodes = (plan) => [plan, ...(plan.Plans ?? []).flatMap(nodes)];
  for (const query of [
    {}, { status: 'failed' }, { status: 'queued' }, { status: 'running' }, { status: 'completed' }, { workflow_id: 'workflow-3' },
    { workflow_id: 'workflow-3', status: 'failed' }, { workflow_id: 'workflow-3', status: 'completed' }, { workflow_id: 'gone' },
  ]) {
    const cursor = Buffer.from(`${(Date.now() - 50_000_000) * 1000}.10000000-0000-4000-8000-000000000001`).toString('base64url');
    for (const from of [query, { ...query, cursor }]) {
      const { text, values } = pageQuery(readFilter(from).filter);
      const [{ 'QUERY PLAN': [{ Plan: plan }] }] = await asApplication(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
      // A sequential scan reads 100,000. Few rows may be sorted.
      for (const node of nodes(plan)) {
        const rows = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
        assert.ok(rows <= 1000, `${JSON.stringify(from)}: ${node['Node Type']} reads ${rows} rows`);
      }
    }
  }
});

async function withBoss(work) {
  const boss = new PgBoss({
    host: '127.0.0.1', port: postgres.port, database: 'flowship', user: 'flowship_app', password: 'application-of-the-test', max: 2,
    migrate: false, createSchema: false, schedule: false, supervise: false,
  });
  await boss.start();
  try {
    await work(boss);
  } finally {
    await boss.stop({ graceful: false });
  }
}

const TAKE = 'SELECT * FROM flowship.take_tasks($1, $2, $3, $4, $5, $6)';

test('what takes many tasks does to a job what the fetch of the installed pg-boss does', () => withBoss(async (boss) => {
  await boss.createQueue('taken');
  const send = async (options) => {
    const id = crypto.randomUUID();
    await task(id);
    return boss.send('taken', { task_id: id, workflow_id: 'w' }, options);
  };
  const columns = async (id) => {
    const [{ job }] = await postgres.query('SELECT to_jsonb(j) AS job FROM pgboss.job j WHERE id = $1', [id]);
    const { id: _id, data: _data, created_on: _created, keep_until: _kept, start_after: _after, ...rest } = job;
    for (const time of ['started_on', 'heartbeat_on', 'completed_on']) rest[time] = rest[time] !== null;
    return rest;
  };
  for (const again of [false, true]) {
    for (const options of [{ priority: 3, expireInSeconds: 7, retryLimit: 4 }, { heartbeatSeconds: 20 }]) {
      const ours = await send(options);
      if (again) await postgres.query("UPDATE pgboss.job SET state = 'retry', started_on = now() WHERE id = $1", [ours]);
      const [row] = await asApplication(TAKE, ['taken', 10, '{}', '{}', '{}', 10]);
      assert.equal(row.job, ours);
      const theirs = await send(options);
      if (again) await postgres.query("UPDATE pgboss.job SET state = 'retry', started_on = now() WHERE id = $1", [theirs]);
      const [fetched] = await boss.fetch('taken', { includeMetadata: true });
      assert.equal(fetched.id, theirs);
      assert.deepEqual(await columns(ours), await columns(theirs));
      assert.deepEqual([row.retry_count, row.retry_limit, row.expire_seconds], [fetched.retryCount, fetched.retryLimit, fetched.expireInSeconds]);
      await postgres.query('DELETE FROM pgboss.job WHERE name = $1', ['taken']);
    }
  }
  // What waits for later, or for another, is left.
  await send({ startAfter: 60 });
  assert.deepEqual(await asApplication(TAKE, ['taken', 10, '{}', '{}', '{}', 10]), []);
}));

test('tasks are taken by priority, evenly from the workflows, within their limits, and one is found behind 10,000', () => withBoss(async (boss) => {
  await boss.createQueue('fair');
  let number = 0;
  const send = async (workflow, count, priority = 0) => {
    const ids = Array.from({ length: count }, () => { number += 1; return `20000000-0000-4000-8000-${String(number).padStart(12, '0')}`; });
    await postgres.query('INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key) SELECT id, $2, $3, $4, $5 FROM unnest($1::uuid[]) AS id', [ids, workflow, 'fair', '{}', 'k']);
    await boss.insert('fair', ids.map((id) => ({ id, priority, data: { task_id: id, workflow_id: workflow } })));
  };
  const take = async (count, running = {}, limits = {}, turns = {}) => {
    const rows = await asApplication(TAKE, ['fair', count, ...[running, turns, limits].map((map) => JSON.stringify(map)), 100]);
    return Object.fromEntries(Object.entries(Object.groupBy(rows, (row) => row.workflow_id)).map(([id, of]) => [id, of.length]));
  };
  await send('many', 10_000);
  await send('some', 20);
  await send('one', 1);
  assert.deepEqual(await take(7), { many: 3, some: 3, one: 1 });
  assert.deepEqual(await take(6, { many: 3, some: 3 }), { many: 3, some: 3 });
  assert.deepEqual(await take(6, { many: 9, some: 5 }), { many: 1, some: 5 });
  assert.deepEqual(await take(6, {}, { many: 2 }), { many: 2, some: 4 });
  assert.deepEqual(await take(6, { many: 2, some: 1 }, { many: 2, some: 1 }), {});
  // The older of two that have none running is first only when it was not the last.
  assert.deepEqual(await take(1), { many: 1 });
  assert.deepEqual(await take(1, {}, {}, { many: 7, some: 6 }), { some: 1 });
  await send('urgent', 2, 5);
  await send('many', 1, 5);
  assert.deepEqual(await take(4, { urgent: 50 }), { urgent: 2, many: 1, some: 1 });
  await send('one', 1);
  await postgres.owner('flowship', async (client) => {
    const read = async () => {
      const { rows: [{ sum }] } = await client.query("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int AS sum FROM pg_stat_xact_user_tables WHERE relname = 'job_common'");
      return sum;
    };
    await client.query('BEGIN');
    const before = await read();
    const { rows } = await client.query(TAKE, ['fair', 5, '{"many": 3, "some": 3}', '{}', '{"many": 3, "some": 3}', 100]);
    assert.deepEqual(rows.map((row) => row.workflow_id), ['one']);
    assert.ok(await read() - before < 100, `${await read() - before} jobs are read to find one`);
    await client.query('ROLLBACK');
  });
}));

test('tasks finished together have one result each, whoever stored it first, and the last word of each is told', async () => {
  const ids = [1, 2, 3].map((number) => `30000000-0000-4000-8000-00000000000${number}`);
  for (const id of ids) await task(id);
  const finish = async (...outcomes) => (await asApplication('SELECT flowship.finish_tasks($1) AS id', [JSON.stringify(outcomes)])).map(({ id }) => id).sort();
  assert.deepEqual(await finish({ task_id: ids[0], status: 'completed', result: null }, { task_id: ids[1], status: 'failed', error: { message: 'no' } }), ids.slice(0, 2));
  assert.deepEqual(await finish({ task_id: ids[0], status: 'failed', error: { message: 'late' } }, { task_id: ids[2], status: 'completed', result: { a: 1 }, cleaned: [] }), ids.slice(2));
  const rows = await postgres.query(
    `SELECT t.status, t.last_error, r.result, r.error,
            (SELECT count(*)::int FROM flowship.task_transitions h WHERE h.task_id = t.task_id AND h.status <> 'queued') AS ends
     FROM flowship.tasks t JOIN flowship.task_results r USING (task_id) WHERE t.task_id = ANY ($1) ORDER BY t.task_id`, [ids],
  );
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { status: 'completed', last_error: null, result: null, error: null, ends: 1 },
    { status: 'failed', last_error: 'no', result: null, error: { message: 'no' }, ends: 1 },
    { status: 'completed', last_error: null, result: { a: 1 }, error: null, ends: 1 },
  ]);
});

test('the migrations go down and up again', async () => {
  const count = fs.readdirSync(MIGRATIONS, { recursive: true }).filter((name) => name.endsWith('.sql')).length;
  for (let step = 0; step < count; step += 1) await postgres.migrate('down');
  const left = await postgres.query("SELECT nspname FROM pg_namespace WHERE nspname IN ('flowship', 'pgboss')");
  assert.deepEqual(left, []);
  await postgres.migrate('up');
  await asApplication('SELECT 1 FROM flowship.tasks, pgboss.job');
});
