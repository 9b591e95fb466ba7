'use strict';
// From start to stop. A stop is: not ready, and no new tasks -> wait until the edge has seen it -> take no new requests,
// finish what was taken -> close. Tasks that do not end in time go on elsewhere.

const { setTimeout: delay } = require('node:timers/promises');

// What the nodes have, at the end of the drain, to hand back what they have not finished.
const HAND_BACK_MS = 2000;
// Instead of the delay, once the edge was told: a request may be on its way.
const WITHDRAWN_DELAY_MS = 100;

function createLifecycle({ drain, isWithdrawn = () => false, log, metrics }) {
  const state = { started: false, draining: null, leaving: [] };
  const hooks = new Map();
  const steps = [];

  async function within(limitMs, work) {
    let timer;
    const limit = new Promise((resolve) => {
      timer = setTimeout(resolve, limitMs, 'late');
    });
    try {
      return await Promise.race([work.then(() => 'done'), limit]);
    } finally {
      clearTimeout(timer);
    }
  }

  // Returns the names of what did not end in time or failed.
  async function runAll(entries, deadline) {
    const left = new Set(entries.map(([name]) => name));
    const work = Promise.all(
      entries.map(async ([name, fn]) => {
        try {
          await fn();
          left.delete(name);
        } catch (error) {
          log.error({ step: name, error }, `drain: ${name} failed`);
        }
      }),
    );
    await within(Math.max(0, deadline - Date.now()), work);
    return [...left];
  }

  async function drainAll(reason) {
    const delayMs = isWithdrawn() ? Math.min(drain.delayMs, WITHDRAWN_DELAY_MS) : drain.delayMs;
    log.info({ reason, delay_ms: delayMs, timeout_ms: drain.timeoutMs }, 'draining');
    metrics.set('flowship_draining', {}, 1);
    const deadline = Date.now() + delayMs + drain.timeoutMs;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), delayMs + drain.timeoutMs - Math.min(HAND_BACK_MS, drain.timeoutMs / 2));
    state.leaving = Array.from(hooks, ([name, fn]) => {
      const left = (async () => fn(late.signal))();
      left.catch(() => {});
      return [name, () => left];
    });
    await delay(delayMs);
    const left = [];
    for (const stage of steps) left.push(...(await runAll(stage(late.signal), deadline)));
    clearTimeout(timer);
    if (left.length > 0) log.error({ left }, `drain: not finished within ${drain.timeoutMs} ms: ${left.join(', ')}`);
    else log.info({}, 'drained');
    return { clean: left.length === 0, left };
  }

  metrics.set('flowship_draining', {}, 0);
  return Object.freeze({
    started: () => state.started,
    markStarted() {
      state.started = true;
    },
    draining: () => state.draining !== null,
    // For the nodes: stop fetching new work at once, then finish what is in hand, or hand it back when the signal that fn
    // gets aborts. Returns what unregisters it.
    onDrain(name, fn) {
      hooks.set(name, fn);
      return () => {
        if (hooks.get(name) === fn) hooks.delete(name);
      };
    },
    leaving: () => state.leaving,
    // Stages run one after the other, the parts of a stage at once. A stage gets the same signal.
    addStage(parts) {
      steps.push(parts);
    },
    drain(reason) {
      state.draining ??= drainAll(reason);
      return state.draining;
    },
  });
}

module.exports = { createLifecycle };
