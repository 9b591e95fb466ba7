'use strict';
// Starts the real launcher as a process, on free ports and a project folder of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { EventEmitter, once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');

const MAIN = path.join(__dirname, '..', '..', 'runtime', 'main.js');
const LIMIT_MS = 20000;
// A test may leave a launcher that does not end when it is asked to.
const ENDS_MS = 2000;
const OPS_TOKEN = 'ops-token-of-the-test';

function project(t, { flows = [], smoke = [] } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-runtime-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  for (const name of ['user', 'secrets', 'flows']) fs.mkdirSync(path.join(folder, name));
  const secrets = { postgres: 'postgres-password', llm: 'llm-key', ops: OPS_TOKEN, api: 'api-key' };
  for (const [name, value] of Object.entries(secrets)) fs.writeFileSync(path.join(folder, 'secrets', name), `${value}\n`);
  fs.symlinkSync(path.join(__dirname, 'fixtures', 'nodes'), path.join(folder, 'flows', 'nodes'));
  const made = {
    folder,
    file: (name) => path.join(folder, 'flows', name),
    secret: (name) => path.join(folder, 'secrets', name),
    write(name, content) {
      fs.writeFileSync(this.file(name), typeof content === 'string' ? content : `${JSON.stringify(content, null, 4)}\n`);
    },
    read: (name) => fs.readFileSync(path.join(folder, 'flows', name), 'utf8'),
  };
  made.write('flows.json', flows);
  made.write('test-smoke.json', smoke);
  return made;
}

function environment(made, overrides = {}) {
  const env = {
    PATH: process.env.PATH,
    FLOWSHIP_ENVIRONMENT: 'production',
    FLOWSHIP_COMPONENT: 'node-red',
    FLOWSHIP_REPLICA: 'a',
    FLOWS_HOST: '127.0.0.1',
    FLOWS_PORT: '0',
    READY_HOST: '127.0.0.1',
    READY_PORT: '0',
    OPS_HOST: '127.0.0.1',
    OPS_PORT: '0',
    USER_DIR: path.join(made.folder, 'user'),
    FLOWS_DIR: path.join(made.folder, 'flows'),
    DRAIN_DELAY_MS: '0',
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: '1',
    POSTGRES_DB: 'none',
    POSTGRES_USER: 'none',
    POSTGRES_PASSWORD_FILE: made.secret('postgres'),
    LLM_BASE_URL: 'http://127.0.0.1:1/v1',
    LLM_MODEL: 'none',
    LLM_API_KEY_FILE: made.secret('llm'),
    MCP_SERVERS: 'tools=http://127.0.0.1:1/mcp',
    OPS_TOKEN_FILE: made.secret('ops'),
    API_KEY_FILE: made.secret('api'),
    NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE,
    ...overrides,
  };
  for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name];
  return env;
}

const DEV = { FLOWSHIP_ENVIRONMENT: 'dev', FLOWSHIP_TIER: 'development', EDITOR_HOST: '127.0.0.1', EDITOR_PORT: '0' };

function start(t, made, overrides = {}) {
  const child = spawn(process.execPath, [MAIN], { env: environment(made, overrides), cwd: os.tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
  const heard = new EventEmitter().setMaxListeners(0);
  const running = { pid: child.pid, child, lines: [], notJson: [], stderr: '' };
  running.exit = once(child, 'close').then(([code, signal]) => {
    running.ended = { code, signal };
    heard.emit('line');
    return running.ended;
  });
  t.after(async () => {
    // Which lines ran is written by a process that ends by itself.
    if (!running.ended) child.kill('SIGTERM');
    await Promise.race([running.exit, pause(ENDS_MS, undefined, { ref: false })]);
    if (!running.ended) child.kill('SIGKILL');
    await running.exit;
  });

  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    try {
      running.lines.push(JSON.parse(line));
    } catch {
      running.notJson.push(line);
    }
    heard.emit('line');
  });
  child.stderr.on('data', (chunk) => {
    running.stderr += chunk;
  });

  running.log = async (matches, what = matches.toString()) => {
    const deadline = AbortSignal.timeout(LIMIT_MS);
    for (;;) {
      const found = running.lines.find(matches);
      if (found) return found;
      if (running.ended) throw new Error(`the launcher ended (${JSON.stringify(running.ended)}) before it logged ${what}\n${running.stderr}${tail(running)}`);
      try {
        await once(heard, 'line', { signal: deadline });
      } catch {
        throw new Error(`no log line within ${LIMIT_MS} ms: ${what}\n${tail(running)}`);
      }
    }
  };
  running.url = async (listener, where) => {
    const { port } = await running.log((line) => line.message === 'listening' && line.listener === listener, `listening ${listener}`);
    return `http://127.0.0.1:${port}${where}`;
  };
  running.ask = async (method, listener, where, { headers = {}, body } = {}) => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    return answerOf(await fetch(await running.url(listener, where), { method, headers, body, signal, redirect: 'manual' }));
  };
  // As a program asks: with the operations token where one is needed.
  const token = (listener) => (['editor', 'ops'].includes(listener) ? { authorization: `Bearer ${OPS_TOKEN}` } : {});
  running.get = (listener, where) => running.ask('GET', listener, where, { headers: token(listener) });
  running.send = (method, listener, where, body, headers = {}) =>
    running.ask(method, listener, where, {
      headers: { 'content-type': 'application/json', ...token(listener), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  running.post = (listener, where, body, headers) => running.send('POST', listener, where, body, headers);
  running.operate = (where, body) => running.post('ops', where, body);
  running.started = () => running.log((line) => line.message?.startsWith('started: '), 'started');
  running.stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    return running.exit;
  };
  // Asks again until the answer is as wanted: for states that come about by themselves.
  running.readyz = async (wanted = () => true) => {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const answer = await running.get('ready', '/readyz');
      if (wanted(answer.body, answer.status)) return answer;
      if (Date.now() > deadline) throw new Error(`/readyz never became as wanted: ${JSON.stringify(answer.body)}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return running;
}

async function launched(t, made, overrides) {
  const running = start(t, made, overrides);
  await running.started();
  return running;
}

async function answerOf(response) {
  const text = await response.text();
  let body = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Not every answer is JSON.
  }
  return { status: response.status, headers: response.headers, body };
}

function tail({ lines }) {
  return lines.slice(-15).map((line) => JSON.stringify(line)).join('\n');
}

function failed(body) {
  return body.checks.filter((check) => check.status === 'failed').map((check) => check.name);
}

module.exports = { project, start, launched, environment, failed, DEV, OPS_TOKEN, MAIN };
