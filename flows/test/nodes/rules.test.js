'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { explain, holds, problemsOf, OPERATORS } = require('../../nodes/lib/rules');
const { route } = require('../../nodes/lib/routing');

const message = { workflow_id: 'a', payload: { n: 5, text: 'hello', empty: '', none: null, list: [{ id: 7 }] }, other: 'a' };
const rule = (property, operator, value) => ({ property, operator, value });

test('each operator tells true from false', () => {
  for (const [yes, no] of [
    [rule('workflow_id', 'equals', 'a'), rule('workflow_id', 'equals', 'b')],
    [rule('payload.n', 'equals', '5'), rule('payload.missing', 'equals', 'undefined')],
    [rule('workflow_id', 'differs', 'b'), rule('workflow_id', 'differs', 'a')],
    [rule('workflow_id', 'equals property', 'other'), rule('workflow_id', 'equals property', 'payload.text')],
    [rule('payload.text', 'matches', '^h.+o$'), rule('payload.text', 'matches', '^x')],
    [rule('payload.n', 'above', '4'), rule('payload.n', 'above', '5')],
    [rule('payload.n', 'below', '6'), rule('payload.text', 'below', '6')],
    [rule('payload.list.0.id', 'exists'), rule('payload.list.1.id', 'exists')],
    [rule('payload.empty', 'missing'), rule('payload.text', 'missing')],
    [rule('payload.none.deeper', 'missing'), rule('payload.none', 'exists')],
  ]) {
    assert.equal(holds(yes, message), true, JSON.stringify(yes));
    assert.equal(holds(no, message), false, JSON.stringify(no));
  }
});

test('an envelope leaves by the output of the first rule that holds, else by the fallback', () => {
  const outputs = ['numbers', 'texts'];
  const rules = [
    { ...rule('payload.n', 'above', '9'), output: 'numbers' },
    { ...rule('payload.text', 'exists'), output: 'texts' },
    { ...rule('payload.n', 'exists'), output: 'numbers' },
  ];
  assert.deepEqual(route(rules, outputs, message), { output: 'texts', position: 1 });
  assert.deepEqual(route(rules, outputs, { payload: { n: 10, text: 'x' } }), { output: 'numbers', position: 0 });
  assert.deepEqual(route(rules, outputs, { payload: { n: 1 } }), { output: 'numbers', position: 0 });
  assert.deepEqual(route(rules, outputs, { payload: {} }), { output: 'fallback', position: 2 });
  const meant = [{ ...rule('payload.text', 'exists'), output: 'fallback' }, ...rules];
  assert.deepEqual(route(meant, outputs, message), { output: 'fallback', position: 2 });
  assert.deepEqual(route([], [], message), { output: 'fallback', position: 0 });
});

test('every mistake in the rules is told at once', () => {
  const problems = problemsOf([
    { property: '', operator: 'equals', output: 'a' },
    { property: 'x', operator: 'like', output: 'a' },
    { property: 'x', operator: 'matches', value: '(', output: 'b' },
  ], ['a']);
  assert.equal(problems.length, 4);
  assert.match(problems[0], /rule 1 names no property/);
  assert.match(problems[1], new RegExp(`rule 2 .*'like'.*${Object.keys(OPERATORS)[0]}`));
  assert.match(problems[2], /rule 3 has a pattern/);
  assert.match(problems[3], /rule 3 names the output 'b': expected one of a/);
});

test('a router has no rule that an earlier one leaves nothing for', () => {
  const equals = (value) => ({ ...rule('workflow_id', 'equals', value), output: 'a' });
  for (const [earlier, later] of [
    [equals('x'), equals('x')], [rule('workflow_id', 'exists'), equals('x')], [rule('workflow_id', 'matches', '^x'), equals('xy')],
    [rule('workflow_id', 'differs', 'y'), equals('x')], [rule('payload.n', 'above', '4'), { ...rule('payload.n', 'equals', '5'), output: 'a' }],
    [rule('workflow_id', 'exists'), { ...rule('workflow_id', 'exists'), output: 'a' }],
  ]) {
    const said = problemsOf([{ output: 'a', ...earlier }, equals('other'), { ...later, output: 'a' }], ['a']).at(-1);
    assert.equal(said, 'rule 3 never holds where rule 1 does not: change it, or put it before that one', JSON.stringify([earlier, later]));
  }
  for (const [earlier, later] of [
    [equals('y'), equals('x')], [rule('payload.text', 'exists'), equals('x')], [rule('workflow_id', 'matches', '^x'), equals('y')], [rule('workflow_id', 'matches', '^x'), rule('workflow_id', 'exists')],
    [rule('workflow_id', 'equals property', 'other'), equals('x')], [equals('x'), rule('workflow_id', 'differs', 'x')],
  ]) assert.deepEqual(problemsOf([{ output: 'a', ...earlier }, { output: 'a', ...later }], ['a']), [], JSON.stringify([earlier, later]));
});

test('what was expected and found is said', () => {
  assert.equal(explain(rule('payload.n', 'above', '9'), message), 'expected payload.n above "9", found 5');
  assert.equal(explain(rule('payload.x', 'exists'), message), 'expected payload.x exists, found nothing');
});
