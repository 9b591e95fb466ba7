'use strict';
// What never answers is told as a failure, in place of an answer that never comes.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createDependencies } = require('../../runtime/dependencies');
const { createMetrics } = require('../../runtime/metrics');
const { createReadiness } = require('../../runtime/readiness');
const platform = require('../../platform.json');

const never = () => new Promise(() => {});
const log = { info() {}, warn() {}, debug() {}, error() {} };

async function settle(t, ms) {
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(ms);
  await new Promise((resolve) => setImmediate(resolve));
}

test('a readiness check', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const readiness = createReadiness();
  readiness.register('stuck', never);
  readiness.register('fine', () => {});
  const report = readiness.report();
  await settle(t, 1000);
  assert.deepEqual(await report, [
    { name: 'stuck', status: 'failed', error: 'no answer within 1000 ms' },
    { name: 'fine', status: 'ok', error: null },
  ]);
});

test('the probe of a dependency', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const dependencies = createDependencies({ log, metrics: createMetrics(platform.metrics) });
  const unregister = dependencies.register('database', never);
  assert.deepEqual(dependencies.degraded(), [], 'nothing is known before the first answer');
  await settle(t, 3000);
  assert.deepEqual(dependencies.degraded().map(({ dependency, error }) => [dependency, error]), [['database', 'no answer within 3000 ms']]);
  unregister();
  assert.deepEqual(dependencies.state(), {});
});

test('a metric that is collected at scrape time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const missing = [];
  const metrics = createMetrics(platform.metrics, { onCollectError: (name) => missing.push(name) });
  metrics.collect('flowship_tasks_in_flight', never);
  const exposition = metrics.exposition();
  await settle(t, 3000);
  const { body } = await exposition;
  assert.deepEqual(missing, ['flowship_tasks_in_flight']);
  assert.match(body, /^# HELP flowship_tasks_in_flight /m);
});

test('a later registration takes over, and an earlier one cannot undo it', async () => {
  const dependencies = createDependencies({ log, metrics: createMetrics(platform.metrics) });
  const first = dependencies.register('database', async () => {});
  const second = dependencies.register('database', async () => {
    throw new Error('away');
  });
  first();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(dependencies.state().database.error, 'away');
  second();
});
