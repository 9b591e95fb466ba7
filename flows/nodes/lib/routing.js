'use strict';
// The first rule that holds names the output; what no rule wants leaves by the fallback, always the last.

const { holds } = require('./rules');

const FALLBACK = 'fallback';

function route(rules, outputs, message) {
  const rule = rules.find((candidate) => holds(candidate, message));
  if (rule === undefined) return { output: FALLBACK, position: outputs.length };
  return { output: rule.output, position: outputs.indexOf(rule.output) };
}

module.exports = { FALLBACK, route };
