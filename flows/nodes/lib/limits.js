'use strict';
// What a workflow node says about its tasks: how many at once, how long, how often, before whom.

const { queues } = require('./platform');

const FIELDS = {
  concurrency: { what: 'concurrency', unit: 'tasks at once on one replica', least: 1, most: 10_000 },
  time_limit: { what: 'time limit', unit: 'seconds for an attempt', least: 1, most: 24 * 60 * 60 },
  retries: { what: 'retries', unit: 'attempts after the first', least: 0, most: 100 },
  priority: { what: 'priority', unit: 'higher goes first', least: -100, most: 100 },
};

// `place` says whose they are. -> {concurrency, time_limit, retries, priority}, each undefined where the platform's default holds
function limitsOf(place, definition) {
  const limits = {};
  for (const [field, { what, unit, least, most }] of Object.entries(FIELDS)) {
    const given = definition[field];
    if (given === undefined || given === null || given === '') continue;
    const value = Number(given);
    if (!/^-?\d+$/.test(given) || value < least || value > most) {
      throw new Error(`the ${what} '${given}' of ${place} is not valid: expected a whole number from ${least} to ${most} (${unit}), or nothing for the platform's default`);
    }
    limits[field] = value;
  }
  return limits;
}

// -> Map of workflow id to its limits, of the flows that run; a node that could not be started has none
function knownLimits(RED) {
  const known = new Map();
  RED.nodes.eachNode((node) => {
    if (node.type === 'workflow' && node.d !== true) known.set(node.workflow_id, RED.nodes.getNode(node.id)?.limits ?? {});
  });
  return known;
}

// -> what pg-boss is told about a job
function jobOptions({ time_limit: expireInSeconds = queues.expire_seconds, retries: retryLimit = queues.retry_limit, priority = 0 } = {}) {
  return { expireInSeconds, retryLimit, priority };
}

module.exports = { limitsOf, knownLimits, jobOptions };
