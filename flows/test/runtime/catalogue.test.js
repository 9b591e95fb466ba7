'use strict';
// catalogue.json tells the offline gate which node types exist: it must be what Node-RED registers.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');

const SCRIPT = path.join(__dirname, '..', '..', 'runtime', 'catalogue.js');

test('catalogue.json is what Node-RED registers', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT]);
  const written = fs.readFileSync(path.join(__dirname, '..', '..', 'catalogue.json'), 'utf8');
  const [catalogue, registered] = [JSON.parse(written), JSON.parse(stdout)];
  const stale = Object.keys({ ...catalogue, ...registered }).filter((type) => JSON.stringify(catalogue[type]) !== JSON.stringify(registered[type]));
  assert.ok(written === stdout, `flows/catalogue.json is stale (${stale.join(', ')}): run \`node runtime/catalogue.js --write\` in flows/`);
  assert.equal(catalogue['http in'].module, 'node-red');
  assert.equal('unknown' in catalogue, false);
});

test('an unknown argument is refused', async () => {
  await assert.rejects(promisify(execFile)(process.execPath, [SCRIPT, '--wirte']), { code: 2, stderr: /unknown argument --wirte: expected nothing, or --write/ });
});
