'use strict';
// A real browser in which a developer has opened the editor. Pages of other origins try to run a command through it;
// the developer edits and deploys.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { once } = require('node:events');
const { test } = require('node:test');
const { editorToken } = require('../../runtime/editor-listener');
const { project, launched, DEV } = require('../runtime/launcher');
const { endpoint, fn } = require('../runtime/flow');
const { startBrowser, until } = require('./chromium');

const REBOUND = 'rebound.example';
const ANSWER_MS = 5000;
const GATE = path.join(__dirname, '..', 'runtime', 'fixtures', 'gate.js');
const FLOWS = endpoint('one', 'get', '/one', [fn('say', 'one', "msg.payload = 'hello'; return msg;")]);

async function developer(t, { flows = FLOWS, nodes } = {}) {
  const made = project(t, { flows });
  if (nodes !== undefined) {
    fs.unlinkSync(made.file('nodes'));
    fs.symlinkSync(nodes, made.file('nodes'));
  }
  const running = await launched(t, made, { ...DEV, FLOW_GATE: JSON.stringify([process.execPath, GATE, made.file('flows.json')]) });
  const editor = new URL(await running.url('editor', '/')).origin;
  const browser = await startBrowser(t, { names: [REBOUND] });
  const page = await browser.open(`${editor}/admin/?token=${editorToken(made.secret('ops'))}`);
  await page.shows('location.search === "" && RED.nodes.node("say") !== null && RED.workspaces.active() === "one"');
  return { made, running, editor, browser, page };
}

// A tab that runs a command as soon as it is there.
function commanding(file) {
  const id = path.basename(file);
  return {
    label: id,
    nodes: [
      { id: `${id}-go`, type: 'inject', name: '', props: [], repeat: '', once: true, onceDelay: 0.01, topic: '', x: 1, y: 1, wires: [[`${id}-run`]] },
      { id: `${id}-run`, type: 'exec', name: '', command: `touch ${file}`, addpay: '', append: '', useSpawn: 'false', timer: '', oldrc: false, x: 1, y: 1, wires: [[], [], []] },
    ],
  };
}

// What the parser of forms makes the same of.
function formFields(value, name = '') {
  if (value === null || typeof value !== 'object') return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => formFields(inner, name === '' ? key : `${name}[${key}]`));
}

// Everything a page can send without the other side's consent, and some that needs it. It says when all is answered or
// refused.
function attack(editor, ops, file) {
  const flow = JSON.stringify(commanding(file));
  const fields = formFields(commanding(file)).map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`).join('');
  const form = (index, type) => `<iframe name="f${index}" onload="arrived(${index})"></iframe>
    <form method="post" action="${editor}/admin/flow" target="f${index}" enctype="${type}">${fields}</form>`;
  return `<!doctype html><body>
    <script>const loads = {}; function arrived(index) { loads[index] = (loads[index] ?? 0) + 1; }</script>
    ${form(0, 'application/x-www-form-urlencoded')}${form(1, 'multipart/form-data')}
    <form method="post" action="${editor}/admin/flow" target="f2" enctype="text/plain"><input name='${flow.slice(0, -1)},"a":"' value='"}'></form>
    <iframe name="f2" onload="arrived(2)"></iframe>
    <iframe id="framed" src="${editor}/admin/"></iframe>
    <img src="${editor}/admin/flows"><script src="${editor}/admin/red/red.min.js" onload="window.shared = true"></script>
    <script>
      const flow = ${JSON.stringify(flow)};
      const ask = (address, options) => fetch(address, { credentials: 'include', ...options }).then((a) => a.type + ' ' + a.status, (e) => e.name);
      const socket = new WebSocket('${editor.replace('http:', 'ws:')}/admin/comms');
      window.outcome = Promise.all([
        ask('${editor}/admin/flow', { method: 'POST', mode: 'no-cors', body: flow, headers: { 'content-type': 'text/plain' } }),
        ask('${editor}/admin/flow', { method: 'POST', mode: 'no-cors', body: new Blob([flow], { type: 'text/plain' }) }),
        ask('${editor}/admin/flow', { method: 'POST', mode: 'cors', body: flow, headers: { 'content-type': 'application/json' } }),
        ask('${editor}/admin/flows', { mode: 'cors' }),
        ask('${ops}/drain', { method: 'POST', mode: 'no-cors', body: '{}' }),
        new Promise((resolve) => { socket.onopen = () => resolve('open'); socket.onerror = () => resolve('refused'); }),
        Promise.resolve(navigator.sendBeacon('${editor}/admin/flow', flow)),
      ]);
      for (const form of document.forms) form.submit();
    </script></body>`;
}

async function serve(t, text) {
  const server = http.createServer((_req, res) => res.setHeader('content-type', 'text/html').end(text));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

async function flowsOf(running) {
  return (await running.get('editor', '/admin/flows')).body;
}

test('no page of another origin runs a command or sees anything, and the editor itself does', async (t) => {
  const { made, running, editor, browser, page } = await developer(t);
  const before = await flowsOf(running);
  const hacked = made.file('hacked');
  const port = await serve(t, attack(editor, new URL(await running.url('ops', '/')).origin, hacked));

  for (const host of ['127.0.0.1', 'localhost', REBOUND]) {
    const foreign = await browser.open(`http://${host}:${port}/`);
    const outcome = await foreign.run('window.outcome');
    assert.deepEqual(outcome.slice(2, 6).filter((one) => one.includes('200') || one === 'open'), [], `${host}: ${outcome}`);
    // Once for the empty frame and once for what the form got.
    await foreign.shows('loads[0] >= 2 && loads[1] >= 2 && loads[2] >= 2');
    assert.equal(await foreign.run('window.shared === true'), false, 'no script is shared');
    const frames = [...(await foreign.frames()), ...(await browser.isolatedFrames())];
    assert.deepEqual(frames, Array(4).fill('chrome-error://chromewebdata/'), `${host}: nothing of the editor is framed`);
    await foreign.close();
    assert.deepEqual(await flowsOf(running), before, host);
  }

  // A name that was pointed to this machine after the page was loaded is of the editor's own origin.
  const rebound = await browser.open(`http://${REBOUND}:${new URL(editor).port}/admin/flows`);
  const send = (file) => `fetch('/admin/flow', { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(JSON.stringify(commanding(file)))} }).then((answer) => answer.status)`;
  assert.equal(await rebound.run(send(hacked)), 403);
  assert.equal(await rebound.run("fetch('/admin/flows').then((answer) => answer.status)"), 403);

  // The same in the editor's own page does run: the command, the flow and the test can tell the difference.
  const own = made.file('own');
  assert.equal(await page.run(send(own)), 200);
  await until('the command of the editor runs', () => fs.existsSync(own));
  assert.equal(fs.existsSync(hacked), false);
  assert.equal((await running.get('ready', '/readyz')).status, 200, 'nothing drained it');
});

