'use strict';
// How our nodes present themselves in the editor: by kind, under their own names, and never as leftovers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { test } = require('node:test');

const NODES = path.join(__dirname, '..', '..', 'nodes');
// What a type's name begins with -> where the palette has it, and in which colour.
const KINDS = {
  api: ['flowship api', '#a6bbcf'],
  task: ['flowship tasks', '#e7c68f'],
  queue: ['flowship tasks', '#e7c68f'],
  llm: ['flowship models', '#cdb8e5'],
  mcp: ['flowship tools', '#a9d8b8'],
  sql: ['flowship data', '#e9a79c'],
  smoke: ['flowship checks', '#d5d5d5'],
};

// type -> what it registers with the editor
function definitions() {
  const found = new Map();
  const RED = { nodes: { registerType: (type, definition) => found.set(type, definition) }, validators: new Proxy({}, { get: () => () => true }) };
  const jQuery = () => jQuery;
  for (const file of fs.readdirSync(NODES).filter((name) => name.endsWith('.html'))) {
    const text = fs.readFileSync(path.join(NODES, file), 'utf8');
    for (const [, script] of text.matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g)) vm.runInNewContext(script, { RED, $: jQuery });
    assert.ok(found.has(path.basename(file, '.html')), `${file} registers its type`);
  }
  return found;
}

const all = definitions();
const inPalette = [...all].filter(([, { category }]) => category !== 'config');

test('every node that nodes/ has is presented', () => {
  const types = fs.readdirSync(NODES).filter((name) => name.endsWith('.js')).map((name) => path.basename(name, '.js'));
  assert.deepEqual([...all.keys()].toSorted(), types.toSorted());
  assert.ok(inPalette.length > 10);
});

test('the palette has each kind in one place and one colour, under the name of the type', () => {
  for (const [type, { category, color, paletteLabel, icon }] of inPalette) {
    assert.deepEqual([category, color], KINDS[type.split('-')[0]], type);
    assert.equal(paletteLabel, type.replaceAll('-', ' '), type);
    assert.match(icon, /\.svg$/, type);
  }
  assert.equal(new Set(Object.values(KINDS).map(([, color]) => color)).size, new Set(Object.values(KINDS).map(([category]) => category)).size, 'no two kinds look alike');
});

test('a node without a name is shown by what it does or its type', () => {
  for (const [type, { label, defaults }] of all) {
    const shown = (name) => label.call({ ...Object.fromEntries(Object.entries(defaults).map(([key, { value }]) => [key, value])), type, name });
    assert.equal(shown('my name'), 'my name', type);
    assert.ok(String(shown('')).length > 0, type);
  }
});

test('a configuration node that no node points to is not called unused', () => {
  const pointedTo = new Set([...all.values()].flatMap(({ defaults }) => Object.values(defaults)).map(({ type }) => type));
  const alone = [...all].filter(([type, { category }]) => category === 'config' && !pointedTo.has(type));
  assert.deepEqual(alone.map(([type]) => type), ['workflow']);
  for (const [type, { hasUsers }] of alone) assert.equal(hasUsers, false, type);
});
