'use strict';
// What Node-RED really runs, as opposed to what it answers, and how the files get there.

const { ProjectError, STRUCTURE } = require('./project');

// A deployment stops nodes before it starts others. That is no failure, unless it does not end.
const DEPLOYMENT_LIMIT_MS = 10000;

// `outcome`: refused, with the flows before in place, or incomplete, with the new ones as far as they start.
class ReloadError extends Error {
  constructor(message, outcome = 'refused') {
    super(message);
    this.outcome = outcome;
  }
}

// `failures`: what nodes said last, by id; under no id, what else kept flows from starting.
function createDeployment({ RED, storage, failures, log }) {
  const state = { startedOnce: false, stopped: null, deployingSince: null };
  const { flows: engine } = internals(RED);

  RED.events.on('flows:stopping', () => {
    state.deployingSince = Date.now();
  });
  RED.events.on('flows:starting', () => failures.clear());
  RED.events.on('flows:started', () => {
    Object.assign(state, { startedOnce: true, stopped: null, deployingSince: null });
  });
  // Node-RED tells of flows that it refuses to run (unknown types, missing modules, safe mode) only here.
  RED.events.on('runtime-event', ({ id, payload }) => {
    if (id === 'runtime-state' && payload?.error) state.stopped = payload.error;
  });

  function isDeploying() {
    return state.deployingSince !== null && Date.now() - state.deployingSince < DEPLOYMENT_LIMIT_MS;
  }

  function running() {
    return engine.getFlows()?.flows ?? [];
  }

  // Nodes that should exist and do not, also in subflows: their constructor threw, and Node-RED went on without them.
  // -> {place, text}
  function missingNodes() {
    const nodes = running();
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const isOff = (node) => {
      const home = node.z ? byId.get(node.z) : undefined;
      return home?.type === 'subflow' || home?.disabled === true;
    };
    const expected = nodes.filter((node) => !STRUCTURE.has(node.type) && !isOff(node));
    return missingOf(expected, (id) => RED.nodes.getNode(id), '');
  }

  function missingOf(expected, find, where) {
    return expected.flatMap((node) => {
      // Of groups, Node-RED does not read it.
      if (node.d === true) return [];
      const found = find(node.id);
      const id = node._alias ?? node.id;
      // The place of a subflow's instance that failed has what is left of it.
      if (typeof found?.receive !== 'function') {
        const place = `node ${id} (${node.type})${where}`;
        return [{ place, text: `${place} could not be started: ${failures.get(node.id) ?? failures.get('') ?? 'see the log'}` }];
      }
      return node.type.startsWith('subflow:') ? missingWithin(found._flow, ` in the subflow instance ${id}`) : [];
    });
  }

  function missingWithin({ flow: { configs = {}, nodes = {} }, activeNodes }, where) {
    const expected = [...Object.values(configs), ...Object.values(nodes)];
    return missingOf(expected, (id) => activeNodes[id], where);
  }

  async function deploy(nodes, rev) {
    const live = new Promise((resolve) => {
      const listener = ({ id, payload }) => {
        if (id !== 'runtime-deploy' || payload.revision !== rev) return;
        RED.events.off('runtime-event', listener);
        resolve();
      };
      RED.events.on('runtime-event', listener);
    });
    await storage.adopting(nodes, () => RED.runtime.flows.setFlows({ flows: { flows: nodes }, deploymentType: 'nodes' }));
    // setFlows answers before the new nodes run.
    await live;
  }

  // What becomes worse is undone.
  async function exchange(before, assembled) {
    const unhealthy = new Set(missingNodes().map(({ place }) => place));
    await deploy(assembled.all, assembled.rev);
    const broken = missingNodes().filter(({ place }) => !unhealthy.has(place));
    if (broken.length > 0) {
      const reasons = textsOf(broken);
      await deploy(before.nodes, before.liveRev ?? assembled.rev);
      throw new ReloadError(`${reasons}; the previous flows run on`);
    }
    storage.accept(assembled);
    const changed = changedIds(before.nodes, assembled.all);
    log.info({ rev: assembled.rev, changed: changed.length }, 'the flows were reloaded');
    return changed;
  }

  async function reload() {
    let assembled;
    try {
      assembled = await storage.load();
    } catch (error) {
      if (error instanceof ProjectError) throw new ReloadError(error.message);
      throw error;
    }
    const before = { nodes: running(), ...storage.state() };
    const changed = before.problem === null && assembled.rev === before.fileRev ? [] : await exchange(before, assembled);
    const missing = missingNodes();
    if (missing.length > 0) throw new ReloadError(`the flows of the files run, but not whole: ${textsOf(missing)}`, 'incomplete');
    return { rev: assembled.rev, changed };
  }

  let queue = Promise.resolve();
  return Object.freeze({
    state,
    running,
    missingNodes,
    runningRev: () => engine.getFlows()?.rev ?? null,
    isStarted: () => state.startedOnce && state.stopped === null && (isDeploying() || engine.state() === 'start'),
    isDeploying,
    reload() {
      const mine = queue.then(reload);
      queue = mine.catch(() => {});
      return mine;
    },
  });
}

function textsOf(missing) {
  return [...new Set(missing.map(({ text }) => text))].join('; ');
}

function changedIds(before, after) {
  const old = new Map(before.map((node) => [node.id, JSON.stringify(node)]));
  const now = new Map(after.map((node) => [node.id, JSON.stringify(node)]));
  const ids = [...now.keys()].filter((id) => old.get(id) !== now.get(id));
  return [...ids, ...[...old.keys()].filter((id) => !now.has(id))];
}

// Node-RED's public API tells neither its state nor what it runs.
function internals(RED) {
  return RED.runtime._;
}

module.exports = { createDeployment, ReloadError };
