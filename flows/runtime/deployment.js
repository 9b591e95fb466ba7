'use strict';
// What Node-RED really runs, as opposed to what it answers, and how the files get there.

const { ProjectError, STRUCTURE } = require('./project');

// A deployment stops nodes before it starts others. That is no failure, unless it does not end.
const DEPLOYMENT_LIMIT_MS = 10000;

class ReloadError extends Error {}

function createDeployment({ RED, storage, log }) {
  const state = { startedOnce: false, stopped: null, deployingSince: null };
  const { flows: engine } = internals(RED);

  RED.events.on('flows:stopping', () => {
    state.deployingSince = Date.now();
  });
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

  // Nodes that should exist and do not: their constructor threw, and Node-RED went on without them.
  function missingNodes() {
    const nodes = running();
    const byId = new Map(nodes.map((node) => [node.id, node]));
    return nodes.filter((node) => {
      if (STRUCTURE.has(node.type) || node.d === true) return false;
      const home = node.z ? byId.get(node.z) : null;
      if (home && (home.type === 'subflow' || home.disabled === true)) return false;
      if (node.g && inDisabledGroup(node, byId)) return false;
      return !RED.nodes.getNode(node.id);
    });
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

  async function reload() {
    let assembled;
    try {
      assembled = await storage.load();
    } catch (error) {
      if (error instanceof ProjectError) throw new ReloadError(error.message);
      throw error;
    }
    const before = { nodes: running(), ...storage.state() };
    if (before.problem === null && assembled.rev === before.fileRev) return { rev: assembled.rev, changed: [] };

    const unhealthy = new Set(missingNodes().map((node) => node.id));
    await deploy(assembled.all, assembled.rev);
    const broken = missingNodes().filter((node) => !unhealthy.has(node.id));
    if (broken.length > 0) {
      await deploy(before.nodes, before.liveRev ?? assembled.rev);
      throw new ReloadError(broken.map((node) => `node ${node.id} (${node.type}) could not be started: see the log; the previous flows run on`).join('\n'));
    }
    storage.accept(assembled);
    const changed = changedIds(before.nodes, assembled.all);
    log.info({ rev: assembled.rev, changed: changed.length }, 'the flows were reloaded');
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

function inDisabledGroup(node, byId) {
  for (let group = byId.get(node.g); group; group = byId.get(group.g)) if (group.d === true) return true;
  return false;
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
