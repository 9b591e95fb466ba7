'use strict';

const { launcherOf } = require('./lib/launcher');
const { answerProblem } = require('./lib/problem');
const { readJsonBody } = require('./lib/json-body');

// An http-in node parses bodies before any other node sees the request and answers 500 to what is wrong with
// them. This reads the body first and keeps the finding for the node; it must be in place before any route.
function captureBodies(RED) {
  RED.httpNode.use('/api', (request, response, next) => {
    if (!['POST', 'PUT', 'PATCH'].includes(request.method)) return next();
    readJsonBody(request, response, { optional: true }).then((finding) => {
      request.flowshipBody = finding;
      request._body = true;
      request.body = finding.body ?? {};
      next();
    }, next);
  });
}

module.exports = (RED) => {
  if (RED.settings.flowship !== undefined && RED.settings.httpNodeRoot !== false) captureBodies(RED);

  RED.nodes.registerType('api-body', function ApiBody(definition) {
    RED.nodes.createNode(this, definition);
    launcherOf(RED, 'api-body');
    const required = definition.required !== false;

    this.on('input', (message, send, done) => {
      const finding = message.req.flowshipBody ?? {};
      if (finding.status !== undefined) {
        send([null, answerProblem(message, finding.status, finding.detail, finding.errors && { errors: finding.errors })]);
      } else if (finding.body === undefined && required) {
        send([null, answerProblem(message, 400, 'The request has no body; expected a JSON object.')]);
      } else {
        message.payload = finding.body ?? {};
        send([message, null]);
      }
      done();
    });
  });
};
