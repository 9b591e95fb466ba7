'use strict';
// The migrations, on a real PostgreSQL: the queue's schema is pg-boss's own, the rules hold for every client.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const pg = require('pg');
const { getConstructionPlans } = require('pg-boss');
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

test('the migrations go down and up again', async () => {
  const count = fs.readdirSync(MIGRATIONS).length;
  for (let step = 0; step < count; step += 1) await postgres.migrate('down');
  const left = await postgres.query("SELECT nspname FROM pg_namespace WHERE nspname IN ('flowship', 'pgboss')");
  assert.deepEqual(left, []);
  await postgres.migrate('up');
  await asApplication('SELECT 1 FROM flowship.tasks, pgboss.job');
});
