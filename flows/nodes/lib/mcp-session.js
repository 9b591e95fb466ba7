'use strict';
// One session with an MCP server over Streamable HTTP. What a request ends in says more than the SDK does: whether
// anything can have run. And what happens to one request happens to no other.

const { AsyncLocalStorage } = require('node:async_hooks');
const http = require('node:http');
const https = require('node:https');
const { Readable } = require('node:stream');
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { ErrorCode, McpError, ResultSchema, ToolListChangedNotificationSchema } = require('@modelcontextprotocol/sdk/types.js');
const { retryAfterSeconds } = require('./parking');

const CONNECT_LIMIT_MS = 10_000;
const FAREWELL_LIMIT_MS = 2000;
// The SDK hands an answer on a moment after the body with it has ended.
const SETTLE_MS = 100;
const NEVER_REACHED = new Set([
  'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT',
]);
const REFUSED_UNTOUCHED = new Set([429, 503]);

// What became of a request that has no answer. `ran`: 'no', 'unknown', or 'answered' when the server itself says no.
class Trouble extends Error {
  constructor(message, fields, cause) {
    super(message, { cause });
    Object.assign(this, fields);
  }
}

// The HTTP exchange of one request, as the transport's fetch sees it.
class Exchange {
  constructor({ once = false } = {}) {
    this.once = once;
    this.fetching = new AbortController();
    this.giveUp = new AbortController();
    this.lost = new Promise((_resolve, reject) => {
      this.lose = (reason) => {
        this.loss ??= reason;
        reject(reason);
      };
    });
    this.lost.catch(() => {});
  }

  bodyEnded(error) {
    setTimeout(() => {
      if (!this.answered && !this.settled && !this.resumable) this.lose(error ?? new Error('the stream ended before the answer'));
    }, SETTLE_MS);
  }
}

const exchanges = new AsyncLocalStorage();

// The id of the request in a body, undefined in that of a notification or an answer.
function requestId(init) {
  if (init.method !== 'POST') return undefined;
  const { id, method } = JSON.parse(init.body);
  return method === undefined ? undefined : id;
}

