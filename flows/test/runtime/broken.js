'use strict';
// Flows of which Node-RED starts only a part, by kind, and how that is told.

const { node, tab } = require('./flow');

const PLANTED = 'planted: this node cannot start';
const subflow = (id) => ({ id, type: 'subflow', name: id, info: '', in: [], out: [] });
const config = (id, more) => ({ id, type: 'fixture-broken', name: `the ${id}`, ...more });

const BROKEN = {
  'a node whose start throws': {
    nodes: [node('bad', 'base', 'fixture-broken')],
    told: `node bad (fixture-broken) could not be started: ${PLANTED}`,
  },
  'a configuration node whose start throws': {
    nodes: [config('bad')],
    told: `node bad (fixture-broken) could not be started: ${PLANTED}`,
  },
  'a configuration node of a tab whose start throws': {
    nodes: [config('bad', { z: 'base' })],
    told: `node bad (fixture-broken) could not be started: ${PLANTED}`,
  },
  'a node that cannot do without its configuration node': {
    nodes: [config('bad'), node('user', 'base', 'fixture-needs', [], { needs: 'bad' })],
    told: `node bad (fixture-broken) could not be started: ${PLANTED}; node user (fixture-needs) could not be started: planted: bad is missing`,
  },
  'a node in a disabled group, which Node-RED starts all the same': {
    nodes: [{ id: 'off', type: 'group', z: 'base', name: 'off', d: true, nodes: ['bad'] }, node('bad', 'base', 'fixture-broken', [], { g: 'off' })],
    told: `node bad (fixture-broken) could not be started: ${PLANTED}`,
  },
  'a node in a subflow': {
    nodes: [subflow('sub'), node('inner', 'sub', 'fixture-broken'), node('one', 'base', 'subflow:sub'), node('two', 'base', 'subflow:sub')],
    told: ['one', 'two'].map((id) => `node inner (fixture-broken) in the subflow instance ${id} could not be started: ${PLANTED}`).join('; '),
  },
  'a configuration node of a subflow': {
    nodes: [subflow('sub'), config('inner', { z: 'sub' }), node('one', 'base', 'subflow:sub')],
    told: `node inner (fixture-broken) in the subflow instance one could not be started: ${PLANTED}`,
  },
  'a node in a subflow of a subflow': {
    nodes: [subflow('sub'), subflow('outer'), node('inner', 'sub', 'fixture-broken'), node('middle', 'outer', 'subflow:sub'), node('one', 'base', 'subflow:outer')],
    told: `node inner (fixture-broken) in the subflow instance middle could not be started: ${PLANTED}`,
  },
  'an instance of a subflow that does not start': {
    nodes: [subflow('sub'), node('inner', 'sub', 'debug'), node('one', 'base', 'subflow:sub', [], { env: [{ name: 'X', type: 'num' }, null] })],
    told: "node one (subflow:sub) could not be started: TypeError: Cannot read properties of null (reading 'name')",
  },
  'the nodes of a tab that does not start': {
    nodes: [tab('odd', { env: [null] }), node('lost', 'odd', 'debug')],
    told: "node lost (debug) could not be started: TypeError: Cannot destructure property 'name' of 'env[i]' as it is null.",
  },
};

module.exports = { BROKEN, PLANTED };
