'use strict';
// Errors of the API, as RFC 9457 problem details.

const RETRY_AFTER_SECONDS = 2;

const TITLES = {
  400: 'The request is malformed',
  401: 'An API key is required',
  403: 'The caller is not allowed to do this',
  404: 'Not found',
  409: 'The request conflicts with the current state',
  413: 'The request is too large',
  415: 'Unsupported media type',
  422: 'Input validation failed',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'The platform is temporarily unavailable',
};

function problem(status, detail, extra = {}) {
  return { type: 'about:blank', title: TITLES[status] ?? TITLES[500], status, detail, ...extra };
}

function answerProblem(message, status, detail, extra) {
  message.statusCode = status;
  message.headers = { 'Content-Type': 'application/problem+json' };
  if (status === 401) message.headers['WWW-Authenticate'] = 'Bearer';
  if (status === 503) message.headers['Retry-After'] = String(RETRY_AFTER_SECONDS);
  message.payload = problem(status, detail, extra);
  return message;
}

// A caller must not learn of a defect more than that there is one; the log has the rest.
function problemOfFailure(failure) {
  if (failure?.unavailable) {
    return { status: 503, detail: `The ${failure.unavailable} does not answer; nothing was changed that was not acknowledged. Try again.` };
  }
  return { status: 500, detail: 'The request failed; the log of the platform says why.' };
}

module.exports = { RETRY_AFTER_SECONDS, problem, answerProblem, problemOfFailure };
