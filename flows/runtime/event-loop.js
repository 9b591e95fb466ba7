'use strict';
// How long the event loop stood still lately. A blocked loop answers nothing at all; this tells
// afterwards that it was blocked, so that a replica that stalls again and again is found out.

const { monitorEventLoopDelay } = require('node:perf_hooks');
const { setTimeout } = require('node:timers/promises');

const WINDOW_MS = 5000;
const LIMIT_MS = 2000;
const RESOLUTION_MS = 20;

function watchEventLoop({ windowMs = WINDOW_MS, limitMs = LIMIT_MS } = {}) {
  // A histogram tells nothing until it has ticked twice, so each is followed for two windows: the younger is well awake
  // when the elder goes.
  const begin = () => {
    const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    histogram.enable();
    return histogram;
  };
  let histograms = [begin()];
  const longest = () => Math.max(...histograms.map((histogram) => histogram.max)) / 1e6;
  const keep = (kept) => {
    histograms.filter((histogram) => !kept.includes(histogram)).forEach((histogram) => histogram.disable());
    histograms = kept;
  };
  const timer = setInterval(() => keep([histograms.at(-1), begin()]), windowMs).unref();

  return Object.freeze({
    longestStallMs: longest,
    // Loading Node-RED blocks the loop once, by design. What comes after the promise is fulfilled is not missed.
    async forget() {
      const fresh = begin();
      keep([fresh]);
      while (fresh.count === 0) await setTimeout(RESOLUTION_MS);
    },
    check() {
      const stall = longest();
      if (stall > limitMs) throw new Error(`the event loop stood still for ${Math.round(stall)} ms within the last ${(2 * windowMs) / 1000} s: find the node that blocks`);
    },
    stop() {
      clearInterval(timer);
      keep([]);
    },
  });
}

module.exports = { watchEventLoop };
