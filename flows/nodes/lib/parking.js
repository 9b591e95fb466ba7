'use strict';
// How long a task waits that somebody asked to wait (Retry-After), and how long somebody asked for.

const { queues } = require('./platform');

// -> seconds from now, 0 for "now"; undefined when nothing is asked that can be read. A date is compared with the
// sender's own clock where the answer has it: ours may differ.
function retryAfterSeconds(headers, nowMs = Date.now()) {
  const milliseconds = Number(headers['retry-after-ms'] || NaN);
  if (Number.isFinite(milliseconds)) return Math.max(0, milliseconds / 1000);
  const text = headers['retry-after']?.trim();
  if (!text) return undefined;
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return Math.max(0, Number(text));
  const until = Date.parse(text);
  if (!Number.isFinite(until)) return undefined;
  const sent = Date.parse(headers.date ?? '');
  return Math.max(0, (until - (Number.isFinite(sent) ? sent : nowMs)) / 1000);
}

// `parks`: how often the task was parked before; `ageSeconds`: since its acceptance. Whoever says "now" again and
// again is asked at a growing distance. Undefined when the task has been parked for long enough.
function parkSeconds(asked, parks, ageSeconds) {
  const distance = parks === 0 ? 0 : Math.min(queues.retry_delay_max_seconds, queues.retry_delay_seconds * 2 ** (parks - 1));
  const seconds = Math.min(queues.park_max_seconds, Math.max(asked, distance));
  return ageSeconds + seconds > queues.park_within_seconds ? undefined : seconds;
}

module.exports = { retryAfterSeconds, parkSeconds };
