'use strict';
// Keeps web pages away from listeners on a developer's machine. A page can send requests to any port here; what it cannot
// change is how its browser describes them: Host (a name that was pointed to this machine, DNS rebinding),
// Sec-Fetch-Site and Origin (a page of another site or port). Programs that are no browsers send neither.

const net = require('node:net');

function urlOf(req) {
  return URL.parse(`http://${req.headers.host}`);
}

// An address cannot be rebound, and no public name lacks a dot: such names are those of services on a network of ours.
function isLocalName(req, { services }) {
  if (req.headers.host === undefined) return services;
  const name = (urlOf(req)?.hostname ?? '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || net.isIP(name) !== 0 || (services && /^[a-z0-9_-]+$/.test(name));
}

// A link to a page may be followed from anywhere; nothing else may be asked for by another site's page.
function isForeign(req) {
  const { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = req.headers;
  if (mode === 'navigate' && destination === 'document' && req.method === 'GET' && origin === undefined) return false;
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && origin !== urlOf(req)?.origin;
}

// -> why this request is refused, or null. `services`: other services ask by their names. `pages`: pages of other
// origins may ask, as the API's own rules decide.
function refusal(req, { services = true, pages = false } = {}) {
  if (!isLocalName(req, { services })) return `this listener does not answer to the name ${req.headers.host}: use localhost`;
  if (!pages && isForeign(req)) return `a page of another origin (${req.headers.origin ?? 'not named'}) may not ask this listener`;
  return null;
}

// As a middleware; `send(res, status, detail)` answers what is refused.
function guard(send, options) {
  return (req, res, next) => {
    const detail = refusal(req, options);
    if (detail === null) next();
    else send(res, 403, detail);
  };
}

module.exports = { guard, refusal };
