'use strict';
// The guide docs/workflows.md, followed: its nodes and its rule are added to the flows, and then its own test is run.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const platform = require('../platform.js');
const { queues } = require('../../platform.json');

const read = (name) => fs.readFileSync(path.join(__dirname, '..', '..', '..', 'docs', name), 'utf8');
const page = read('workflows.md');
const blocks = (language) => [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(([, text]) => text);

function follow(byId, nodes) {
  const [tab, link, toRouter] = blocks('json').map((text) => JSON.parse(text));
  const added = [...tab, ...link];
  // Where somebody has followed it, they are there.
  if (added.some(({ id }) => byId[id])) return;
  nodes.push(...added);
  const router = byId['worker-route'];
  router.rules.push(...toRouter.rules);
  router.outputNames.push(...toRouter.outputNames);
  router.outputs += toRouter.outputNames.length;
  router.wires.splice(-1, 0, ...toRouter.wires);
}

test('the defaults that the guides name are those of the platform', () => {
  const named = ['At once', 'Time limit', 'Retries'].map((field) => new RegExp(`^\\| ${field} \\| .* \\| (\\d+) \\|$`, 'm').exec(read('models.md'))?.[1]);
  assert.deepEqual(named, [queues.concurrency, queues.expire_seconds, queues.retry_limit].map(String));
  assert.match(read('models.md'), new RegExp(`up to ${queues.in_flight} tasks at once`));
});

const [itsTest] = blocks('js');
const given = { '../platform.js': { ...platform, startPlatform: () => platform.startPlatform({ edit: follow }) } };
new Function('require', itsTest)((name) => given[name] ?? require(name));
