'use strict';
// What a Catch node receives loses the error object; what the flows must know of it travels on the message.

const { storableText } = require('./storable');

const LONGEST_MESSAGE = 2000;
const LONGEST_STACK = 8000;

class Failure extends Error {
  constructor(message, { code, permanent = false, unavailable, retryAfterSeconds, cause } = {}) {
    super(message, { cause });
    this.name = 'Failure';
    this.code = code;
    this.permanent = permanent;
    this.unavailable = unavailable;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

function shortened(text, length) {
  const whole = storableText(String(text));
  return whole.length <= length ? whole : `${whole.slice(0, length - 1).toWellFormed()}…`;
}

// `permanent`: another attempt cannot end better. `unavailable`: the dependency that did not answer.
// `retry_after_seconds`: how long somebody asked to be left alone; such an attempt is not used up.
function describe(error) {
  return {
    message: shortened(error.message, LONGEST_MESSAGE),
    code: error.code === undefined ? 'error' : String(error.code),
    permanent: error.permanent === true,
    unavailable: error.unavailable ?? null,
    retry_after_seconds: error.retryAfterSeconds ?? null,
  };
}

function failMessage(message, error, done) {
  message.failure = describe(error);
  done(error);
}

// A flow may have put anything in msg.failure; what is stored and repeated is of these types.
function failureOf(found, whenSilent) {
  const given = found !== null && typeof found === 'object' ? found : { message: found };
  const seconds = given.retry_after_seconds;
  return {
    code: shortened(given.code || 'flow_error', 100),
    message: shortened(given.message || whenSilent, LONGEST_MESSAGE),
    permanent: given.permanent === true,
    retry_after_seconds: Number.isFinite(seconds) && seconds >= 0 ? seconds : null,
  };
}

// The node that failed, not the one that reports it, as a log line names it. A Catch node has put both on the message.
function originOf(RED, { error }, reporter) {
  const source = error?.source;
  const found = source?.id === undefined ? reporter : RED.nodes.getNode(source.id) ?? source;
  const origin = { node_id: found._alias ?? found.id, node_type: found.type, node_name: found.name };
  if (found === reporter) return origin;
  const stack = error.stack === undefined ? undefined : shortened(error.stack, LONGEST_STACK);
  return { ...origin, error: { message: shortened(error.message, LONGEST_MESSAGE), stack } };
}

module.exports = { Failure, describe, failMessage, failureOf, originOf, shortened };
