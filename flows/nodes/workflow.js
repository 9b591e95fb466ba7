'use strict';

const { launcherOf } = require('./lib/launcher');
const { compileSchema } = require('./lib/workflows');

module.exports = (RED) => {
  RED.nodes.registerType('workflow', function Workflow(definition) {
    RED.nodes.createNode(this, definition);
    launcherOf(RED, 'workflow');
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(definition.workflow_id ?? '')) {
      throw new Error(`the workflow id '${definition.workflow_id}' is not valid: expected small letters, digits and dashes, such as describe-text`);
    }
    compileSchema(definition.workflow_id, definition.schema);
  });
};
