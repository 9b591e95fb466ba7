'use strict';
// /readyz tells the truth where Node-RED does not: one planted failure for each check.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const { project, start, launched, failed, DEV } = require('./launcher');
const { endpoint, node, tab } = require('./flow');
const { BROKEN, PLANTED } = require('./broken');

const BASE = endpoint('base', 'get', '/base', []);
const CHECKS = ['started', 'not_draining', 'flows_loaded', 'node_types', 'flows_running', 'nodes_started', 'rev', 'credentials', 'secrets', 'flows_listener', 'event_loop'];

const sabotage = endpoint('sabotage', 'post', '/sabotage', [node('saboteur', 'sabotage', 'fixture-saboteur')]);

async function notReady(running, ...names) {
  const { status, body } = await running.get('ready', '/readyz');
  assert.equal(status, 503);
  assert.equal(body.status, 'not_ready');
  assert.deepEqual(failed(body), names);
  assert.ok(body.reason.startsWith(`${names[0]}: `), body.reason);
  return Object.fromEntries(body.checks.map((check) => [check.name, check.error]));
}

describe('a healthy replica', () => {
  test('is ready, passes every check, and tells revision and replica', async (t) => {
    const running = await launched(t, project(t, { flows: BASE }), { FLOWSHIP_REPLICA: 'b' });
    const { status, body } = await running.get('ready', '/readyz');
    assert.equal(status, 200);
    assert.equal(body.status, 'ready');
    assert.equal(body.replica, 'b');
    assert.match(body.rev, /^[0-9a-f]{64}$/);
    assert.deepEqual(body.checks, CHECKS.map((name) => ({ name, status: 'ok', error: null })));
    assert.deepEqual(body.degraded, []);
    assert.equal((await running.get('ready', '/livez')).status, 200);
    assert.equal((await running.get('ready', '/metrics')).status, 404);
  });

  test('does not read what another Node-RED left in its user folder', async (t) => {
    const made = project(t, { flows: BASE });
    const user = path.join(made.folder, 'user');
    const stale = JSON.stringify({ _credentialSecret: 'stale', instanceId: 'stale' });
    fs.writeFileSync(path.join(user, '.config.runtime.json'), stale);
    const running = await launched(t, made);
    assert.equal((await running.get('ready', '/readyz')).status, 200);
    assert.equal(fs.readFileSync(path.join(user, '.config.runtime.json'), 'utf8'), stale);
    assert.deepEqual(fs.readdirSync(user).filter((name) => name.startsWith('.config')), ['.config.runtime.json']);
  });

  test('has no editor and no admin API outside dev', async (t) => {
    const running = await launched(t, project(t, { flows: BASE }));
    for (const where of ['/admin/', '/admin/flows', '/flows', '/settings']) assert.equal((await running.get('flows', where)).status, 404, where);
  });
});

describe('started', () => {
  test('fails until the flows run, and requests are told to come back', async (t) => {
    const running = start(t, project(t, { flows: BASE }));
    const early = await running.readyz();
    assert.equal(early.status, 503);
    const answer = await running.get('flows', '/base');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    await running.readyz(({ status }) => status === 'ready');
    assert.equal((await running.get('flows', '/base')).status, 200);
  });
});

describe('not_draining', () => {
  test('fails as soon as the replica is told to stop, while it still answers', async (t) => {
    const running = await launched(t, project(t, { flows: BASE }), { DRAIN_DELAY_MS: '1500' });
    running.child.kill('SIGTERM');
    const { status, body } = await running.readyz((answer) => answer.status === 'draining');
    assert.equal(status, 503);
    assert.deepEqual(failed(body), ['not_draining']);
    assert.equal((await running.get('flows', '/base')).status, 200);
    assert.deepEqual(await running.exit, { code: 0, signal: null });
  });
});

