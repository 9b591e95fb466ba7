'use strict';
// Against a provider that misbehaves in every way a provider does, and against the real stand-in's answers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { describe, test } = require('node:test');
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

function at(baseUrl, more = {}) {
  return { name: 'main', baseUrl, model: 'm', apiKey: () => 'key-of-the-test', keyVariable: 'LLM_API_KEY_FILE', headers: {}, body: {}, ...more };
}

function askAll(providers, more = {}) {
  return chatCompletion({ providers, messages: [{ role: 'user', content: 'Well?' }], timeoutMs: 5000, retries: 2, firstDelayMs: 10, ...more });
}

function ask(baseUrl, more = {}) {
  return askAll([at(baseUrl)], more);
}

function saying(status, body, headers = {}) {
  return (response) => response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
}

function answering(message, more = {}) {
  return { ...ANSWER, choices: [{ message, finish_reason: 'stop', ...more }] };
}

test('the request is what the API defines, and tokens are accounted for', async (t) => {
  const { requests, baseUrl } = await provider(t, [ANSWER]);
  const answer = await ask(baseUrl, { temperature: 0, maxTokens: 9, idempotencyKey: 'task/node' });
  assert.deepEqual(answer, {
    text: 'Yes.', provider: 'main', model: 'm-1', finish_reason: 'stop', tokens: { prompt: 11, completion: 3 }, attempts: 1,
  });
  const [{ url, headers, body }] = requests;
  assert.equal(url, '/v1/chat/completions');
  assert.equal(headers.authorization, 'Bearer key-of-the-test');
  assert.equal(headers['idempotency-key'], 'task/node');
  assert.deepEqual(body, { model: 'm', messages: [{ role: 'user', content: 'Well?' }], temperature: 0, max_tokens: 9 });
});

test('what can pass is repeated, and each repetition told', async (t) => {
  const { requests, baseUrl } = await provider(t, [500, 429, ANSWER]);
  const reasons = [];
  const answer = await ask(baseUrl, { onRetry: (_provider, reason) => reasons.push(reason), idempotencyKey: 'same' });
  assert.equal(answer.attempts, 3);
  assert.deepEqual(reasons, ['500', '429']);
  assert.deepEqual(new Set(requests.map(({ headers }) => headers['idempotency-key'])), new Set(['same']));
});

test('a short Retry-After is waited for, a long one is for the queue, and a worker is not held', async (t) => {
  const short = await provider(t, [saying(429, '', { 'retry-after': '1' }), ANSWER]);
  await ask(short.baseUrl);
  assert.ok(short.requests[1].at - short.requests[0].at >= 900);
  const inAMinute = new Date(Date.now() + 60_000).toUTCString();
  for (const [status, headers, seconds] of [
    [429, { 'retry-after': '60' }, 60],
    [503, { 'retry-after': '60' }, 60],
    [429, { 'retry-after': ' 12.5 ' }, 12.5],
    [429, { 'retry-after-ms': '4500' }, 4.5],
    [429, { 'retry-after': '99999999999999' }, 99999999999999],
    // The sender's clock counts: here it is ten years behind.
    [429, { 'retry-after': 'Wed, 01 Jun 2016 10:01:00 GMT', date: 'Wed, 01 Jun 2016 10:00:00 GMT' }, 60],
    [503, { 'retry-after': inAMinute }, 60],
  ]) {
    const { requests, baseUrl } = await provider(t, [saying(status, '{}', headers)]);
    await assert.rejects(ask(baseUrl), (error) => error.permanent === false && Math.abs(error.retryAfterSeconds - seconds) <= 1, JSON.stringify(headers));
    assert.equal(requests.length, 1, JSON.stringify(headers));
  }
});

