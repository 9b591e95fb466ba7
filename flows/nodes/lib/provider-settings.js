'use strict';
// What a flow says about a provider: never a secret, never what the request itself is made of.

const TOKEN_LIMIT_FIELDS = ['max_tokens', 'max_completion_tokens'];
const OURS = ['model', 'messages', 'stream'];
const HEADER_NAME = /^[!#$%&'*+.^`|~\w-]+$/;
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie|.*(api-?key|token|secret|password|credential).*)$/i;
const OUR_HEADER = /^(host|content-length|content-type|transfer-encoding|connection|idempotency-key)$/i;

function objectFrom(source, what, problems) {
  if (source === undefined || source === null || source === '') return {};
  try {
    const value = typeof source === 'string' ? JSON.parse(source) : source;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
    problems.push(`${what} must be a JSON object`);
  } catch (error) {
    problems.push(`${what} are not valid JSON: ${error.message}`);
  }
  return {};
}

function bodyFields(source, problems) {
  const body = objectFrom(source, 'the body fields', problems);
  for (const field of OURS) if (field in body) problems.push(`the body field ${field} is the node's own: remove it`);
  return body;
}

// -> {settings, problems}
function providerSettings(definition) {
  const problems = [];
  const headers = objectFrom(definition.headers, 'the headers', problems);
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name)) problems.push(`'${name}' is no name of a header`);
    else if (SECRET_HEADER.test(name)) problems.push(`the header ${name} looks like a secret, which has no place in a flow: name it as the key's header and put its value into the key's file`);
    else if (OUR_HEADER.test(name)) problems.push(`the header ${name} is the node's own: remove it`);
    if (typeof value !== 'string' || /[^\t\x20-\x7e]/.test(value)) problems.push(`the header ${name} must be one line of ASCII text`);
  }
  const body = bodyFields(definition.body, problems);
  const keyHeader = definition.keyHeader || '';
  if (keyHeader !== '' && (!HEADER_NAME.test(keyHeader) || OUR_HEADER.test(keyHeader))) problems.push(`'${keyHeader}' cannot be the key's header`);
  const tokenLimitField = definition.tokenLimitField || TOKEN_LIMIT_FIELDS[0];
  if (!TOKEN_LIMIT_FIELDS.includes(tokenLimitField)) problems.push(`the field of the token limit is '${tokenLimitField}': expected ${TOKEN_LIMIT_FIELDS.join(' or ')}`);
  return { settings: { headers, body, keyHeader, tokenLimitField }, problems };
}

// A provider and those that are asked when it fails, in this order, each once.
function inOrder(first, nodeOf) {
  const order = [];
  for (let next = first; next && !order.includes(next); next = next.fallback ? nodeOf(next.fallback) : undefined) order.push(next);
  return order;
}

module.exports = { providerSettings, bodyFields, inOrder };
