'use strict';
// The nodes package holds what it says: every type loads, and can be edited and understood in the editor.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { test } = require('node:test');

const folder = path.join(__dirname, '..', '..', 'nodes');
const { 'node-red': { nodes } } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
const flows = ['flows.json', 'test-smoke.json'].flatMap((name) => JSON.parse(fs.readFileSync(path.join(folder, '..', name), 'utf8')));

function editorDefinition(type) {
  const html = fs.readFileSync(path.join(folder, `${type}.html`), 'utf8');
  const [, script] = /<script type="text\/javascript">([\s\S]*)<\/script>/.exec(html);
  const registered = [];
  vm.runInNewContext(script, { RED: { nodes: { registerType: (name, definition) => registered.push([name, definition]) } } });
  assert.deepEqual(registered.map(([name]) => name), [type]);
  return { html, definition: registered[0][1] };
}

test('every script of the folder is a declared node', () => {
  const scripts = fs.readdirSync(folder).filter((name) => name.endsWith('.js'));
  assert.deepEqual(Object.values(nodes).sort(), scripts.sort());
});

for (const [type, script] of Object.entries(nodes)) {
  test(`${type} registers itself, with a form for each property and a help text`, () => {
    const registered = [];
    require(path.join(folder, script))({ settings: {}, nodes: { registerType: (name) => registered.push(name) } });
    assert.deepEqual(registered, [type]);
    const { html, definition } = editorDefinition(type);
    assert.match(html, new RegExp(`data-template-name="${type}"`));
    assert.match(html, new RegExp(`data-help-name="${type}">\\s*<p>`));
    const input = definition.category === 'config' ? 'node-config-input' : 'node-input';
    for (const property of Object.keys(definition.defaults).filter((name) => !['outputs', 'outputNames'].includes(name))) {
      assert.match(html, new RegExp(`id="${input}-${property}(-container)?"`), property);
    }
  });

  test(`${type} in the flows has the properties that its form edits`, () => {
    const { definition } = editorDefinition(type);
    const structure = ['id', 'type', 'z', 'x', 'y', 'wires', 'd', 'g', 'l'];
    for (const node of flows.filter((candidate) => candidate.type === type)) {
      const stored = Object.keys(node).filter((name) => !structure.includes(name)).sort();
      assert.deepEqual(stored, Object.keys(definition.defaults).sort(), node.id);
      const outputs = type === 'mcp-router' ? node.outputNames.length + 1 : definition.outputs;
      if (definition.category !== 'config') assert.equal(node.wires.length, outputs, node.id);
    }
  });
}
