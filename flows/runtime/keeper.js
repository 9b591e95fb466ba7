'use strict';
// Who keeps the callers' API keys: the node with the database. The operations port asks it.

function createKeeper() {
  let current;
  return Object.freeze({
    // For that node: {list, create, revoke}. Returns what unregisters it.
    register(keeper) {
      current = keeper;
      return () => {
        if (current === keeper) current = undefined;
      };
    },
    current: () => current,
  });
}

module.exports = { createKeeper };
