'use strict';
// The editor and its API under /admin; dev only.

const http = require('node:http');
const express = require('express');

function createEditorListener() {
  const app = express();
  app.disable('x-powered-by');
  return {
    // Node-RED wants the server before it has the application that the server serves.
    server: http.createServer(app),
    serve(adminApp) {
      app.get('/', (_req, res) => res.redirect('/admin/'));
      app.use('/admin', adminApp);
    },
  };
}

module.exports = { createEditorListener };
