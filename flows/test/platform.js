'use strict';
// The whole platform on free ports for a test: a real PostgreSQL with the real migrations, the MCP server, the
// model's stand-in and the launcher with the real flows. Each part can be killed and started again.

const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { setTimeout: pause } = require('node:timers/promises');
const pg = require('pg');

const FLOWS = path.join(__dirname, '..');
const OWNER_PASSWORD = 'owner-of-the-test';
const APP_PASSWORD = 'application-of-the-test';
const LIMIT_MS = 30_000;
const ENDS_MS = 2_000;

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests need the platform's own tools; run them with: cargo xtask ci node`);
  return value;
}

async function until(what, condition, limitMs = LIMIT_MS) {
  const deadline = Date.now() + limitMs;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = `it was ${JSON.stringify(value)}`;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what} (${last})`);
    await pause(25);
  }
}

// Below the ports that the kernel hands out by itself: no listener on port 0 of a test beside this one may take it meanwhile.
async function freePort() {
  for (;;) {
    const server = net.createServer().listen(crypto.randomInt(15000, 32768), '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if (error.code === 'EADDRINUSE') continue;
      throw error;
    }
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
  }
}

// What makes a child tell which of its lines ran, where this is measured.
function measured() {
  const folder = process.env.NODE_V8_COVERAGE;
  return folder === undefined ? {} : { NODE_V8_COVERAGE: folder };
}

// A child process with what it said, and its end. Only ever ended by its own pid.
class Child {
  constructor(command, args, options = {}) {
    this.stderr = '';
    this.lines = [];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.end = { code, signal };
      return this.end;
    });
    this.process.stderr.on('data', (data) => { this.stderr += data; });
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => {
      try {
        this.lines.push(JSON.parse(line));
      } catch {
        this.lines.push({ message: line });
      }
    });
  }

  async said(what, matches) {
    return until(what, () => {
      const line = this.lines.find(matches);
      if (line === undefined && this.end !== undefined) throw new Error(`the process ended with ${JSON.stringify(this.end)}: ${this.stderr}`);
      return line;
    });
  }

  async stop(signal = 'SIGTERM') {
    if (this.end === undefined) this.process.kill(signal);
    return this.ended;
  }

  // Which lines ran is written by a process that ends by itself; one that does not is killed.
  async stopOrKill() {
    await Promise.race([this.stop(), pause(ENDS_MS, undefined, { ref: false })]);
    return this.stop('SIGKILL');
  }
}

// PostgreSQL refuses root, so root gives it a user of its own by a user namespace.
function asServerUser(program, args) {
  if (process.getuid() !== 0) return [program, args];
  return ['unshare', ['--user', '--map-user=1000', '--map-group=1000', program, ...args]];
}

async function finished(child, what) {
  const { code, signal } = await child.ended;
  if (code !== 0) {
    throw new Error(`${what} ended with ${code ?? signal}: ${child.stderr}${child.lines.map((line) => line.message).join('\n')}`);
  }
}

class Postgres {
  constructor(folder) {
    this.bin = path.dirname(required('FLOWSHIP_POSTGRES'));
    this.dbmate = required('FLOWSHIP_DBMATE');
    this.data = path.join(folder, 'data');
    this.folder = folder;
  }

  async initialise() {
    const passwordFile = path.join(this.folder, 'owner-password');
    fs.writeFileSync(passwordFile, OWNER_PASSWORD);
    const initdb = new Child(...asServerUser(path.join(this.bin, 'initdb'), [
      '-D', this.data, '-U', 'owner', '-A', 'scram-sha-256', '--pwfile', passwordFile, '--no-sync', '-E', 'UTF8', '--locale', 'C',
    ]));
    await finished(initdb, 'initdb');
    this.port = await freePort();
    await this.start();
    await this.owner('postgres', (client) => client.query('CREATE DATABASE flowship'));
    await this.migrate('up');
    await this.owner('flowship', (client) => client.query(`ALTER ROLE flowship_app LOGIN PASSWORD '${APP_PASSWORD}'`));
  }

  // The contract migrations too, which lie in a folder of their own.
  async migrate(command) {
    const migrations = path.join(FLOWS, 'migrations');
    const below = fs.readdirSync(migrations, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const folders = [migrations, ...below.map((entry) => path.join(migrations, entry.name))];
    const child = new Child(this.dbmate, [...folders.flatMap((folder) => ['--migrations-dir', folder]), '--no-dump-schema', command], {
      env: { PATH: process.env.PATH, DATABASE_URL: `postgres://owner:${OWNER_PASSWORD}@127.0.0.1:${this.port}/flowship?sslmode=disable` },
    });
    await finished(child, `dbmate ${command}`);
  }

  // After kill -9 the old server's children may hold the data directory for a moment.
  async start() {
    await until('PostgreSQL starts', async () => {
      this.child = new Child(...asServerUser(path.join(this.bin, 'postgres'), [
        '-D', this.data, '-p', String(this.port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=',
        '-c', 'fsync=off', '-c', 'max_connections=60', '-c', 'shared_buffers=32MB',
      ]));
      return until('PostgreSQL answers', async () => {
        if (this.child.end !== undefined) return 'ended';
        await this.owner('postgres', (client) => client.query('SELECT 1'));
        return 'up';
      }).then((state) => state === 'up');
    });
  }

  async kill(signal = 'SIGKILL') {
    await this.child.stop(signal);
  }

  async owner(database, work) {
    const client = new pg.Client({
      host: '127.0.0.1', port: this.port, user: 'owner', password: OWNER_PASSWORD, database, connectionTimeoutMillis: 2000,
    });
    client.on('error', () => {});
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  async query(text, values) {
    return this.owner('flowship', async (client) => (await client.query(text, values)).rows);
  }
}

// A service of ours that says its port; started again it takes the same one.
class Service {
  constructor(script, env) {
    this.script = path.join(FLOWS, script);
    this.env = env;
    this.port = 0;
  }

  async start() {
    this.child = new Child(process.execPath, [this.script], {
      env: { ...measured(), PATH: process.env.PATH, FLOWSHIP_ENVIRONMENT: 'dev', FLOWSHIP_TIER: 'development', HOST: '127.0.0.1', PORT: String(this.port), ...this.env },
    });
    const { port } = await this.child.said(`${this.script} listens`, (line) => line.port !== undefined);
    this.port = port;
  }

  async stop() {
    await this.child?.stop();
  }
}

class Platform {
  constructor(options) {
    this.options = options;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-test-'));
    fs.chmodSync(this.folder, 0o755);
    for (const [name, value] of Object.entries({ postgres: APP_PASSWORD, llm: 'llm-key-of-the-test', ops: 'ops-token-of-the-test', api: 'api-key-of-the-test' })) {
      this.writeSecret(name, value);
    }
    this.postgres = new Postgres(this.folder);
    this.mcp = new Service('mcp-tools/main.js', { FLOWSHIP_COMPONENT: 'mcp-tools' });
    this.llm = new Service('llm-stand-in/main.js', { FLOWSHIP_COMPONENT: 'llm', LLM_API_KEY_FILE: this.secret('llm') });
    this.replicas = [];
  }

  secret(name) {
    return path.join(this.folder, `secret-${name}`);
  }

  writeSecret(name, value) {
    fs.writeFileSync(this.secret(name), `${value}\n`);
  }

  // The project with flows as the test wants them: `edit(nodes by id, nodes)`.
  edited(edit) {
    const project = fs.mkdtempSync(path.join(this.folder, 'project-'));
    fs.symlinkSync(path.join(FLOWS, 'nodes'), path.join(project, 'nodes'));
    fs.copyFileSync(path.join(FLOWS, 'test-smoke.json'), path.join(project, 'test-smoke.json'));
    const nodes = JSON.parse(fs.readFileSync(path.join(FLOWS, 'flows.json'), 'utf8'));
    edit(Object.fromEntries(nodes.map((node) => [node.id, node])), nodes);
    fs.writeFileSync(path.join(project, 'flows.json'), `${JSON.stringify(nodes, null, 4)}\n`);
    return project;
  }

  async start() {
    if (this.options.edit !== undefined) this.options.env = { ...this.options.env, FLOWS_DIR: this.edited(this.options.edit) };
    await Promise.all([this.postgres.initialise(), this.mcp.start(), this.llm.start()]);
    await this.startReplica('a');
  }

  // With `becomesReady: false` it is given back as soon as it listens.
  async startReplica(name, env = {}, { becomesReady = true } = {}) {
    const userDir = fs.mkdtempSync(path.join(this.folder, 'user-'));
    const child = new Child(process.execPath, [path.join(FLOWS, 'runtime', 'main.js')], {
      cwd: FLOWS,
      env: {
        ...measured(),
        PATH: process.env.PATH,
        FLOWSHIP_ENVIRONMENT: 'production',
        FLOWSHIP_COMPONENT: 'node-red',
        FLOWSHIP_REPLICA: name,
        FLOWS_HOST: '127.0.0.1', FLOWS_PORT: '0',
        READY_HOST: '127.0.0.1', READY_PORT: '0',
        OPS_HOST: '127.0.0.1', OPS_PORT: '0',
        USER_DIR: userDir,
        DRAIN_DELAY_MS: '0',
        POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: String(this.postgres.port), POSTGRES_DB: 'flowship', POSTGRES_USER: 'flowship_app',
        POSTGRES_PASSWORD_FILE: this.secret('postgres'),
        LLM_BASE_URL: `http://127.0.0.1:${this.llm.port}/v1`, LLM_MODEL: 'stand-in', LLM_API_KEY_FILE: this.secret('llm'),
        MCP_SERVERS: `tools=http://127.0.0.1:${this.mcp.port}/mcp`,
        OPS_TOKEN_FILE: this.secret('ops'),
        API_KEY_FILE: this.secret('api'),
        ...this.options.env,
        ...env,
      },
    });
    const replica = { name, child, ports: {} };
    this.replicas.push(replica);
    // Nobody is to find the flows of one that is held.
    for (const listener of env.HOLD_FILE === undefined ? ['flows', 'ready', 'ops'] : ['ready', 'ops']) {
      const line = await child.said(`replica ${name} listens for ${listener}`, (candidate) => candidate.listener === listener && candidate.port !== undefined);
      replica.ports[listener] = line.port;
    }
    if (!becomesReady) return replica;
    await until(`replica ${name} is ready`, async () => {
      if (child.end !== undefined) throw new Error(`the launcher ended with ${JSON.stringify(child.end)}: ${child.stderr}`);
      const answer = await fetch(`http://127.0.0.1:${replica.ports.ready}/readyz`);
      const body = await answer.text();
      if (!answer.ok) throw new Error(body);
      return true;
    });
    return replica;
  }

  async request(method, where, { body, headers = {}, key = 'api-key-of-the-test', replica = this.replicas[0], raw } = {}) {
    const response = await fetch(`http://127.0.0.1:${replica.ports.flows}${where}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    let parsed = text;
    try {
      parsed = JSON.parse(text);
    } catch { /* an answer that is not JSON is given as it is */ }
    return { status: response.status, headers: response.headers, body: parsed };
  }

  async submit(workflow, input, options = {}) {
    return this.request('POST', `/api/v1/workflows/${workflow}/tasks`, { body: { input }, ...options });
  }

  async task(taskId) {
    return (await this.request('GET', `/api/v1/tasks/${taskId}`)).body;
  }

  async ended(taskId, limitMs) {
    return until(`task ${taskId} ends`, async () => {
      const task = await this.task(taskId);
      return ['completed', 'failed'].includes(task.status) ? task : false;
    }, limitMs);
  }

  async smoke(checks, replica = this.replicas[0]) {
    const response = await fetch(`http://127.0.0.1:${replica.ports.ops}/smoke`, {
      method: 'POST',
      headers: { authorization: 'Bearer ops-token-of-the-test', 'content-type': 'application/json' },
      body: JSON.stringify(checks === undefined ? {} : { checks }),
    });
    const report = await response.json();
    return { httpStatus: response.status, ...report, failed: report.checks.filter((check) => check.status === 'failed').map((check) => check.name) };
  }

  // What an operator asks the operations port.
  async operate(method, where, body, { token = 'ops-token-of-the-test', raw } = {}) {
    const response = await fetch(`http://127.0.0.1:${this.replicas[0].ports.ops}${where}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }

  async ready(replica = this.replicas[0]) {
    const response = await fetch(`http://127.0.0.1:${replica.ports.ready}/readyz`);
    return { httpStatus: response.status, ...await response.json() };
  }

  async metrics(replica = this.replicas[0]) {
    return (await fetch(`http://127.0.0.1:${replica.ports.ops}/metrics`)).text();
  }

  async stop() {
    await Promise.all(this.replicas.map((replica) => replica.child.stopOrKill()));
    await Promise.all([this.mcp.stop(), this.llm.stop(), this.postgres.child?.stop('SIGQUIT')]);
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function startPlatform(options = {}) {
  const platform = new Platform(options);
  try {
    await platform.start();
    return platform;
  } catch (error) {
    await platform.stop();
    throw error;
  }
}

// A provider in the stand-in's place that does with each completion what the test wants.
async function withProvider(platform, onCompletion, work) {
  await platform.llm.stop();
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') onCompletion(response);
    else response.end('{}');
  }).listen(platform.llm.port, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work();
  } finally {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    await platform.llm.start();
  }
}

module.exports = { FLOWS, startPlatform, withProvider, until, freePort, Child, Postgres, Service };
