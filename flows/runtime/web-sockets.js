'use strict';
// The clients of the flows' WebSockets are told to connect elsewhere. Node-RED leaves them open when it stops, and does not
// tell where they are.

const { setTimeout: delay } = require('node:timers/promises');

const SERVICE_RESTART = 1012;
// What a client has to answer; who does not is cut off.
const FAREWELL_MS = 2000;

// What still comes from a client until it has answered is handed to the flows. `nodes`: those that run.
async function closeWebSockets(RED, nodes) {
  const goodbye = (client) => client.close(SERVICE_RESTART, 'this replica stops: connect again');
  const listeners = nodes.filter(({ type }) => type === 'websocket-listener').map(({ id }) => RED.nodes.getNode(id));
  const servers = listeners.filter((node) => node?.isServer && node.server).map(({ server }) => server);
  const closed = servers.flatMap((server) => {
    server.on('connection', goodbye);
    return Array.from(server.clients, (client) => new Promise((resolve) => {
      client.once('close', resolve);
      goodbye(client);
    }));
  });
  await Promise.race([Promise.all(closed), delay(FAREWELL_MS, undefined, { ref: false })]);
}

module.exports = { closeWebSockets };
