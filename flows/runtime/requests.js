'use strict';
// The requests that the flows are answering, and the nodes that had their messages. Node-RED drops a message whose node
// it stops, and one that is sent to a node while a deployment has it away: the client would never get an answer.

const { setTimeout: delay } = require('node:timers/promises');
const { sendProblem } = require('./problem');

const DEPLOYMENT_LIMIT_MS = 10000;
const REQUEST = Symbol('the request of a response');
const RELOADED = 'the flows were reloaded while the request was on its way; ask again';

function createRequests({ log }) {
  const open = new Set();
  let deployment = null;

  function answer(request, status, detail, headers) {
    const { res, last } = request;
    for (const name of res.getHeaderNames().filter((one) => one !== 'connection')) res.removeHeader(name);
    sendProblem(res, status, detail, headers);
    ignoreLateAnswer(res, () => log.warn({ status, node_type: last?.type, node_name: last?.name }, 'an answer came too late: the client has one'));
  }

  // What no node can answer any more: its message was in a node that was stopped, or was sent to one.
  function lostIn({ lost }, RED) {
    const isStopped = (node) => RED.nodes.getNode(node.id) !== node;
    const isRouted = ({ route }) => route === undefined || RED.httpNode._router.stack.some((layer) => layer.route === route);
    return [...open].filter((request) => {
      if (request.res.headersSent) return false;
      if (request.nodes.size === 0 && !isRouted(request.req)) return true;
      return lost.has(request) || holders(request.nodes).some(isStopped);
    });
  }

  function follow(RED) {
    RED.events.on('flows:stopping', () => {
      if (deployment !== null) return;
      const lost = new Set();
      deployment = { ...Promise.withResolvers(), lost };
      RED.hooks.add('preRoute.flowship-requests', ({ msg, source, destination }) => {
        const request = msg?.res?._res?.[REQUEST];
        if (request && !source.node._flow.getNode(destination.id)) lost.add(request);
      });
    });
    const ended = () => {
      if (deployment === null) return;
      RED.hooks.remove('preRoute.flowship-requests');
      const { lost, resolve } = deployment;
      deployment = null;
      // What was handed over before is received by then.
      setImmediate(() => {
        for (const request of lostIn({ lost }, RED)) answer(request, 503, RELOADED, { 'retry-after': '1' });
        resolve();
      });
    };
    RED.events.on('flows:started', ended);
    RED.events.on('runtime-event', ({ id, payload }) => {
      if (id === 'runtime-state' && payload?.error) ended();
    });
  }

  return Object.freeze({
    follow,
    begin(req, res) {
      const request = { req, res, nodes: new Set(), last: null };
      res[REQUEST] = request;
      open.add(request);
      res.once('close', () => open.delete(request));
    },
    received({ msg, destination: { node } }) {
      const request = msg?.res?._res?.[REQUEST];
      if (request === undefined) return;
      request.nodes.add(node);
      request.last = node;
    },
    deploying: () => deployment !== null,
    // Whether what comes during a deployment may go on when this ends.
    untilDeployed: () => Promise.race([deployment.promise.then(() => true), delay(DEPLOYMENT_LIMIT_MS, false, { ref: false })]),
  });
}

// Those that have not passed the message on to another one.
function holders(nodes) {
  const ids = new Set(Array.from(nodes, ({ id }) => id));
  return [...nodes].filter(({ wires = [] }) => !wires.flat().some((id) => ids.has(id)));
}

// A flow that answers a second time must not fail over it, whatever it calls.
function ignoreLateAnswer(res, onLate) {
  const { statusCode } = res;
  Object.defineProperty(res, 'statusCode', { get: () => statusCode, set() {} });
  let said = false;
  const ignored = () => {
    if (!said) onLate();
    said = true;
    return res;
  };
  for (const method of ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'flushHeaders', 'writeHead', 'write', 'end']) res[method] = ignored;
}

module.exports = { createRequests };
