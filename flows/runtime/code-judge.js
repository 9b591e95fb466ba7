'use strict';
// What in flows does not parse, by the engines that will run it: V8 as Node-RED's function node calls it, Node-RED's own
// JSONata, Ajv as the workflow node calls it. `cargo xtask check flows` asks, with [{kind, text}, ...] on standard input,
// and gets [{index, message, line, column}, ...] of those that are wrong. Nothing is run, only compiled.

const vm = require('node:vm');
const { text: all } = require('node:stream/consumers');

// Node-RED puts this before and after the code. What comes before takes the first lines, so that lines are counted after
// it: FIRST begins on the line of the code, and ends the text before it.
const WRAPPED = {
  function: ['(async function(msg,__send__,__done__){ var __msgid__; var node;\n', '\n})(msg,__send__,__done__);'],
  setup: ['(async function(__send__) { var node;\n', '\n})(__initSend__);'],
  cleanup: ['(function () { var node;\n', '\n})();'],
};

function compile([before, after], code) {
  try {
    new vm.Script(`${before}${code}${after}`, { filename: 'code' });
  } catch (error) {
    const [, line, marked] = /^code:(\d+)\n.*\n(.*)/.exec(error.stack) ?? [];
    const lines = code.split('\n').length;
    // What is not closed shows behind the end.
    if (Number(line) - 1 > lines) return { message: `${error.message}, at its end` };
    return { message: error.message, line: Number(line) - 1, column: marked.indexOf('^') + 1 };
  }
  return null;
}

function javascript(kind, code) {
  const fault = compile(WRAPPED[kind], code);
  if (fault !== null || kind !== 'function' || !/node\.done\s*\(\s*\)/.test(code)) return fault;
  try {
    // Node-RED reads such code with a parser of its own, and has no node where that fails.
    require('acorn').parse(`${WRAPPED.function[0]}${code}${WRAPPED.function[1]}`, { ecmaVersion: 'latest' });
    return null;
  } catch (error) {
    return { message: error.message.replace(/ \(\d+:\d+\)$/, ''), line: error.loc?.line - 1, column: error.loc?.column + 1 };
  }
}

// Of a character, counted from 0.
function placed(text, at) {
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: before.at(-1).length + 1 };
}

function jsonata(text) {
  try {
    require('@node-red/util/lib/jsonata')(text);
    return null;
  } catch (error) {
    // It counts to the end of what it names, if there is something.
    const length = typeof error.token === 'string' && error.token !== '(end)' ? error.token.length : 0;
    const place = Number.isInteger(error.position) ? placed(text, Math.max(0, error.position - length)) : {};
    return { message: error.message, ...place };
  }
}

function thrown(work) {
  try {
    work();
    return null;
  } catch (error) {
    return { message: error.message };
  }
}

function schema(text) {
  const fault = thrown(() => require('../nodes/lib/workflows').compileSchema('this workflow', text));
  return fault && { message: fault.message.replace('the input schema of this workflow ', '') };
}

const JUDGES = {
  function: (text) => javascript('function', text),
  setup: (text) => javascript('setup', text),
  cleanup: (text) => javascript('cleanup', text),
  jsonata,
  json: (text) => thrown(() => JSON.parse(text)),
  pattern: (text) => thrown(() => new RegExp(text, 'g')),
  schema,
};

const judge = (texts) =>
  texts.flatMap(({ kind, text }, index) => {
    const fault = JUDGES[kind](text);
    return fault === null ? [] : [{ index, ...fault }];
  });

if (require.main === module) {
  all(process.stdin).then((asked) => process.stdout.write(JSON.stringify(judge(JSON.parse(asked)))));
}

module.exports = { judge };
