'use strict';
// The metrics that platform.json defines, by name. Names, labels and buckets are never repeated here.

const client = require('prom-client');

const COLLECT_LIMIT_MS = 3000;
const KINDS = { counter: client.Counter, gauge: client.Gauge, histogram: client.Histogram };

function createMetrics(definitions, { onCollectError = () => {} } = {}) {
  const registry = new client.Registry();
  const collectors = new Map();
  const instruments = new Map();
  client.collectDefaultMetrics({ register: registry });

  for (const [name, { kind, help, labels, buckets }] of Object.entries(definitions)) {
    const Kind = KINDS[kind];
    if (!Kind) throw new Error(`platform.json: metric ${name} has kind ${kind}: expected one of ${Object.keys(KINDS).join(', ')}`);
    instruments.set(name, new Kind({ name, help, labelNames: labels, registers: [registry], ...(buckets && { buckets }) }));
  }

  function instrument(name, kind, labels = {}) {
    const definition = definitions[name];
    if (!definition) throw new Error(`unknown metric ${name}: define it in the platform (platform.json)`);
    if (definition.kind !== kind) throw new Error(`metric ${name} is a ${definition.kind}, not a ${kind}`);
    const given = Object.keys(labels);
    if (given.length !== definition.labels.length || given.some((label) => !definition.labels.includes(label))) {
      throw new Error(`metric ${name} takes the labels [${definition.labels.join(', ')}], got [${given.join(', ')}]`);
    }
    return instruments.get(name);
  }

  async function collectOne(name, read) {
    const gauge = instruments.get(name);
    let timer;
    try {
      const limit = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no value within ${COLLECT_LIMIT_MS} ms`)), COLLECT_LIMIT_MS);
      });
      const found = await Promise.race([read(), limit]);
      if (found === undefined) return;
      const samples = Array.isArray(found) ? found : [{ labels: {}, value: found }];
      gauge.reset();
      for (const { labels = {}, value } of samples) instrument(name, 'gauge', labels).set(labels, value);
    } catch (error) {
      // A value that cannot be read must vanish, not stay as it was.
      gauge.reset();
      onCollectError(name, error);
    } finally {
      clearTimeout(timer);
    }
  }

  return Object.freeze({
    // What others counted may be anything; a figure that is none is left out, it fails nothing.
    increment(name, labels = {}, by = 1) {
      const counter = instrument(name, 'counter', labels);
      if (Number.isFinite(by) && by >= 0) counter.inc(labels, by);
    },
    observe(name, labels, seconds) {
      const histogram = instrument(name, 'histogram', labels);
      if (Number.isFinite(seconds)) histogram.observe(labels ?? {}, seconds);
    },
    set(name, labels, value) {
      instrument(name, 'gauge', labels).set(labels ?? {}, value);
    },
    // `read` runs at each scrape and gives a number, or [{labels, value}]. Returns what undoes it;
    // a later collector of the same name takes over.
    collect(name, read) {
      if (definitions[name]?.kind !== 'gauge') throw new Error(`${name} is not a gauge of platform.json: only gauges are collected at scrape time`);
      collectors.set(name, read);
      return () => {
        if (collectors.get(name) !== read) return;
        collectors.delete(name);
        instruments.get(name).reset();
      };
    },
    async exposition() {
      await Promise.all(Array.from(collectors, ([name, read]) => collectOne(name, read)));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  });
}

module.exports = { createMetrics };
