'use strict';
// A secret is a file. It is read again at each use, so that a rotated file takes effect at once. While it is rotated, a second
// line has the other value: `next VALUE` before the change, `previous VALUE` after it. What was read is hidden from then on,
// wherever this program writes.

const fs = require('node:fs');
const { formsOf } = require('./encodings');

// Shorter values would hide ordinary words, also the lines of a longer one.
const SHORTEST = 4;
const SHORTEST_LINE = 8;

const values = new Set();
const forms = new Set();
let longestFirst = [];

function valuesIn(content) {
  const [, value, other] = /^(.*)\n(?:(?:next|previous) (\S+)|revoked)$/.exec(content.trim()) ?? [];
  return { value: value ?? content.trim(), other };
}

function read(path) {
  let content;
  try {
    content = fs.readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`secret file ${path} cannot be read (${error.code}): create it, or make it readable for this user`);
  }
  const { value, other } = valuesIn(content);
  if (value === '') throw new Error(`secret file ${path} is empty: write the value into it`);
  const found = other === undefined ? [value] : [value, other];
  for (const one of found) if (!values.has(one)) remember(one);
  return found;
}

function readSecret(path) {
  return read(path)[0];
}

// The values that callers may use.
const acceptedSecrets = read;

function remember(value) {
  values.add(value);
  const lines = value.split('\n').map((line) => line.trim());
  if (lines.length === 1) {
    // Of USER:PASSWORD also the password alone.
    for (const part of [value, value.slice(value.indexOf(':') + 1)]) if (part.length >= SHORTEST) for (const form of formsOf(part)) forms.add(form);
  } else {
    for (const line of lines) if (line.length >= SHORTEST_LINE && !line.startsWith('-----')) forms.add(line);
  }
  longestFirst = [...forms].sort((a, b) => b.length - a.length);
}

function hide(text) {
  let shown = text;
  for (const form of longestFirst) if (shown.includes(form)) shown = shown.replaceAll(form, '***');
  return shown;
}

module.exports = { acceptedSecrets, readSecret, hide };
