'use strict';
// The requests that the flows are answering, and the nodes that had their messages. Node-RED leaves a client without an
// answer when a flow forgets to give one, when it drops a message whose node it stops, and when it drops one that is sent
// to a node while a deployment has it away. Here each request ends.

const { setTimeout: delay } = require('node:timers/promises');
const { sendProblem } = require('./problem');

// An environment variable of the group or tab that an http in is on; the editor keeps it, as nothing else of an http in.
const LIMIT_VARIABLE = 'REQUEST_LIMIT_SECONDS';
const LOOK_MS = 250;
const DEPLOYMENT_LIMIT_MS = 10000;
const REQUEST = Symbol('the request of a response');
const RELOADED = 'the flows were reloaded while the request was on its way; ask again';

// `limits`: {answer_limit_seconds, edge_limit_seconds} of platform.json.
function createRequests({ limits, log, now = () => performance.now() }) {
  const open = new Set();
  const limitOf = new Map();
  let deployment = null;

  function answer(request, status, detail, headers, members) {
    const { res } = request;
    for (const name of res.getHeaderNames().filter((one) => one !== 'connection')) res.removeHeader(name);
    sendProblem(res, status, detail, headers, members);
    ignoreLateAnswer(res, () => {
      log.warn({ ...placeOf(request.last), status, route: routeOf(request.req) }, 'an answer came too late: the client has one');
    });
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

  function beginDeployment(RED) {
    if (deployment !== null) return;
    const lost = new Set();
    deployment = { ...Promise.withResolvers(), lost };
    RED.hooks.add('preRoute.flowship-requests', ({ msg, source, destination }) => {
      const request = msg?.res?._res?.[REQUEST];
      if (request && !source.node._flow.getNode(destination.id)) lost.add(request);
    });
  }

  function endDeployment(RED) {
    if (deployment === null) return;
    RED.hooks.remove('preRoute.flowship-requests');
    const { lost, resolve } = deployment;
    deployment = null;
    // What was handed over before is received by then.
    setImmediate(() => {
      for (const request of lostIn({ lost }, RED)) answer(request, 503, RELOADED, { 'retry-after': '1' });
      resolve();
    });
  }

  function readLimits(RED, nodes) {
    limitOf.clear();
    for (const { id } of nodes.filter(({ type }) => type === 'http in')) {
      const node = RED.nodes.getNode(id);
      const given = node && RED.util.getSetting(node, LIMIT_VARIABLE);
      if (given === undefined || given === null || node.url === undefined) continue;
      const seconds = Number(given);
      if (seconds > 0 && seconds < limits.edge_limit_seconds) limitOf.set(`${node.method} ${node.url}`, seconds);
      else log.warn({ ...placeOf(node), node_id: id }, `${LIMIT_VARIABLE} is ${JSON.stringify(given)}: expected a number of seconds above 0 and below ${limits.edge_limit_seconds}, when the edge gives up; this route has ${limits.answer_limit_seconds}`);
    }
  }

  function endLate() {
    const at = now();
    for (const request of open) {
      const { req, res } = request;
      // Who is still sending is waited for by the server itself.
      if (!req.complete) request.since = at;
      const seconds = limitOf.get(`${methodOf(req)} ${req.route?.path}`) ?? limits.answer_limit_seconds;
      if (res.headersSent || at - request.since < seconds * 1000) continue;
      const route = routeOf(req);
      const had = request.last ? `node ${request.labels.node_id} had the message last` : 'no node got its message';
      log.error({ ...request.labels, ...placeOf(request.last), route, limit_seconds: seconds }, `no answer to ${route} within ${seconds} s: ${had}`);
      answer(request, 504, `no answer to ${route} within ${seconds} s; what it began may still be going on`, {}, { route });
    }
  }

  setInterval(endLate, LOOK_MS).unref();
  return Object.freeze({
    follow(RED, running) {
      RED.events.on('flows:stopping', () => beginDeployment(RED));
      RED.events.on('flows:started', () => {
        readLimits(RED, running());
        endDeployment(RED);
      });
      RED.events.on('runtime-event', ({ id, payload }) => {
        if (id === 'runtime-state' && payload?.error) endDeployment(RED);
      });
    },
    begin(req, res) {
      const request = { req, res, since: now(), nodes: new Set(), last: null, labels: {} };
      res[REQUEST] = request;
      open.add(request);
    },
    end: (res) => open.delete(res[REQUEST]),
    endStreams() {
      for (const { req, res } of open) {
        if (!res.headersSent || !/\btext\/event-stream\b/.test(req.headers.accept)) continue;
        res.end();
        ignoreLateAnswer(res, () => {});
      }
    },
    received({ msg, destination: { node } }, labels) {
      const request = msg?.res?._res?.[REQUEST];
      if (request === undefined) return;
      request.nodes.add(node);
      request.last = node;
      request.labels = labels;
    },
    deploying: () => deployment !== null,
    // Whether what comes during a deployment may go on when this ends.
    untilDeployed: () => Promise.race([deployment.promise.then(() => true), delay(DEPLOYMENT_LIMIT_MS, false, { ref: false })]),
  });
}

function placeOf(node) {
  return node === null ? {} : { node_type: node.type, node_name: node.name };
}

// A HEAD request is answered by the route for GET.
function methodOf({ method }) {
  return method === 'HEAD' ? 'get' : method.toLowerCase();
}

function routeOf(req) {
  return `${req.method} ${req.route?.path ?? req.url.split('?')[0]}`;
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