test('Retry-After 0, negative and past mean now; what cannot be read means nothing', async (t) => {
  for (const value of ['0', '-5', 'Thu, 01 Jan 1970 00:00:00 GMT']) {
    const { requests, baseUrl } = await provider(t, [saying(429, '{}', { 'retry-after': value }), ANSWER]);
    await ask(baseUrl, { firstDelayMs: 60_000 });
    assert.equal(requests.length, 2, value);
    const still = await provider(t, [saying(429, '{}', { 'retry-after': value })]);
    await assert.rejects(ask(still.baseUrl), { code: 'llm_rate_limited', retryAfterSeconds: 0 });
    assert.equal(still.requests.length, 3, value);
  }
  for (const value of ['soon', 'NaN', '1e3 s']) {
    const { baseUrl } = await provider(t, [saying(429, '{}', { 'retry-after': value })]);
    await assert.rejects(ask(baseUrl, { retries: 0 }), (error) => error.retryAfterSeconds === undefined, value);
  }
  const other = await provider(t, [saying(500, '{}', { 'retry-after': '60' })]);
  await assert.rejects(ask(other.baseUrl, { retries: 0 }), (error) => error.retryAfterSeconds === undefined);
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
  const message = `the LLM provider main at ${baseUrl} did not answer within 100 ms`;
  await assert.rejects(ask(baseUrl, { timeoutMs: 100, retries: 1 }), { code: 'llm_timeout', unavailable: 'llm_provider', message });
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
  await probeProvider(at(good.baseUrl), 1000);
  assert.equal(good.requests[0].url, '/v1/models');
  const withoutModels = await provider(t, [404]);
  await probeProvider(at(withoutModels.baseUrl), 1000);
  const refusing = await provider(t, [401]);
  await assert.rejects(probeProvider(at(refusing.baseUrl), 1000), { code: 'llm_key_refused' });
});

test('whatever usage holds, the answer is not lost', async (t) => {
  for (const [usage, tokens] of [
    [undefined, [0, 0]], [null, [0, 0]], ['many', [0, 0]], [[], [0, 0]],
    [{ prompt_tokens: '12', completion_tokens: 'three' }, [12, 0]],
    [{ prompt_tokens: -1, completion_tokens: null }, [0, 0]],
    [{ prompt_tokens: 1e300, completion_tokens: { n: 1 } }, [0, 0]],
    [{ prompt_tokens: true, completion_tokens: 7 }, [0, 7]],
  ]) {
    const { baseUrl } = await provider(t, [{ ...ANSWER, usage }]);
    const answer = await ask(baseUrl);
    assert.deepEqual([answer.text, answer.tokens], ['Yes.', { prompt: tokens[0], completion: tokens[1] }], JSON.stringify(usage));
  }
  const raw = await provider(t, [saying(200, '{"choices":[{"message":{"content":"Yes."}}],"usage":{"prompt_tokens":1e400,"completion_tokens":2}}')]);
  assert.deepEqual((await ask(raw.baseUrl)).tokens, { prompt: 0, completion: 2 });
});

