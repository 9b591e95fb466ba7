'use strict';

const { launcherOf } = require('./lib/launcher');
const { limitsOf } = require('./lib/limits');
const { compileSchema } = require('./lib/workflows');

module.exports = (RED) => {
  RED.nodes.registerType('workflow', function Workflow(definition) {
    RED.nodes.createNode(this, definition);
    launcherOf(RED, 'workflow');
    const { id, workflow_id: workflowId, schema } = definition;
    if (!/^[a-z][a-z0-9-]{0,62}$/.test(workflowId ?? '')) {
      throw new Error(`the workflow id '${workflowId}' of node ${id} is not valid: expected small letters, digits and dashes, such as describe-text`);
    }
    RED.nodes.eachNode((node) => {
      if (node.type === 'workflow' && node.d !== true && node.workflow_id === workflowId && node.id !== id) {
        throw new Error(`the workflow id '${workflowId}' belongs to two nodes, ${id} and ${node.id}: give each workflow an id of its own`);
      }
    });
    this.validate = compileSchema(`workflow ${workflowId} (node ${id})`, schema);
    this.limits = limitsOf(`workflow ${workflowId} (node ${id})`, definition);
  });
};
