'use strict';
// Several providers in the flows and in the environment: the order, the settings and who answered.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const { once } = require('node:events');
const { after, before, test } = require('node:test');
const { startPlatform, withProvider } = require('../platform.js');

const backup = { requests: [], answers: [] };
let platform;
before(async () => {
  backup.server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    if (request.method !== 'POST') return response.end('{}');
    backup.requests.push({ headers: request.headers, body: JSON.parse(text) });
    response.end(JSON.stringify({ choices: [{ message: { content: 'From the backup.', tool_calls: [{ id: 'c1' }] } }], usage: { prompt_tokens: 5, completion_tokens: 10 } }));
  }).listen(0, '127.0.0.1');
  await once(backup.server, 'listening');
  const folder = fs.mkdtempSync('/tmp/flowship-providers-');
  fs.writeFileSync(`${folder}/key`, 'key-of-the-backup');
  backup.folder = folder;
  platform = await startPlatform({
    env: {
      LLM_BACKUP_BASE_URL: `http://127.0.0.1:${backup.server.address().port}/v1`, LLM_BACKUP_MODEL: 'small', LLM_BACKUP_API_KEY_FILE: `${folder}/key`,
      LLM_BACKUP_PROMPT_PRICE: '20', LLM_BACKUP_COMPLETION_PRICE: '40',
    },
    edit(byId, nodes) {
      byId.llm.fallback = 'llm-backup';
      nodes.push({
        ...byId.llm, id: 'llm-backup', source: 'backup', fallback: '', keyHeader: 'api-key', headers: '{"x-team": "search"}',
        body: '{"seed": 7}', tokenLimitField: 'max_completion_tokens',
      });
      byId['worker-answer'].body = '{"tools": []}';
      byId['worker-result'].rules[0].to = '{"answer": llm.text, "provider": llm.provider, "tool_calls": llm.tool_calls}';
    },
  });
});
after(async () => {
  await platform?.stop();
  backup.server.close();
  backup.server.closeAllConnections();
  fs.rmSync(backup.folder, { recursive: true });
});

async function answered(onCompletion) {
  return withProvider(platform, onCompletion, async () => {
    const { body } = await platform.submit('answer-question', { question: 'Who?' });
    return platform.ended(body.task_id);
  });
}

test('the next provider answers with its own settings; result and metrics name it', { timeout: 60_000 }, async () => {
  const task = await answered((response) => response.writeHead(429, { 'retry-after': '60' }).end('{}'));
  assert.deepEqual([task.status, task.attempts], ['completed', 1]);
  assert.deepEqual(task.result, { answer: 'From the backup.', provider: 'backup', tool_calls: [{ id: 'c1' }] });
  const [{ headers, body }] = backup.requests;
  assert.deepEqual([headers['api-key'], headers['x-team'], headers.authorization], ['key-of-the-backup', 'search', undefined]);
  assert.deepEqual([body.model, body.seed, body.tools, body.max_completion_tokens, body.max_tokens], ['small', 7, [], 400, undefined]);
  const metrics = await platform.metrics();
  for (const expected of [
    /flowship_llm_requests_total\{provider="default",model="stand-in",outcome="llm_rate_limited"\} 1/,
    /flowship_llm_requests_total\{provider="backup",model="small",outcome="ok"\} 1/,
    /flowship_llm_tokens_total\{provider="backup",model="small",kind="prompt"\} 5/,
    /flowship_dependency_up\{dependency="llm_provider_backup"\} 1/,
    /flowship_llm_cost_total\{provider="backup",model="small",workflow_id="answer-question"\} 0\.0005\b/,
  ]) assert.match(metrics, expected);
  assert.doesNotMatch(metrics, /flowship_llm_cost_total\{provider="default"/, 'it has no price');
});

test('a request that is wrong is not asked twice', { timeout: 60_000 }, async () => {
  const before400 = backup.requests.length;
  const task = await answered((response) => response.writeHead(400).end('{"error":{"message":"maximum context length is 8 tokens"}}'));
  assert.deepEqual([task.status, task.error.code], ['failed', 'llm_context_length']);
  assert.match(task.error.message, /maximum context length is 8 tokens/);
  assert.equal(backup.requests.length, before400);
});
