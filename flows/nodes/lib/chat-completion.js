'use strict';
// A chat completion from any OpenAI-compatible endpoint: bounded in time and size, repeated with backoff where that
// can help, never where it cannot, and asked of the next provider where that one could do better.

const { setTimeout: pause } = require('node:timers/promises');
const { default: got, TimeoutError } = require('got');
const { Failure } = require('./failure');
const { retryAfterSeconds } = require('./parking');
const { masked, shownUrl, wordsOf } = require('./provider-words');
const { storable } = require('./storable');

// Those that the same request cannot overcome. A wrong key can: it is replaced while tasks wait.
const PERMANENT = new Set([301, 308, 400, 404, 405, 410, 413, 414, 415, 422]);
// The request itself is what is refused: another provider would refuse it too.
const OF_THE_REQUEST = new Set([400, 413, 414, 415, 422]);
const REPEATED = new Set([408, 409, 425, 429]);
const CONTEXT_LENGTH = /context[ _](length|window|size)|maximum context|prompt is too long|too many (input )?tokens/i;
// A longer wait is the queue's, not that of a worker who holds a task.
const LONGEST_WAIT_SECONDS = 2;
const LARGEST_ANSWER_BYTES = 16 * 1024 * 1024;
const LARGEST_COUNT = Number.MAX_SAFE_INTEGER;

// `providers` in the order in which they are asked. `onRetry(provider, reason)`, `onEnd(provider, failure, seconds)`.
async function chatCompletion({ providers, signal, onEnd = () => {}, ...request }) {
  const failures = [];
  for (const [index, provider] of providers.entries()) {
    const started = performance.now();
    const end = (failure) => onEnd(provider, failure, (performance.now() - started) / 1000);
    try {
      const answer = await askRepeatedly(provider, { ...request, signal, more: index < providers.length - 1 });
      end(null);
      return answer;
    } catch (failure) {
      end(failure);
      failures.push(failure);
      if (!failure.fallsOver || signal?.aborted) break;
    }
  }
  throw together(failures);
}

function together(failures) {
  if (failures.length === 1) return failures[0];
  const waits = failures.map((failure) => failure.retryAfterSeconds).filter((seconds) => seconds !== undefined);
  return new Failure(`${failures.length} LLM providers failed: ${failures.map((failure) => failure.message).join('; ')}`, {
    code: failures.at(-1).code,
    permanent: failures.every((failure) => failure.permanent),
    unavailable: failures.find((failure) => failure.unavailable)?.unavailable,
    retryAfterSeconds: waits.length === 0 ? undefined : Math.min(...waits),
    cause: failures.at(-1),
  });
}

async function askRepeatedly(provider, { retries, firstDelayMs = 300, onRetry = () => {}, more, ...request }) {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return { ...await ask(provider, request), attempts };
    } catch (failure) {
      const { reason, retryAfterSeconds: asked = 0 } = failure;
      // Another provider is faster than the second time-out of this one.
      const overToNext = more && failure.code === 'llm_timeout';
      if (reason === undefined || attempts > retries || asked > LONGEST_WAIT_SECONDS || overToNext || request.signal?.aborted) throw failure;
      onRetry(provider, reason);
      const seconds = failure.retryAfterSeconds ?? firstDelayMs / 1000 * 2 ** (attempts - 1) * (1 + Math.random() / 4);
      await pause(seconds * 1000, undefined, { signal: request.signal }).catch(() => { throw failure; });
    }
  }
}

function keyOf(provider) {
  try {
    return provider.apiKey();
  } catch (error) {
    throw failureAt(provider, `has no key: ${error.message}`, { code: 'llm_key_unreadable', fallsOver: true, cause: error });
  }
}

function headersOf(provider, key) {
  return provider.keyHeader ? { ...provider.headers, [provider.keyHeader]: key } : { ...provider.headers, authorization: `Bearer ${key}` };
}

