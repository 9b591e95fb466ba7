'use strict';
// The workflows that a task may ask for: the `workflow` nodes of the flows that run.

const Ajv = require('ajv');

// Below these keywords stand names or values, not keywords.
const NAMES = new Set(['properties', 'patternProperties', 'definitions', '$defs', 'dependencies', 'dependentSchemas', 'dependentRequired']);
const VALUES = new Set(['const', 'enum', 'default', 'examples', 'required']);

const escaped = (key) => key.replaceAll('~', '~0').replaceAll('/', '~1');

function pointerTo(keyword, schema, pointer = '') {
  if (schema === null || typeof schema !== 'object') return undefined;
  if (Object.hasOwn(schema, keyword)) return `${pointer}/${escaped(keyword)}`;
  for (const [key, below] of Object.entries(schema)) {
    if (VALUES.has(key)) continue;
    const parts = NAMES.has(key) && below !== null && typeof below === 'object' ? Object.entries(below) : [[undefined, below]];
    for (const [name, part] of parts) {
      const found = pointerTo(keyword, part, `${pointer}/${escaped(key)}${name === undefined ? '' : `/${escaped(name)}`}`);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

// Ajv says where only of what breaks the meta-schema; of the rest its message does.
function faultsOf(schema, { errors }, { message }) {
  if (errors) {
    const first = new Map();
    for (const { instancePath, message: detail, params } of errors) {
      const allowed = params.allowedValues === undefined ? '' : ` (${params.allowedValues.join(', ')})`;
      if (!first.has(instancePath)) first.set(instancePath, `${detail}${allowed}`);
    }
    return [...first].map(([pointer, detail]) => `at "${pointer}": ${detail}`).join('; ');
  }
  const [, keyword] = /unknown keyword: "(.*)"/.exec(message) ?? [];
  if (keyword !== undefined) return `at "${pointerTo(keyword, schema) ?? ''}": unknown keyword`;
  const [whole, pointer] = /(?: in schema)? at (?:path )?"#(.*?)"(?: \(\w+\))?$/.exec(message) ?? [];
  return whole === undefined ? message : `at "${pointer}": ${message.slice(0, -whole.length).replace(/^strict mode: | ignored$/g, '')}`;
}

// `place` says whose schema it is. Throws an error that names the place in the schema, as a JSON pointer.
function compileSchema(place, source) {
  let schema;
  try {
    schema = JSON.parse(source);
  } catch (error) {
    throw new Error(`the input schema of ${place} is not valid JSON: ${error.message}`);
  }
  const ajv = new Ajv({ allErrors: true, strict: true, logger: false });
  let validate;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new Error(`the input schema of ${place} ${ajv.errors ? 'is not a JSON Schema' : 'cannot be used'}: ${faultsOf(schema, ajv, error)}`);
  }
  // Its verdict would be a promise, which is always true.
  if (validate.$async) throw new Error(`the input schema of ${place} cannot be used: at "/$async": input is judged at once`);
  return validate;
}

// By id, what judges the input; undefined where the node could not be started.
function knownWorkflows(RED) {
  const workflows = new Map();
  RED.nodes.eachNode((node) => {
    if (node.type === 'workflow' && node.d !== true) workflows.set(node.workflow_id, RED.nodes.getNode(node.id)?.validate);
  });
  return workflows;
}

// -> the places that are wrong, empty when the input fits
function inputProblems(validate, input) {
  if (validate(input)) return [];
  return validate.errors.map((error) => ({ pointer: `/input${error.instancePath}`, detail: error.message }));
}

module.exports = { compileSchema, knownWorkflows, inputProblems };
