'use strict';

const { launcherOf } = require('./lib/launcher');
const { McpClients } = require('./lib/mcp-clients');

module.exports = (RED) => {
  RED.nodes.registerType('mcp-servers', function McpServers(definition) {
    RED.nodes.createNode(this, definition);
    const { config, dependencies } = launcherOf(RED, 'mcp-servers');
    this.clients = new McpClients(config.mcp.servers);

    const stopProbes = Object.keys(config.mcp.servers).map((server) => (
      dependencies.register(`mcp_${server}`, () => this.clients.tools(server, 2500), { intervalMs: 10_000 })
    ));
    this.on('close', async (done) => {
      for (const stop of stopProbes) stop?.();
      await this.clients.close();
      done();
    });
  });
};
