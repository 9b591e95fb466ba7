'use strict';
// A chat completion from any OpenAI-compatible endpoint: bounded in time, repeated with backoff where that can
// help, never where it cannot.

const { default: got, HTTPError, ParseError, TimeoutError } = require('got');
const { Failure } = require('./failure');

// Those that the same request cannot overcome. A wrong key can: it is replaced while tasks wait.
const PERMANENT = new Set([400, 404, 413, 422]);
const REPEATED = [408, 409, 425, 429, 500, 502, 503, 504];

async function chatCompletion({
  baseUrl, apiKey, model, messages, temperature, maxTokens,
  timeoutMs, retries, firstDelayMs = 300, idempotencyKey, onRetry = () => {}, signal,
}) {
  let attempts = 1;
  try {
    const body = await got.post(`${baseUrl}/chat/completions`, {
      json: {
        model,
        messages,
        ...(temperature === undefined ? {} : { temperature }),
        ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
      },
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      timeout: { request: timeoutMs },
      retry: {
        limit: retries,
        methods: ['POST'],
        statusCodes: REPEATED,
        maxRetryAfter: timeoutMs,
        calculateDelay: ({ attemptCount, retryAfter, computedValue }) => {
          if (computedValue === 0) return 0;
          return retryAfter ?? firstDelayMs * 2 ** (attemptCount - 1) * (1 + Math.random() / 4);
        },
      },
      hooks: {
        beforeRetry: [(error) => {
          attempts += 1;
          onRetry(reasonOf(error));
        }],
      },
      followRedirect: false,
      signal,
    }).json();
    return { ...answerOf(body, model), attempts };
  } catch (error) {
    throw llmFailure(error, baseUrl);
  }
}

function answerOf(body, model) {
  const choice = body?.choices?.[0];
  if (typeof choice?.message?.content !== 'string') {
    throw new Failure('the LLM provider answered without a message', { code: 'llm_answer_empty' });
  }
  return {
    text: choice.message.content,
    model: body.model ?? model,
    finish_reason: choice.finish_reason ?? null,
    tokens: { prompt: body.usage?.prompt_tokens ?? 0, completion: body.usage?.completion_tokens ?? 0 },
  };
}

function reasonOf(error) {
  if (error instanceof HTTPError) return String(error.response.statusCode);
  if (error instanceof TimeoutError) return 'timeout';
  return error.code ?? 'error';
}

function llmFailure(error, baseUrl) {
  if (error instanceof Failure) return error;
  if (error instanceof HTTPError) {
    const status = error.response.statusCode;
    if (status === 401 || status === 403) {
      return new Failure(`the LLM provider at ${baseUrl} refuses the key (${status}): check the file that LLM_API_KEY_FILE names`, {
        code: 'llm_key_refused', cause: error,
      });
    }
    return new Failure(`the LLM provider at ${baseUrl} answered ${status}`, {
      code: 'llm_error', permanent: PERMANENT.has(status), cause: error,
    });
  }
  if (error instanceof ParseError) {
    return new Failure(`the LLM provider at ${baseUrl} answered something that is not JSON`, { code: 'llm_answer_invalid', cause: error });
  }
  if (error instanceof TimeoutError) {
    return new Failure(`the LLM provider at ${baseUrl} did not answer in time`, { code: 'llm_timeout', unavailable: 'llm_provider', cause: error });
  }
  return new Failure(`the LLM provider at ${baseUrl} cannot be reached: ${error.message || error.code}`, {
    code: 'llm_unavailable', unavailable: 'llm_provider', cause: error,
  });
}

// Asks for the models: needs the key, costs nothing.
async function probeProvider({ baseUrl, apiKey, timeoutMs }) {
  try {
    await got(`${baseUrl}/models`, {
      headers: { authorization: `Bearer ${apiKey}` }, timeout: { request: timeoutMs }, retry: { limit: 0 }, followRedirect: false,
    });
  } catch (error) {
    // Not every compatible endpoint lists its models; that it answered is what was asked.
    if (error instanceof HTTPError && [404, 405].includes(error.response.statusCode)) return;
    throw llmFailure(error, baseUrl);
  }
}

module.exports = { chatCompletion, probeProvider, reasonOf };
