'use strict';
// The first rule that holds names the output; what no rule wants leaves by the fallback, always the last, which a rule may
// name too.

const { holds } = require('./rules');

const FALLBACK = 'fallback';

function route(rules, outputs, message) {
  const rule = rules.find((candidate) => holds(candidate, message));
  const output = rule?.output ?? FALLBACK;
  return { output, position: output === FALLBACK ? outputs.length : outputs.indexOf(output) };
}

module.exports = { FALLBACK, route };
