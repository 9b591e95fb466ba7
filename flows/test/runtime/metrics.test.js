'use strict';
// /metrics: what platform.json defines, fed by the launcher and by the nodes.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const platform = require('../../platform.json');
const { project, launched } = require('./launcher');
const { endpoint, fn, node } = require('./flow');

const flows = [
  ...endpoint('greet', 'get', '/greet/:name', [fn('say', 'greet', "msg.statusCode = 201; msg.payload = 'hi'; return msg;")]),
  ...endpoint('feed', 'post', '/feed', [node('feeder', 'feed', 'fixture-metrics')]),
  ...endpoint('fail', 'get', '/fail', [fn('thrower', 'fail', "node.error('planted'); return msg;")]),
];

test('requests, readiness, logs, errors and what the nodes feed', async (t) => {
  const running = await launched(t, project(t, { flows }), { FLOWSHIP_RELEASE: 'v1' });
  for (const name of ['ann', 'bob']) assert.equal((await running.get('flows', `/greet/${name}`)).status, 201);
  assert.equal((await running.get('flows', '/nowhere')).status, 404);
  await running.get('flows', '/fail');
  const { rev } = (await running.get('ready', '/readyz')).body;

  const { status, headers, body } = await running.get('ops', '/metrics');
  assert.equal(status, 200);
  assert.match(headers.get('content-type'), /^text\/plain/);
  const expected = [
    'flowship_http_requests_total{method="GET",route="/greet/:name",status="201"} 2',
    'flowship_http_requests_total{method="GET",route="unmatched",status="404"} 1',
    'flowship_http_request_duration_seconds_count{method="GET",route="/greet/:name"} 2',
    'flowship_http_requests_in_flight 0',
    'flowship_ready 1',
    'flowship_draining 0',
    'flowship_readiness_check_ok{check="event_loop"} 1',
    `flowship_build_info{rev="${rev}",release="v1",environment="production",replica="a"} 1`,
    'flowship_flow_errors_total{node_type="function"} 1',
    'flowship_log_lines_total{level="error"} 1',
    'flowship_tasks_accepted_total{workflow_id="fixture"} 2',
    'flowship_sql_query_duration_seconds_bucket{le="0.0025"} 1',
    'flowship_tasks_in_flight 3',
    'flowship_queue_jobs{queue="fixture",state="queued"} 7',
  ];
  const lines = body.split('\n');
  for (const line of expected.filter((one) => !one.includes('0.0025'))) assert.ok(lines.includes(line), `${line} in\n${body}`);
  assert.ok(lines.some((line) => line.startsWith('nodejs_eventloop_lag_seconds')));
  assert.ok(!lines.some((line) => line.startsWith('flowship_queue_oldest_job_age_seconds')), 'a value that cannot be read is absent');
});

test('every metric of platform.json is exposed with its help, and no task id is a label', async (t) => {
  const running = await launched(t, project(t, { flows }));
  const { body } = await running.get('ops', '/metrics');
  for (const [name, { help, kind, labels }] of Object.entries(platform.metrics)) {
    assert.ok(body.includes(`# HELP ${name} ${help}`), name);
    assert.ok(body.includes(`# TYPE ${name} ${kind}`), name);
    assert.ok(!labels.includes('task_id'), name);
  }
});

test('an unknown metric, label or kind is an error that says what is known', async (t) => {
  const running = await launched(t, project(t, { flows }));
  const { body } = await running.post('flows', '/feed', {});
  assert.deepEqual(body, [
    'unknown metric flowship_nothing: define it in the platform (platform.json)',
    'metric flowship_tasks_accepted_total takes the labels [workflow_id], got [task_id]',
    'metric flowship_tasks_in_flight is a gauge, not a counter',
  ]);
});
