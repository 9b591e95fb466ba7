'use strict';

const { launcherOf } = require('./lib/launcher');
const { bearerOf, enterBootstrapKey, sameSecret, useKey } = require('./lib/api-keys');
const { answerProblem } = require('./lib/problem');
const { failMessage } = require('./lib/failure');

// What a caller with this key asks for beyond what it may; undefined when it may.
function beyond({ holder, workflows, expired, request_limit: limit, requests, resets_seconds: resets }, wanted, wholePlatform) {
  if (expired) return [401, `The API key '${holder}' has expired.`];
  if (limit !== null && requests > limit) {
    return [429, `The API key '${holder}' may make ${limit} requests a minute. Try again in ${resets} s.`];
  }
  if (workflows === null) return undefined;
  if (wholePlatform) return [403, `The API key '${holder}' is limited to workflows; this needs one that is not.`];
  if (wanted !== undefined && !workflows.includes(wanted)) {
    return [403, `The API key '${holder}' may not call the workflow '${wanted}'; it may call ${workflows.join(', ')}.`];
  }
  return undefined;
}

// What a caller is told of its limit with every answer; nothing where there is none.
function limitHeaders({ request_limit: limit, requests, resets_seconds: resets }) {
  if (limit === null || requests === null) return {};
  return {
    'X-RateLimit-Limit': limit,
    'X-RateLimit-Remaining': Math.max(0, limit - requests),
    'X-RateLimit-Reset': resets,
    ...(requests > limit ? { 'Retry-After': resets } : {}),
  };
}

module.exports = (RED) => {
  RED.nodes.registerType('api-auth', function ApiAuth(definition) {
    RED.nodes.createNode(this, definition);
    const { config, acceptedSecrets } = launcherOf(RED, 'api-auth');
    const { database } = RED.nodes.getNode(definition.database);

    async function use(key) {
      const used = await useKey(database, key);
      if (used !== undefined || !acceptedSecrets(config.apiKeyFile).some((accepted) => sameSecret(key, accepted))) return used;
      // The file is just being rotated, and the database knows one of the two keys: no request with the other one may come between.
      return database.transaction(async (client) => {
        await enterBootstrapKey(client, key);
        return useKey(client, key);
      });
    }

    this.on('input', async (message, send, done) => {
      try {
        const key = bearerOf(message.req.headers.authorization);
        const used = key === undefined ? undefined : await use(key);
        if (used === undefined) {
          const detail = key === undefined
            ? 'Send the API key as: Authorization: Bearer KEY'
            : 'The API key is not known or has been revoked.';
          send([null, answerProblem(message, 401, detail)]);
          return done();
        }
        // Whatever answers in the end, and with which headers.
        message.res._res.set(limitHeaders(used));
        const refusal = beyond(used, message.req.params.workflow_id, definition.whole_platform !== false);
        if (refusal === undefined) {
          message.api_key = used.holder;
          message.api_key_workflows = used.workflows;
          send([message, null]);
        } else {
          send([null, answerProblem(message, ...refusal)]);
        }
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });
};
