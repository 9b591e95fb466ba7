'use strict';
// A stall of the event loop is told, whenever it comes.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { watchEventLoop } = require('../../runtime/event-loop');

function block(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test('what was forgotten is not told, and what comes at once after it is', async () => {
  const watched = watchEventLoop({ windowMs: 60000, limitMs: 200 });
  block(300);
  await watched.forget();
  assert.ok(watched.longestStallMs() < 200, `${watched.longestStallMs()} ms`);
  block(300);
  await setTimeout(1);
  assert.throws(() => watched.check(), /stood still for [3-9]\d\d ms within the last 120 s/);
  watched.stop();
});

test('a stall is told across the change of windows', async () => {
  const watched = watchEventLoop({ windowMs: 1000, limitMs: 200 });
  await setTimeout(900);
  block(300);
  await setTimeout(200);
  assert.throws(() => watched.check(), /stood still/);
  watched.stop();
});
