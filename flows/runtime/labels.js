'use strict';
// The labels of what runs now: they follow the work over promises, timers and I/O.

const { AsyncLocalStorage } = require('node:async_hooks');

const NONE = Object.freeze({});

function createLabels(names) {
  const storage = new AsyncLocalStorage();
  const known = new Set(names);

  function merged(labels) {
    const next = { ...storage.getStore() };
    for (const [name, value] of Object.entries(labels)) {
      if (!known.has(name)) throw new Error(`unknown label ${name}: platform.json knows ${names.join(', ')}`);
      if (value !== undefined && value !== null) next[name] = String(value);
    }
    return Object.freeze(next);
  }

  return Object.freeze({
    run: (labels, work) => storage.run(merged(labels), work),
    assign(labels) {
      const next = merged(labels);
      storage.enterWith(next);
      return next;
    },
    current: () => storage.getStore() ?? NONE,
  });
}

// Node-RED hands each message over in a turn of its own, so what is entered here ends with that turn.
function labelMessages(hooks, labels, onReceive) {
  hooks.add('onReceive.flowship', (event) => {
    const { msg, destination } = event;
    const assigned = labels.assign({
      node_id: destination.node?._alias ?? destination.id,
      workflow_id: plainId(msg?.workflow_id),
      task_id: plainId(msg?.task_id),
    });
    onReceive(event, assigned);
  });
}

function plainId(value) {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

module.exports = { createLabels, labelMessages };
