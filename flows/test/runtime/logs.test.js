'use strict';
// Every line is one JSON object with the five labels, and the labels follow the work.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { labels: LABELS } = require('../../platform.json');
const { project, launched } = require('./launcher');
const { endpoint, fn, node } = require('./flow');

const labelled = fn('label', 'wander', "msg.task_id = msg.payload.task; msg.workflow_id = 'greet'; msg.readyPort = msg.payload.readyPort; return msg;");
const wander = endpoint('wander', 'post', '/wander', [labelled, node('wanderer', 'wander', 'fixture-wanderer'), fn('after', 'wander', "setTimeout(() => { node.warn('after'); node.send(msg); }, 5);")]);
const PLACES = ['synchronous', 'after a promise', 'after a timer', 'after a file', 'after a request', 'after an event', 'inside labels.run', 'after labels.run'];

test('the labels of a task follow it over promises, timers, files, requests and events, beside other tasks', async (t) => {
  const running = await launched(t, project(t, { flows: wander }));
  const readyPort = Number(new URL(await running.url('ready', '/')).port);
  const tasks = Array.from({ length: 8 }, (_, index) => `task-${index}`);
  await Promise.all(tasks.map((task) => running.post('flows', '/wander', { task, readyPort })));
  await running.stop();

  for (const task of tasks) {
    const lines = running.lines.filter((line) => line.task_id === task);
    const wandering = lines.filter((line) => line.message === 'wandering');
    assert.deepEqual(wandering.map((line) => line.place), PLACES);
    for (const line of wandering) {
      assert.equal(line.node_id, 'wanderer', line.place);
      assert.equal(line.workflow_id, line.place === 'inside labels.run' ? 'inner' : 'greet', line.place);
    }
    const [after] = lines.filter((line) => line.message === 'after');
    assert.deepEqual([after.node_id, after.workflow_id, after.level], ['after', 'greet', 'warn']);
  }
  assert.equal(running.lines.filter((line) => line.message === 'wandering' && !tasks.includes(line.task_id)).length, 0);
});

test('whoever prints, each line of stdout is one JSON object with time, level, message and the labels', async (t) => {
  const flows = [
    ...endpoint('sabotage', 'post', '/sabotage', [node('saboteur', 'sabotage', 'fixture-saboteur')]),
    ...endpoint('fail', 'get', '/fail', [fn('thrower', 'fail', "node.error(new Error('planted: reported')); return msg;")]),
  ];
  const running = await launched(t, project(t, { flows }));
  await running.post('flows', '/sabotage', { plant: 'console' });
  await running.get('flows', '/fail');
  await running.stop();

  assert.deepEqual(running.notJson, []);
  assert.equal(running.stderr, '');
  for (const line of running.lines) {
    for (const label of LABELS) assert.equal(typeof line[label], 'string', `${label} in ${JSON.stringify(line)}`);
    assert.equal(line.component, 'node-red');
    assert.equal(line.environment, 'production');
    assert.equal(new Date(line.time).toISOString(), line.time);
    assert.match(line.level, /^(debug|info|warn|error|fatal)$/);
    assert.equal(typeof line.message, 'string');
  }
  const printed = running.lines.find((line) => line.message === 'printed by a library');
  assert.deepEqual([printed.node_id, printed.source], ['saboteur', 'console']);
  const reported = running.lines.find((line) => line.level === 'error');
  assert.deepEqual([reported.node_id, reported.node_type], ['thrower', 'function']);
  assert.match(reported.message, /planted: reported/);
});

test('a healthy start says nothing above info', async (t) => {
  const running = await launched(t, project(t, { flows: wander }));
  await running.stop();
  assert.deepEqual(running.lines.filter((line) => line.level !== 'info'), []);
});
