// An OpenAI-compatible endpoint for development and CI: the key is checked, the answers depend on the prompt
// alone and token numbers are reported, so that everything around the model can be tested without one.

'use strict';

const { LLMock } = require('@copilotkit/aimock');
const { listenAddress, logLine, closeOnSignal } = require('../mcp-tools/service.js');
const { completion } = require('./completion.js');

const { host, port, secrets } = listenAddress('llm-stand-in', ['LLM_API_KEY_FILE']);
const mock = new LLMock({ host, port, logLevel: 'silent', auth: { apiKeys: [secrets.LLM_API_KEY_FILE] } });
mock.on({ predicate: () => true }, (request) => completion(request));
mock.start().then(
  () => logLine('info', `listening on ${host}:${mock.port}`, { port: mock.port }),
  (error) => {
    process.stderr.write(`llm-stand-in cannot listen on ${host}:${port}: ${error.message}\n`);
    process.exit(1);
  },
);
closeOnSignal(() => mock.stop());
