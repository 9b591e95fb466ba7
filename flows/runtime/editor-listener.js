'use strict';
// The editor and its API under /admin; dev only. Whoever can save a flow runs code here, so on a
// loopback address only requests that name a loopback host pass: a web page whose name was pointed
// to this machine (DNS rebinding) names another one.

const http = require('node:http');
const net = require('node:net');
const express = require('express');
const { sendProblem } = require('./problem');

const LOOPBACK = new net.BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(host) {
  if (host === 'localhost') return true;
  const family = net.isIP(host);
  return family !== 0 && LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

function hostOf(req) {
  return URL.parse(`http://${req.headers.host}`)?.hostname.replace(/^\[|\]$/g, '') ?? '';
}

function createEditorListener({ host }) {
  const passes = (req) => !isLoopback(host) || isLoopback(hostOf(req));
  const app = express();
  app.disable('x-powered-by');
  app.use((req, res, next) => {
    if (passes(req)) next();
    else sendProblem(res, 403, `the editor listens on ${host} and was asked for as ${hostOf(req)}: open it as localhost`);
  });
  const server = http.createServer(app);
  server.on('upgrade', (req, socket) => {
    if (!passes(req)) socket.destroy();
  });
  return {
    // Node-RED wants the server before it has the application that the server serves.
    server,
    serve(adminApp) {
      app.get('/', (_req, res) => res.redirect('/admin/'));
      app.use('/admin', adminApp);
    },
  };
}

module.exports = { createEditorListener };
