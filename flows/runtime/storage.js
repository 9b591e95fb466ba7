'use strict';
// Node-RED's storage: hands out the assembled flows, takes the editor's saves apart again.
// It knows two revisions: of the files, and of what Node-RED was last given or last saved.

const { assemble, projectFiles, readArray, revision, withoutSmoke, writeFlows } = require('./project');

function createStorage({ flowsDir, log, writable }) {
  const state = { problem: null, fileRev: null, liveRev: null, nodes: [], smoke: [], adopted: null };
  let isNodeType = () => true;

  function accept({ all, smoke, rev }) {
    Object.assign(state, { problem: null, fileRev: rev, liveRev: rev, nodes: all, smoke });
  }

  // A save from the editor must not bury what somebody else wrote, nor a file that could not be read.
  function unchangedFile(file) {
    if (state.problem) throw new Error(`the flow files are broken, repair them first: ${state.problem.message}`);
    const problems = [];
    const previous = readArray(file, problems);
    if (problems.length > 0 || revision([...previous, ...state.smoke]) !== state.fileRev) {
      throw new Error('flows.json was changed on disk since it was loaded: reload it (POST /reload), then save again');
    }
    return previous;
  }

  // Settings of the runtime live as long as the process: a replica starts from its image alone.
  let settings = {};

  const module = {
    init: async (_settings, runtime) => {
      // Node-RED registers the placeholder "unknown" as if it were a type.
      isNodeType = (type) => type !== 'unknown' && Boolean(runtime.nodes.getType(type));
    },
    // Broken files must not run in part, and Node-RED would go on as if nothing were: it gets no
    // flows at all, and readiness tells why.
    getFlows: async () => {
      try {
        accept(assemble(flowsDir, isNodeType));
        return state.nodes;
      } catch (error) {
        state.problem = error;
        log.error({ problems: error.problems ?? [error.message] }, 'the flow files are broken: no flow runs');
        return [];
      }
    },
    saveFlows: async (flows) => {
      if (state.adopted !== null && state.adopted === JSON.stringify(flows)) return;
      if (!writable) throw new Error('the flows of this environment are read-only: change them in dev and release them');
      const file = projectFiles(flowsDir).flows;
      const platform = withoutSmoke(flows, state.smoke, unchangedFile(file));
      writeFlows(file, platform);
      const all = [...platform, ...state.smoke];
      Object.assign(state, { problem: null, fileRev: revision(all), liveRev: revision(flows), nodes: all });
      log.info({ nodes: platform.length }, 'the editor saved flows.json');
    },
    getCredentials: async () => ({}),
    saveCredentials: async (credentials) => {
      const ids = Object.keys(credentials ?? {});
      if (ids.length === 0) return;
      throw new Error(`node ${ids.join(', ')} holds credentials: they are never stored with the flows; use a named file reference (*_FILE)`);
    },
    getSettings: async () => settings,
    saveSettings: async (next) => {
      settings = next;
    },
    getLibraryEntry: async (_type, path) => {
      if (path === '' || path.endsWith('/')) return [];
      throw new Error(`library entry ${path} does not exist: this project has no library`);
    },
    saveLibraryEntry: async () => {
      throw new Error('this project has no library: put shared nodes into nodes/ or a subflow');
    },
  };

  return {
    module,
    state: () => state,
    assemble: () => assemble(flowsDir, isNodeType),
    accept,
    // A deployment that comes from the files is saved by Node-RED too: it must not be written back.
    async adopting(nodes, work) {
      state.adopted = JSON.stringify(nodes);
      try {
        return await work();
      } finally {
        state.adopted = null;
      }
    },
  };
}

module.exports = { createStorage };
