'use strict';

const { launcherOf } = require('./lib/launcher');
const { failMessage } = require('./lib/failure');
const { propertyOf } = require('./lib/rules');

module.exports = (RED) => {
  RED.nodes.registerType('mcp-call', function McpCall(definition) {
    RED.nodes.createNode(this, definition);
    const { log, metrics } = launcherOf(RED, 'mcp-call');
    const { clients } = RED.nodes.getNode(definition.servers);
    const timeoutMs = Number(definition.timeout) || 10_000;
    const from = definition.arguments || 'payload';

    this.on('input', async (message, send, done) => {
      const started = performance.now();
      const { tool } = definition;
      let server = definition.server || 'any';
      let outcome = 'ok';
      try {
        const args = propertyOf(message, from) ?? {};
        message.tool = await clients.call({ server: definition.server, tool, args, taskId: message.task_id, timeoutMs });
        server = message.tool.server;
        if (message.tool.cleaned !== undefined) {
          log.warn({ cleaned: message.tool.cleaned }, 'the answer of the tool could not be stored as it was: these places were changed');
        }
        send(message);
        done();
      } catch (error) {
        outcome = error.code ?? 'error';
        failMessage(message, error, done);
      } finally {
        metrics.increment('flowship_mcp_calls_total', { server, tool, outcome });
        metrics.observe('flowship_mcp_call_duration_seconds', { server, tool }, (performance.now() - started) / 1000);
      }
    });
  });
};
