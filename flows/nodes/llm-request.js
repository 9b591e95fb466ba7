'use strict';

const { launcherOf } = require('./lib/launcher');
const { chatCompletion } = require('./lib/chat-completion');
const { failMessage } = require('./lib/failure');
const { fillTemplate, templateProblem } = require('./lib/template');

function numberOr(value, fallback) {
  return value === undefined || value === null || value === '' ? fallback : Number(value);
}

module.exports = (RED) => {
  RED.nodes.registerType('llm-request', function LlmRequest(definition) {
    RED.nodes.createNode(this, definition);
    const { dependencies, metrics } = launcherOf(RED, 'llm-request');
    const provider = RED.nodes.getNode(definition.provider);
    const problem = templateProblem(definition.prompt) ?? templateProblem(definition.system);
    if (problem !== undefined) throw new Error(`the prompt of '${definition.name || this.id}' is not a valid template: ${problem}`);
    const model = definition.model || provider.model;

    this.on('input', async (message, send, done) => {
      const started = performance.now();
      const closing = new AbortController();
      const onClose = () => closing.abort();
      this.once('close', onClose);
      let outcome = 'ok';
      try {
        const system = fillTemplate(definition.system, message);
        message.llm = await chatCompletion({
          baseUrl: provider.baseUrl,
          apiKey: provider.apiKey(),
          model,
          messages: [
            ...(system === '' ? [] : [{ role: 'system', content: system }]),
            { role: 'user', content: fillTemplate(definition.prompt, message) },
          ],
          temperature: numberOr(definition.temperature, undefined),
          maxTokens: numberOr(definition.maxTokens, undefined),
          timeoutMs: numberOr(definition.timeout, 30_000),
          retries: numberOr(definition.retries, 2),
          idempotencyKey: message.task_id === undefined ? undefined : `${message.task_id}/${this.id}`,
          onRetry: (reason) => metrics.increment('flowship_llm_retries_total', { model, reason }),
          signal: closing.signal,
        });
        message.payload = message.llm.text;
        for (const [kind, count] of Object.entries(message.llm.tokens)) {
          metrics.increment('flowship_llm_tokens_total', { model, kind }, count);
        }
        dependencies.report('llm_provider', null);
        send(message);
        done();
      } catch (error) {
        outcome = error.code ?? 'error';
        if (error.unavailable === 'llm_provider' || error.code === 'llm_key_refused') dependencies.report('llm_provider', error);
        failMessage(message, error, done);
      } finally {
        this.removeListener('close', onClose);
        metrics.increment('flowship_llm_requests_total', { model, outcome });
        metrics.observe('flowship_llm_request_duration_seconds', { model, outcome }, (performance.now() - started) / 1000);
      }
    });
  });
};
