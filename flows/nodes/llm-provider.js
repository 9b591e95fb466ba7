'use strict';

const { launcherOf } = require('./lib/launcher');
const { probeProvider } = require('./lib/chat-completion');
const { providerSettings } = require('./lib/provider-settings');

module.exports = (RED) => {
  RED.nodes.registerType('llm-provider', function LlmProvider(definition) {
    RED.nodes.createNode(this, definition);
    const { config, readSecret, dependencies } = launcherOf(RED, 'llm-provider');
    const place = `the LLM provider '${definition.name || this.id}'`;
    const source = definition.source || '';
    const found = source === '' ? config.llm : config.llm.others[source];
    if (found === undefined) {
      const variables = `LLM_${source.toUpperCase()}_BASE_URL, _MODEL and _API_KEY_FILE`;
      throw new Error(`${place} is '${source}' in the environment, which names ${['the first one', ...Object.keys(config.llm.others)].join(', ')}: set ${variables}`);
    }
    const { settings, problems } = providerSettings(definition);
    if (problems.length > 0) throw new Error(`${place} cannot work: ${problems.join('; ')}`);

    this.fallback = definition.fallback || '';
    this.provider = {
      ...settings,
      name: source || 'default',
      baseUrl: found.baseUrl.replace(/\/+$/, ''),
      model: found.model,
      prices: found.prices,
      keyVariable: found.keyVariable,
      dependency: source === '' ? 'llm_provider' : `llm_provider_${source}`,
      apiKey: () => readSecret(found.apiKeyFile),
    };
    const stopProbe = dependencies.register(this.provider.dependency, () => probeProvider(this.provider, 2500), { intervalMs: 10_000 });
    this.on('close', () => stopProbe?.());
  });
};