async function ask(provider, { messages, temperature, maxTokens, body, timeoutMs, idempotencyKey, signal }) {
  const key = keyOf(provider);
  const tooLarge = new AbortController();
  let response;
  try {
    const asked = got.post(`${provider.baseUrl}/chat/completions`, {
      json: {
        ...provider.body,
        ...body,
        model: provider.model,
        messages,
        ...(temperature === undefined ? {} : { temperature }),
        ...(maxTokens === undefined ? {} : { [provider.tokenLimitField ?? 'max_tokens']: maxTokens }),
      },
      headers: { ...headersOf(provider, key), ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }) },
      timeout: { request: timeoutMs },
      retry: { limit: 0 },
      throwHttpErrors: false,
      followRedirect: false,
      signal: AbortSignal.any([tooLarge.signal, ...(signal === undefined ? [] : [signal])]),
    });
    asked.on('downloadProgress', ({ transferred }) => { if (transferred > LARGEST_ANSWER_BYTES) tooLarge.abort(); });
    response = await asked;
  } catch (error) {
    if (tooLarge.signal.aborted) {
      throw failureAt(provider, `answered more than ${LARGEST_ANSWER_BYTES / 1024 / 1024} MiB`, { code: 'llm_answer_invalid', fallsOver: true, cause: error });
    }
    throw notReached(provider, error, key, timeoutMs);
  }
  const { statusCode, headers } = response;
  if (statusCode < 200 || statusCode >= 300) throw refused(provider, statusCode, response.body, headers, key);
  let answer;
  try {
    answer = JSON.parse(response.body);
  } catch (error) {
    throw failureAt(provider, `answered something that is not JSON${quoted(wordsOf(response.body, [key]))}`, {
      code: 'llm_answer_invalid', fallsOver: true, cause: error,
    });
  }
  if (answer?.error && textOf(answer.choices?.[0]?.message?.content) === undefined) {
    const status = [answer.error.code, answer.error.status].map(Number).find((number) => number >= 400 && number < 600) ?? 500;
    throw refused(provider, status, answer, headers, key, `answered ${statusCode} with an error`);
  }
  return answerOf(provider, answer, key);
}

function answerOf(provider, answer, key) {
  const choice = answer?.choices?.[0];
  const message = choice?.message;
  const toolCalls = toolCallsOf(message);
  const finish = choice?.finish_reason ?? null;
  const text = textOf(message?.content) ?? (toolCalls === undefined ? undefined : '');
  const refusal = refusalOf(message);
  if (text === undefined || (text === '' && toolCalls === undefined && ['length', 'content_filter'].includes(finish))) {
    throw withoutText(provider, { answer, choice, finish, refusal }, key);
  }
  const { value, changes } = storable({
    text,
    provider: provider.name,
    model: typeof answer.model === 'string' ? answer.model : provider.model,
    finish_reason: finish,
    tokens: { prompt: countOf(answer.usage?.prompt_tokens), completion: countOf(answer.usage?.completion_tokens) },
    ...(toolCalls === undefined ? {} : { tool_calls: toolCalls }),
    ...(refusal === undefined ? {} : { refusal }),
  });
  return changes.length === 0 ? value : { ...value, cleaned: changes };
}

function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((part) => (typeof part === 'string' ? part : part?.text)).filter((text) => typeof text === 'string');
  return texts.length === 0 ? undefined : texts.join('');
}

function toolCallsOf(message) {
  if (Array.isArray(message?.tool_calls) && message.tool_calls.length > 0) return message.tool_calls;
  return message?.function_call ? [{ type: 'function', function: message.function_call }] : undefined;
}

function refusalOf(message) {
  const part = Array.isArray(message?.content) ? message.content.find((candidate) => typeof candidate?.refusal === 'string') : undefined;
  return [message?.refusal, part?.refusal].find((words) => typeof words === 'string' && words !== '');
}

