'use strict';
// A replica whose clock is an hour ahead of the database's.

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { FLOWS, startPlatform } = require('../platform.js');

let platform;
before(async () => {
  const ahead = path.join(FLOWS, 'test', 'runtime', 'fixtures', 'clock-ahead.js');
  platform = await startPlatform({ env: { NODE_OPTIONS: `--require=${ahead}` } });
});
after(() => platform?.stop());

test('ages and durations are what they are: the database says how old a task is', async () => {
  const { body } = await platform.submit('answer-question', { question: 'How late is it?' });
  const task = await platform.ended(body.task_id);
  assert.equal(task.status, 'completed');
  assert.ok(Math.abs(Date.parse(task.created_at) - Date.now()) < 60_000, task.created_at);
  const line = platform.replicas[0].child.lines.find(({ message }) => message === 'the task is completed');
  assert.ok(Date.parse(line.time) - Date.now() > 3_000_000, `the clock is ahead: ${line.time}`);
  const metrics = await platform.metrics();
  const values = (name) => [...metrics.matchAll(new RegExp(`^${name}(?:{.*})? (.*)$`, 'gm'))].map(([, value]) => Number(value));
  for (const name of ['flowship_task_duration_seconds_sum', 'flowship_queue_oldest_job_age_seconds']) {
    const found = values(name);
    assert.ok(found.length > 0 && found.every((seconds) => seconds >= 0 && seconds < 60), `${name}: ${found}`);
  }
});
