'use strict';
// Node-RED's storage: hands out the assembled flows, takes the editor's saves apart again.
// It knows two revisions: of the files, and of what Node-RED was last given or last saved.

const { ProjectError, assemble, problemsOf, projectFiles, readArray, revision, textOf, withoutSmoke, writeFlows } = require('./project');

// `judge`: what the offline gate finds in the files, or with another text in the place of flows.json.
function createStorage({ flowsDir, log, writable, judge, refusals }) {
  const state = { problem: null, fileRev: null, liveRev: null, nodes: [], smoke: [], adopted: null };
  let isNodeType = () => true;
  let early = null;

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

  // The files as they are, if they may run.
  async function load() {
    const judged = early ?? judge();
    early = null;
    const findings = await judged;
    if (findings.length > 0) throw new ProjectError(findings);
    return assemble(flowsDir, isNodeType);
  }

  async function judgeFiles() {
    await load().catch((error) => {
      refusals.refuseDeploy(error.message);
      throw refused(error.message);
    });
  }

  async function save(flows) {
    if (!writable) throw new Error('the flows of this environment are read-only: change them in dev and release them');
    const file = projectFiles(flowsDir).flows;
    const platform = withoutSmoke(flows, state.smoke, unchangedFile(file));
    const findings = await judge(textOf(platform));
    if (findings.length === 0) findings.push(...problemsOf(platform, state.smoke, isNodeType));
    if (findings.length > 0) throw refused(findings.join('\n'));
    unchangedFile(file);
    writeFlows(file, platform);
    const all = [...platform, ...state.smoke];
    Object.assign(state, { problem: null, fileRev: revision(all), liveRev: revision(flows), nodes: all });
    log.info({ nodes: platform.length }, 'the editor saved flows.json');
  }

  async function refusing(work) {
    try {
      await work();
    } catch (error) {
      refusals.refuseDeploy(error.reasons ?? error.message);
      throw error;
    }
  }

  // Settings of the runtime live as long as the process: a replica starts from its image alone.
  let settings = {};

  const module = {
    init: async (_settings, runtime) => {
      // Node-RED registers the placeholder "unknown" as if it were a type.
      isNodeType = (type) => type !== 'unknown' && Boolean(runtime.nodes.getType(type));
      // Loading the node types takes longer than the judgement, which is made meanwhile.
      early = judge();
    },
    // Broken files must not run in part, and Node-RED would go on as if nothing were: when it starts it gets no flows
    // at all, and readiness says why; later it gets those that it has, since it forgets them when it gets an error.
    getFlows: async () => {
      try {
        accept(await load());
        return state.nodes;
      } catch (error) {
        if (state.fileRev !== null) return state.nodes;
        state.problem = error;
        log.error({ problems: error.problems ?? [error.message] }, 'the flow files are broken: no flow runs');
        return [];
      }
    },
    saveFlows: async (flows) => {
      if (state.adopted !== null && state.adopted === JSON.stringify(flows)) return;
      await refusing(() => save(flows));
      refusals.take();
    },
    getCredentials: async () => ({}),
    saveCredentials: (credentials) => refusing(async () => {
      const ids = Object.keys(credentials ?? {});
      if (ids.length === 0) return;
      throw new Error(`node ${ids.join(', ')} holds credentials: they are never stored with the flows; use a named file reference (*_FILE)`);
    }),
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
    load,
    judgeFiles,
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

// The editor shows the message, and API clients get the code.
function refused(reasons) {
  return Object.assign(new Error(`refused, the flows that ran go on:\n${reasons}`), { code: 'flows_refused', status: 422, reasons });
}

module.exports = { createStorage };
