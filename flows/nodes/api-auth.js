'use strict';

const { launcherOf } = require('./lib/launcher');
const { bearerOf, enterBootstrapKey, holderOf, sameSecret } = require('./lib/api-keys');
const { answerProblem } = require('./lib/problem');
const { failMessage } = require('./lib/failure');

module.exports = (RED) => {
  RED.nodes.registerType('api-auth', function ApiAuth(definition) {
    RED.nodes.createNode(this, definition);
    const { config, readSecret } = launcherOf(RED, 'api-auth');
    const { database } = RED.nodes.getNode(definition.database);

    async function holder(key) {
      const name = await holderOf(database, key);
      if (name !== undefined || !sameSecret(key, readSecret(config.apiKeyFile))) return name;
      // The file was just rotated: the probe has not entered the new key yet.
      await enterBootstrapKey(database, key);
      return holderOf(database, key);
    }

    this.on('input', async (message, send, done) => {
      try {
        const key = bearerOf(message.req.headers.authorization);
        const name = key === undefined ? undefined : await holder(key);
        if (name === undefined) {
          const detail = key === undefined
            ? 'Send the API key as: Authorization: Bearer KEY'
            : 'The API key is not known or has been revoked.';
          send([null, answerProblem(message, 401, detail)]);
        } else {
          message.api_key = name;
          send([message, null]);
        }
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });
};
