'use strict';

const { failureOf, originOf } = require('./lib/failure');
const { launcherOf } = require('./lib/launcher');

module.exports = (RED) => {
  RED.nodes.registerType('task-fail', function TaskFail(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'task-fail');
    const { attempts } = RED.nodes.getNode(definition.database);

    this.on('input', (message, _send, done) => {
      const failure = failureOf(message.failure, message.error?.message ?? 'a flow sent the task here without saying why');
      const origin = originOf(RED, message, this);
      if (!attempts.settle(message.task?.key, { failure: { ...failure, origin } })) {
        log.warn({ ...origin, attempt_key: message.task?.key, reason: failure.message }, 'the attempt was settled before: this failure changes nothing');
      }
      done();
    });
  });
};
