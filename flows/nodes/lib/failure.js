'use strict';
// What a Catch node receives loses the error object; what the flows must know of it travels on the message.

const { storableText } = require('./storable');

const LONGEST_MESSAGE = 2000;

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

module.exports = { Failure, describe, failMessage, failureOf, shortened };
