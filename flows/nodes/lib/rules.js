'use strict';
// Rules on the properties of a message: the router's choice and the smoke checks' expectations.

const OPERATORS = {
  equals: (actual, wanted) => actual === wanted || (actual !== undefined && actual !== null && String(actual) === String(wanted)),
  differs: (actual, wanted) => !OPERATORS.equals(actual, wanted),
  matches: (actual, wanted) => typeof actual === 'string' && new RegExp(wanted, 'u').test(actual),
  above: (actual, wanted) => Number(actual) > Number(wanted),
  below: (actual, wanted) => Number(actual) < Number(wanted),
  exists: (actual) => actual !== undefined && actual !== null && actual !== '',
  missing: (actual) => !OPERATORS.exists(actual),
  'equals property': () => {
    throw new Error('compared where both properties are known');
  },
};

function propertyOf(message, path) {
  return path.split('.').reduce((value, key) => (value === undefined || value === null ? undefined : value[key]), message);
}

function holds(rule, message) {
  const actual = propertyOf(message, rule.property);
  if (rule.operator === 'equals property') return OPERATORS.equals(actual, propertyOf(message, rule.value));
  return OPERATORS[rule.operator](actual, rule.value);
}

// Whether the earlier rule holds for every message that the later one is for, as far as that can be seen.
function takesAll(earlier, later) {
  if (earlier.property !== later.property) return false;
  if (earlier.operator === later.operator && earlier.value === later.value) return true;
  if (later.operator !== 'equals' || earlier.operator === 'equals property') return false;
  try {
    return OPERATORS[earlier.operator](later.value, earlier.value);
  } catch {
    return false;
  }
}

// What is wrong with a rule shows when the flows start, not when the first message comes.
function problemsOf(rules, outputs) {
  const problems = [];
  rules.forEach((rule, index) => {
    const place = `rule ${index + 1}`;
    if (!rule.property) problems.push(`${place} names no property of the message, such as workflow_id`);
    if (!(rule.operator in OPERATORS)) {
      problems.push(`${place} has the operator '${rule.operator}': expected one of ${Object.keys(OPERATORS).join(', ')}`);
    }
    if (rule.operator === 'matches') {
      try {
        new RegExp(rule.value, 'u');
      } catch (error) {
        problems.push(`${place} has a pattern that is not valid: ${error.message}`);
      }
    }
    if (outputs !== undefined) {
      if (!outputs.includes(rule.output)) problems.push(`${place} names the output '${rule.output}': expected one of ${outputs.join(', ')}`);
      const first = rules.slice(0, index).findIndex((earlier) => takesAll(earlier, rule));
      if (first !== -1) problems.push(`${place} never holds where rule ${first + 1} does not: change it, or put it before that one`);
    }
  });
  return problems;
}

function explain(rule, message) {
  const actual = JSON.stringify(propertyOf(message, rule.property)) ?? 'nothing';
  const wanted = ['exists', 'missing'].includes(rule.operator) ? '' : ` ${JSON.stringify(rule.value)}`;
  return `expected ${rule.property} ${rule.operator}${wanted}, found ${actual.slice(0, 200)}`;
}

module.exports = { OPERATORS, propertyOf, holds, problemsOf, explain };
