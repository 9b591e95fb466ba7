'use strict';
// What many tasks ask of the database at one moment becomes one statement. While one runs, the next collects.

const { isAway } = require('./database');

const LONGEST = 1_000_000;

class Batch {
  #waiting = [];
  #running = 0;

  // `run(items)` -> one result for each; items have a `length`: no more than so much of it goes into one statement.
  constructor(run, { most = 100, atOnce = 2 } = {}) {
    this.run = run;
    this.most = most;
    this.atOnce = atOnce;
  }

  // -> the result of this item
  add(item) {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#waiting.push({ item, resolve, reject });
    if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    return promise;
  }

  async #flush() {
    if (this.#running >= this.atOnce || this.#waiting.length === 0) return;
    this.#running += 1;
    await this.#settle(this.#next());
    this.#running -= 1;
    this.#flush();
  }

  #next() {
    let length = 0;
    let count = 0;
    while (count < this.#waiting.length && count < this.most && (count === 0 || length + this.#waiting[count].item.length <= LONGEST)) {
      length += this.#waiting[count].item.length;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #settle(entries) {
    try {
      const results = await this.run(entries.map(({ item }) => item));
      entries.forEach(({ resolve }, place) => resolve(results[place]));
    } catch (error) {
      if (entries.length === 1 || isAway(error)) {
        for (const { reject } of entries) reject(error);
        return;
      }
      // One of them is refused; the others must not suffer for it.
      for (const entry of entries) await this.#settle([entry]);
    }
  }
}

module.exports = { Batch };
