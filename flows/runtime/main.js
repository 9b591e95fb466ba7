'use strict';
// Embeds Node-RED: truthful about its health, drained before it stops.

const { EnvironmentError } = require('./environment');
const { readConfig } = require('./config');
const { credentialFileProblems } = require('./project');
const { launch } = require('./launch');

function refuse(problems) {
  for (const problem of problems) process.stderr.write(`flowship: ${problem}\n`);
  process.exit(2);
}

let config;
try {
  config = readConfig(process.env);
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  refuse(error.problems);
}
const forbidden = credentialFileProblems(config.flowsDir);
if (forbidden.length > 0) refuse(forbidden);

launch(config);
