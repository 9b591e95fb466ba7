'use strict';
// A wrong environment is refused before anything starts, with everything that is wrong at once.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { project, start, DEV } = require('./launcher');

async function refusal(t, made, overrides) {
  const running = start(t, made, overrides);
  const ended = await running.exit;
  assert.deepEqual(ended, { code: 2, signal: null }, running.stderr);
  assert.deepEqual(running.lines, []);
  return running.stderr.trimEnd().split('\n');
}

test('every missing or wrong variable is named in one run', async (t) => {
  const made = project(t);
  fs.writeFileSync(made.secret('llm'), '\n');
  const lines = await refusal(t, made, {
    FLOWSHIP_ENVIRONMENT: 'EU prod',
    FLOWSHIP_TIER: 'prod',
    FLOWSHIP_REPLICA: 'a/b',
    FLOWS_PORT: undefined,
    OPS_PORT: '70000',
    POSTGRES_HOST: '',
    LLM_BASE_URL: 'http://127.0.0.1:1/v2',
    LLM_BACKUP_BASE_URL: 'http://127.0.0.1:2/v1',
    LLM_BACKUP_API_KEY_FILE: made.secret('ops'),
    LLM_PROMPT_PRICE: '1e-3',
    LLM_BACKUP_COMPLETION_PRICE: '-1',
    MCP_SERVERS: 'tools',
    POSTGRES_PASSWORD_FILE: made.secret('absent'),
    DRAIN_TIMEOUT_MS: 'soon',
    USER_DIR: `${made.folder}/absent`,
  });
  const expected = [
    /FLOWSHIP_ENVIRONMENT=EU prod: expected the name of the environment: lower-case letters, digits and dashes/,
    /FLOWSHIP_TIER=prod: expected one of development, staging, production/,
    /FLOWSHIP_REPLICA=a\/b: expected the name of the replica/,
    /FLOWS_PORT is not set: expected a port number; set it/,
    /OPS_PORT=70000: expected a port number/,
    /POSTGRES_HOST is empty/,
    /LLM_BASE_URL=.*: expected an http\(s\) URL that ends in \/v1/,
    /LLM_PROMPT_PRICE=1e-3: expected a number such as 0\.15/,
    /LLM_BACKUP_MODEL is not set: expected the name of a model/,
    /LLM_BACKUP_COMPLETION_PRICE=-1: expected a number such as 0\.15/,
    /MCP_SERVERS=tools: expected name=url/,
    /POSTGRES_PASSWORD_FILE: secret file .*absent cannot be read \(ENOENT\): create it/,
    /LLM_API_KEY_FILE: secret file .*llm is empty: write the value/,
    /DRAIN_TIMEOUT_MS=soon: expected a whole number/,
    /USER_DIR=.*absent cannot be used \(ENOENT\): create it/,
  ];
  assert.equal(lines.length, expected.length, lines.join('\n'));
  for (const pattern of expected) assert.ok(lines.some((line) => line.startsWith('flowship: ') && pattern.test(line)), `${pattern} in\n${lines.join('\n')}`);
});

test('no secret value is ever printed', async (t) => {
  const made = project(t);
  const [line, ...more] = await refusal(t, made, { OPS_PORT: undefined });
  assert.deepEqual(more, []);
  assert.doesNotMatch(line, /ops-token-of-the-test|llm-key|postgres-password/);
});

test('the editor exists only in development, and needs host and port', async (t) => {
  const made = project(t);
  assert.match((await refusal(t, made, { ...DEV, FLOWSHIP_TIER: undefined })).join(), /EDITOR_PORT is set, but FLOWSHIP_TIER is production/);
  assert.match((await refusal(t, made, { ...DEV, EDITOR_HOST: undefined })).join(), /EDITOR_HOST and EDITOR_PORT belong together/);
});

test('a credentials file of Node-RED is refused, whatever it holds', async (t) => {
  const made = project(t);
  made.write('flows_cred.json', {});
  assert.match((await refusal(t, made)).join(), /flows_cred\.json exists: credentials are named file references .*delete it/);
});

test('a port that is taken is named with the listener', async (t) => {
  const made = project(t);
  const first = start(t, made);
  const port = new URL(await first.url('ready', '/')).port;
  const second = start(t, made, { READY_PORT: port });
  assert.deepEqual(await second.exit, { code: 1, signal: null });
  assert.match(second.lines.at(-1).message, new RegExp(`ready: cannot listen on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\): free the port`));
});
