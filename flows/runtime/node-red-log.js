'use strict';
// Node-RED's own log, told in ours.

const util = require('node:util');

// Said at each start, and wrong here: no credentials are ever stored.
const MISLEADING = 'nodes.credentials.unencrypted';

const LEVELS = { 10: 'fatal', 20: 'error', 30: 'warn', 40: 'info', 50: 'debug', 60: 'trace', 98: 'info', 99: 'debug' };

// `failures` gets what nodes said last, by id.
function nodeRedLogging({ log, metrics, failures, level, translate }) {
  return {
    flowship: {
      level,
      metrics: false,
      audit: false,
      handler: () => (entry) => {
        if (entry.msg === translate(MISLEADING)) return;
        const word = LEVELS[entry.level] ?? 'info';
        if (entry.type && entry.level <= 20) metrics.increment('flowship_flow_errors_total', { node_type: entry.type });
        const message = messageOf(entry.msg);
        if (entry.id && entry.level <= 20) failures.set(entry.id, message);
        log[word](fieldsOf(entry), message);
      },
    },
  };
}

function fieldsOf(entry) {
  const fields = { source: 'node-red' };
  if (entry.id) fields.node_id = entry._alias ?? entry.id;
  if (entry.type) fields.node_type = entry.type;
  if (entry.name) fields.node_name = entry.name;
  if (entry.msg instanceof Error) fields.error = entry.msg;
  return fields;
}

function messageOf(value) {
  if (typeof value === 'string') return value.trim();
  if (value && typeof value.message === 'string') return value.message;
  return util.inspect(value, { depth: 3, breakLength: Infinity });
}

module.exports = { nodeRedLogging };
