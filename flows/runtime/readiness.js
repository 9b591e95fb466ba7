'use strict';
// Registered checks, asked anew for each answer: a check tells by throwing.

const CHECK_LIMIT_MS = 1000;

function createReadiness() {
  const checks = new Map();

  async function ask(name, check) {
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_LIMIT_MS} ms`)), CHECK_LIMIT_MS);
    });
    try {
      await Promise.race([(async () => check())(), limit]);
      return { name, status: 'ok', error: null };
    } catch (error) {
      return { name, status: 'failed', error: error.message };
    } finally {
      clearTimeout(timer);
    }
  }

  return Object.freeze({
    register(name, check) {
      if (checks.has(name)) throw new Error(`readiness check ${name} is registered twice`);
      checks.set(name, check);
    },
    report: () => Promise.all(Array.from(checks, ([name, check]) => ask(name, check))),
  });
}

module.exports = { createReadiness };
