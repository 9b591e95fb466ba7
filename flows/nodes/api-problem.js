'use strict';

const { launcherOf } = require('./lib/launcher');
const { answerProblem, problemOfFailure } = require('./lib/problem');
const { fillTemplate } = require('./lib/template');

module.exports = (RED) => {
  RED.nodes.registerType('api-problem', function ApiProblem(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'api-problem');
    const status = Number(definition.status || 0);

    this.on('input', (message, send, done) => {
      if (status !== 0) {
        send(answerProblem(message, status, fillTemplate(definition.detail, message)));
      } else {
        const { status: found, detail } = problemOfFailure(message.failure);
        const fields = { reason: message.failure?.message ?? message.error?.message, source: message.error?.source?.type, status: found };
        if (found === 500) log.error({ ...fields, stack: message.error?.stack }, 'a request failed');
        else log.warn(fields, 'a request could not be answered');
        send(answerProblem(message, found, detail));
      }
      done();
    });
  });
};
