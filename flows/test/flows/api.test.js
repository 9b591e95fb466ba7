'use strict';
// The API as its users meet it, on the whole platform.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { after, before, describe, test } = require('node:test');
const { startPlatform, until } = require('../platform.js');

let platform;
// An endpoint that somebody added, without a thought for limited keys.
const added = (_, nodes) => nodes.push(
  { id: 'added-in', type: 'http in', z: 'api', name: 'added', url: '/api/v1/added', method: 'get', upload: false, swaggerDoc: '', x: 200, y: 900, wires: [['added-auth']] },
  { id: 'added-auth', type: 'api-auth', z: 'api', name: 'key', database: 'postgres', x: 500, y: 900, wires: [['api-answer'], ['api-answer']] },
);
before(async () => { platform = await startPlatform({ edit: added }); });
after(() => platform?.stop());

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

function assertProblem(answer, status, detail) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
  assert.equal(answer.body.status, status);
  assert.match(answer.body.detail, detail);
}

describe('tasks', () => {
  test('a task is routed, its tool called, the model asked and the result stored', async () => {
    const answer = await platform.submit('describe-text', { text: 'One two three. Four.' });
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('location'), `/api/v1/tasks/${answer.body.task_id}`);
    assert.equal(answer.body.status, 'queued');
    const task = await platform.ended(answer.body.task_id);
    assert.equal(task.status, 'completed');
    assert.equal(task.result.route, 'text');
    assert.deepEqual(task.result.tool, { server: 'tools', tool: 'text_statistics', output: { characters: 20, words: 4, sentences: 2 } });
    assert.match(task.result.answer, /"words":4/);
    assert.ok(task.result.model.tokens.prompt > 0 && task.result.model.tokens.completion > 0);
    assert.deepEqual(task.transitions.map(({ status }) => status), ['queued', 'running', 'completed']);
  });

  test('the rules choose another tool, and the fallback none', async () => {
    const numbers = await platform.submit('describe-numbers', { numbers: [1, 2, 6] });
    const question = await platform.submit('answer-question', { question: 'What is shipped?' });
    const [counted, answered] = await Promise.all([platform.ended(numbers.body.task_id), platform.ended(question.body.task_id)]);
    assert.equal(counted.result.route, 'numbers');
    assert.deepEqual(counted.result.tool.output, { count: 3, sum: 9, smallest: 1, largest: 6, mean: 3 });
    assert.equal(answered.result.route, 'fallback');
    assert.equal(answered.result.tool, null);
    assert.match(answered.result.answer, /What is shipped\?/);
  });

  test('the external calls of a task carry its id, and every log line of it too', async () => {
    const { body: { task_id: taskId } } = await platform.submit('describe-text', { text: 'Who was it?' });
    await platform.ended(taskId);
    await platform.mcp.child.said('the tool call names the task', (line) => line.task_id === taskId);
    const lines = platform.replicas[0].child.lines.filter((line) => line.task_id === taskId);
    assert.deepEqual(new Set(lines.map((line) => line.workflow_id)), new Set(['describe-text']));
    assert.ok(lines.some((line) => line.message === 'the task is completed' && line.node_id === 'worker-tasks'));
  });

  test('an idempotency key repeated at once and later gives one task', async () => {
    const headers = { 'idempotency-key': 'once-only' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => platform.submit('describe-text', { text: 'Once.' }, { headers })));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
    const ids = new Set(answers.map(({ body }) => body.task_id));
    assert.equal(ids.size, 1);
    const [taskId] = ids;
    await platform.ended(taskId);
    const later = await platform.submit('describe-text', { text: 'Once.' }, { headers });
    assert.equal(later.body.task_id, taskId);
    assert.equal(later.body.status, 'completed');
    assertProblem(await platform.submit('describe-text', { text: 'Another.' }, { headers }), 409, new RegExp(taskId));
    assertProblem(await platform.submit('describe-text', { text: 'Once.' }, { headers: { 'idempotency-key': 'with space' } }), 400, /Idempotency-Key/);
  });

  test('what is not known is not found', async () => {
    assertProblem(await platform.submit('no-such-workflow', {}), 404, /no-such-workflow.*answer-question, describe-numbers, describe-text/);
    assertProblem(await platform.request('GET', `/api/v1/tasks/${UNKNOWN_ID}`), 404, new RegExp(UNKNOWN_ID));
    assertProblem(await platform.request('GET', '/api/v1/tasks/not-an-id'), 404, /not-an-id/);
  });

  test('a body that is wrong is refused, with what is wrong', async () => {
    const where = '/api/v1/workflows/describe-text/tasks';
    const json = { 'content-type': 'application/json' };
    assertProblem(await platform.request('POST', where, { raw: '{"input":', headers: json }), 400, /not valid JSON/);
    assertProblem(await platform.request('POST', where), 400, /no body/);
    assertProblem(await platform.request('POST', where, { body: [] }), 400, /JSON object/);
    assertProblem(await platform.request('POST', where, { body: { inputs: {} } }), 400, /inputs/);
    assertProblem(await platform.request('POST', where, { raw: 'input=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }), 415, /application\/json/);
    assertProblem(await platform.request('POST', where, { raw: 'x', headers: { ...json, 'content-encoding': 'br-not' } }), 415, /encoding/);
    assertProblem(await platform.submit('describe-text', { text: 'x'.repeat(300_000) }), 413, /256kb/);
    const unfit = await platform.submit('describe-text', { text: 7, more: true });
    assertProblem(unfit, 422, /does not fit/);
    assert.deepEqual(unfit.body.errors.map(({ pointer }) => pointer).sort(), ['/input', '/input/text']);
  });
});

test('a known path answers a wrong method with what it allows; every JSON value that is no object is named as that', async () => {
  for (const [method, where, allow] of [
    ['DELETE', '/api/v1/queues', 'GET, HEAD'], ['POST', '/api/v1/tasks', 'GET, HEAD'], ['POST', '/api/v1/queues/tasks', 'GET, HEAD'], ['PUT', `/api/v1/tasks/${UNKNOWN_ID}`, 'GET, HEAD'],
    ['GET', '/api/v1/workflows/describe-text/tasks', 'POST'], ['PATCH', '/api/v1/queues/tasks/drain', 'POST'], ['GET', '/api/v1/queues/tasks/retry-failed', 'POST'],
  ]) {
    const answer = await platform.request(method, where);
    assertProblem(answer, 405, new RegExp(`does not answer ${method}`));
    assert.equal(answer.headers.get('allow'), allow);
  }
  assertProblem(await platform.request('DELETE', '/api/v1/nothing'), 404, /nothing answers DELETE/);
  for (const raw of ['null', '"x"', '7', 'true', '[]']) {
    const answer = await platform.request('POST', '/api/v1/workflows/describe-text/tasks', { raw, headers: { 'content-type': 'application/json' } });
    assertProblem(answer, 400, /must be a JSON object/);
  }
});

describe('the list of tasks', () => {
  const list = async (query, options) => platform.request('GET', `/api/v1/tasks${query}`, options);
  let failed;
  before(async () => {
    await platform.postgres.query(`
      INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key, status, attempts, last_error, created_at)
      SELECT ('20000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'list-' || n % 2, 'tasks', '{}', 'another key', 'failed', 4, 'no',
             timestamptz '2026-01-01 00:00:00.123456Z' + n / 3 * interval '1 microsecond'
      FROM generate_series(1, 120) n`);
    await platform.postgres.query(`
      INSERT INTO flowship.task_results (task_id, status, error)
      SELECT task_id, 'failed', '{"code": "llm_refused", "message": "no"}' FROM flowship.tasks WHERE workflow_id LIKE 'list-%'`);
    await platform.postgres.query("INSERT INTO flowship.tasks (task_id, workflow_id, queue, input, api_key) VALUES (gen_random_uuid(), 'list-0', 'smoke-1', '{}', 'k')");
    failed = Array.from({ length: 120 }, (_, n) => `20000000-0000-4000-8000-${String(120 - n).padStart(12, '0')}`);
  });

  test('pages hold every task once, newest first, also those of one moment; a new task in between moves none', async () => {
    const seen = [];
    let where = '/api/v1/tasks?status=failed&limit=50';
    while (where !== undefined) {
      const answer = await platform.request('GET', where);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      seen.push(...answer.body.tasks.map(({ task_id: id }) => id).filter((id) => id.startsWith('2000')));
      where = /^<(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
      assert.equal(where === undefined, answer.body.next === null);
      await platform.submit('describe-text', { text: 'In between.' });
    }
    assert.deepEqual(seen, failed);
    const first = await list('?status=failed&workflow_id=list-1&limit=60');
    assert.deepEqual(first.body.tasks.map(({ task_id: id }) => id), failed.filter((_, at) => at % 2 === 1));
    assert.equal(first.body.next, null);
    assert.equal(first.headers.get('link'), null);
  });

  test('the default page has 50 tasks; a task shows why it failed, and is what its own address answers', async () => {
    const { body } = await list('?workflow_id=list-0');
    assert.equal(body.tasks.length, 50);
    const [task] = body.tasks;
    assert.deepEqual(task.error, { code: 'llm_refused', message: 'no' });
    const { result, cleaned, transitions, ...whole } = await platform.task(task.task_id);
    assert.deepEqual({ result, cleaned, transitions }, { result: null, cleaned: null, transitions: null });
    assert.deepEqual(task, whole);
    assert.deepEqual((await list('?workflow_id=nobody')).body, { tasks: [], next: null });
    assert.deepEqual((await list('?workflow_id=list-0&status=queued')).body.tasks, [], 'tasks of smoke runs are left out');
  });

  test('what a query gets wrong is named, all of it', async () => {
    for (const [query, ...parameters] of [
      ['?status=broken', 'status'], ['?status=failed&status=queued', 'status'], ['?status[a]=failed', 'status'], ['?state=failed', 'state'],
      ['?limit=0', 'limit'], ['?limit=201', 'limit'], ['?limit=ten', 'limit'], ['?limit=', 'limit'], ['?workflow_id=', 'workflow_id'], ['?workflow_id=%00', 'workflow_id'],
      ['?cursor=', 'cursor'], ['?cursor=x', 'cursor'], [`?cursor=${Buffer.from("1.'; DROP").toString('base64url')}`, 'cursor'],
      ['?status=broken&limit=-1&cursor=!&order=asc', 'status', 'limit', 'cursor', 'order'],
    ]) {
      const answer = await list(query);
      assertProblem(answer, 400, /query/);
      assert.deepEqual(answer.body.errors.map(({ parameter }) => parameter), parameters, query);
    }
    assert.equal((await list(`?cursor=${Buffer.from(`9999999999999999.${UNKNOWN_ID}`).toString('base64url')}`)).status, 200);
    assert.match((await list('?status=broken')).body.errors[0].detail, /queued, running, completed, failed/);
  });
});

describe('keys', () => {
  test('no key, a wrong key and a revoked key are refused', async () => {
    for (const where of ['/api/v1/queues', '/api/v1/tasks', `/api/v1/tasks/${UNKNOWN_ID}`, '/api/v1/queues/tasks']) {
      const without = await platform.request('GET', where, { key: null });
      assertProblem(without, 401, /Authorization: Bearer/);
      assert.equal(without.headers.get('www-authenticate'), 'Bearer');
      assertProblem(await platform.request('GET', where, { key: 'wrong' }), 401, /not known/);
    }
    assertProblem(await platform.submit('describe-text', { text: 'x' }, { key: 'wrong' }), 401, /not known/);
    await platform.postgres.query("INSERT INTO flowship.api_keys (name, key_sha256, revoked_at) VALUES ('old', encode(sha256('old-key'), 'hex'), now())");
    assertProblem(await platform.request('GET', '/api/v1/queues', { key: 'old-key' }), 401, /revoked/);
  });

  test('a rotated key file replaces the former key without a restart', async () => {
    platform.writeSecret('api', 'rotated-key');
    try {
      assert.equal((await platform.request('GET', '/api/v1/queues', { key: 'rotated-key' })).status, 200);
      assert.equal((await platform.request('GET', '/api/v1/queues')).status, 401);
    } finally {
      platform.writeSecret('api', 'api-key-of-the-test');
      assert.equal((await platform.request('GET', '/api/v1/queues')).status, 200);
    }
    const stored = await platform.postgres.query('SELECT key_sha256 FROM flowship.api_keys');
    assert.ok(stored.every(({ key_sha256: hash }) => /^[0-9a-f]{64}$/.test(hash)));
  });

  test('the operator creates a key, which is shown once, may do what it is for, and is dead once it is revoked', async () => {
    const created = await platform.operate('POST', '/keys', { name: 'shop', workflows: ['describe-text'] });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    const { key } = created.body;
    assert.match(key, /^flowship_[\w-]{32}$/);
    const mine = await platform.submit('describe-text', { text: 'Mine.' }, { key });
    assert.equal(mine.status, 202);
    assert.equal(mine.headers.get('x-ratelimit-limit'), null);
    const other = await platform.submit('answer-question', { question: 'Not mine?' });
    assertProblem(await platform.submit('answer-question', { question: 'No?' }, { key }), 403, /'shop' may not call the workflow 'answer-question'; it may call describe-text/);
    assert.equal((await platform.request('GET', `/api/v1/tasks/${mine.body.task_id}`, { key })).status, 200);
    assertProblem(await platform.request('GET', `/api/v1/tasks/${other.body.task_id}`, { key }), 404, /no task/);
    const { body: { tasks } } = await platform.request('GET', '/api/v1/tasks?limit=200', { key });
    assert.deepEqual(new Set(tasks.map(({ workflow_id: id }) => id)), new Set(['describe-text']));
    for (const [method, where] of [['GET', '/api/v1/queues'], ['GET', '/api/v1/queues/tasks'], ['GET', '/api/v1/added'], ['POST', '/api/v1/queues/tasks/drain'], ['POST', '/api/v1/queues/tasks/retry-failed']]) {
      assertProblem(await platform.request(method, where, { key }), 403, /limited to workflows/);
    }
    const listed = await platform.operate('GET', '/keys');
    assert.equal(JSON.stringify(listed.body).includes(key), false);
    const { workflows, revoked_at: revoked } = listed.body.keys.find(({ name }) => name === 'shop');
    assert.deepEqual({ workflows, revoked }, { workflows: ['describe-text'], revoked: null });
    const [{ hash }] = await platform.postgres.query("SELECT key_sha256 AS hash FROM flowship.api_keys WHERE name = 'shop'");
    assert.equal(hash, crypto.createHash('sha256').update(key).digest('hex'));
    const lines = platform.replicas[0].child.lines;
    assert.ok(lines.some((line) => line.api_key === 'shop') && !JSON.stringify(lines).includes(key));
    assert.equal((await platform.operate('DELETE', '/keys/shop')).status, 200);
    assertProblem(await platform.request('GET', '/api/v1/tasks', { key }), 401, /revoked/);
    assert.equal((await platform.operate('DELETE', '/keys/shop')).status, 404);
    assert.equal((await platform.operate('POST', '/keys', { name: 'shop' })).status, 409, 'its tasks are still there');
  });

  test('a key has so many requests a minute, all replicas and callers together, and is told so', async () => {
    const second = await platform.startReplica('second-of-keys');
    const { body: { key } } = await platform.operate('POST', '/keys', { name: 'limited', requests_per_minute: 6, expires_at: '2099-01' });
    const asked = Array.from({ length: 10 }, (_, at) => platform.request('GET', '/api/v1/tasks', { key, replica: at % 2 === 0 ? platform.replicas[0] : second }));
    const answers = await Promise.all(asked);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(6).fill(200), ...Array(4).fill(429)]);
    const left = answers.filter(({ status }) => status === 200).map(({ headers }) => Number(headers.get('x-ratelimit-remaining')));
    assert.deepEqual(left.sort(), [0, 1, 2, 3, 4, 5]);
    const refused = answers.find(({ status }) => status === 429);
    assertProblem(refused, 429, /6 requests a minute/);
    assert.equal(refused.headers.get('x-ratelimit-limit'), '6');
    assert.equal(refused.headers.get('retry-after'), refused.headers.get('x-ratelimit-reset'));
    assert.ok(Number(refused.headers.get('retry-after')) >= 1 && Number(refused.headers.get('retry-after')) <= 60);
    for (const began of ["now() - interval '61 seconds'", "now() + interval '1 hour'"]) {
      await platform.postgres.query(`UPDATE flowship.api_key_minutes SET began_at = ${began} WHERE name = 'limited'`);
      const again = await platform.request('GET', '/api/v1/tasks', { key });
      assert.deepEqual([again.status, again.headers.get('x-ratelimit-remaining')], [200, '5'], began);
    }
    const began = await platform.postgres.query(`
      DO $$ BEGIN
        UPDATE flowship.api_key_minutes SET began_at = clock_timestamp(), requests = 3 WHERE name = 'limited';
        PERFORM flowship.use_key(key_sha256) FROM flowship.api_keys WHERE name = 'limited';
      END $$`).then(() => platform.postgres.query("SELECT requests FROM flowship.api_key_minutes WHERE name = 'limited'"));
    assert.deepEqual(began, [{ requests: 4 }], 'the minute began after this transaction did');
    await platform.postgres.query("UPDATE flowship.api_keys SET expires_at = now() WHERE name = 'limited'");
    assertProblem(await platform.request('GET', '/api/v1/tasks', { key }), 401, /expired/);
    await second.child.stop();
    platform.replicas.pop();
  });

  test('an operator learns everything that is wrong with a request about keys, and others learn nothing', async () => {
    const wrong = await platform.operate('POST', '/keys', { name: 'No!', workflows: ['nothing'], requests_per_minute: 0, expires_at: '2020-01-01', more: 1 });
    assertProblem(wrong, 400, /more: .*; name: .*; workflows: there is no nothing; known are answer-question, .*; requests_per_minute: .*; expires_at: /);
    for (const body of ['null', '[]', '7', '{"name"']) assert.equal((await platform.operate('POST', '/keys', undefined, { raw: body })).status, 400, body);
    assertProblem(await platform.operate('DELETE', '/keys/bootstrap'), 409, /platform's own/);
    for (const [method, where] of [['GET', '/keys'], ['POST', '/keys'], ['DELETE', '/keys/shop']]) {
      assert.equal((await platform.operate(method, where, undefined, { token: 'guess' })).status, 401);
    }
    await platform.postgres.kill();
    assert.equal((await platform.operate('GET', '/keys')).status, 503);
    await platform.postgres.start();
    await until('the database is back', async () => (await platform.operate('GET', '/keys')).status === 200);
  });

  test('only the operator may choose a queue, and only a smoke queue', async () => {
    const headers = { 'flowship-queue': 'smoke-of-a-stranger' };
    assertProblem(await platform.submit('describe-text', { text: 'x' }, { headers }), 403, /operator/);
    assertProblem(await platform.submit('describe-text', { text: 'x' }, { headers: { ...headers, 'flowship-queue-proof': 'guess' } }), 403, /operator/);
    const proven = { 'flowship-queue': 'tasks-dead-letter', 'flowship-queue-proof': 'ops-token-of-the-test' };
    assertProblem(await platform.submit('describe-text', { text: 'x' }, { headers: proven }), 403, /operator/);
  });
});

describe('queues', () => {
  test('the queue is listed and shown', async () => {
    const { body: { queues } } = await platform.request('GET', '/api/v1/queues');
    assert.deepEqual(queues.map(({ name }) => name), ['tasks']);
    const { status, body } = await platform.request('GET', '/api/v1/queues/tasks');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body).sort(), ['active', 'dead_letter', 'draining', 'failed', 'name', 'oldest_seconds', 'parked', 'queued']);
    assertProblem(await platform.request('GET', '/api/v1/queues/other'), 404, /known are tasks/);
    assertProblem(await platform.request('POST', '/api/v1/queues/other/retry-failed'), 404, /known are tasks/);
    assertProblem(await platform.request('POST', '/api/v1/queues/other/drain'), 404, /known are tasks/);
  });

  test('a drained queue accepts and keeps tasks, hands out none, and goes on when resumed', async () => {
    const drained = await platform.request('POST', '/api/v1/queues/tasks/drain');
    assert.equal(drained.status, 200);
    assert.equal(drained.body.draining, true);
    assert.equal(drained.body.drained, true);
    const { status, body: { task_id: taskId } } = await platform.submit('describe-text', { text: 'Later.' });
    assert.equal(status, 202);
    const again = await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { wait_seconds: 0 } });
    assert.equal(again.body.queued, 1);
    assert.equal((await platform.task(taskId)).status, 'queued');
    assertProblem(await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { wait_seconds: 999 } }), 400, /0 to 20/);
    const resumed = await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { resume: true } });
    assert.equal(resumed.body.draining, false);
    assert.equal((await platform.ended(taskId)).status, 'completed');
  });
});

