'use strict';
// Opens and closes a listener.

const { once } = require('node:events');

async function listen(server, { host, port }, name, log) {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`${name}: cannot listen on ${host}:${port} (${error.code}): free the port, or set another one`);
  }
  const address = server.address();
  log.info({ listener: name, host: address.address, port: address.port }, 'listening');
  return address.port;
}

function close(server) {
  if (!server?.listening) return Promise.resolve();
  return new Promise((resolve) => server.close(() => resolve()));
}

module.exports = { listen, close };