describe('flows_loaded', () => {
  const broken = {
    'a truncated flows.json': ['flows.json', JSON.stringify(BASE).slice(0, -20), /flows\.json: not valid JSON: .*position \d+.*restore/],
    'an empty flows.json': ['flows.json', '', /flows\.json: not valid JSON/],
    'flows.json that is no array': ['flows.json', '{}', /flows\.json: expected an array of nodes, found object/],
    'a truncated test-smoke.json': ['test-smoke.json', '[{"id":', /test-smoke\.json: not valid JSON/],
    'an element that is no node': ['flows.json', [...BASE, { id: 'x' }], /flows\.json: element 3: expected a node with "id" and "type"/],
    'an id that both files use': ['test-smoke.json', [tab('base')], /test-smoke\.json: node base \(base\): the id is already used in flows\.json/],
    'inline credentials': ['flows.json', [...BASE, node('c', 'base', 'http request', [], { credentials: { password: 'x' } })], /node c \(c\): holds inline credentials/],
    'an unknown type on a disabled tab': ['flows.json', [...BASE, tab('off', { disabled: true }), node('u', 'off', 'no-such-type')], /flows\.json: node u \(u\): unknown node type "no-such-type" on tab off/],
    'the placeholder type': ['flows.json', [...BASE, node('u', 'base', 'unknown')], /unknown node type "unknown"/],
    'an instance of a subflow that is gone': ['flows.json', [...BASE, node('u', 'base', 'subflow:gone')], /unknown node type "subflow:gone"/],
  };
  for (const [title, [file, content, reason]] of Object.entries(broken)) {
    test(`fails for ${title}; nothing runs and the replica stays alive`, async (t) => {
      const made = project(t, { flows: BASE });
      made.write(file, content);
      const running = await launched(t, made);
      const errors = await notReady(running, 'flows_loaded', 'rev');
      assert.match(errors.flows_loaded, reason);
      assert.equal((await running.get('ready', '/readyz')).body.rev, null);
      assert.equal((await running.get('flows', '/base')).status, 404);
      assert.equal((await running.get('ready', '/livez')).status, 200);
    });
  }

  test('fails for a missing flows.json', async (t) => {
    const made = project(t, { flows: BASE });
    fs.rmSync(made.file('flows.json'));
    const running = await launched(t, made);
    assert.match((await notReady(running, 'flows_loaded', 'rev')).flows_loaded, /flows\.json: cannot be read \(ENOENT\)/);
  });
});

describe('node_types and flows_running', () => {
  test('fail when Node-RED runs fewer flows than it was given', async (t) => {
    const running = await launched(t, project(t, { flows: [...BASE, ...sabotage] }));
    await running.post('flows', '/sabotage', { plant: 'unknown' });
    assert.match((await notReady(running, 'node_types', 'nodes_started', 'rev')).node_types, /unknown node types: no-such-type \(node planted\)/);
    await running.post('flows', '/sabotage', { plant: 'stop' });
    const { body } = await running.readyz((answer) => failed(answer).includes('flows_running'));
    assert.match(body.checks.find(({ name }) => name === 'flows_running').error, /Node-RED does not run the flows/);
  });
});

describe('nodes_started', () => {
  test('fails for a node whose start threw, and not for one on a disabled tab or in a subflow', async (t) => {
    const flows = [
      ...BASE,
      { id: 'sub', type: 'subflow', name: 'sub', info: '', in: [], out: [] },
      node('inner', 'sub', 'debug'),
      node('instance', 'base', 'subflow:sub'),
      { ...node('off-node', 'base', 'fixture-broken'), d: true },
      tab('off', { disabled: true }),
      node('off-tab', 'off', 'fixture-broken'),
      { id: 'shared', type: 'global-config', env: [], modules: {} },
      node('bad', 'base', 'fixture-broken'),
    ];
    const running = await launched(t, project(t, { flows }));
    assert.equal((await notReady(running, 'nodes_started')).nodes_started, `node bad (fixture-broken) could not be started: ${PLANTED}`);
  });

  for (const [title, { nodes, told }] of Object.entries(BROKEN)) {
    test(`fails for ${title}, naming node and reason`, async (t) => {
      const running = await launched(t, project(t, { flows: [...BASE, ...nodes] }));
      assert.equal((await notReady(running, 'nodes_started')).nodes_started, told);
      assert.equal((await running.get('flows', '/base')).status, 200, 'the rest runs');
    });
  }
});

