'use strict';

const { launcherOf } = require('./lib/launcher');
const { databaseFailure } = require('./lib/database');
const { failMessage } = require('./lib/failure');
const { inTransaction } = require('./lib/queue');
const { withSmokeQueue } = require('./lib/smoke-queue');

module.exports = (RED) => {
  RED.nodes.registerType('smoke-queue', function SmokeQueue(definition) {
    RED.nodes.createNode(this, definition);
    const { dependencies: { whatIsDown }, log } = launcherOf(RED, 'smoke-queue');
    const { database, queue } = RED.nodes.getNode(definition.database);

    this.on('input', async (message, send, done) => {
      try {
        message.payload = await withSmokeQueue(queue, { runId: message.smoke.run_id, log, whatIsDown }, async (name, deadline) => {
          const received = Promise.withResolvers();
          await queue.work(name, async (job) => received.resolve(job.data));
          await database.transaction((client) => queue.send(name, { run_id: message.smoke.run_id }, inTransaction(client)));
          return Promise.race([received.promise, deadline]);
        });
        send(message);
        done();
      } catch (error) {
        failMessage(message, databaseFailure(error), done);
      }
    });
  });
};
