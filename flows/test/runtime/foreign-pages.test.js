'use strict';
// What a web page could send to the listeners of a developer's machine, header by header. That real browsers send
// these headers is proven in test/browser/.

const assert = require('node:assert/strict');
const http = require('node:http');
const { once } = require('node:events');
const { before, describe, test, after } = require('node:test');
const { editorToken } = require('../../runtime/editor-listener');
const { project, launched, DEV, OPS_TOKEN } = require('./launcher');
const { endpoint } = require('./flow');

const BEARER = { authorization: `Bearer ${OPS_TOKEN}` };
const JSON_TYPE = { 'content-type': 'application/json' };

// As fetch() cannot: with any Host, and without the headers that it adds.
async function ask(address, { method = 'GET', headers = {}, body } = {}) {
  const { hostname, port, pathname, search } = new URL(address);
  const request = http.request({ hostname, port, path: pathname + search, method, headers });
  request.end(body);
  const [response, socket] = await Promise.race([once(request, 'response'), once(request, 'upgrade')]);
  socket?.destroy();
  response.setEncoding('utf8');
  const text = response.statusCode === 101 ? '' : (await response.toArray()).join('');
  return { status: response.statusCode, headers: response.headers, text };
}

describe('a replica in dev', () => {
  const hooks = [];
  let made;
  let running;
  let origin;
  before(async () => {
    const t = { after: (hook) => hooks.unshift(hook) };
    made = project(t, { flows: endpoint('one', 'get', '/one', []) });
    running = await launched(t, made, DEV);
    origin = new URL(await running.url('editor', '/')).origin;
  });
  after(async () => {
    for (const hook of hooks) await hook();
  });
  const cookie = () => ({ cookie: `flowship-editor-${new URL(origin).port}=${editorToken(made.secret('ops'))}` });

  const FOREIGN = {
    'a page of another site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', origin: 'http://evil.example' },
    'a page on another port': { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors', origin: 'http://127.0.0.1:1' },
    'a sandboxed page': { 'sec-fetch-site': 'cross-site', origin: 'null' },
    'a form of another site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', origin: 'http://evil.example' },
    'a frame of another site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    'an older browser': { origin: 'http://evil.example' },
    'an older browser, by https': { origin: 'https://127.0.0.1' },
    'a rebound name': { host: 'rebound.example:80' },
    'a rebound name that looks like an address': { host: '127.0.0.1.example' },
    'a rebound name, as the same origin': { host: 'rebound.example', origin: 'http://rebound.example', 'sec-fetch-site': 'same-origin' },
  };
  for (const [title, headers] of Object.entries(FOREIGN)) {
    test(`${title} is refused by every listener, whatever it proves`, async () => {
      for (const [listener, where] of [['editor', '/admin/flows'], ['editor', '/admin/flow'], ['editor', '/'], ['ops', '/smoke'], ['ops', '/reload'], ['ops', '/drain']]) {
        const method = where === '/' ? 'OPTIONS' : 'POST';
        const answer = await ask(await running.url(listener, where), { method, headers: { ...BEARER, ...cookie(), ...JSON_TYPE, ...headers }, body: '[]' });
        assert.equal(answer.status, 403, `${listener} ${where}: ${answer.text}`);
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
      }
      const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
      await assert.rejects(ask(`${origin}/admin/comms`, { headers: { ...upgrade, ...BEARER, ...cookie(), ...headers } }), /socket hang up|ECONNRESET/);
    });
  }

  test('a rebound name reads nothing from any listener', async () => {
    for (const [listener, where] of [['flows', '/one'], ['ready', '/readyz'], ['ready', '/livez'], ['ops', '/metrics'], ['editor', '/admin/']]) {
      const answer = await ask(await running.url(listener, where), { headers: { host: 'rebound.example', ...BEARER } });
      assert.equal(answer.status, 403, `${listener}: ${answer.text}`);
    }
  });

  test('services of a network of ours and addresses are answered, where they ask', async () => {
    for (const host of ['localhost', '[::1]:80', '10.204.0.3:1881', 'node-red-a:1881']) {
      for (const [listener, where] of [['flows', '/one'], ['ready', '/readyz'], ['ops', '/metrics']]) {
        assert.equal((await ask(await running.url(listener, where), { headers: { host } })).status, 200, `${host} ${listener}`);
      }
      const status = (await ask(`${origin}/admin/flows`, { headers: { host, ...BEARER } })).status;
      assert.equal(status, host.startsWith('node-red') ? 403 : 200, host);
    }
  });

  test('the editor takes JSON alone', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', 'text/plain; application/json', undefined]) {
      for (const [method, where] of [['POST', '/admin/flows'], ['POST', '/admin/flow'], ['PUT', '/admin/flow/one'], ['POST', '/admin/auth/token']]) {
        const headers = { ...BEARER, ...cookie(), ...(type === undefined ? {} : { 'content-type': type }) };
        assert.equal((await ask(`${origin}${where}`, { method, headers, body: 'label=x' })).status, 415, `${type} ${where}`);
      }
    }
  });

  test('everything under /admin wants the cookie or the token, and says how to get in', async () => {
    for (const where of ['/admin/', '/admin/flows', '/admin/red/red.min.js', '/admin/settings', '/admin/debug/view/view.html', '/admin/?token=wrong', '/admin/?token=a&token=b']) {
      const program = await ask(`${origin}${where}`);
      assert.equal(program.status, 401, where);
      assert.match(JSON.parse(program.text).detail, /cargo xtask status/);
      for (const headers of [{ authorization: 'Bearer wrong' }, { cookie: `flowship-editor-${new URL(origin).port}=${OPS_TOKEN}` }]) {
        assert.equal((await ask(`${origin}${where}`, { headers })).status, 401, where);
      }
      const page = await ask(`${origin}${where}`, { headers: { accept: 'text/html,*/*;q=0.8' } });
      assert.match(page.text, /<code>cargo xtask status<\/code>/);
    }
    await assert.rejects(ask(`${origin}/admin/comms`, { headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' } }), /socket hang up|ECONNRESET/);
  });

  test('the link gives a cookie for this port that no other page can use or read', async () => {
    const { status, headers, text } = await ask(`${origin}/admin/?token=${editorToken(made.secret('ops'))}`);
    assert.equal(status, 200);
    const [given] = headers['set-cookie'];
    assert.match(given, new RegExp(`^flowship-editor-${new URL(origin).port}=\\w{64}; Path=/admin; HttpOnly; SameSite=Strict$`));
    assert.doesNotMatch(text, /\w{64}/, 'the token stays out of the page');
    assert.equal(headers['cache-control'], 'no-store');
    const page = await ask(`${origin}/admin/`, { headers: { cookie: given.split(';')[0] } });
    assert.equal(page.status, 200);
    assert.match(page.text, /<title>Flowship<\/title>/);
  });

  test('no answer of the editor may be framed or shared', async () => {
    for (const [where, headers] of [['/', {}], ['/admin/', {}], ['/admin/', BEARER], ['/admin/flows', BEARER], ['/admin/', { host: 'rebound.example' }]]) {
      const answer = await ask(`${origin}${where}`, { headers });
      assert.equal(answer.headers['content-security-policy'], "frame-ancestors 'none'", where);
      assert.equal(answer.headers['x-frame-options'], 'DENY');
      assert.equal(answer.headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
  });

  test('a known path answers a wrong method with 405 and what it allows', async () => {
    for (const [listener, method, where, allow] of [
      ['flows', 'DELETE', '/one', 'GET, HEAD'], ['flows', 'POST', '/one?x=1', 'GET, HEAD'],
      ['ready', 'POST', '/readyz', 'GET, HEAD'], ['ready', 'DELETE', '/livez', 'GET, HEAD'],
      ['ops', 'POST', '/metrics', 'GET, HEAD'], ['ops', 'GET', '/smoke', 'POST'], ['ops', 'PUT', '/reload', 'POST'], ['ops', 'GET', '/drain', 'POST'],
    ]) {
      const answer = await ask(await running.url(listener, where), { method, headers: BEARER });
      assert.equal(answer.status, 405, `${method} ${where}`);
      assert.equal(answer.headers.allow, allow, `${method} ${where}`);
      assert.match(answer.headers['content-type'], /^application\/problem\+json/);
    }
    for (const [listener, where] of [['flows', '/two'], ['flows', '/%zz'], ['ready', '/one'], ['ops', '/one']]) {
      const { status } = await ask(await running.url(listener, where), { method: 'DELETE' });
      assert.ok([400, 404].includes(status), `${where} ${status}`);
    }
  });
});

test('outside dev any name is answered: the edge passes on what clients ask for', async (t) => {
  const running = await launched(t, project(t, { flows: endpoint('one', 'get', '/one', []) }));
  assert.equal((await ask(await running.url('flows', '/one'), { headers: { host: 'api.example.com' } })).status, 200);
});