// What the same request would end in again is not paid for again.
function withoutText(provider, { answer, choice, finish, refusal }, key) {
  if (refusal !== undefined) {
    return failureAt(provider, `refuses to answer${quoted(wordsOf(refusal, [key]))}`, { code: 'llm_refused', permanent: true });
  }
  if (finish === 'content_filter') {
    return failureAt(provider, 'filtered its answer (finish reason content_filter)', { code: 'llm_refused', permanent: true });
  }
  if (finish === 'length') {
    return failureAt(provider, 'spent all tokens before it wrote a text (finish reason length): raise the limit of tokens', {
      code: 'llm_answer_empty', permanent: true,
    });
  }
  const how = choice === undefined ? `without a message${quoted(wordsOf(answer, [key]))}` : `without a text (finish reason ${wordsOf(String(finish), [key])})`;
  return failureAt(provider, `answered ${how}`, { code: 'llm_answer_empty', fallsOver: true });
}

// Providers count in texts, in negative numbers and not at all; an answer is worth more than its count.
function countOf(given) {
  const count = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
  return Number.isFinite(count) && count >= 0 && count <= LARGEST_COUNT ? count : 0;
}

function quoted(words) {
  return words === '' ? '' : `: ${words}`;
}

function failureAt(provider, what, { fallsOver = false, reason, ...more }) {
  const named = provider.name === undefined ? '' : ` ${provider.name}`;
  return Object.assign(new Failure(`the LLM provider${named} at ${shownUrl(provider.baseUrl)} ${what}`, more), { fallsOver, reason });
}

function refused(provider, status, body, headers, key, answered = `answered ${status}`) {
  const words = wordsOf(body, [key]);
  if (status === 401 || status === 403) {
    return failureAt(provider, `refuses the key (${status})${quoted(words)}; check the file that ${provider.keyVariable} names`, {
      code: 'llm_key_refused', fallsOver: true,
    });
  }
  if (CONTEXT_LENGTH.test(words)) return failureAt(provider, `${answered}${quoted(words)}`, { code: 'llm_context_length', permanent: true });
  if (status >= 300 && status < 400) {
    const target = headers.location === undefined ? 'nowhere' : `to ${masked(shownUrl(headers.location, provider.baseUrl), [key])}`;
    return failureAt(provider, `${answered} and points ${target}: the base URL must be the final address`, {
      code: 'llm_redirect', permanent: PERMANENT.has(status), fallsOver: true,
    });
  }
  const repeated = REPEATED.has(status) || (status >= 500 && status !== 501);
  return failureAt(provider, `${answered}${words === '' ? ' without a word' : quoted(words)}`, {
    code: status === 429 ? 'llm_rate_limited' : 'llm_error',
    permanent: PERMANENT.has(status),
    fallsOver: !OF_THE_REQUEST.has(status),
    reason: repeated ? String(status) : undefined,
    retryAfterSeconds: status === 429 || status === 503 ? retryAfterSeconds(headers) : undefined,
  });
}

function notReached(provider, error, key, timeoutMs) {
  const unavailable = { unavailable: 'llm_provider', fallsOver: true, cause: error };
  if (error instanceof TimeoutError) {
    return failureAt(provider, `did not answer within ${timeoutMs} ms`, { code: 'llm_timeout', reason: 'timeout', ...unavailable });
  }
  return failureAt(provider, `cannot be reached: ${masked(error.message || error.code, [key])}`, {
    code: 'llm_unavailable', reason: error.code ?? 'error', ...unavailable,
  });
}

// Asks for the models: needs the key, costs nothing.
async function probeProvider(provider, timeoutMs) {
  const key = keyOf(provider);
  let response;
  try {
    response = await got(`${provider.baseUrl}/models`, {
      headers: headersOf(provider, key), timeout: { request: timeoutMs }, retry: { limit: 0 }, throwHttpErrors: false, followRedirect: false,
    });
  } catch (error) {
    throw notReached(provider, error, key, timeoutMs);
  }
  // Not every compatible endpoint lists its models; that it answered is what was asked.
  if (response.statusCode >= 300 && ![404, 405].includes(response.statusCode)) {
    throw refused(provider, response.statusCode, response.body, response.headers, key);
  }
}

module.exports = { chatCompletion, probeProvider };
