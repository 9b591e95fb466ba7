'use strict';

const { launcherOf } = require('./lib/launcher');
const { McpClients } = require('./lib/mcp-clients');

module.exports = (RED) => {
  RED.nodes.registerType('mcp-servers', function McpServers(definition) {
    RED.nodes.createNode(this, definition);
    const { config, dependencies, log } = launcherOf(RED, 'mcp-servers');
    this.clients = new McpClients(config.mcp.servers, { log });
    // Sessions of its own, so that a probe and a task never wait for, or end, each other's.
    const probes = new McpClients(config.mcp.servers);

    const stopProbes = Object.keys(config.mcp.servers).map((server) => (
      dependencies.register(`mcp_${server}`, () => probes.ping(server, 2500), { intervalMs: 10_000 })
    ));
    this.on('close', async (done) => {
      for (const stop of stopProbes) stop?.();
      await Promise.all([this.clients.close(), probes.close()]);
      done();
    });
  });
};
