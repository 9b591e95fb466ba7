'use strict';

const { launcherOf } = require('./lib/launcher');
const { explain, holds, problemsOf, propertyOf } = require('./lib/rules');

module.exports = (RED) => {
  RED.nodes.registerType('smoke-out', function SmokeOut(definition) {
    RED.nodes.createNode(this, definition);
    const launcher = launcherOf(RED, 'smoke-out');
    const rules = definition.rules ?? [];
    const problems = problemsOf(rules);
    if (problems.length > 0) throw new Error(`the smoke-out '${definition.name || this.id}' cannot judge: ${problems.join('; ')}`);

    this.on('input', (message, _send, done) => {
      const { run_id: runId, check } = message.smoke;
      const broken = rules.find((rule) => !holds(rule, message));
      const caught = message.failure?.message ?? message.error?.message;
      const error = caught ?? (broken === undefined ? null : explain(broken, message));
      launcher.smoke.result(runId, check, { error, detail: error === null ? propertyOf(message, definition.detail || 'payload') : null });
      done();
    });
  });
};
