'use strict';
// The last change of the flows that was refused, until one is taken. `cargo xtask status` asks for it, and the editor shows
// what somebody saved beside it: nobody may be looking at the log.

const { html } = require('./html');

const NOTIFICATION = 'flowship-refused';

function createRefusals({ notify }) {
  let last = null;
  const tell = (payload) => notify({ id: NOTIFICATION, payload, retain: payload.text !== undefined });

  return Object.freeze({
    refuseFiles(reason) {
      last = { at: new Date().toISOString(), what: 'flows.json', reason };
      tell({ type: 'error', text: html(`flows.json, as it is on disk, was refused; the flows that ran go on:\n${reason}`) });
    },
    // The editor has its own message for it.
    refuseDeploy(reason) {
      last = { at: new Date().toISOString(), what: 'Deploy', reason };
    },
    take() {
      if (last !== null) tell({});
      last = null;
    },
    last: () => last,
  });
}

module.exports = { createRefusals };
