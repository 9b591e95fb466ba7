'use strict';
// The workflows that a task may ask for: the `workflow` nodes of the flows that run.

const Ajv = require('ajv');

function compileSchema(workflowId, source) {
  let schema;
  try {
    schema = JSON.parse(source);
  } catch (error) {
    throw new Error(`the input schema of workflow ${workflowId} is not valid JSON: ${error.message}`);
  }
  try {
    return new Ajv({ allErrors: true, strict: true }).compile(schema);
  } catch (error) {
    throw new Error(`the input schema of workflow ${workflowId} is not a JSON Schema: ${error.message}`);
  }
}

function knownWorkflows(RED) {
  const workflows = new Map();
  RED.nodes.eachNode((node) => {
    if (node.type === 'workflow' && node.d !== true) workflows.set(node.workflow_id, compileSchema(node.workflow_id, node.schema));
  });
  return workflows;
}

// -> the places that are wrong, empty when the input fits
function inputProblems(validate, input) {
  if (validate(input)) return [];
  return validate.errors.map((error) => ({ pointer: `/input${error.instancePath}`, detail: error.message }));
}

module.exports = { compileSchema, knownWorkflows, inputProblems };
