'use strict';
// The flow files of the project: read and judged together, and taken apart again when the editor saves.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

// Node-RED's structure, not nodes: these have no entry in its registry.
const STRUCTURE = new Set(['tab', 'subflow', 'group']);

class ProjectError extends Error {
  constructor(problems) {
    super(problems.join('\n'));
    this.name = 'ProjectError';
    this.problems = problems;
  }
}

function projectFiles(flowsDir) {
  return {
    flows: path.join(flowsDir, 'flows.json'),
    smoke: path.join(flowsDir, 'test-smoke.json'),
    credentials: ['flows_cred.json', 'flows.json_cred.json', '.flows_cred.json'].map((name) => path.join(flowsDir, name)),
  };
}

function revision(flows) {
  return crypto.createHash('sha256').update(JSON.stringify(flows)).digest('hex');
}

function readArray(file, problems) {
  const shown = path.basename(file);
  let source;
  try {
    source = fs.readFileSync(file, 'utf8');
  } catch (error) {
    problems.push(`${shown}: cannot be read (${error.code}): expected a file of Node-RED nodes; restore it`);
    return [];
  }
  let parsed;
  try {
    parsed = JSON.parse(source);
  } catch (error) {
    problems.push(`${shown}: not valid JSON: ${error.message}; expected an array of nodes; restore the file or finish the edit`);
    return [];
  }
  if (!Array.isArray(parsed)) {
    problems.push(`${shown}: expected an array of nodes, found ${parsed === null ? 'null' : typeof parsed}; restore the file`);
    return [];
  }
  return parsed.filter((node, index) => {
    const usable = node !== null && typeof node === 'object' && typeof node.id === 'string' && typeof node.type === 'string';
    if (!usable) problems.push(`${shown}: element ${index}: expected a node with "id" and "type"; remove or complete it`);
    return usable;
  });
}

function credentialFileProblems(flowsDir) {
  return projectFiles(flowsDir)
    .credentials.filter((file) => fs.existsSync(file))
    .map((file) => `${file} exists: credentials are named file references (*_FILE), never a file of Node-RED's; delete it`);
}

function nodeProblems(shown, nodes, seen, isKnownType) {
  const problems = [];
  for (const node of nodes) {
    const place = `${shown}: node ${node.id}${node.name || node.label ? ` (${node.name || node.label})` : ''}`;
    if (seen.has(node.id)) problems.push(`${place}: the id is already used in ${seen.get(node.id)}; give it an id of its own`);
    seen.set(node.id, shown);
    if (node.credentials !== undefined) problems.push(`${place}: holds inline credentials; use a named file reference instead`);
    if (!STRUCTURE.has(node.type) && !isKnownType(node.type)) {
      problems.push(`${place}: unknown node type "${node.type}"${node.z ? ` on tab ${node.z}` : ''}; correct the type or add the package that provides it (a disabled tab counts too)`);
    }
  }
  return problems;
}

// The one list of nodes that Node-RED is given. Throws ProjectError with everything that is wrong.
function assemble(flowsDir, isNodeType) {
  const files = projectFiles(flowsDir);
  const problems = credentialFileProblems(flowsDir);
  const platform = readArray(files.flows, problems);
  const smoke = readArray(files.smoke, problems);
  problems.push(...problemsOf(platform, smoke, isNodeType));
  if (problems.length > 0) throw new ProjectError(problems);
  const all = [...platform, ...smoke];
  return { all, smoke, rev: revision(all) };
}

function problemsOf(platform, smoke, isNodeType) {
  const subflows = new Set([...platform, ...smoke].filter((node) => node.type === 'subflow').map((node) => `subflow:${node.id}`));
  const isKnownType = (type) => subflows.has(type) || isNodeType(type);
  const seen = new Map();
  return [...nodeProblems('flows.json', platform, seen, isKnownType), ...nodeProblems('test-smoke.json', smoke, seen, isKnownType)];
}

// What belongs to flows.json: everything but the smoke tabs and what lies on them. Nodes keep the
// place they have in the file and new ones go to the end, so that a diff shows only what changed.
function withoutSmoke(saved, smoke, previous) {
  const smokeIds = new Set(smoke.map((node) => node.id));
  const platform = saved.filter((node) => !smokeIds.has(node.id) && !smokeIds.has(node.z));
  const place = new Map(previous.map((node, index) => [node.id, index]));
  const rank = (node) => place.get(node.id) ?? Infinity;
  return platform
    .map((node, index) => ({ node, index }))
    .sort((a, b) => {
      const [left, right] = [rank(a.node), rank(b.node)];
      return left === right ? a.index - b.index : left - right;
    })
    .map(({ node }) => node);
}

function textOf(nodes) {
  return `${JSON.stringify(nodes, null, 4)}\n`;
}

// Beside, then renamed: a reader sees the old file or the new one, never half of one.
function writeFlows(file, nodes) {
  const beside = `${file}.${process.pid}.new`;
  const mode = fs.existsSync(file) ? fs.statSync(file).mode : 0o644;
  try {
    const handle = fs.openSync(beside, 'w', mode);
    try {
      fs.writeFileSync(handle, textOf(nodes));
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(beside, file);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
}

module.exports = {
  ProjectError, STRUCTURE, assemble, credentialFileProblems, problemsOf, projectFiles, readArray, revision, textOf, withoutSmoke, writeFlows,
};
