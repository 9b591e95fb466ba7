// What the small services beside Node-RED have in common: where they listen, their log lines, their end.

'use strict';

const fs = require('node:fs');
const path = require('node:path');

const platform = JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'platform.json'), 'utf8'));

function refuse(problems) {
  process.stderr.write(`${problems.join('; ')}\n`);
  process.exit(2);
}

function listenAddress(program, secrets = []) {
  const problems = [];
  const host = process.env.HOST ?? '';
  if (host === '') problems.push(`HOST is not set: ${program} needs the address to listen on, such as 127.0.0.1`);
  const port = Number(process.env.PORT || NaN);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    problems.push(`PORT is '${process.env.PORT ?? ''}': ${program} needs a port from 0 (any free one) to 65535`);
  }
  const values = {};
  for (const name of secrets) {
    const file = process.env[name] ?? '';
    if (file === '') {
      problems.push(`${name} is not set: ${program} needs the path of the file that holds the secret`);
      continue;
    }
    try {
      values[name] = fs.readFileSync(file, 'utf8').trim();
      if (values[name] === '') problems.push(`${name} names ${file}, which is empty: write the secret into it`);
    } catch (error) {
      problems.push(`${name} names ${file}, which cannot be read (${error.code}): create it or correct the path`);
    }
  }
  if (problems.length > 0) refuse(problems);
  return { host, port, secrets: values };
}

function logLine(level, message, fields = {}) {
  const labels = Object.fromEntries(platform.labels.map((label) => [label, '']));
  const known = { component: process.env.FLOWSHIP_COMPONENT ?? '', environment: process.env.FLOWSHIP_ENVIRONMENT ?? '' };
  const line = { time: new Date().toISOString(), level, message, ...labels, ...known, ...fields };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function closeOnSignal(close) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
      logLine('info', `stopping on ${signal}`);
      await close();
    });
  }
}

module.exports = { listenAddress, logLine, closeOnSignal };
