'use strict';
// The node types that this image offers, as Node-RED itself registers them: type -> {module, version}.
// `node runtime/catalogue.js` prints them, `--write` puts them into catalogue.json.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const PLACEHOLDER = 'unknown';
const FILE = path.join(__dirname, '..', 'catalogue.json');

async function readCatalogue() {
  const RED = require('node-red');
  const userDir = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-catalogue-'));
  const problems = [];
  try {
    RED.init({
      ...require('../settings.js'),
      userDir,
      httpAdminRoot: false,
      readOnly: true,
      storageModule: emptyStorage(),
      logging: { quiet: { level: 'off', handler: () => () => {} } },
    });
    await RED.start();
    const sets = RED.nodes.getNodeList();
    for (const set of sets) if (set.err) problems.push(`${set.id}: ${set.err}`);
    if (problems.length > 0) throw new Error(`node sets that do not load:\n${problems.join('\n')}`);
    const types = sets
      .filter((set) => set.enabled)
      .flatMap(({ types: names, module, version }) => names.filter((name) => name !== PLACEHOLDER).map((name) => [name, { module, version }]));
    return Object.fromEntries(types.sort(([a], [b]) => (a < b ? -1 : 1)));
  } finally {
    await RED.stop();
    fs.rmSync(userDir, { recursive: true, force: true });
  }
}

function emptyStorage() {
  return {
    init: async () => {},
    getFlows: async () => [],
    getCredentials: async () => ({}),
    getSettings: async () => ({}),
    saveSettings: async () => {},
  };
}

function render(catalogue) {
  return `${JSON.stringify(catalogue, null, 4)}\n`;
}

async function main(args) {
  const unknown = args.filter((arg) => arg !== '--write');
  if (unknown.length > 0) {
    process.stderr.write(`catalogue: unknown argument ${unknown.join(' ')}: expected nothing, or --write\n`);
    process.exit(2);
  }
  const text = render(await readCatalogue());
  if (args.includes('--write')) fs.writeFileSync(FILE, text);
  else process.stdout.write(text);
}

if (require.main === module) {
  main(process.argv.slice(2)).then(
    () => process.exit(0),
    (error) => {
      process.stderr.write(`catalogue: ${error.message}\n`);
      process.exit(1);
    },
  );
}

module.exports = { readCatalogue, render, FILE };
