'use strict';
// Every line is one JSON object with the five labels, and the labels follow the work.

const assert = require('node:assert/strict');
const fs = require('node:fs');
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

test('the value of a secret is in no line, whoever logs it and however it is encoded', async (t) => {
  const key = `k-${'9Zq/+"\\'.repeat(3)}-ü end`;
  const forms = `[key, JSON.stringify({ key }), JSON.stringify({ a: JSON.stringify({ key }) }), encodeURIComponent(key), Buffer.from(key).toString('hex'),
    Buffer.from('user:' + key + '@').toString('base64'), Buffer.from('us:' + key).toString('base64url'), new URLSearchParams({ key }).toString()]`;
  const log = fn('logger', 'log', `const key = msg.payload.key; for (const form of ${forms}) node.warn({ form }); node.error(new Error(key)); node.log(key);
    node.warn('the end of it'); return msg;`);
  const made = project(t, { flows: [...endpoint('log', 'post', '/log', [log]), ...endpoint('sabotage', 'post', '/sabotage', [node('saboteur', 'sabotage', 'fixture-saboteur')])] });
  fs.writeFileSync(made.secret('llm'), `${key}\n`);
  const running = await launched(t, made);
  await running.post('flows', '/log', { key });
  await running.post('flows', '/sabotage', { plant: 'secret crash' }).catch(() => {});
  await running.exit;
  assert.equal(running.ended.code, 1);

  assert.ok(running.lines.some(({ message }) => message === 'the end of it'));
  assert.ok(running.lines.some(({ level, message }) => level === 'fatal' && message.includes('not caught: planted: ***')));
  const written = JSON.stringify(running.lines) + running.notJson.join() + running.stderr;
  assert.ok(written.split('***').length > 8);
  for (const part of ['9Zq', encodeURIComponent('9Zq/+'), Buffer.from('9Zq/+').toString('hex'), Buffer.from('9Zq/+"\\9Zq/').toString('base64').slice(0, 12)]) assert.ok(!written.includes(part), part);
  for (const offset of [1, 2]) {
    const middle = Buffer.from(' '.repeat(offset) + key.slice(2)).toString('base64').slice(4, 16);
    assert.ok(!written.includes(middle), middle);
  }
});
