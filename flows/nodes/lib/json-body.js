'use strict';
// Node-RED's own parser answers 500 to what a client got wrong; the API says what it was.

const bodyParser = require('body-parser');
const { Inexact, MAX_DEPTH, storable } = require('./storable');

const LIMIT = '256kb';
const readBytes = bodyParser.raw({ limit: LIMIT, type: () => true });

function isJson(contentType) {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '');
}

function charsetOf(contentType) {
  return (/;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1] ?? 'utf-8').toLowerCase();
}

function hasBody(request) {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

function exactNumbers(_key, value, { source } = {}) {
  const kept = typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isFinite(value)
    || !/^-?\d+$/.test(source) || source === JSON.stringify(value) || BigInt(source) === BigInt(value);
  return kept ? value : new Inexact(source);
}

function nestsTooDeep(text) {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') {
      quoted = true;
    } else if (character === '[' || character === '{') {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (character === ']' || character === '}') {
      depth -= 1;
    }
  }
  return false;
}

// -> {body} or {status, detail, errors}. The bytes have been read; what they say is judged.
function judgeBody(bytes) {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { status: 400, detail: 'The body is not valid UTF-8.' };
  }
  let body;
  try {
    // A reviver recurses; the parser itself does not.
    body = JSON.parse(text, nestsTooDeep(text) ? undefined : exactNumbers);
  } catch (error) {
    return { status: 400, detail: `The body is not valid JSON: ${error.message}` };
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return { status: 400, detail: 'The body must be a JSON object.' };
  const { changes } = storable(body);
  if (changes.length > 0) return { status: 422, detail: 'The body has values that cannot be stored as they are.', errors: changes };
  return { body };
}

// -> {body} or {status, detail, errors}
function readJsonBody(request, response, { optional = false } = {}) {
  const none = optional ? { body: undefined } : { status: 400, detail: 'The request has no body; expected a JSON object.' };
  if (!hasBody(request)) return Promise.resolve(none);
  const contentType = request.headers['content-type'];
  if (!isJson(contentType)) {
    return Promise.resolve({ status: 415, detail: 'The body must be sent as Content-Type: application/json.' });
  }
  if (!['utf-8', 'utf8', 'us-ascii'].includes(charsetOf(contentType))) {
    return Promise.resolve({ status: 415, detail: `JSON is sent as UTF-8, not as ${charsetOf(contentType)}.` });
  }
  return new Promise((resolve) => {
    readBytes(request, response, (error) => {
      if (error === undefined || error === null) resolve(request.body.length === 0 ? none : judgeBody(request.body));
      else if (error.status === 413) resolve({ status: 413, detail: `The body is larger than ${LIMIT}.` });
      else if (error.status === 415) resolve({ status: 415, detail: error.message });
      else resolve({ status: 400, detail: `The body cannot be read: ${error.message}` });
    });
  });
}

module.exports = { LIMIT, readJsonBody, judgeBody, isJson };
