'use strict';
// An OpenAI-compatible endpoint for development and CI: the key is checked, the answers depend on the prompt
// alone and token numbers are reported, so that everything around the model can be tested without one.
// GET /health answers without a key.

const { LLMock } = require('@copilotkit/aimock');
const { startService, cannotListen, closeOnSignal } = require('../runtime/service-process');
const { completion } = require('./completion');

const { host, port, secrets, log } = startService('llm-stand-in', { secretFiles: ['LLM_API_KEY_FILE'] });
const mock = new LLMock({ host, port, logLevel: 'silent', auth: { apiKeys: [secrets.LLM_API_KEY_FILE] } });
mock.on({ predicate: () => true }, (request) => completion(request));
mock.start().then(() => log.info({ host, port: mock.port }, 'listening'), cannotListen('llm-stand-in', host, port));
closeOnSignal(log, () => mock.stop());