test("the provider's own words reach the error, shortened and masked", async (t) => {
  for (const [answer, expected] of [
    [saying(400, { error: { message: 'No such parameter: foo', type: 'invalid_request_error' } }), { code: 'llm_error', permanent: true, message: /answered 400: No such parameter: foo \(invalid_request_error\)$/ }],
    [saying(400, { error: { message: "This model's maximum context length is 8192 tokens.", code: 'context_length_exceeded' } }), { code: 'llm_context_length', permanent: true, message: /maximum context length is 8192 tokens/ }],
    [saying(500, { error: 'prompt is too long: 9000 tokens' }), { code: 'llm_context_length', permanent: true }],
    [saying(422, { detail: [{ loc: ['body'], msg: 'field required' }, { msg: 'and another' }] }), { permanent: true, message: /422: field required; and another/ }],
    [saying(401, { error: { message: 'Incorrect API key provided: key-of-the-test. Also sk-abcdefghijklmnop.' } }), { code: 'llm_key_refused', message: /Incorrect API key provided: \*\*\*\. Also sk-\*\*\*/ }],
    [saying(502, '<html><head><style>p { x: y }</style><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>'), { code: 'llm_error', permanent: false, message: /answered 502: 502 Bad Gateway nginx$/ }],
    [saying(503, ''), { permanent: false, message: /answered 503 without a word$/ }],
    [saying(503, 'x'.repeat(90_000)), { message: /^.{0,500}…$/ }],
    [saying(200, ''), { code: 'llm_answer_invalid', message: /not JSON$/ }],
    [saying(200, '<html><body>Sign in</body></html>'), { code: 'llm_answer_invalid', message: /not JSON: Sign in$/ }],
    [saying(200, 'null'), { code: 'llm_answer_empty', message: /without a message$/ }],
    [{ error: { message: 'upstream is overloaded', code: 429 } }, { code: 'llm_rate_limited', permanent: false, message: /answered 200 with an error: upstream is overloaded/ }],
    [{ error: { message: 'bad tool', code: 400 } }, { code: 'llm_error', permanent: true }],
    [{ error: 'went wrong' }, { code: 'llm_error', permanent: false, message: /went wrong/ }],
    [saying(302, '', { location: 'https://user:word@login.example/in?token=abcdef' }), { code: 'llm_redirect', permanent: false, message: /answered 302 and points to https:\/\/login\.example\/in: / }],
    [saying(308, '', { location: '/v2/' }), { code: 'llm_redirect', permanent: true, message: /points to http:\/\/127\.0\.0\.1:\d+\/v2: / }],
    [answering({ content: null, refusal: 'I will not.' }), { code: 'llm_refused', permanent: true, message: /refuses to answer: I will not\.$/ }],
    [answering({ content: [{ type: 'refusal', refusal: 'Neither.' }] }), { code: 'llm_refused', permanent: true, message: /Neither/ }],
    [answering({ content: null }, { finish_reason: 'content_filter' }), { code: 'llm_refused', permanent: true, message: /content_filter/ }],
    [answering({ content: null }, { finish_reason: 'length' }), { code: 'llm_answer_empty', permanent: true, message: /finish reason length/ }],
    [answering({ content: '' }, { finish_reason: 'length' }), { code: 'llm_answer_empty', permanent: true }],
    [answering({ content: null }), { code: 'llm_answer_empty', permanent: false, message: /without a text \(finish reason stop\)/ }],
    [answering({ content: 7 }), { code: 'llm_answer_empty' }],
  ]) {
    const { baseUrl } = await provider(t, [answer]);
    await assert.rejects(ask(baseUrl, { retries: 0 }), expected);
  }
});

test('an address with a password in it is not shown', async (t) => {
  const { baseUrl } = await provider(t, [500]);
  await assert.rejects(ask(baseUrl.replace('//', '//user:pass-word@'), { retries: 0 }), (error) => !/pass-word/.test(error.message));
});

test('content in parts, tool calls, an empty text and an error beside an answer are answers', async (t) => {
  const call = { id: 'c1', type: 'function', function: { name: 'look_up', arguments: '{"q":1}' } };
  for (const [answer, expected] of [
    [answering({ content: [{ type: 'text', text: 'Yes' }, { type: 'image_url' }, { type: 'text', text: ', no.' }] }), { text: 'Yes, no.' }],
    [answering({ content: null, tool_calls: [call] }, { finish_reason: 'tool_calls' }), { text: '', tool_calls: [call], finish_reason: 'tool_calls' }],
    [answering({ content: 'Let me see.', tool_calls: [call, call] }), { text: 'Let me see.', tool_calls: [call, call] }],
    [answering({ content: null, function_call: { name: 'f', arguments: '{}' } }), { tool_calls: [{ type: 'function', function: { name: 'f', arguments: '{}' } }] }],
    [answering({ content: '' }), { text: '' }],
    [{ ...ANSWER, error: {} }, { text: 'Yes.' }],
  ]) {
    const { baseUrl } = await provider(t, [answer]);
    const found = await ask(baseUrl, { retries: 0 });
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key], value, JSON.stringify(answer));
  }
});

test('what the database cannot hold is cleaned, and said so', async (t) => {
  const { baseUrl } = await provider(t, [saying(200, '{"model":"m","choices":[{"message":{"content":"a\\u0000b \\ud83d \\ud83d\\ude80"}}]}')]);
  const answer = await ask(baseUrl);
  assert.equal(answer.text, 'a\ufffdb \ufffd \u{1F680}');
  assert.deepEqual(answer.cleaned.map(({ pointer }) => pointer), ['/text']);
});

test('an answer without end is given up', async (t) => {
  const { baseUrl } = await provider(t, [(response) => {
    const part = 'x'.repeat(1024 * 1024);
    const more = () => { while (!response.destroyed && response.write(part)); };
    response.on('drain', more);
    more();
  }]);
  await assert.rejects(ask(baseUrl, { retries: 0, timeoutMs: 20_000 }), { code: 'llm_answer_invalid', message: /more than 16 MiB/ });
});

