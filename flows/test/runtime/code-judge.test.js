'use strict';
// Where code, expressions and schemas do not parse.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { judge } = require('../../runtime/code-judge');

const one = (kind, text) => {
  const [fault, more] = judge([{ kind, text }]);
  assert.equal(more, undefined);
  if (fault === undefined) return null;
  const { message, line, column } = fault;
  return `${line === undefined ? '' : `${line}:${column} `}${message}`;
};

test('JavaScript, as the function node wraps it', () => {
  for (const [kind, text, expected] of [
    ['function', 'return msg;', null],
    ['function', 'const a = await fetch("/x");\nreturn a; // the end', null],
    ['function', '', null],
    ['function', 'node.done();\nreturn null;', null],
    ['function', 'const a = 1;\n  return msg.;', "2:14 Unexpected token ';'"],
    ['function', 'if (a) {\n  b();', /^Unexpected token '\)', at its end$/],
    ['function', 'return "a', '1:8 Invalid or unexpected token'],
    ['function', 'let msg; let msg;', "1:5 Identifier 'msg' has already been declared"],
    ['function', 'import fs from "fs";', '1:1 Cannot use import statement outside a module'],
    ['setup', 'await context.set("a", 1);', null],
    ['setup', 'node.status({});\n)', "2:1 Unexpected token ')'"],
    ['cleanup', 'node.status({});', null],
    ['cleanup', 'const a = await b();', '1:11 await is only valid in async functions and the top level bodies of modules'],
  ]) {
    const found = one(kind, text);
    if (expected instanceof RegExp) assert.match(found, expected);
    else assert.equal(found, expected, text);
  }
});

test('JSONata, as Node-RED reads it', () => {
  for (const [text, expected] of [
    ['payload.{"a": b}', null],
    ['$flowContext("a") & $env("B") & $moment()', null],
    ['', /Unexpected end of expression/],
    ['payload.', /Unexpected end of expression/],
    ['a +\n  (b))', /^2:6 .*Syntax error/],
    ['a.(\n b', /^2:3 Expected "\)" before end of expression/],
    ['"open', /String literal must be terminated/],
    ['/a(/', /./],
    [`${'('.repeat(100000)}`, /./],
  ]) {
    const found = one('jsonata', text);
    if (expected === null) assert.equal(found, null, text);
    else assert.match(found ?? '', expected, text.slice(0, 40));
  }
});

test('JSON, patterns and schemas', () => {
  assert.equal(one('json', '{"a": "\\ud800"}'), null);
  assert.match(one('json', "{'a': 1}"), /JSON/);
  assert.equal(one('pattern', 'a(b)'), null);
  assert.match(one('pattern', 'a(b'), /Unterminated group/);
  assert.equal(one('schema', '{"type": "object"}'), null);
  assert.match(one('schema', '{"type": "objekt"}'), /^is not a JSON Schema: at "\/type": must be equal to one of the allowed values/);
  assert.match(one('schema', '{"type": '), /^is not valid JSON: /);
});

test('each fault has the index of its text', () => {
  const texts = ['return 1;', 'return )', 'return 2;', '}{'].map((text) => ({ kind: 'function', text }));
  assert.deepEqual(judge(texts).map(({ index }) => index), [1, 3]);
});

test("Node-RED's function node still wraps code in this way", () => {
  const source = fs.readFileSync(require.resolve('@node-red/nodes/core/function/10-function.js'), 'utf8');
  for (const part of ['"results = (async function(msg,__send__,__done__){ "+', '(async function(__send__) {', '(function () {', 'acorn.parse(functionText', 'var node = {']) {
    assert.ok(source.includes(part), part);
  }
});
