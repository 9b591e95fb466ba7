'use strict';
// Against a provider that misbehaves in every way a provider does, and against the real stand-in's answers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { test } = require('node:test');
const { chatCompletion, probeProvider } = require('../../nodes/lib/chat-completion');
const { freePort } = require('../platform');

const ANSWER = {
  model: 'm-1', choices: [{ message: { content: 'Yes.' }, finish_reason: 'stop' }], usage: { prompt_tokens: 11, completion_tokens: 3 },
};

// `answers` are taken one by one: a status, a function of the response, or an object to send.
async function provider(t, answers) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    requests.push({ url: request.url, headers: request.headers, body: text === '' ? undefined : JSON.parse(text), at: Date.now() });
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    if (typeof answer === 'function') answer(response);
    else if (typeof answer === 'number') response.writeHead(answer).end('{"error":{}}');
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.close(); server.closeAllConnections(); });
  return { requests, baseUrl: `http://127.0.0.1:${server.address().port}/v1` };
}

function ask(baseUrl, more = {}) {
  return chatCompletion({
    baseUrl, apiKey: 'key', model: 'm', messages: [{ role: 'user', content: 'Well?' }], timeoutMs: 5000, retries: 2, firstDelayMs: 10, ...more,
  });
}

test('the request is what the API defines, and tokens are accounted for', async (t) => {
  const { requests, baseUrl } = await provider(t, [ANSWER]);
  const answer = await ask(baseUrl, { temperature: 0, maxTokens: 9, idempotencyKey: 'task/node' });
  assert.deepEqual(answer, { text: 'Yes.', model: 'm-1', finish_reason: 'stop', tokens: { prompt: 11, completion: 3 }, attempts: 1 });
  const [{ url, headers, body }] = requests;
  assert.equal(url, '/v1/chat/completions');
  assert.equal(headers.authorization, 'Bearer key');
  assert.equal(headers['idempotency-key'], 'task/node');
  assert.deepEqual(body, { model: 'm', messages: [{ role: 'user', content: 'Well?' }], temperature: 0, max_tokens: 9 });
});

test('what can pass is repeated, and each repetition told', async (t) => {
  const { requests, baseUrl } = await provider(t, [500, 429, ANSWER]);
  const reasons = [];
  const answer = await ask(baseUrl, { onRetry: (reason) => reasons.push(reason), idempotencyKey: 'same' });
  assert.equal(answer.attempts, 3);
  assert.deepEqual(reasons, ['500', '429']);
  assert.deepEqual(new Set(requests.map(({ headers }) => headers['idempotency-key'])), new Set(['same']));
});

test('Retry-After is respected', async (t) => {
  const { requests, baseUrl } = await provider(t, [(response) => response.writeHead(429, { 'retry-after': '1' }).end(), ANSWER]);
  await ask(baseUrl);
  assert.ok(requests[1].at - requests[0].at >= 900);
});

test('after the last repetition the failure names the status', async (t) => {
  const { requests, baseUrl } = await provider(t, [503]);
  await assert.rejects(ask(baseUrl, { retries: 1 }), { code: 'llm_error', permanent: false, message: /answered 503/ });
  assert.equal(requests.length, 2);
});

test('what cannot pass is asked once', async (t) => {
  for (const [status, expected] of [
    [400, { code: 'llm_error', permanent: true }],
    [401, { code: 'llm_key_refused', permanent: false, message: /LLM_API_KEY_FILE/ }],
    [403, { code: 'llm_key_refused' }],
    [404, { code: 'llm_error', permanent: true }],
  ]) {
    const { requests, baseUrl } = await provider(t, [status]);
    await assert.rejects(ask(baseUrl), expected);
    assert.equal(requests.length, 1, String(status));
  }
});

test('a provider that says nothing runs into the time-out, once for each attempt', async (t) => {
  const { requests, baseUrl } = await provider(t, [() => {}]);
  await assert.rejects(ask(baseUrl, { timeoutMs: 100, retries: 1 }), { code: 'llm_timeout', unavailable: 'llm_provider' });
  assert.equal(requests.length, 2);
});

test('a connection that breaks and a provider that is away', async (t) => {
  const { baseUrl } = await provider(t, [(response) => response.destroy(), ANSWER]);
  assert.equal((await ask(baseUrl)).attempts, 2);
  await assert.rejects(ask(`http://127.0.0.1:${await freePort()}/v1`, { retries: 1 }), { code: 'llm_unavailable', unavailable: 'llm_provider', message: /ECONNREFUSED/ });
});

test('an answer without a message, and one that is not JSON', async (t) => {
  const empty = await provider(t, [{ choices: [] }]);
  await assert.rejects(ask(empty.baseUrl), { code: 'llm_answer_empty' });
  const html = await provider(t, [(response) => response.end('<html>')]);
  await assert.rejects(ask(html.baseUrl, { retries: 0 }), { code: 'llm_answer_invalid' });
});

test('a stopping node ends its request', async (t) => {
  const { requests, baseUrl } = await provider(t, [() => {}]);
  const stopping = new AbortController();
  const asked = ask(baseUrl, { signal: stopping.signal });
  const poll = setInterval(() => { if (requests.length > 0) stopping.abort(); }, 5);
  t.after(() => clearInterval(poll));
  await assert.rejects(asked, /LLM provider/);
  assert.equal(requests.length, 1);
});

test('the probe wants an answer and a key that is accepted', async (t) => {
  const good = await provider(t, [{ data: [] }]);
  await probeProvider({ baseUrl: good.baseUrl, apiKey: 'key', timeoutMs: 1000 });
  assert.equal(good.requests[0].url, '/v1/models');
  const withoutModels = await provider(t, [404]);
  await probeProvider({ baseUrl: withoutModels.baseUrl, apiKey: 'key', timeoutMs: 1000 });
  const refusing = await provider(t, [401]);
  await assert.rejects(probeProvider({ baseUrl: refusing.baseUrl, apiKey: 'key', timeoutMs: 1000 }), { code: 'llm_key_refused' });
});
