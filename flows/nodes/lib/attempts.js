'use strict';
// The attempts that this process works on. A flow gets the attempt's key on the message, never the job, and
// settles it by the key: once, whatever the flow does.

const crypto = require('node:crypto');

class Attempts {
  #open = new Map();

  get size() {
    return this.#open.size;
  }

  // Resolves with what settles the attempt, or with a failure when the queue takes the job away.
  begin(signal) {
    const key = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers();
    const onAbort = () => this.settle(key, {
      failure: { code: 'expired', message: 'the attempt did not end in time', permanent: false },
    });
    this.#open.set(key, { resolve, calls: new Map(), forget: () => signal?.removeEventListener('abort', onAbort) });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return { key, outcome: promise };
  }

  has(key) {
    return this.#open.has(key);
  }

  // How often this attempt had made the call before.
  countCall(key, call) {
    const { calls } = this.#open.get(key) ?? { calls: new Map() };
    const count = calls.get(call) ?? 0;
    calls.set(call, count + 1);
    return count;
  }

  settleAll(outcome) {
    for (const key of [...this.#open.keys()]) this.settle(key, outcome);
  }

  settle(key, outcome) {
    const attempt = this.#open.get(key);
    if (attempt === undefined) return false;
    this.#open.delete(key);
    attempt.forget();
    attempt.resolve(outcome);
    return true;
  }
}

module.exports = { Attempts };
