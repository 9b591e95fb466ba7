'use strict';
// The editor and its API under /admin; dev only. Whoever can save a flow runs commands here, so every request must come
// from a page of this listener, or from a program, and prove that it may: a browser by a cookie, which it gets for the
// token in the link that `cargo xtask status` prints; a program by the operations token.

const crypto = require('node:crypto');
const http = require('node:http');
const express = require('express');
const { carriesBearer, sameSecret } = require('./bearer');
const { guard, refusal } = require('./browser-guard');
const { html } = require('./html');
const { sendProblem } = require('./problem');
const { readSecret } = require('./secrets');

const HEADERS = {
  'content-security-policy': "frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
};
const HOW = 'open the editor with the link that `cargo xtask status` prints';

// The same as in xtask/program/src/engines/process/editor_link.rs. Derived, so that the operations token itself is shown nowhere.
function editorToken(opsTokenFile) {
  return crypto.createHash('sha256').update(`flowship editor ${readSecret(opsTokenFile)}`).digest('hex');
}

// A browser keeps one set of cookies for all ports of a host.
function cookieName(req) {
  return `flowship-editor-${URL.parse(`http://${req.headers.host}`)?.port || '80'}`;
}

function cookieOf(req) {
  const name = `${cookieName(req)}=`;
  const pair = (req.headers.cookie ?? '').split(/; */).find((one) => one.startsWith(name));
  return pair?.slice(name.length);
}

function createEditorListener({ opsTokenFile }) {
  const isToken = (given) => typeof given === 'string' && sameSecret(given, editorToken(opsTokenFile));
  const mayEnter = (req) => isToken(cookieOf(req)) || carriesBearer(req, opsTokenFile);

  const app = express();
  app.disable('x-powered-by');
  app.use((_req, res, next) => {
    res.set(HEADERS);
    next();
  });
  app.use(guard(sendProblem, { services: false }));
  app.use(onlyJson);
  app.get('/', (_req, res) => res.redirect('/admin/'));
  app.use('/admin', (req, res, next) => {
    if (req.method === 'GET' && isToken(req.query.token)) enter(req, res, req.query.token);
    else if (mayEnter(req)) next();
    else refuse(req, res);
  });

  const server = http.createServer(app);
  server.on('upgrade', (req, socket) => {
    const { pathname } = URL.parse(req.url, 'http://localhost') ?? {};
    const refused = refusal(req, { services: false }) !== null;
    if (refused || (pathname?.startsWith('/admin') && !mayEnter(req))) socket.destroy();
  });
  return {
    // Node-RED wants the server before it has the application that the server serves.
    server,
    serve(adminApp, { judgeFiles }) {
      const admin = express.Router();
      admin.post('/flows', readableRefusals, (req, res, next) => {
        if (req.get('node-red-deployment-type') !== 'reload') return next();
        return judgeFiles().then(() => next(), ({ status, code, message }) => res.status(status).json({ code, message }));
      });
      app.use('/admin', admin, adminApp);
    },
  };
}

// A form that another page posts is never JSON.
function onlyJson(req, res, next) {
  const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody || req.is('application/json')) next();
  else sendProblem(res, 415, 'the editor takes bodies as Content-Type: application/json only');
}

// A redirect would still count as coming from the page with the link, and a strict cookie would be left out.
function enter(req, res, token) {
  res.cookie(cookieName(req), token, { httpOnly: true, sameSite: 'strict', path: '/admin' });
  sendPage(res, 200, 'Opening the editor', '<p>Opening the <a href="./">editor</a>.</p><script>location.replace("./")</script>');
}

function refuse(req, res) {
  if (req.accepts(['json', 'html']) !== 'html') {
    sendProblem(res, 401, `${HOW}; programs send "Authorization: Bearer TOKEN" with the operations token`, { 'www-authenticate': 'Bearer' });
    return;
  }
  sendPage(res, 401, 'This editor needs its link', `<p>Run <code>cargo xtask status</code> in the checkout and ${HOW.replace(/`[^`]*`/, 'it')}.</p>`);
}

function sendPage(res, status, title, body) {
  res.status(status).set('cache-control', 'no-store').type('html').send(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Flowship: ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}code{background:#eee;padding:.1em .3em}</style>
<h1>${title}</h1>${body}</html>
`);
}

// The editor shows the text of a refused deployment as it is, as HTML; other programs get Node-RED's JSON.
function readableRefusals(req, res, next) {
  if (req.get('x-requested-with') === 'XMLHttpRequest') {
    const json = res.json.bind(res);
    res.json = (body) => {
      if (res.statusCode < 400 || typeof body?.message !== 'string') return json(body);
      return res.type('html').send(html(body.message));
    };
  }
  next();
}

module.exports = { createEditorListener, editorToken };
