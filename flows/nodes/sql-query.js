'use strict';

const { launcherOf } = require('./lib/launcher');
const { failMessage } = require('./lib/failure');
const { propertyOf } = require('./lib/rules');

module.exports = (RED) => {
  RED.nodes.registerType('sql-query', function SqlQuery(definition) {
    RED.nodes.createNode(this, definition);
    launcherOf(RED, 'sql-query');
    const { database } = RED.nodes.getNode(definition.database);
    const parameters = definition.parameters ?? [];

    this.on('input', async (message, send, done) => {
      try {
        const values = parameters.map((property) => propertyOf(message, property) ?? null);
        const { rows } = await database.query(definition.query, values);
        message.payload = rows;
        send(message);
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });
};
