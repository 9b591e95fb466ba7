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
    this.#open.set(key, { resolve, forget: () => signal?.removeEventListener('abort', onAbort) });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return { key, outcome: promise };
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
