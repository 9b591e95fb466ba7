'use strict';
// Lets a request pass that carries the token of a secret file.

const crypto = require('node:crypto');
const { sendProblem } = require('./problem');
const { acceptedSecrets } = require('./secrets');

const digest = (value) => crypto.createHash('sha256').update(value).digest();

function sameSecret(given, expected) {
  return crypto.timingSafeEqual(digest(given), digest(expected));
}

function carriesBearer(req, tokenFile) {
  const [, given] = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? '') ?? [];
  return given !== undefined && acceptedSecrets(tokenFile).some((accepted) => sameSecret(given, accepted));
}

function requireBearer(tokenFile) {
  return (req, res, next) => {
    if (carriesBearer(req, tokenFile)) next();
    else sendProblem(res, 401, 'expected "Authorization: Bearer TOKEN" with the operations token', { 'www-authenticate': 'Bearer' });
  };
}

module.exports = { carriesBearer, requireBearer, sameSecret };
