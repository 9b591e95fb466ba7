'use strict';
// Shared dependencies (database, llm, mcp): whether they answer. Their absence degrades a replica,
// it never takes the replica out of the pool, since it would take out every replica at once.

const PROBE_LIMIT_MS = 3000;

function createDependencies({ log, metrics }) {
  const known = new Map();

  function report(name, error) {
    const entry = known.get(name) ?? { up: null };
    const up = !error;
    const message = error ? String(error.message || error.code || error) : null;
    if (entry.up !== up) {
      entry.since = new Date().toISOString();
      if (!up) log.warn({ dependency: name, reason: message }, `dependency ${name} is down`);
      else if (entry.up === false) log.info({ dependency: name }, `dependency ${name} is back`);
    }
    Object.assign(entry, { up, error: message });
    known.set(name, entry);
    metrics.set('flowship_dependency_up', { dependency: name }, up ? 1 : 0);
  }

  async function ask(name, probe) {
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PROBE_LIMIT_MS} ms`)), PROBE_LIMIT_MS);
    });
    try {
      await Promise.race([probe(), limit]);
      return null;
    } catch (error) {
      return error;
    } finally {
      clearTimeout(timer);
    }
  }

  return Object.freeze({
    // Probes at once and then every intervalMs. Returns what ends the probing.
    register(name, probe, { intervalMs = 5000 } = {}) {
      const mine = {};
      const entry = known.get(name) ?? { up: null, error: null };
      clearTimeout(entry.timer);
      entry.owner = mine;
      known.set(name, entry);
      const turn = async () => {
        const error = await ask(name, async () => probe());
        if (entry.owner !== mine) return;
        report(name, error);
        entry.timer = setTimeout(turn, intervalMs).unref();
      };
      turn();
      return () => {
        if (entry.owner !== mine) return;
        clearTimeout(entry.timer);
        entry.owner = null;
        known.delete(name);
      };
    },
    report,
    state: () => Object.fromEntries(Array.from(known, ([name, { up, error, since }]) => [name, { up, error, since }])),
    // For the end of a message about something that did not end in time; empty when nothing is known to be down.
    whatIsDown: () =>
      Array.from(known)
        .filter(([, entry]) => entry.up === false)
        .map(([name, { error }]) => `; ${name} is down: ${error}`)
        .join(''),
    degraded: () =>
      Array.from(known)
        .filter(([, entry]) => entry.up === false)
        .map(([dependency, { error, since }]) => ({ dependency, error, since })),
  });
}

module.exports = { createDependencies };
