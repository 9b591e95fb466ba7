'use strict';
// Asks the offline gate (`cargo xtask check flows`) about flows before they run. Where no command is given, as in
// containers, the flows were judged before they got there.

const { spawn } = require('node:child_process');
const { text } = require('node:stream/consumers');
const { once } = require('node:events');

const LIMIT_MS = 30000;

const WARNING = /^[^:]*:\d+: warning: /;

// -> a line for each error in the files; with `candidate` in the place of flows.json when it is given. Warnings refuse
// nothing and go to the log.
function createFlowGate(command, log) {
  if (command === null) return async () => [];
  return async (candidate) => {
    const [program, ...args] = [...command, ...(candidate === undefined ? [] : ['--stdin'])];
    const child = spawn(program, args, { stdio: 'pipe', timeout: LIMIT_MS, killSignal: 'SIGKILL' });
    // What it does not read to its end is its affair; it is judged by its answer.
    child.stdin.on('error', () => {});
    child.stdin.end(candidate);
    try {
      const [findings, said, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      const lines = findings.trim() === '' ? [] : findings.trim().split('\n');
      const errors = lines.filter((line) => !WARNING.test(line));
      if (code === 0 || (code === 1 && errors.length > 0)) {
        for (const line of lines.filter((one) => WARNING.test(one))) log.warn(line);
        return code === 0 ? [] : errors;
      }
      return [`the flows could not be judged: ${program} ended with ${signal ?? code}: ${said.trim()}`];
    } catch (error) {
      return [`the flows could not be judged: ${program}: ${error.message}; run \`cargo xtask dev\` again`];
    }
  };
}

module.exports = { createFlowGate };
