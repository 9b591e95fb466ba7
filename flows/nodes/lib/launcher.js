'use strict';
// The nodes live inside the platform's launcher: addresses, secrets, metrics and labels come from it.

function launcherOf(RED, type) {
  const launcher = RED.settings.flowship;
  if (launcher === undefined) {
    throw new Error(
      `the node type '${type}' works only inside the Flowship launcher: start it with 'node runtime/main.js', `
      + 'not with node-red, or settings.flowship is missing',
    );
  }
  return launcher;
}

module.exports = { launcherOf };
