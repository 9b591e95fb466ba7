'use strict';
// POST /smoke: the flow checks, the launcher holds it to the list and to the time limit.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { smoke: definition } = require('../../platform.json');
const { createSmoke } = require('../../runtime/smoke');
const { project, launched } = require('./launcher');
const { node, tab } = require('./flow');

const ORDER = definition.checks;

function smokeFlow(behaviours) {
  return [tab('smoke'), ...Object.entries(behaviours).map(([check, behaviour]) => node(`in-${check}`, 'smoke', 'fixture-smoke', [], { check, behaviour }))];
}

const all = (behaviour) => Object.fromEntries(ORDER.toReversed().map((check) => [check, behaviour]));

test('passes when all checks pass, in the order of the platform', async (t) => {
  const running = await launched(t, project(t, { smoke: smokeFlow(all('pass')) }));
  const { status, body } = await running.operate('/smoke');
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.status, 'passed');
  assert.deepEqual(body.checks.map((check) => check.name), ORDER);
  for (const check of body.checks) {
    assert.deepEqual({ ...check, duration_ms: 0 }, { name: check.name, status: 'passed', duration_ms: 0, error: null, detail: { run_id: body.run_id } });
    assert.ok(check.duration_ms >= 0 && body.duration_ms >= check.duration_ms - 1);
  }
  assert.match((await running.get('ops', '/metrics')).body, /^flowship_smoke_check_passed\{check="queue"\} 1$/m);
  const again = await running.operate('/smoke');
  assert.notEqual(again.body.run_id, body.run_id);
});

test('a failed, a throwing and a missing check are failures with their reason; the others pass', async (t) => {
  const running = await launched(t, project(t, { smoke: smokeFlow({ database: 'fail', llm_provider: 'throw', queue: 'pass', end_to_end: 'pass' }) }));
  const { status, body } = await running.operate('/smoke');
  assert.equal(status, 503);
  assert.equal(body.status, 'failed');
  assert.deepEqual(
    body.checks.map((check) => [check.name, check.status, check.error]),
    [
      ['database', 'failed', 'planted: failed'],
      ['llm_provider', 'failed', 'planted: cannot begin'],
      ['queue', 'passed', null],
      ['mcp_routing', 'failed', 'missing: no smoke-in node offers the check mcp_routing; see test-smoke.json'],
      ['end_to_end', 'passed', null],
    ],
  );
  assert.match((await running.get('ops', '/metrics')).body, /^flowship_smoke_check_passed\{check="database"\} 0$/m);
});

test('a smoke flow that was not deployed fails all five', async (t) => {
  const running = await launched(t, project(t));
  const { status, body } = await running.operate('/smoke');
  assert.equal(status, 503);
  assert.deepEqual(body.checks.map((check) => check.status), ORDER.map(() => 'failed'));
});

test('some of the checks can be asked for; an unknown one is an error that names the known ones', async (t) => {
  const running = await launched(t, project(t, { smoke: smokeFlow(all('pass')) }));
  const { status, body } = await running.operate('/smoke', { checks: ['queue', 'database'] });
  assert.equal(status, 200);
  assert.deepEqual(body.checks.map((check) => check.name), ['database', 'queue']);
  const wrong = await running.operate('/smoke', { checks: ['que'] });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.body.detail, `unknown check que: expected some of ${ORDER.join(', ')}`);
  assert.equal((await running.operate('/smoke', { checks: 'queue' })).status, 400);
  for (const body of [null, 'queue', 7, ['queue']]) {
    const answer = await running.operate('/smoke', body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.match(answer.body.detail, /the body must be a JSON object/);
  }
});

test('it needs the token', async (t) => {
  const running = await launched(t, project(t, { smoke: smokeFlow(all('pass')) }));
  const { status, headers } = await running.ask('POST', 'ops', '/smoke');
  assert.equal(status, 401);
  assert.equal(headers.get('www-authenticate'), 'Bearer');
});

test('a check that does not answer in time is missing; its late answer changes nothing', async () => {
  const warnings = [];
  const smoke = createSmoke({
    definition: { checks: ['fast', 'late'], time_limit_ms: 30 },
    dependencies: { whatIsDown: () => '; llm_provider is down: nothing at http://127.0.0.1:1/v1' },
    metrics: { set() {}, increment() {} },
    log: { info() {}, warn: (fields) => warnings.push(fields) },
  });
  const begun = [];
  smoke.register('fast', { start: (run) => smoke.result(run.run_id, 'fast', {}) });
  smoke.register('late', { start: (run) => begun.push(run) });
  const answer = await smoke.run();
  assert.equal(answer.status, 'failed');
  assert.deepEqual(answer.checks.map((check) => [check.status, check.error]), [['passed', null], ['failed', 'missing: no answer within 30 ms; llm_provider is down: nothing at http://127.0.0.1:1/v1']]);
  assert.equal(begun[0].signal.aborted, true, 'the check can see that nobody waits any more');
  smoke.result(begun[0].run_id, 'late', {});
  assert.deepEqual(warnings, [{ run_id: begun[0].run_id, check: 'late' }]);
});
