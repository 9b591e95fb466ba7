'use strict';
// What a flow may say about a provider, and what is refused when the node starts.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { inOrder } = require('../../nodes/lib/provider-settings');
const { masked, shownUrl, wordsOf } = require('../../nodes/lib/provider-words');

// The node as Node-RED makes it, with an environment that has two providers.
function providerNode(definition) {
  const provider = (name) => ({ baseUrl: `http://${name}/v1/`, model: name, apiKeyFile: name, keyVariable: `LLM_${name}` });
  const launcher = {
    config: { llm: { ...provider('first'), others: { backup: provider('backup') } } },
    readSecret: (file) => `key in ${file}`,
    dependencies: { register: () => () => {} },
  };
  let Node;
  require('../../nodes/llm-provider')({
    settings: { flowship: launcher },
    nodes: { createNode() {}, registerType: (_type, constructor) => { Node = constructor; } },
  });
  Node.prototype.on = () => {};
  return new Node({ id: 'p', ...definition });
}

test('the environment and the form make the provider', () => {
  const first = providerNode({}).provider;
  assert.deepEqual([first.name, first.baseUrl, first.model, first.apiKey(), first.dependency], ['default', 'http://first/v1', 'first', 'key in first', 'llm_provider']);
  assert.deepEqual([first.headers, first.body, first.keyHeader, first.tokenLimitField], [{}, {}, '', 'max_tokens']);
  const { provider: backup } = providerNode({ source: 'backup', headers: '{"x-a":"b"}', body: '{"seed":1}', keyHeader: 'api-key', tokenLimitField: 'max_completion_tokens' });
  assert.deepEqual([backup.name, backup.model, backup.apiKey(), backup.dependency], ['backup', 'backup', 'key in backup', 'llm_provider_backup']);
  assert.deepEqual([backup.headers, backup.body, backup.keyHeader, backup.tokenLimitField], [{ 'x-a': 'b' }, { seed: 1 }, 'api-key', 'max_completion_tokens']);
});

test('what cannot work, and every secret, is refused with the place', () => {
  for (const [definition, words] of [
    [{ source: 'other' }, /'other' in the environment, which names the first one, backup: set LLM_OTHER_BASE_URL, _MODEL and _API_KEY_FILE/],
    [{ headers: '{"Authorization": "Bearer x"}' }, /Authorization looks like a secret/],
    [{ headers: '{"x-api-key": "x"}' }, /x-api-key looks like a secret/],
    [{ headers: '{"X-Auth-Token": "x"}' }, /looks like a secret/],
    [{ headers: '{"cookie": "x"}' }, /looks like a secret/],
    [{ headers: '{"x": 1}' }, /the header x must be one line/],
    [{ headers: '{"x": "a\\r\\nb: c"}' }, /the header x must be one line/],
    [{ headers: '{"a b": "x"}' }, /no name of a header/],
    [{ headers: '{"content-length": "1"}' }, /the node's own/],
    [{ headers: '[]' }, /headers must be a JSON object/],
    [{ body: '{' }, /body fields are not valid JSON/],
    [{ body: '{"stream": true}' }, /stream is the node's own/],
    [{ body: '{"model": "x", "messages": []}' }, /model is the node's own.*messages is the node's own/],
    [{ keyHeader: 'a b' }, /cannot be the key's header/],
    [{ tokenLimitField: 'tokens' }, /expected max_tokens or max_completion_tokens/],
  ]) assert.throws(() => providerNode(definition), words, JSON.stringify(definition));
});

test('the order ends, whatever the flows say', () => {
  const nodes = { a: { fallback: 'b' }, b: { fallback: 'c' }, c: { fallback: 'a' } };
  assert.deepEqual(inOrder(nodes.a, (id) => nodes[id]), [nodes.a, nodes.b, nodes.c]);
  assert.deepEqual(inOrder({ fallback: 'gone' }, () => null).length, 1);
  assert.deepEqual(inOrder(null, () => null), []);
});

test('words are short and hold no key', () => {
  for (const [text, expected] of [
    ['Authorization: Bearer abc.def-123 is wrong', /^Authorization: Bearer \*\*\* is wrong$/],
    ['see https://x.example/?api_key=0123456789&b=1', /api_key=\*\*\*&b=1/],
    ['{"api_key": "0123456789"}', /^\{"api_key": "\*\*\*"\}$/],
    ['sk-proj-abcdefghijkl and AIzaSyA1234567890123456789', /^sk-\*\*\* and AIza\*\*\*$/],
    ['my own secret phrase', /^my own \*\*\* phrase$/],
    ['at most 400 tokens: fewer, please', /^at most 400 tokens: fewer, please$/],
  ]) assert.match(masked(text, ['secret']), expected);
  assert.equal(shownUrl('https://u:p@h.example:8443/v1/?key=x#y'), 'https://h.example:8443/v1');
  assert.equal(shownUrl('::::'), 'something that is no address');
  assert.equal(wordsOf([{ error: { message: 'a', code: 'b' } }, { msg: 'c' }], []), 'a (b); c');
  assert.equal(wordsOf({ error: { message: { nested: 1 } } }, []), '');
});
