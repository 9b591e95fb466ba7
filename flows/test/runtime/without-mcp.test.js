'use strict';
// A platform without an MCP server: it starts, is ready, its routing is checked, and a tool that is called all the same is
// missed by name.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { project, launched } = require('./launcher');

const FLOWS = path.join(__dirname, '..', '..');
const SMOKE = JSON.parse(fs.readFileSync(path.join(FLOWS, 'test-smoke.json'), 'utf8'));
const ROW = SMOKE.filter(({ id }) => id === 'smoke' || id.startsWith('smoke-mcp-routing-'));
const call = ROW.find(({ type }) => type === 'mcp-call');
const servers = { id: call.servers, type: 'mcp-servers', name: 'MCP servers' };

// As `cargo xtask generate` makes the row for a platform that sets MCP_SERVERS nowhere.
const withoutTools = ROW.filter((node) => node !== call).map((node) => {
  const wires = node.wires?.map((targets) => targets.map((id) => (id === call.id ? call.wires[0][0] : id)));
  const scope = Array.isArray(node.scope) ? node.scope.filter((id) => id !== call.id) : node.scope;
  if (node.type === 'smoke-out') return { ...node, rules: node.rules.filter(({ property }) => !property.startsWith('tool.')), detail: 'route' };
  return { ...node, ...(wires && { wires }), ...(scope && { scope }) };
});

async function launchedWithout(t, flows, smoke) {
  const made = project(t, { flows, smoke });
  fs.unlinkSync(made.file('nodes'));
  fs.symlinkSync(path.join(FLOWS, 'nodes'), made.file('nodes'));
  const running = await launched(t, made, { MCP_SERVERS: undefined });
  const { status, body } = await running.get('ready', '/readyz');
  assert.deepEqual([status, body.degraded], [200, []], JSON.stringify(body));
  return (await running.operate('/smoke', { checks: ['mcp_routing'] })).body.checks[0];
}

test('without a node for it, the routing is checked', async (t) => {
  const check = await launchedWithout(t, [], withoutTools);
  assert.deepEqual([check.status, check.detail], ['passed', 'fallback'], check.error);
});

test('with the node and a call of a tool, the check says what is missing', async (t) => {
  const check = await launchedWithout(t, [servers], ROW);
  assert.equal(check.status, 'failed');
  assert.equal(check.error, 'the tool text_statistics cannot be called: this platform has no MCP server; name one in MCP_SERVERS, or call no tool');
});
