'use strict';
// A replica that is to be verified first takes no requests and no tasks while the file HOLD_FILE exists. Once the file is
// gone, the replica is admitted for as long as it runs.

const fs = require('node:fs');
const path = require('node:path');

const LOOK_MS = 50;

// -> why the replica is held, or null. A file that could not be looked for is not known to be gone.
function reasonOf(file) {
  const unknown = (why) => `could not look for the hold file ${file}: ${why}; this replica counts as held until that is repaired`;
  try {
    if (fs.lstatSync(file).isFile()) return `${file} exists; remove it to admit this replica`;
    return unknown('it is not a regular file');
  } catch (error) {
    if (error.code !== 'ENOENT') return unknown(error.code);
    return fs.existsSync(path.dirname(file)) ? null : unknown('its folder does not exist');
  }
}

// `file`: null where nothing holds the replica. `admit`: what is done, and has to succeed, before it counts as admitted.
function createHold({ file, log, admit }) {
  const { promise, resolve, reject } = Promise.withResolvers();
  let reason = file === null ? null : reasonOf(file);

  async function end() {
    await admit();
    reason = null;
    log.info({}, 'this replica is admitted');
  }

  if (reason === null) {
    resolve();
  } else {
    log.info({ reason }, 'held');
    const timer = setInterval(() => {
      const found = reasonOf(file);
      reason = found ?? 'it is being admitted';
      if (found !== null) return;
      clearInterval(timer);
      end().then(resolve, reject);
    }, LOOK_MS).unref();
  }
  return Object.freeze({ reason: () => reason, admitted: () => promise });
}

// -> whether an operator has made HOLD_FILE.withdrawn since this process started: the edge was told before that to send this
// replica nothing, so it need not wait until the edge sees that it drains. What is there at the start is of an earlier process.
function createWithdrawal({ file }) {
  if (file === null) return () => false;
  const withdrawn = `${file}.withdrawn`;
  try {
    fs.rmSync(withdrawn, { force: true });
  } catch {
    return () => false;
  }
  return () => fs.existsSync(withdrawn);
}

module.exports = { createHold, createWithdrawal };
