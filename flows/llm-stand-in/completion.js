'use strict';
// The stand-in's answer to a chat completion request: deterministic, and it says which prompt it saw.

const crypto = require('node:crypto');

function textOf(message) {
  if (typeof message.content === 'string') return message.content;
  return (message.content ?? []).map((part) => part.text ?? '').join('');
}

// Providers bill by their own tokenizers; four characters a token is near enough for a stand-in.
function tokens(text) {
  return Math.max(1, Math.ceil(text.length / 4));
}

function completion(request) {
  const prompt = request.messages.map(textOf).join('\n');
  const question = textOf(request.messages.at(-1));
  const digest = crypto.createHash('sha256').update(prompt).digest('hex').slice(0, 12);
  const content = `Stand-in answer ${digest} to: ${question.slice(0, 400)}`;
  const prompt_tokens = tokens(prompt);
  const completion_tokens = tokens(content);
  return {
    content,
    id: `chatcmpl-${digest}`,
    model: request.model,
    usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
  };
}

// A prompt may ask for a slow answer, as of a model that thinks: `answer after 2000 ms`.
function delayMs(request) {
  const asked = /\banswer after (\d{1,7}) ms\b/i.exec(request.messages.map(textOf).join('\n'));
  return asked === null ? 0 : Number(asked[1]);
}

module.exports = { completion, delayMs };
