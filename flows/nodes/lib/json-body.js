'use strict';
// Node-RED's own parser answers 500 to what a client got wrong; the API says what it was.

const bodyParser = require('body-parser');

const LIMIT = '256kb';
const parseJson = bodyParser.json({ limit: LIMIT, strict: true, type: () => true });

function isJson(contentType) {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '');
}

function hasBody(request) {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

// -> {body} or {status, detail}
function readJsonBody(request, response, { optional = false } = {}) {
  if (!hasBody(request)) {
    if (optional) return Promise.resolve({ body: undefined });
    return Promise.resolve({ status: 400, detail: 'The request has no body; expected a JSON object.' });
  }
  if (!isJson(request.headers['content-type'])) {
    return Promise.resolve({ status: 415, detail: 'The body must be sent as Content-Type: application/json.' });
  }
  return new Promise((resolve) => {
    parseJson(request, response, (error) => {
      if (error === undefined || error === null) {
        if (request.body !== null && typeof request.body === 'object' && !Array.isArray(request.body)) resolve({ body: request.body });
        else resolve({ status: 400, detail: 'The body must be a JSON object.' });
      } else if (error.status === 413) {
        resolve({ status: 413, detail: `The body is larger than ${LIMIT}.` });
      } else if (error.status === 415) {
        resolve({ status: 415, detail: error.message });
      } else {
        resolve({ status: 400, detail: `The body is not valid JSON: ${error.message}` });
      }
    });
  });
}

module.exports = { LIMIT, readJsonBody, isJson };
