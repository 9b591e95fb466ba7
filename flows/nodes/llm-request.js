'use strict';

const { launcherOf } = require('./lib/launcher');
const { chatCompletion } = require('./lib/chat-completion');
const { Failure, failMessage } = require('./lib/failure');
const { bodyFields, inOrder } = require('./lib/provider-settings');
const { knownWorkflows } = require('./lib/workflows');
const { fillTemplate, templateProblem } = require('./lib/template');

function numberOr(value, fallback) {
  return value === undefined || value === null || value === '' ? fallback : Number(value);
}

module.exports = (RED) => {
  RED.nodes.registerType('llm-request', function LlmRequest(definition) {
    RED.nodes.createNode(this, definition);
    const { dependencies, log, metrics } = launcherOf(RED, 'llm-request');
    const place = `'${definition.name || this.id}'`;
    const problem = templateProblem(definition.prompt) ?? templateProblem(definition.system);
    if (problem !== undefined) throw new Error(`the prompt of ${place} is not a valid template: ${problem}`);
    if (!/\S/.test(definition.prompt ?? '')) throw new Error(`${place} has no prompt: expected a text or a template such as {{payload}}`);
    const problems = [];
    const body = bodyFields(definition.body, problems);
    for (const [field, least] of [['temperature', 0], ['maxTokens', 1], ['timeout', 1], ['retries', 0]]) {
      const given = numberOr(definition[field], least);
      if (!(given >= least)) problems.push(`its ${field} is '${definition[field]}': expected a number from ${least} on, or nothing`);
    }
    if (problems.length > 0) throw new Error(`the request of ${place} cannot work: ${problems.join('; ')}`);

    // Providers that are asked next have their own models. The prices are those of the provider's own model.
    const providers = () => inOrder(RED.nodes.getNode(definition.provider), (id) => RED.nodes.getNode(id)).map(({ provider }, index) => {
      const model = (index === 0 && definition.model) || provider.model;
      return { ...provider, model, prices: model === provider.model ? provider.prices : null };
    });

    const accountTokens = ({ name, model, prices }, tokens, workflowId) => {
      // What a message says can be anything, and must not become a label.
      const workflow_id = prices !== null && knownWorkflows(RED).has(workflowId) ? workflowId : '';
      for (const [kind, count] of Object.entries(tokens)) {
        metrics.increment('flowship_llm_tokens_total', { provider: name, model, kind }, count);
        if (prices === null) continue;
        metrics.increment('flowship_llm_cost_total', { provider: name, model, workflow_id }, (count * (prices[kind] ?? 0)) / 1e6);
      }
    };

    const account = (provider, failure, seconds) => {
      const labels = { provider: provider.name, model: provider.model, outcome: failure === null ? 'ok' : failure.code };
      metrics.increment('flowship_llm_requests_total', labels);
      metrics.observe('flowship_llm_request_duration_seconds', labels, seconds);
      if (failure === null) dependencies.report(provider.dependency, null);
      else if (failure.unavailable || failure.code === 'llm_key_refused') dependencies.report(provider.dependency, failure);
    };

    this.on('input', async (message, send, done) => {
      const closing = new AbortController();
      const onClose = () => closing.abort();
      this.once('close', onClose);
      try {
        const system = fillTemplate(definition.system, message, `the system prompt of ${place}`);
        const prompt = fillTemplate(definition.prompt, message, `the prompt of ${place}`);
        if (!/\S/.test(prompt)) {
          throw new Failure(`the prompt of ${place} came out empty: the model is not asked`, { code: 'prompt_empty', permanent: true });
        }
        let answered;
        message.llm = await chatCompletion({
          providers: providers(),
          messages: [
            ...(system === '' ? [] : [{ role: 'system', content: system }]),
            { role: 'user', content: prompt },
          ],
          temperature: numberOr(definition.temperature, undefined),
          maxTokens: numberOr(definition.maxTokens, undefined),
          body,
          timeoutMs: numberOr(definition.timeout, 30_000),
          retries: numberOr(definition.retries, 2),
          idempotencyKey: message.task_id === undefined ? undefined : `${message.task_id}/${this.id}`,
          onRetry: ({ name, model }, reason) => metrics.increment('flowship_llm_retries_total', { provider: name, model, reason }),
          onEnd: (provider, failure, seconds) => {
            account(provider, failure, seconds);
            answered = provider;
          },
          signal: closing.signal,
        });
        const { tokens, cleaned } = message.llm;
        accountTokens(answered, tokens, message.workflow_id);
        if (cleaned !== undefined) log.warn({ cleaned }, 'the answer of the model could not be stored as it was: these places were changed');
        message.payload = message.llm.text;
        send(message);
        done();
      } catch (error) {
        failMessage(message, error, done);
      } finally {
        this.removeListener('close', onClose);
      }
    });
  });
};
