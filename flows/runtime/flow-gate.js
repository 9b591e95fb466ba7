'use strict';
// Asks the offline gate (`cargo xtask check flows`) about flows before they run. Where no command is given, as in
// containers, the flows were judged before they got there.

const { spawn } = require('node:child_process');
const { text } = require('node:stream/consumers');
const { once } = require('node:events');

const LIMIT_MS = 30000;

// -> a line for each finding in the files; with `candidate` in the place of flows.json when it is given
function createFlowGate(command) {
  if (command === null) return async () => [];
  return async (candidate) => {
    const [program, ...args] = [...command, ...(candidate === undefined ? [] : ['--stdin'])];
    const child = spawn(program, args, { stdio: 'pipe', timeout: LIMIT_MS, killSignal: 'SIGKILL' });
    // What it does not read to its end is its affair; it is judged by its answer.
    child.stdin.on('error', () => {});
    child.stdin.end(candidate);
    try {
      const [findings, said, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      if (code === 0) return [];
      if (code === 1 && findings.trim() !== '') return findings.trim().split('\n');
      return [`the flows could not be judged: ${program} ended with ${signal ?? code}: ${said.trim()}`];
    } catch (error) {
      return [`the flows could not be judged: ${program}: ${error.message}; run \`cargo xtask dev\` again`];
    }
  };
}

module.exports = { createFlowGate };
