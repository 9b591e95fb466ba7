'use strict';

const { launcherOf } = require('./lib/launcher');
const { smoke } = require('./lib/platform');

module.exports = (RED) => {
  RED.nodes.registerType('smoke-in', function SmokeIn(definition) {
    RED.nodes.createNode(this, definition);
    const launcher = launcherOf(RED, 'smoke-in');
    const { check } = definition;
    if (!smoke.checks.includes(check)) throw new Error(`the smoke check '${check}' is not known: expected one of ${smoke.checks.join(', ')}`);

    const unregister = launcher.smoke.register(check, {
      start: (run) => this.send({ smoke: { run_id: run.run_id, check }, payload: run.run_id }),
    });
    this.on('close', () => unregister?.());
  });
};
