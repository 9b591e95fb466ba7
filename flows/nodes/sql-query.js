'use strict';

const { launcherOf } = require('./lib/launcher');
const { failMessage } = require('./lib/failure');
const { propertyOf } = require('./lib/rules');
const { storable } = require('./lib/storable');

// Dates and bytes are written by the driver in PostgreSQL's own way, numbers may be NaN there.
function isStoredAsIs(value) {
  return value instanceof Date || ArrayBuffer.isView(value) || !['string', 'object'].includes(typeof value);
}

module.exports = (RED) => {
  RED.nodes.registerType('sql-query', function SqlQuery(definition) {
    RED.nodes.createNode(this, definition);
    const { log } = launcherOf(RED, 'sql-query');
    const { database } = RED.nodes.getNode(definition.database);
    const parameters = definition.parameters ?? [];

    const parameter = (message, property) => {
      const given = propertyOf(message, property) ?? null;
      if (isStoredAsIs(given)) return given;
      const { value, changes } = storable(given);
      if (changes.length > 0) log.warn({ property, cleaned: changes }, 'PostgreSQL cannot hold a parameter of a query as it is: it is replaced');
      return value;
    };

    this.on('input', async (message, send, done) => {
      try {
        const { rows } = await database.query(definition.query, parameters.map((property) => parameter(message, property)));
        message.payload = rows;
        send(message);
        done();
      } catch (error) {
        failMessage(message, error, done);
      }
    });
  });
};