test("the provider's settings make the request", async (t) => {
  const { requests, baseUrl } = await provider(t, [ANSWER]);
  await askAll([at(baseUrl, { keyHeader: 'api-key', headers: { 'x-team': 'search' }, body: { seed: 7, n: 1 }, tokenLimitField: 'max_completion_tokens' })], {
    maxTokens: 9, body: { n: 2, tools: [] },
  });
  const [{ headers, body }] = requests;
  assert.equal(headers['api-key'], 'key-of-the-test');
  assert.equal(headers.authorization, undefined);
  assert.equal(headers['x-team'], 'search');
  assert.deepEqual(body, { seed: 7, n: 2, tools: [], model: 'm', messages: [{ role: 'user', content: 'Well?' }], max_completion_tokens: 9 });
});

describe('several providers', () => {
  const away = async () => `http://127.0.0.1:${await freePort()}/v1`;
  const asked = async (t, first, second, more) => {
    const one = await provider(t, [first]);
    const two = await provider(t, [second]);
    const ends = [];
    const answer = askAll([at(one.baseUrl), at(two.baseUrl, { name: 'backup', model: 'small' })], {
      retries: 0, onEnd: ({ name, model }, failure) => ends.push([name, model, failure?.code ?? 'ok']), ...more,
    });
    return { answer: await answer.catch((error) => error), ends, one, two };
  };

  test('the next one is asked where it could do better, and the answer names it', async (t) => {
    for (const [first, code] of [
      [500, 'llm_error'], [503, 'llm_error'], [404, 'llm_error'], [402, 'llm_error'], [401, 'llm_key_refused'], [403, 'llm_key_refused'],
      [saying(429, '{}', { 'retry-after': '60' }), 'llm_rate_limited'], [saying(302, '', { location: '/x' }), 'llm_redirect'],
      [saying(200, 'x'), 'llm_answer_invalid'], [{ choices: [] }, 'llm_answer_empty'], [(response) => response.destroy(), 'llm_unavailable'],
    ]) {
      const { answer, ends, two } = await asked(t, first, ANSWER);
      assert.equal(answer.provider, 'backup', code);
      assert.equal(two.requests[0].body.model, 'small');
      assert.deepEqual(ends, [['main', 'm', code], ['backup', 'small', 'ok']]);
    }
    assert.equal((await askAll([at(await away()), at((await provider(t, [ANSWER])).baseUrl, { name: 'backup' })], { retries: 0 })).provider, 'backup');
    const keyless = at(await away(), { apiKey: () => { throw new Error('no file'); } });
    assert.equal((await askAll([keyless, at((await provider(t, [ANSWER])).baseUrl, { name: 'backup' })])).provider, 'backup');
  });

  test('a slow one is not asked twice', async (t) => {
    const { answer, one } = await asked(t, () => {}, ANSWER, { retries: 2, timeoutMs: 100 });
    assert.equal(answer.provider, 'backup');
    assert.equal(one.requests.length, 1);
  });

  test('it is not asked where the request is what is wrong, or the model refuses', async (t) => {
    for (const [first, code] of [
      [400, 'llm_error'], [413, 'llm_error'], [422, 'llm_error'], [saying(400, '{"error":"maximum context length"}'), 'llm_context_length'],
      [answering({ content: null, refusal: 'No.' }), 'llm_refused'], [answering({ content: null }, { finish_reason: 'length' }), 'llm_answer_empty'],
    ]) {
      const { answer, two } = await asked(t, first, ANSWER);
      assert.equal(answer.code, code);
      assert.equal(answer.permanent, true);
      assert.equal(two.requests.length, 0, code);
    }
  });

  test('when all fail, the error has the words of each, is for good only if all are, and waits for the first that asked to', async (t) => {
    const waiting = (seconds) => saying(429, '{"error":"later"}', { 'retry-after': seconds });
    const both = (await asked(t, waiting('90'), waiting('60'))).answer;
    assert.equal(both.retryAfterSeconds, 60);
    assert.match(both.message, /2 LLM providers failed: .*main.* 429: later; .*backup.* 429: later/);
    const mixed = (await asked(t, 500, saying(400, '{"error":"maximum context length"}'))).answer;
    assert.equal(mixed.permanent, false);
    assert.equal((await asked(t, 404, 404)).answer.permanent, true);
  });
});
