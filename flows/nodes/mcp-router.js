'use strict';

const { launcherOf } = require('./lib/launcher');
const { problemsOf } = require('./lib/rules');
const { FALLBACK, route } = require('./lib/routing');

module.exports = (RED) => {
  RED.nodes.registerType('mcp-router', function McpRouter(definition) {
    RED.nodes.createNode(this, definition);
    const { metrics } = launcherOf(RED, 'mcp-router');
    const rules = definition.rules ?? [];
    const outputs = definition.outputNames ?? [];
    const problems = problemsOf(rules, [...outputs, FALLBACK]);
    if (problems.length > 0) throw new Error(`the router '${definition.name || this.id}' cannot work: ${problems.join('; ')}`);

    this.on('input', (message, send, done) => {
      const { output, position } = route(rules, outputs, message);
      message.route = output;
      metrics.increment('flowship_routed_messages_total', { router: definition.name || this.id, output });
      const leaving = new Array(outputs.length + 1).fill(null);
      leaving[position] = message;
      send(leaving);
      done();
    });
  });
};
