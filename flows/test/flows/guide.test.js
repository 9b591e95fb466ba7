'use strict';
// The guide docs/workflows.md, followed: its nodes and its rule are added to the flows, and then its own test is run.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const platform = require('../platform.js');
const { queues } = require('../../platform.json');

const page = fs.readFileSync(path.join(__dirname, '..', '..', '..', 'docs', 'workflows.md'), 'utf8');
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

test('the defaults that the guide names are those of the platform', () => {
  const named = ['time_limit', 'retries'].map((field) => new RegExp(`^\\| .*\\(\`${field}\`\\) .*\\| (\\d+)[ s]*\\|$`, 'm').exec(page)?.[1]);
  assert.deepEqual(named, [String(queues.expire_seconds), String(queues.retry_limit)]);
});

const [itsTest] = blocks('js');
const given = { '../platform.js': { ...platform, startPlatform: () => platform.startPlatform({ edit: follow }) } };
new Function('require', itsTest)((name) => given[name] ?? require(name));
