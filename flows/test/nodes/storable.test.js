'use strict';
// What jsonb cannot hold: refused in an input with the place, cleaned in an answer with a word about it. Each value
// that is called storable is stored in a real PostgreSQL in test/flows/storable.test.js.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { failureOf } = require('../../nodes/lib/failure');
const { judgeBody } = require('../../nodes/lib/json-body');
const { parkSeconds, retryAfterSeconds } = require('../../nodes/lib/parking');
const { MAX_DEPTH, storable } = require('../../nodes/lib/storable');
const { queues } = require('../../platform.json');

function nested(depth) {
  return `${'['.repeat(depth)}${']'.repeat(depth)}`;
}

test('a value that JSON and jsonb hold is as it was', () => {
  const value = { text: 'é \u{1F680} \u0001', numbers: [0, -1.5, 1e308, 5e-324], none: null, flag: false, 'a/b~c': {}, __proto__x: [] };
  assert.deepEqual(storable(value), { value, changes: [] });
  assert.deepEqual(storable({ at: new Date(0), gone: undefined, f() {}, list: [undefined] }).value, { at: '1970-01-01T00:00:00.000Z', list: [null] });
  assert.deepEqual(storable(JSON.parse(nested(MAX_DEPTH))).changes, []);
  const shared = { n: 1 };
  assert.deepEqual(storable([shared, shared]), { value: [shared, shared], changes: [] });
  assert.equal(JSON.stringify(storable(JSON.parse('{"__proto__":{"x":1}}')).value), '{"__proto__":{"x":1}}');
});

test('everything else is changed, and each place named', () => {
  const circle = { name: 'c' };
  circle.self = circle;
  for (const [value, expected, pointers] of [
    ['a\0b', 'a\ufffdb', ['']],
    [{ a: ['\ud800', '\udc00x', 'ok'] }, { a: ['\ufffd', '\ufffdx', 'ok'] }, ['/a/0', '/a/1']],
    [{ 'k\0/~': 1 }, { 'k\ufffd/~': 1 }, ['/k\ufffd~1~0']],
    [[NaN, Infinity, -Infinity], [null, null, null], ['/0', '/1', '/2']],
    [{ n: 12n }, { n: '12' }, ['/n']],
    [circle, { name: 'c', self: null }, ['/self']],
    [{ a: { toJSON: () => '\0' } }, { a: '\ufffd' }, ['/a']],
  ]) {
    const found = storable(value);
    assert.deepEqual(found.value, expected);
    assert.deepEqual(found.changes.map(({ pointer }) => pointer), pointers);
    assert.ok(found.changes.every(({ detail }) => detail.length > 10));
  }
  assert.equal(storable(JSON.parse(nested(100_000))).changes.length, 1);
  assert.ok(storable(new Array(10_000).fill('\0')).changes.length <= 50);
});

test('a body is refused with the place and the reason', () => {
  for (const [text, status, pointer] of [
    ['{"input":{"text":"a\\u0000"}}', 422, '/input/text'],
    ['{"input":{"text":"\\ud83d"}}', 422, '/input/text'],
    ['{"input":{"\\u0000":1}}', 422, '/input/\ufffd'],
    ['{"input":{"n":1e400}}', 422, '/input/n'],
    ['{"input":{"n":[1,12345678901234567890]}}', 422, '/input/n/1'],
    [`{"input":${nested(5000)}}`, 422, `/input${'/0'.repeat(MAX_DEPTH - 1)}`],
    [`{"input":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`, 422, `/input${'/a'.repeat(MAX_DEPTH - 1)}`],
    [`{"text":"${'['.repeat(5000)}"}`, undefined],
    ['{"n":[9007199254740991,-0,1.5,1e22,123456789012345680000]}', undefined],
    ['\ufeff{"a":1}', undefined],
    ['{"a":1,"a":2}', undefined],
    ['{"a":', 400],
    ['[]', 400],
    ['', 400],
  ]) {
    const finding = judgeBody(Buffer.from(text));
    assert.equal(finding.status, status, text.slice(0, 60));
    if (pointer !== undefined) assert.equal(finding.errors[0].pointer, pointer);
  }
  assert.equal(judgeBody(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])).status, 400);
  const started = performance.now();
  judgeBody(Buffer.from(`{"${'\\"'.repeat(120_000)}`));
  assert.ok(performance.now() - started < 1000);
});

test('whatever a flow puts into msg.failure is a failure', () => {
  const cyclic = {};
  cyclic.cyclic = cyclic;
  for (const found of [undefined, null, 'no', 7, [], {}, cyclic, { code: 5, message: { a: 1 }, permanent: 'yes', retry_after_seconds: '60' }, { message: 'a\0b\ud800' }, { message: 'x'.repeat(1e6) }, { retry_after_seconds: -1 }, { retry_after_seconds: NaN }]) {
    const failure = failureOf(found, 'nobody said why');
    assert.equal(typeof failure.code, 'string');
    assert.ok(failure.message.length > 0 && failure.message.length <= 2000 && failure.message.isWellFormed() && !failure.message.includes('\0'));
    assert.equal(failure.permanent, false);
    assert.equal(failure.retry_after_seconds, null);
  }
  assert.deepEqual(failureOf({ code: 'c', message: 'm', permanent: true, retry_after_seconds: 2 }), { code: 'c', message: 'm', permanent: true, retry_after_seconds: 2 });
});

test('a task waits as long as it was asked to, within bounds', () => {
  assert.equal(parkSeconds(60, 0, 0), 60);
  assert.equal(parkSeconds(60, 100, 0), 60);
  assert.equal(parkSeconds(1e15, 0, 0), queues.park_max_seconds);
  assert.equal(parkSeconds(60, 3, queues.park_within_seconds), undefined);
  // Who says "now" again and again is asked at a growing distance.
  assert.deepEqual([0, 1, 2, 3, 20].map((parks) => parkSeconds(0, parks, 0)), [0, 1, 2, 4, queues.retry_delay_max_seconds]);
  assert.equal(retryAfterSeconds({}), undefined);
});
