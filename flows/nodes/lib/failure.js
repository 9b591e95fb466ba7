'use strict';
// What a Catch node receives loses the error object; what the flows must know of it travels on the message.

class Failure extends Error {
  constructor(message, { code, permanent = false, unavailable, cause } = {}) {
    super(message, { cause });
    this.name = 'Failure';
    this.code = code;
    this.permanent = permanent;
    this.unavailable = unavailable;
  }
}

// `permanent`: another attempt cannot end better. `unavailable`: the dependency that did not answer.
function describe(error) {
  return {
    message: error.message,
    code: error.code === undefined ? 'error' : String(error.code),
    permanent: error.permanent === true,
    unavailable: error.unavailable ?? null,
  };
}

function failMessage(message, error, done) {
  message.failure = describe(error);
  done(error);
}

module.exports = { Failure, describe, failMessage };
