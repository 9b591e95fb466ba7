'use strict';

const { launcherOf } = require('./lib/launcher');
const { probeProvider } = require('./lib/chat-completion');

module.exports = (RED) => {
  RED.nodes.registerType('llm-provider', function LlmProvider(definition) {
    RED.nodes.createNode(this, definition);
    const { config, readSecret, dependencies } = launcherOf(RED, 'llm-provider');
    this.baseUrl = config.llm.baseUrl.replace(/\/+$/, '');
    this.model = config.llm.model;
    this.apiKey = () => readSecret(config.llm.apiKeyFile);

    const stopProbe = dependencies.register('llm_provider', () => (
      probeProvider({ baseUrl: this.baseUrl, apiKey: this.apiKey(), timeoutMs: 2500 })
    ), { intervalMs: 10_000 });
    this.on('close', () => stopProbe?.());
  });
};
