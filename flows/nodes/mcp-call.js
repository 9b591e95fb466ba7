'use strict';

const { launcherOf } = require('./lib/launcher');
const { Failure, failMessage, shortened } = require('./lib/failure');
const { propertyOf } = require('./lib/rules');
const { journalOf } = require('./lib/tool-journal');

module.exports = (RED) => {
  RED.nodes.registerType('mcp-call', function McpCall(definition) {
    RED.nodes.createNode(this, definition);
    const { log, metrics } = launcherOf(RED, 'mcp-call');
    const { clients } = RED.nodes.getNode(definition.servers);
    const timeoutMs = Number(definition.timeout) || 10_000;
    const from = definition.arguments || 'payload';

    // The task's own database, wherever its worker has it from; a message without a task has nothing to repeat.
    const journal = ({ task }) => {
      const found = [];
      RED.nodes.eachNode(({ id, type }) => {
        const node = type === 'flowship-postgres' ? RED.nodes.getNode(id) : undefined;
        if (node?.attempts.has(task?.key)) found.push(journalOf(node, { key: task.key, taskId: task.task_id, nodeId: this.id }));
      });
      if (task?.key !== undefined && found.length === 0) {
        throw new Failure(`the attempt at the task has ended: the tool ${definition.tool} is not called`, { code: 'attempt_ended', permanent: true });
      }
      return found[0];
    };

    this.on('input', async (message, send, done) => {
      const started = performance.now();
      const { tool } = definition;
      let server = definition.server || 'any';
      let outcome = 'ok';
      try {
        const args = propertyOf(message, from);
        if (args === null || typeof args !== 'object' || Array.isArray(args)) {
          const found = args === undefined ? 'nothing' : JSON.stringify(args);
          throw new Failure(`the arguments of the tool ${tool} are msg.${from}: expected an object, found ${shortened(found, 100)}`, { code: 'mcp_arguments', permanent: true });
        }
        message.tool = await clients.call({ server: definition.server, tool, args, taskId: message.task_id, timeoutMs, journal: journal(message) });
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
