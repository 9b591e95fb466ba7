'use strict';

const { launcherOf } = require('./lib/launcher');
const { answerProblem } = require('./lib/problem');
const { failMessage } = require('./lib/failure');
const { readFilter, taskPage } = require('./lib/task-pages');

module.exports = (RED) => {
  RED.nodes.registerType('task-list', function TaskList(definition) {
    RED.nodes.createNode(this, definition);
    launcherOf(RED, 'task-list');
    const { database } = RED.nodes.getNode(definition.database);

    this.on('input', async (message, send, done) => {
      try {
        const { path, query } = message.req;
        const { filter, errors } = readFilter(query);
        if (errors !== undefined) {
          const words = errors.map(({ parameter, detail }) => `${parameter}: ${detail}`).join('; ');
          send([null, answerProblem(message, 400, `The query is invalid: ${words}.`, { errors })]);
          return done();
        }
        message.payload = await taskPage(database, { ...filter, workflows: message.api_key_workflows });
        message.statusCode = 200;
        message.headers = { 'Content-Type': 'application/json' };
        const { next } = message.payload;
        if (next !== null) message.headers.Link = `<${path}?${new URLSearchParams({ ...query, cursor: next })}>; rel="next"`;
        send([message, null]);
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });
};