describe('rev', () => {
  test('fails when Node-RED runs another revision than the files', async (t) => {
    const running = await launched(t, project(t, { flows: [...BASE, ...sabotage] }));
    await running.post('flows', '/sabotage', { plant: 'rev' });
    assert.match((await notReady(running, 'rev')).rev, /Node-RED runs revision planted, the files are [0-9a-f]{64}/);
    assert.equal((await running.get('ready', '/readyz')).body.rev, 'planted', 'the revision that runs, not that of the files');
  });
});

describe('credentials', () => {
  test('fails while a credentials file lies beside the flows', async (t) => {
    const made = project(t, { flows: BASE });
    const running = await launched(t, made);
    made.write('flows_cred.json', {});
    assert.match((await notReady(running, 'credentials')).credentials, /flows_cred\.json exists/);
    fs.rmSync(made.file('flows_cred.json'));
    assert.equal((await running.get('ready', '/readyz')).status, 200);
  });
});

describe('secrets', () => {
  test('fails while a secret cannot be read or is empty', async (t) => {
    const made = project(t, { flows: BASE });
    const running = await launched(t, made);
    fs.writeFileSync(made.secret('llm'), '');
    assert.match((await notReady(running, 'secrets')).secrets, /secret file .*llm is empty/);
    fs.rmSync(made.secret('llm'));
    assert.match((await notReady(running, 'secrets')).secrets, /secret file .*llm cannot be read \(ENOENT\)/);
    fs.writeFileSync(made.secret('llm'), 'rotated');
    assert.equal((await running.get('ready', '/readyz')).status, 200);
  });
});

describe('flows_listener', () => {
  test('fails when the flows are not listened for', async (t) => {
    const running = await launched(t, project(t, { flows: [...BASE, ...sabotage] }));
    await running.post('flows', '/sabotage', { plant: 'listener' });
    assert.match((await notReady(running, 'flows_listener')).flows_listener, /not listened for/);
  });
});

describe('event_loop', () => {
  test('fails after a node blocked the loop', async (t) => {
    const flows = [...BASE, ...endpoint('block', 'post', '/block', [node('blocker', 'block', 'fixture-block', [], { ms: 2300 })])];
    const running = await launched(t, project(t, { flows }));
    assert.equal((await running.post('flows', '/block', {})).status, 200);
    assert.match((await notReady(running, 'event_loop')).event_loop, /the event loop stood still for 2\d\d\d ms/);
  });
});

describe('a shared dependency that is down', () => {
  test('degrades the replica and never takes it out of the pool', async (t) => {
    const made = project(t);
    made.write('flows.json', [...BASE, node('dep', 'base', 'fixture-dependency', [], { dependency: 'database', file: made.file('away') })]);
    const running = await launched(t, made);
    fs.writeFileSync(made.file('away'), '');
    const { status, body } = await running.readyz((answer) => answer.degraded.length > 0);
    assert.equal(status, 200);
    assert.equal(body.status, 'ready');
    assert.equal(body.degraded[0].dependency, 'database');
    assert.equal(body.degraded[0].error, 'planted: away');
    assert.ok(!Number.isNaN(Date.parse(body.degraded[0].since)));
    assert.match((await running.get('ops', '/metrics')).body, /^flowship_dependency_up\{dependency="database"\} 0$/m);
    fs.rmSync(made.file('away'));
    await running.readyz((answer) => answer.degraded.length === 0);
    assert.match((await running.get('ops', '/metrics')).body, /^flowship_dependency_up\{dependency="database"\} 1$/m);
    await running.log((line) => line.message === 'dependency database is back');
  });
});
