'use strict';
// What a replica must be able to say of itself before it takes requests.

const { credentialFileProblems, revision, STRUCTURE } = require('./project');
const { readSecret } = require('./secrets');

function registerChecks({ readiness, config, storage, deployment, lifecycle, eventLoop, flowsListener, RED }) {
  readiness.register('started', () => {
    if (!lifecycle.started()) throw new Error('the launcher is still starting');
  });
  readiness.register('not_draining', () => {
    if (lifecycle.draining()) throw new Error('this replica was told to stop');
  });
  readiness.register('flows_loaded', () => {
    const { problem } = storage.state();
    if (problem) throw problem;
    if (storage.state().fileRev === null) throw new Error('the flow files were not read yet');
  });
  readiness.register('node_types', () => {
    const subflows = new Set(deployment.running().filter((node) => node.type === 'subflow').map((node) => `subflow:${node.id}`));
    const unknown = deployment.running().filter(({ type }) => !STRUCTURE.has(type) && !subflows.has(type) && !RED.nodes.getType(type));
    if (unknown.length > 0) throw new Error(`unknown node types: ${unknown.map((node) => `${node.type} (node ${node.id})`).join(', ')}`);
  });
  readiness.register('flows_running', () => {
    if (!deployment.isStarted()) throw new Error(`Node-RED does not run the flows${deployment.state.stopped ? `: ${deployment.state.stopped}` : ''}`);
  });
  readiness.register('nodes_started', () => {
    if (!deployment.isStarted() || deployment.isDeploying()) return;
    const missing = deployment.missingNodes();
    if (missing.length > 0) throw new Error([...new Set(missing.map(({ text }) => text))].join('; '));
  });
  readiness.register('rev', () => {
    const { liveRev, problem } = storage.state();
    if (problem) throw new Error('no revision: the flow files are broken');
    const running = deployment.runningRev();
    if (running !== liveRev || revision(deployment.running()) !== liveRev) {
      throw new Error(`Node-RED runs revision ${running}, the files are ${liveRev}: restart this replica, in dev reload it`);
    }
  });
  readiness.register('credentials', () => {
    const problems = credentialFileProblems(config.flowsDir);
    if (problems.length > 0) throw new Error(problems.join('; '));
  });
  readiness.register('secrets', () => {
    for (const file of [config.postgres.passwordFile, config.llm.apiKeyFile, config.opsTokenFile, config.apiKeyFile]) readSecret(file);
  });
  readiness.register('flows_listener', () => {
    if (!flowsListener.listening) throw new Error('the flows are not listened for');
  });
  readiness.register('event_loop', () => eventLoop.check());
}

module.exports = { registerChecks };
