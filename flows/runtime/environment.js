'use strict';
// Reads environment variables by a table and collects every problem before anybody acts on one,
// so that an operator repairs a broken environment in one go.

const path = require('node:path');
const { readSecret } = require('./secrets');

class EnvironmentError extends Error {
  constructor(problems) {
    super(problems.join('\n'));
    this.name = 'EnvironmentError';
    this.problems = problems;
  }
}

function text(expected) {
  return { expected, parse: (value) => value };
}

function oneOf(...choices) {
  return {
    expected: `one of ${choices.join(', ')}`,
    parse: (value) => (choices.includes(value) ? value : undefined),
  };
}

// An RFC 1123 label: what engines and sites use for names.
function name(what) {
  return {
    expected: `${what}: lower-case letters, digits and dashes`,
    parse: (value) => (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value) ? value : undefined),
  };
}

// How strict the environment is, whatever its name. Who is not told takes the strictest.
function tier() {
  return optional(oneOf('development', 'staging', 'production'), 'production');
}

function integer(smallest, largest) {
  return {
    expected: `a whole number from ${smallest} to ${largest}`,
    parse: (value) => {
      const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
      return number >= smallest && number <= largest ? number : undefined;
    },
  };
}

function amount() {
  return {
    expected: 'a number such as 0.15',
    parse: (value) => (/^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined),
  };
}

// Port 0 lets the kernel choose; the launcher logs what it got.
function port() {
  return { ...integer(0, 65535), expected: 'a port number' };
}

function httpUrl(expected, accept = () => true) {
  return {
    expected,
    parse: (value) => {
      const url = URL.parse(value);
      return url && /^https?:$/.test(url.protocol) && accept(url) ? value : undefined;
    },
  };
}

function namedUrls(expected) {
  return {
    expected,
    parse: (value) => {
      const servers = {};
      for (const pair of value.split(',')) {
        const [, name, address] = /^\s*([A-Za-z0-9_-]+)=(\S+)\s*$/.exec(pair) ?? [];
        if (!name || name in servers || !/^https?:$/.test(URL.parse(address)?.protocol ?? '')) return undefined;
        servers[name] = address;
      }
      return Object.freeze(servers);
    },
  };
}

function argv(expected) {
  return {
    expected,
    parse: (value) => {
      const words = JSON.parse(value);
      return Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string') ? words : undefined;
    },
  };
}

// The value of the variable is a path; the content is read only where it is used (rotation).
function secretFile() {
  return {
    expected: 'the path of a readable, non-empty file that holds the value',
    parse: (value) => {
      readSecret(value);
      return value;
    },
  };
}

function absolutePath(expected) {
  return { expected, parse: (value) => (path.isAbsolute(value) ? value : undefined) };
}

function optional(kind, fallback) {
  return { ...kind, optional: true, fallback };
}

function readEnvironment(env, table) {
  const values = {};
  const problems = [];
  for (const [name, kind] of Object.entries(table)) {
    const raw = env[name];
    if (raw === undefined || raw === '') {
      if (kind.optional) values[name] = kind.fallback;
      else problems.push(`${name} is ${raw === '' ? 'empty' : 'not set'}: expected ${kind.expected}; set it in the environment of this process`);
      continue;
    }
    try {
      values[name] = kind.parse(raw);
      if (values[name] === undefined) problems.push(`${name}=${raw}: expected ${kind.expected}; correct it in the environment of this process`);
    } catch (error) {
      problems.push(`${name}: ${error.message}; expected ${kind.expected}`);
    }
  }
  return { values, problems };
}

module.exports = { EnvironmentError, readEnvironment, text, oneOf, name, tier, integer, amount, port, httpUrl, namedUrls, argv, secretFile, absolutePath, optional };
