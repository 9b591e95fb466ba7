'use strict';
// Triggers the smoke flow's checks and collects their answers. The flow does the checking;
// this holds it to the list and to the time limit of platform.json.

const crypto = require('node:crypto');
const { hide } = require('./secrets');

class UnknownCheckError extends Error {}

function createSmoke({ definition: { checks: order, time_limit_ms: limitMs }, dependencies, metrics, log }) {
  const inputs = new Map();
  const runs = new Map();

  function selection(wanted) {
    if (wanted === undefined || wanted === null) return order;
    if (!Array.isArray(wanted) || wanted.length === 0) throw new UnknownCheckError(`"checks": expected a list of some of ${order.join(', ')}`);
    const unknown = wanted.filter((name) => !order.includes(name));
    if (unknown.length > 0) throw new UnknownCheckError(`unknown check ${unknown.join(', ')}: expected some of ${order.join(', ')}`);
    return order.filter((name) => wanted.includes(name));
  }

  function oneCheck(run, name, signal) {
    const startedAt = performance.now();
    return new Promise((resolve) => {
      const finish = ({ error = null, detail = null } = {}) => {
        run.waiting.delete(name);
        signal.removeEventListener('abort', late);
        resolve({
          name,
          status: error ? 'failed' : 'passed',
          duration_ms: Math.round(performance.now() - startedAt),
          error: error ? hide(String(error.message ?? error)) : null,
          detail,
        });
      };
      // What hangs has most likely been found by the dependency's own probe, which knows where it asked.
      const late = () => finish({ error: `missing: no answer within ${limitMs} ms${dependencies.whatIsDown()}` });
      const input = inputs.get(name);
      if (!input) {
        finish({ error: `missing: no smoke-in node offers the check ${name}; see test-smoke.json` });
        return;
      }
      run.waiting.set(name, finish);
      signal.addEventListener('abort', late);
      Promise.resolve()
        .then(() => input.start({ run_id: run.id, check: name, time_limit_ms: limitMs, signal }))
        .catch((error) => run.waiting.get(name)?.({ error }));
    });
  }

  function remember(result) {
    metrics.set('flowship_smoke_check_passed', { check: result.name }, result.status === 'passed' ? 1 : 0);
    metrics.set('flowship_smoke_check_duration_seconds', { check: result.name }, result.duration_ms / 1000);
  }

  return Object.freeze({
    // For smoke-in: start({run_id, check, time_limit_ms, signal}) begins the check. Returns what unregisters it.
    register(name, input) {
      if (!order.includes(name)) throw new Error(`unknown smoke check ${name}: platform.json knows ${order.join(', ')}`);
      if (typeof input?.start !== 'function') throw new Error(`smoke check ${name}: expected {start(run)}`);
      inputs.set(name, input);
      return () => {
        if (inputs.get(name) === input) inputs.delete(name);
      };
    },
    // For smoke-out. The first answer counts; one that comes after the time limit changes nothing.
    result(runId, name, { error = null, detail = null } = {}) {
      const finish = runs.get(runId)?.waiting.get(name);
      if (finish) finish({ error, detail });
      else log.warn({ run_id: runId, check: name }, 'an answer of a smoke check that nobody waits for');
    },
    async run(wanted) {
      const names = selection(wanted);
      const run = { id: crypto.randomUUID(), waiting: new Map() };
      const startedAt = performance.now();
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), limitMs);
      runs.set(run.id, run);
      try {
        const results = await Promise.all(names.map((name) => oneCheck(run, name, abort.signal)));
        results.forEach(remember);
        const status = results.every((result) => result.status === 'passed') ? 'passed' : 'failed';
        metrics.increment('flowship_smoke_runs_total', { status });
        log.info({ run_id: run.id, failed: results.filter((result) => result.status === 'failed').map((result) => result.name) }, `smoke ${status}`);
        return { run_id: run.id, status, duration_ms: Math.round(performance.now() - startedAt), checks: results };
      } finally {
        clearTimeout(timer);
        runs.delete(run.id);
      }
    },
  });
}

module.exports = { createSmoke, UnknownCheckError };
