'use strict';
// What RED.settings.flowship gives to the nodes.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { project, launched } = require('./launcher');
const { endpoint, node } = require('./flow');

test('the configuration is parsed and frozen, and a rotated secret is read anew', async (t) => {
  const made = project(t, { flows: endpoint('services', 'post', '/services', [node('asker', 'services', 'fixture-services')]) });
  const running = await launched(t, made, {
    LLM_BACKUP_BASE_URL: 'http://127.0.0.1:2/v1', LLM_BACKUP_MODEL: 'small', LLM_BACKUP_API_KEY_FILE: made.secret('ops'), LLM_BACKUP_PROMPT_PRICE: '0.5',
  });
  const { body } = await running.post('flows', '/services', {});
  assert.equal(body.secret, 'llm-key');
  assert.equal(body.frozen, true);
  const { config } = body;
  assert.equal(`http://${config.flows.host}:${config.flows.port}/`, await running.url('flows', '/'), 'the port that the kernel gave');
  assert.deepEqual(config.postgres, { host: '127.0.0.1', port: 1, database: 'none', user: 'none', passwordFile: made.secret('postgres') });
  assert.deepEqual(config.llm, {
    baseUrl: 'http://127.0.0.1:1/v1', model: 'none', apiKeyFile: made.secret('llm'), keyVariable: 'LLM_API_KEY_FILE', prices: null,
    others: {
      backup: { baseUrl: 'http://127.0.0.1:2/v1', model: 'small', apiKeyFile: made.secret('ops'), keyVariable: 'LLM_BACKUP_API_KEY_FILE', prices: { prompt: 0.5, completion: null } },
    },
  });
  assert.deepEqual(config.mcp, { servers: { tools: 'http://127.0.0.1:1/mcp' } });
  assert.deepEqual([config.environment, config.component, config.replica], ['production', 'node-red', 'a']);

  fs.writeFileSync(made.secret('llm'), 'rotated\n');
  assert.equal((await running.post('flows', '/services', {})).body.secret, 'rotated');
});
