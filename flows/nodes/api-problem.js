'use strict';

const { launcherOf } = require('./lib/launcher');
const { failMessage, originOf } = require('./lib/failure');
const { answerProblem, problemOfFailure } = require('./lib/problem');
const { fillTemplate, templateProblem } = require('./lib/template');

module.exports = (RED) => {
  RED.nodes.registerType('api-problem', function ApiProblem(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'api-problem');
    const status = Number(definition.status || 0);
    const place = `the detail of '${definition.name || this.id}'`;
    const problem = templateProblem(definition.detail);
    if (problem !== undefined) throw new Error(`${place} is not a valid template: ${problem}`);

    this.on('input', (message, send, done) => {
      if (status !== 0) {
        let text;
        try {
          text = fillTemplate(definition.detail, message, place);
        } catch (error) {
          return failMessage(message, error, done);
        }
        send(answerProblem(message, status, text));
      } else {
        const { status: found, detail } = problemOfFailure(message.failure);
        const fields = { reason: message.failure?.message ?? message.error?.message, status: found, ...originOf(RED, message, this) };
        if (found === 500) log.error(fields, 'a request failed');
        else log.warn(fields, 'a request could not be answered');
        send(answerProblem(message, found, detail));
      }
      return done();
    });
  });
};
