'use strict';
// An OpenAI-compatible endpoint for development and CI: the key is checked, the answers depend on the prompt
// alone and token numbers are reported, so that everything around the model can be tested without one. A prompt
// with `answer after 2000 ms` is answered after that.
// GET /health answers without a key.

const { setTimeout: pause } = require('node:timers/promises');
const { LLMock } = require('@copilotkit/aimock');
const { startService, cannotListen, closeOnSignal } = require('../runtime/service-process');
const { completion, delayMs } = require('./completion');

const { host, port, secrets, log } = startService('llm-stand-in', { secretFiles: ['LLM_API_KEY_FILE'] });
const mock = new LLMock({ host, port, logLevel: 'silent', auth: { apiKeys: [secrets.LLM_API_KEY_FILE] } });
mock.on({ predicate: () => true }, async (request) => {
  const delay = delayMs(request);
  if (delay > 0) await pause(delay);
  return completion(request);
});
mock.start().then(() => log.info({ host, port: mock.port }, 'listening'), cannotListen('llm-stand-in', host, port));
closeOnSignal(log, () => mock.stop());
