'use strict';
// What a provider says about a failure, fit to be shown: short, one line, without tags and without keys.

const { shortened } = require('./failure');

const LONGEST = 400;
const KEYS = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, '$1 ***'],
  [/\b((?:api[_-]?key|access[_-]?token|appid|token|key|secret|password|signature|sig)["']?\s*[=:]\s*["']?)[^\s&"',;}]{4,}/gi, '$1***'],
  [/\b(sk|pk|rk|gsk|xai)[-_][\w*-]{6,}/g, '$1-***'],
  [/\bAIza[\w-]{20,}/g, 'AIza***'],
];

function masked(text, secrets = []) {
  const known = secrets.filter((secret) => secret.length > 0).reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
  return KEYS.reduce((rest, [pattern, shown]) => rest.replace(pattern, shown), known);
}

// An address without what may be secret in it.
function shownUrl(address, base) {
  const url = URL.parse(address, base);
  if (url === null) return 'something that is no address';
  return `${url.protocol}//${url.host}${url.pathname}`.replace(/\/$/, '');
}

// Each provider wraps its words in its own way.
function messageIn(answer) {
  if (typeof answer === 'string') return answer;
  if (Array.isArray(answer)) return answer.map(messageIn).filter(Boolean).join('; ');
  if (answer === null || typeof answer !== 'object') return '';
  const words = messageIn(answer.error ?? answer.errors ?? answer.message ?? answer.detail ?? answer.msg ?? '');
  const name = [answer.code, answer.type].find((candidate) => typeof candidate === 'string' && candidate !== '');
  return name === undefined || words.includes(name) ? words : `${words} (${name})`.trim();
}

function withoutTags(text) {
  return text.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]{0,2000}>/g, ' ').replace(/&nbsp;|&#160;/g, ' ');
}

// `body`: the text of an answer, or what was parsed of it. -> '' when it says nothing
function wordsOf(body, secrets) {
  let words = body;
  if (typeof body === 'string') {
    const start = body.slice(0, 100_000);
    try {
      words = messageIn(JSON.parse(body)) || start;
    } catch {
      words = /<[a-z!]/i.test(start) ? withoutTags(start) : start;
    }
  } else {
    words = messageIn(body);
  }
  return shortened(masked(words.replace(/\s+/g, ' ').trim(), secrets), LONGEST);
}

module.exports = { masked, shownUrl, wordsOf };
