'use strict';
// Lets a request pass that carries the token of a secret file.

const crypto = require('node:crypto');
const { sendProblem } = require('./problem');
const { readSecret } = require('./secrets');

const digest = (value) => crypto.createHash('sha256').update(value).digest();

function requireBearer(tokenFile) {
  return (req, res, next) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? '') ?? [];
    if (given === undefined || !crypto.timingSafeEqual(digest(given), digest(readSecret(tokenFile)))) {
      sendProblem(res, 401, 'expected "Authorization: Bearer TOKEN" with the operations token', { 'www-authenticate': 'Bearer' });
      return;
    }
    next();
  };
}

module.exports = { requireBearer };