// A request that a deployment overtakes is told to ask again; none may be left without an answer.
async function saidBy(running) {
  const response = await fetch(await running.url('flows', '/one'), { signal: AbortSignal.timeout(ANSWER_MS) });
  const said = await response.text();
  assert.ok([200, 503].includes(response.status), `${response.status}: ${said}`);
  return response.status === 200 ? said : null;
}

test('a developer deploys, and reads why a deployment is refused', async (t) => {
  const { made, running, page } = await developer(t);
  const deploy = 'document.querySelector("#red-ui-header-button-deploy").click()';
  const edit = (change) => `(() => { const say = RED.nodes.node("say"); ${change}; say.changed = true; RED.nodes.dirty(true); })()`;
  await page.run(edit('say.func = "msg.payload = \'deployed\'; return msg;"'));
  await page.run(deploy);
  await until('what was deployed answers', async () => (await saidBy(running)) === 'deployed');
  assert.match(made.read('flows.json'), /deployed/);

  await page.shows('!RED.nodes.dirty() && $(".red-ui-deploy-button-spinner").is(":hidden")');
  await page.run(edit('say.name = "refused"'));
  await page.run(deploy);
  await page.shows('document.querySelector(".red-ui-notification-error") !== null');
  const shown = await page.run('document.querySelector(".red-ui-notification-error").innerText');
  assert.match(shown, /Deploy failed: refused, the flows that ran go on:\nflows\.json:\d+: \[planted\] <b>refused<\/b>/);
  if (process.env.FLOWSHIP_SCREENSHOT) await page.screenshot(process.env.FLOWSHIP_SCREENSHOT);
  assert.doesNotMatch(made.read('flows.json'), /refused/);
  assert.equal(await saidBy(running), 'deployed');
  assert.equal(await page.run('RED.nodes.dirty()'), true, 'the edit is not lost');
});