// On a connection of its own: one that was kept may have been closed by the other side meanwhile, and then nobody knows
// whether the request arrived.
function fetchOnce(url, { method, headers, body, signal }) {
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http;
    const asked = request(url, { method, headers: Object.fromEntries(headers), agent: false, signal }, (incoming) => {
      try {
        const { statusCode: status, statusMessage: statusText } = incoming;
        const empty = [204, 205, 304].includes(status);
        if (empty) incoming.resume();
        resolve(new Response(empty ? null : Readable.toWeb(incoming), {
          status, statusText, headers: Object.entries(incoming.headersDistinct).flatMap(([name, values]) => values.map((value) => [name, value])),
        }));
      } catch (error) {
        incoming.destroy();
        reject(error);
      }
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function observedFetch(url, init, onListening) {
  const exchange = exchanges.getStore();
  const resumes = init.method === 'GET' && init.headers.has('last-event-id');
  const id = requestId(init);
  if (exchange === undefined || !(resumes || id !== undefined)) {
    // A notification nobody waits for must not hang either; the stream of notifications may.
    const limit = init.method === 'GET' ? [] : [AbortSignal.timeout(CONNECT_LIMIT_MS)];
    const response = await fetch(url, { ...init, signal: AbortSignal.any([init.signal, ...limit]) });
    if (init.method === 'GET' && response.ok) onListening();
    return response;
  }
  exchange.sent = true;
  exchange.id ??= id;
  let response;
  try {
    const send = exchange.once ? fetchOnce : fetch;
    response = await send(url, { ...init, signal: AbortSignal.any([init.signal, exchange.fetching.signal]) });
  } catch (error) {
    exchange.broken = error;
    throw error;
  }
  if (resumes) {
    if (response.status >= 400 && response.status < 500) exchange.lose(new Error('the stream ended before the answer and cannot be resumed'));
  } else {
    exchange.status = response.status;
    exchange.headers = response.headers;
  }
  return response.ok && response.body !== null ? watched(response, exchange) : response;
}

// The same response; that its body ends is noticed. An event with an id makes the SDK resume the stream.
function watched(response, exchange) {
  const reader = response.body.getReader();
  exchange.events = /^text\/event-stream/i.test(response.headers.get('content-type') ?? '');
  let line = '';
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          exchange.bodyEnded();
          return;
        }
        if (exchange.events && !exchange.resumable) {
          line = line.slice(-4) + Buffer.from(value).toString('latin1');
          exchange.resumable = /(^|[\r\n])id:/.test(line);
        }
        controller.enqueue(value);
      } catch (error) {
        controller.error(error);
        exchange.bodyEnded(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
}

class Transport extends StreamableHTTPClientTransport {
  #deliver;

  get onmessage() {
    return this.#deliver;
  }

  set onmessage(deliver) {
    this.#deliver = deliver && ((message, extra) => {
      const exchange = exchanges.getStore();
      if (exchange !== undefined && message.method === undefined && message.id === exchange.id) exchange.answered = true;
      deliver(message, extra);
    });
  }
}

class McpSession {
  #inFlight = 0;
  #over = false;

  constructor(url, { onToolsChanged }) {
    this.client = new Client({ name: 'flowship', version: '0.1.0' });
    this.client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
    this.transport = new Transport(new URL(url), {
      // What changed before somebody listened was said to nobody.
      fetch: (address, init) => observedFetch(address, init, onToolsChanged),
    });
    this.ready = this.#exchange((options) => this.client.connect(this.transport, options), CONNECT_LIMIT_MS);
    this.ready.catch(() => {});
  }

  // `once`: the request must not reach the server twice, nor be in doubt where it need not.
  async request(method, params, timeoutMs, { once = false } = {}) {
    await this.ready;
    this.#inFlight += 1;
    try {
      return await this.#exchange((options) => this.client.request({ method, params }, ResultSchema, options), timeoutMs, { once });
    } finally {
      this.#inFlight -= 1;
      this.#closeWhenOver();
    }
  }

  async #exchange(work, timeoutMs, how) {
    const exchange = new Exchange(how);
    try {
      return await exchanges.run(exchange, () => Promise.race([work({ timeout: timeoutMs, signal: exchange.giveUp.signal }), exchange.lost]));
    } catch (error) {
      exchange.settled = true;
      // The SDK tells the server by itself when a request takes too long.
      if (error === exchange.loss) exchange.giveUp.abort(error.message);
      exchange.fetching.abort();
      throw this.#trouble(error, exchange, timeoutMs);
    } finally {
      exchange.settled = true;
      // Some servers hold the stream open that the answer came on.
      if (exchange.events) setTimeout(() => exchange.fetching.abort(), SETTLE_MS * 10).unref();
    }
  }

  #trouble(error, exchange, timeoutMs) {
    const { status, broken } = exchange;
    if (error instanceof McpError && error.code === ErrorCode.RequestTimeout) {
      return new Trouble(`did not answer within ${timeoutMs} ms`, { ran: 'unknown', timedOut: true }, error);
    }
    if (error instanceof McpError && error.code !== ErrorCode.ConnectionClosed) {
      return new Trouble(`refuses: ${error.message}`, { ran: 'answered', rpcCode: error.code }, error);
    }
    if (!exchange.sent) return new Trouble(`cannot be asked: ${error.message}`, { ran: 'no' }, error);
    if (broken !== undefined) {
      const cause = broken.cause ?? broken;
      // A certificate is judged before anything is sent.
      const ran = NEVER_REACHED.has(cause.code) || /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(cause.code ?? '') ? 'no' : 'unknown';
      return new Trouble(`does not answer: ${cause.message || cause.code || cause}`, { ran }, error);
    }
    if (status !== undefined && status >= 300) {
      const words = error.message.replace(/^Streamable HTTP error: (Error POSTing to endpoint: )?/, '');
      // Also where there was none before: the server may keep sessions since its last restart.
      const expired = status === 404 || (status === 400 && /session/i.test(words));
      return new Trouble(`answered ${status}: ${words.slice(0, 300)}`, {
        ran: expired || status < 500 || REFUSED_UNTOUCHED.has(status) ? 'no' : 'unknown',
        expired,
        status,
        retryAfterSeconds: REFUSED_UNTOUCHED.has(status) ? retryAfterSeconds(Object.fromEntries(exchange.headers)) : undefined,
      }, error);
    }
    return new Trouble(`gave no answer: ${error.message}`, { ran: 'unknown' }, error);
  }

  // A session that is over is not closed under the requests that are still under way.
  retire() {
    this.#over = true;
    this.#closeWhenOver();
  }

  #closeWhenOver() {
    if (this.#over && this.#inFlight === 0) this.client.close().catch(() => {});
  }

  async close() {
    const connected = await this.ready.then(() => true, () => false);
    if (connected) {
      let timer;
      const limit = new Promise((resolve) => { timer = setTimeout(resolve, FAREWELL_LIMIT_MS); });
      await Promise.race([this.transport.terminateSession().catch(() => {}), limit]);
      clearTimeout(timer);
    }
    await this.client.close().catch(() => {});
  }
}

module.exports = { McpSession, Trouble };