test('a backlog is worked off without a pause between tasks', async () => {
  await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { wait_seconds: 3 } });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, number) => platform.submit('describe-text', { text: `Number ${number}.` })));
  await platform.request('POST', '/api/v1/queues/tasks/drain', { body: { resume: true } });
  // A pause of the polling interval after each task would take twice as long.
  await Promise.all(answers.map(({ body }) => platform.ended(body.task_id, 10_000)));
});

test('the metrics tell of tasks, tokens, tools and queues, never of a task id', async () => {
  const { body: { task_id: taskId } } = await platform.submit('describe-text', { text: 'Count me.' });
  await platform.ended(taskId);
  const metrics = await until('the finished task is counted', async () => {
    const text = await platform.metrics();
    return /flowship_tasks_in_flight 0/.test(text) && text;
  });
  for (const expected of [
    /flowship_tasks_finished_total\{workflow_id="describe-text",status="completed"\} [1-9]/,
    /flowship_llm_tokens_total\{provider="default",model="stand-in",kind="completion"\} [1-9]/,
    /flowship_mcp_calls_total\{server="tools",tool="text_statistics",outcome="ok"\} [1-9]/,
    /flowship_routed_messages_total\{router="which tool\?",output="fallback"\} [1-9]/,
    /flowship_queue_jobs\{queue="tasks",state="queued"\} 0/,
    /flowship_dependency_up\{dependency="database"\} 1/,
    /flowship_dependency_up\{dependency="llm_provider"\} 1/,
    /flowship_dependency_up\{dependency="mcp_tools"\} 1/,
  ]) assert.match(metrics, expected);
  assert.doesNotMatch(metrics, new RegExp(taskId));
});
