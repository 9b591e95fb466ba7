'use strict';
// How long the event loop stood still lately. A blocked loop answers nothing at all; this tells
// afterwards that it was blocked, so that a replica that stalls again and again is found out.

const { monitorEventLoopDelay } = require('node:perf_hooks');

const WINDOW_MS = 5000;
const LIMIT_MS = 2000;

function watchEventLoop({ windowMs = WINDOW_MS, limitMs = LIMIT_MS } = {}) {
  const histogram = monitorEventLoopDelay({ resolution: 20 });
  let previousMax = 0;
  histogram.enable();
  const timer = setInterval(() => {
    previousMax = histogram.max;
    histogram.reset();
  }, windowMs).unref();

  return Object.freeze({
    longestStallMs: () => Math.max(previousMax, histogram.max) / 1e6,
    // Loading Node-RED blocks the loop once, by design.
    forget() {
      previousMax = 0;
      histogram.reset();
    },
    check() {
      const stall = this.longestStallMs();
      if (stall > limitMs) throw new Error(`the event loop stood still for ${Math.round(stall)} ms within the last ${(2 * windowMs) / 1000} s: find the node that blocks`);
    },
    stop() {
      clearInterval(timer);
      histogram.disable();
    },
  });
}

module.exports = { watchEventLoop };
