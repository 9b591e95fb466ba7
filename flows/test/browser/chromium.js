'use strict';
// A real browser without a window, driven over the DevTools protocol.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');

const LIMIT_MS = 60_000;
const QUIET = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--no-default-browser-check',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
];

async function until(what, condition) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await pause(50);
  }
}

// -> {open(address) -> page}; `names`: host names that lead to this machine.
async function startBrowser(t, { names = [] } = {}) {
  const program = process.env.FLOWSHIP_CHROMIUM;
  if (!program) throw new Error('FLOWSHIP_CHROMIUM is not set: run these tests with `cargo xtask ci browser`');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-browser-'));
  const rules = names.map((name) => `MAP ${name} 127.0.0.1`).join(', ');
  const child = spawn(program, [...QUIET, `--user-data-dir=${folder}`, '--remote-debugging-port=0', `--host-resolver-rules=${rules}`, 'about:blank'], {
    stdio: 'ignore', detached: true,
  });
  const ended = once(child, 'close');
  t.after(async () => {
    // With everything that it has started.
    process.kill(-child.pid, 'SIGKILL');
    await ended;
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const [port, where] = await until('the browser can be driven', () => {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
    const file = path.join(folder, 'DevToolsActivePort');
    const lines = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n') : [];
    return lines.length > 1 && lines;
  });
  const socket = new WebSocket(`ws://127.0.0.1:${port}${where}`);
  await once(socket, 'open');
  const waiting = new Map();
  let last = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    waiting.get(id)?.(error ? Promise.reject(new Error(error.message)) : result);
    waiting.delete(id);
  });
  const call = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve) => {
      last += 1;
      waiting.set(last, resolve);
      socket.send(JSON.stringify({ id: last, method, params, sessionId }));
    });
  return {
    // What frames that have a process of their own, as those of other sites do, ended up with.
    async isolatedFrames() {
      const { targetInfos } = await call('Target.getTargets');
      return Promise.all(targetInfos.filter(({ type }) => type === 'iframe').map(async ({ targetId }) => {
        const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
        return (await call('Runtime.evaluate', { expression: 'location.href', returnByValue: true }, sessionId)).result.value;
      }));
    },
    async open(address) {
      const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
      const page = await pageOf((method, params) => call(method, params, sessionId), address);
      return { ...page, close: () => call('Target.closeTarget', { targetId }) };
    },
  };
}

async function pageOf(call, address) {
  await call('Page.enable');
  const page = {
    // The value of an expression, which may be a promise.
    async run(expression) {
      const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    // Pages come and go meanwhile: what fails then is asked again.
    shows: (expression) =>
      until(expression, () => page.run(expression).catch(() => false)).catch(async (error) => {
        throw new Error(`${error.message}; the page is ${await page.run('`${location}: ${document.body.innerText}`')}`);
      }),
    async frames() {
      const { frameTree } = await call('Page.getFrameTree');
      return (frameTree.childFrames ?? []).map(({ frame }) => frame.url);
    },
    async screenshot(file) {
      const { data } = await call('Page.captureScreenshot');
      fs.writeFileSync(file, Buffer.from(data, 'base64'));
    },
  };
  await call('Page.navigate', { url: address });
  await page.shows('document.readyState === "complete" && location.href !== "about:blank"');
  return page;
}

module.exports = { startBrowser, until };
