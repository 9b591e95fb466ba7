'use strict';
// A secret is a file. It is read again at each use, so that a rotated file takes effect at once. What was read is hidden
// from then on, wherever this program writes.

const fs = require('node:fs');
const { formsOf } = require('./encodings');

// Shorter values would hide ordinary words, also the lines of a longer one.
const SHORTEST = 4;
const SHORTEST_LINE = 8;

const values = new Set();
const forms = new Set();
let longestFirst = [];

function readSecret(path) {
  let content;
  try {
    content = fs.readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`secret file ${path} cannot be read (${error.code}): create it, or make it readable for this user`);
  }
  const value = content.trim();
  if (value === '') throw new Error(`secret file ${path} is empty: write the value into it`);
  if (!values.has(value)) remember(value);
  return value;
}

function remember(value) {
  values.add(value);
  const lines = value.split('\n').map((line) => line.trim());
  if (lines.length === 1) {
    if (value.length >= SHORTEST) for (const form of formsOf(value)) forms.add(form);
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

module.exports = { readSecret, hide };
