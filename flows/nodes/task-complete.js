'use strict';

const { Failure, failMessage } = require('./lib/failure');
const { launcherOf } = require('./lib/launcher');
const { propertyOf } = require('./lib/rules');

module.exports = (RED) => {
  RED.nodes.registerType('task-complete', function TaskComplete(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'task-complete');
    const { attempts } = RED.nodes.getNode(definition.database);
    const property = definition.property || 'payload';

    this.on('input', (message, _send, done) => {
      const result = propertyOf(message, property);
      if (result === undefined) {
        const text = `the message has no ${property}: a completed task needs a result`;
        return failMessage(message, new Failure(text, { code: 'result_missing', permanent: true }), done);
      }
      if (!attempts.settle(message.task?.key, { result })) {
        log.warn({ attempt_key: message.task?.key }, 'the attempt was settled before: this result is not stored');
      }
      done();
    });
  });
};
