'use strict';
// A secret is a file. It is read again at each use, so that a rotated file takes effect at once.

const fs = require('node:fs');

function readSecret(path) {
  let content;
  try {
    content = fs.readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`secret file ${path} cannot be read (${error.code}): create it, or make it readable for this user`);
  }
  const value = content.trim();
  if (value === '') throw new Error(`secret file ${path} is empty: write the value into it`);
  return value;
}

module.exports = { readSecret };
