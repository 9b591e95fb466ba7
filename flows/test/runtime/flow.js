'use strict';
// Small flows for the tests, in the shape that the editor saves.

function tab(id, more = {}) {
  return { id, type: 'tab', label: id, disabled: false, info: '', ...more };
}

function node(id, z, type, wires = [], more = {}) {
  return { id, type, z, name: id, x: 100, y: 100, wires: wires.length > 0 ? [wires] : [], ...more };
}

function httpIn(id, z, method, url, wires) {
  return node(id, z, 'http in', wires, { method, url, upload: false, swaggerDoc: '' });
}

function httpResponse(id, z, statusCode = '') {
  return node(id, z, 'http response', [], { statusCode, headers: {} });
}

function fn(id, z, func, wires) {
  return node(id, z, 'function', wires, { func, outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '', libs: [] });
}

// A tab on which METHOD url goes through the nodes in between to a response.
function endpoint(z, method, url, middle) {
  const chain = middle.map((step, index) => ({ ...step, wires: [[middle[index + 1]?.id ?? `${z}-out`]] }));
  return [tab(z), httpIn(`${z}-in`, z, method, url, [chain[0]?.id ?? `${z}-out`]), ...chain, httpResponse(`${z}-out`, z)];
}

module.exports = { tab, node, httpIn, httpResponse, fn, endpoint };
