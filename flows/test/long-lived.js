'use strict';
// Clients that are there while releases are deployed, for `cargo xtask bench deploys`: `node long-lived.js SETTINGS`. One
// has a WebSocket that echoes, sends a numbered message every 50 ms and connects again when the WebSocket is closed; another asks
// for an answer that takes long, and again when it has it. When stdin ends, both wait for what is under way; the result is one
// JSON object on stdout. What `NODE_EXTRA_CA_CERTS` names is trusted.

const https = require('node:https');
const { setTimeout: pause } = require('node:timers/promises');

const MESSAGE_MS = 50;
const AGAIN_MS = 10;
const NORMAL = 1000;
// Without a close frame, as the WHATWG's WebSocket says it.
const CUT = 1006;

const { base, socket: socketPath, slow: slowPath } = JSON.parse(process.argv[2]);
let ending = false;

function tally(counts, what) {
  counts[what] = (counts[what] ?? 0) + 1;
}

// Ends when one connection has.
function connection(seen) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${base.replace(/^http/, 'ws')}${socketPath}`);
    const open = new Set();
    let timer = null;
    socket.onopen = () => {
      seen.connections += 1;
      if (seen.closedAt !== null) seen.longest_without_ms = Math.max(seen.longest_without_ms, performance.now() - seen.closedAt);
      seen.closedAt = null;
      timer = setInterval(() => {
        if (ending) {
          if (open.size === 0) socket.close(NORMAL);
          return;
        }
        if (socket.readyState !== WebSocket.OPEN) return;
        seen.sent += 1;
        open.add(String(seen.sent));
        socket.send(String(seen.sent));
      }, MESSAGE_MS);
    };
    socket.onmessage = ({ data }) => {
      if (open.delete(String(data))) seen.answered += 1;
    };
    // What follows is its close.
    socket.onerror = () => {};
    socket.onclose = ({ code }) => {
      clearInterval(timer);
      if (timer === null) tally(seen.closed, 'refused');
      else if (!ending || code !== NORMAL) tally(seen.closed, code === CUT ? 'cut' : String(code));
      seen.unanswered += open.size;
      seen.closedAt ??= performance.now();
      resolve();
    };
  });
}

async function withSocket() {
  const seen = { connections: 0, sent: 0, answered: 0, unanswered: 0, closed: {}, longest_without_ms: 0, closedAt: null };
  while (!ending) {
    await connection(seen);
    if (!ending) await pause(AGAIN_MS);
  }
  const { closedAt, ...result } = seen;
  return result;
}

function ask(seen) {
  const begun = performance.now();
  return new Promise((resolve) => {
    const end = (what) => {
      if (what !== null) tally(seen.failed, what);
      seen.longest_ms = Math.max(seen.longest_ms, performance.now() - begun);
      resolve();
    };
    seen.sent += 1;
    const request = https.get(`${base}${slowPath}`, { agent: false }, (response) => {
      response.resume();
      response.on('error', (error) => end(error.code ?? error.message));
      response.on('end', () => end(response.statusCode === 200 ? null : `status ${response.statusCode}`));
    });
    request.on('error', (error) => end(error.code ?? error.message));
  });
}

async function slowly() {
  const seen = { sent: 0, failed: {}, longest_ms: 0 };
  while (!ending) {
    await ask(seen);
    if (!ending) await pause(AGAIN_MS);
  }
  return seen;
}

process.stdin.on('end', () => {
  ending = true;
});
process.stdin.resume();
Promise.all([withSocket(), slowly()]).then(([socket, slow]) => {
  process.stdout.write(`${JSON.stringify({ socket, slow })}\n`, () => process.exit(0));
});