test('a developer who saves flows.json beside the editor reads there why it is refused', async (t) => {
  const { made, running, page } = await developer(t);
  const shown = 'document.querySelector(".red-ui-notification-error")?.innerText';
  const good = made.read('flows.json');
  made.write('flows.json', good.replace('"name": "say"', '"name": "refused"'));
  assert.equal((await running.operate('/reload')).status, 422);
  const told = /^flows\.json, as it is on disk, was refused; the flows that ran go on:\nflows\.json:\d+: \[planted\] <b>refused<\/b>$/;
  await page.shows(`${told}.test(${shown})`);
  // Who watches the files may have judged them; and who opens the editor later reads it too.
  assert.equal((await running.operate('/reload', { refused: 'judged: {{elsewhere}} $t(x) <i>' })).status, 422);
  await page.shows(`${shown}.endsWith("judged: {{elsewhere}} $t(x) <i>")`);
  await page.run('location.reload()');
  await page.shows(`${shown}?.endsWith("judged: {{elsewhere}} $t(x) <i>")`);
  assert.equal((await running.get('ready', '/readyz')).body.refused.what, 'flows.json');
  made.write('flows.json', good);
  assert.equal((await running.operate('/reload')).status, 200);
  await page.shows(`${shown} === undefined`);
  assert.equal((await running.get('ready', '/readyz')).body.refused, null);
});

test('a workflow is no unused configuration node, and the palette has our nodes by kind', async (t) => {
  const workflow = { id: 'describe', type: 'workflow', name: 'Describe', workflow_id: 'describe', schema: '{}' };
  const { made, page } = await developer(t, { flows: [...FLOWS, workflow], nodes: path.join(__dirname, '..', '..', 'nodes') });
  await page.run('(() => { RED.nodes.node("say").name = "renamed"; RED.nodes.node("say").changed = true; RED.nodes.dirty(true); })()');
  await page.run('document.querySelector("#red-ui-header-button-deploy").click()');
  await page.shows('document.querySelector(".red-ui-notification-success") !== null');
  assert.equal(await page.run('document.querySelector(".red-ui-notification-success").textContent'), 'Successfully deployed');
  assert.match(made.read('flows.json'), /renamed/);
  const categories = await page.run('$(".red-ui-palette-category").map((_, one) => one.id.replace("red-ui-palette-container-", "")).get()');
  assert.deepEqual(categories.filter((name) => name.startsWith('flowship')).toSorted(), ['api', 'checks', 'data', 'models', 'tasks', 'tools'].map((kind) => `flowship_${kind}`));
  if (process.env.FLOWSHIP_SCREENSHOT) {
    await page.run('document.querySelector("#red-ui-palette-container-flowship_api").scrollIntoView()');
    await page.screenshot(process.env.FLOWSHIP_SCREENSHOT);
  }
});

test('wires of a router stay with their outputs when rules come, go and change places', async (t) => {
  const rule = (output) => ({ property: 'workflow_id', operator: 'equals', value: output, output });
  const router = { id: 'router', type: 'mcp-router', z: 'one', name: '', rules: [rule('a'), rule('b')], outputNames: ['a', 'b'], outputs: 3, x: 1, y: 1, wires: [['to-a'], ['to-b'], ['to-fallback']] };
  const targets = ['to-a', 'to-b', 'to-fallback'].map((id) => ({ ...fn(id, 'one', 'return msg;'), wires: [[]] }));
  const { page } = await developer(t, { flows: [...FLOWS, router, ...targets], nodes: path.join(__dirname, '..', '..', 'nodes') });
  await page.shows('RED.nodes.node("router") !== null');
  for (const [outputs, wires] of [
    [['a', 'b', 'new'], { 'to-a': 0, 'to-b': 1, 'to-fallback': 3 }],
    [['new', 'b', 'a', 'a'], { 'to-a': 2, 'to-b': 1, 'to-fallback': 3 }],
    [['b'], { 'to-b': 0, 'to-fallback': 1 }],
  ]) {
    await page.run('RED.editor.edit(RED.nodes.node("router")); 1');
    await page.shows('$("#node-input-rules-container").is(":visible") && $("#node-dialog-ok").is(":visible")');
    await page.run(`$("#node-input-rules-container").editableList("empty").editableList("addItems", ${JSON.stringify(outputs.map(rule))}); $("#node-dialog-ok").click(); 1`);
    await page.shows('!$("#node-dialog-ok").is(":visible")');
    const found = await page.run('Object.fromEntries(RED.nodes.filterLinks({ source: RED.nodes.node("router") }).map(({ sourcePort, target }) => [target.id, Number(sourcePort)]))');
    assert.deepEqual(found, wires);
    assert.equal(await page.run('RED.nodes.node("router").outputs'), new Set(outputs).size + 1);
  }
});

test('without the link a page says where to find it', async (t) => {
  const running = await launched(t, project(t, { flows: FLOWS }), DEV);
  const browser = await startBrowser(t);
  const page = await browser.open(await running.url('editor', '/'));
  assert.match(await page.run('document.body.innerText'), /Run cargo xtask status in the checkout/);
  assert.equal(await page.run('typeof RED'), 'undefined');
});
