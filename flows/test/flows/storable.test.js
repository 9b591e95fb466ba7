'use strict';
// What the database cannot hold, on its way through the whole platform: refused at the door, cleaned in what was paid
// for, never the end of a task that succeeded.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { startPlatform, withProvider } = require('../platform.js');

// A question is code that makes the result; describe-text goes the usual way.
const FUNCTION = `
const circle = { name: 'c' };
circle.self = circle;
const deep = (levels) => { let value = 1; for (let level = 0; level < levels; level += 1) value = [value]; return value; };
msg.payload = eval(msg.payload.question);
return msg;
`;

let platform;
before(async () => {
  platform = await startPlatform({
    edit(byId, nodes) {
      Object.assign(byId['worker-answer'], { type: 'function', func: FUNCTION, outputs: 1, wires: [['worker-store']], libs: [] });
      const failing = { ...byId['worker-store'], id: 'odd-failure', type: 'task-fail' };
      const odd = { ...byId['worker-answer'], id: 'odd', func: 'msg.failure = { message: "a\\u0000b", code: 7, permanent: true }; return msg;', wires: [['odd-failure']] };
      nodes.push(failing, odd);
      byId['worker-route'].rules.unshift({ property: 'payload.question', operator: 'equals', value: 'fail oddly', output: 'odd' });
      byId['worker-route'].outputNames.push('odd');
      byId['worker-route'].outputs += 1;
      byId['worker-route'].wires.splice(-1, 0, ['odd']);
    },
  });
});
after(() => platform?.stop());

async function outcome(workflow, input) {
  const { status, body } = await platform.submit(workflow, input);
  assert.equal(status, 202, JSON.stringify(body));
  return platform.ended(body.task_id);
}

test('an input that cannot be stored is refused with the place', async () => {
  for (const [raw, pointer] of [
    ['{"input":{"text":"a\\u0000"}}', '/input/text'],
    ['{"input":{"text":"\\udc00"}}', '/input/text'],
    [`{"input":{"text":${'['.repeat(3000)}${']'.repeat(3000)}}}`, /^\/input\/text(\/0)+$/],
  ]) {
    const answer = await platform.request('POST', '/api/v1/workflows/describe-text/tasks', { raw, headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 422, JSON.stringify(answer.body));
    if (typeof pointer === 'string') assert.equal(answer.body.errors[0].pointer, pointer);
    else assert.match(answer.body.errors[0].pointer, pointer);
  }
  for (const number of ['1e400', '12345678901234567890']) {
    const answer = await platform.request('POST', '/api/v1/workflows/describe-numbers/tasks', { raw: `{"input":{"numbers":[1,${number}]}}`, headers: { 'content-type': 'application/json' } });
    assert.deepEqual([answer.status, answer.body.errors[0].pointer], [422, '/input/numbers/1']);
  }
  assert.equal((await platform.request('GET', '/api/v1/tasks/a%00b')).status, 404);
  assert.equal((await platform.request('GET', '/api/v1/tasks/%ED%A0%80')).status < 500, true);
});

test('the result of a flow is stored with what had to be changed, at the first attempt', async () => {
  for (const [question, result, pointers] of [
    ['"fine"', 'fine', null],
    ['"a\\0b"', 'a\ufffdb', ['']],
    ['({ a: ["\\ud800"], n: NaN, big: 1n })', { a: ['\ufffd'], n: null, big: '1' }, ['/a/0', '/n', '/big']],
    ['circle', { name: 'c', self: null }, ['/self']],
    ['deep(250)', undefined, null],
    ['deep(20000)', undefined, [`${'/0'.repeat(256)}`]],
    ['1e308', 1e308, null],
  ]) {
    const task = await outcome('answer-question', { question });
    assert.deepEqual([task.status, task.attempts], ['completed', 1], question);
    if (result !== undefined) assert.deepEqual(task.result, result);
    assert.deepEqual(task.cleaned?.map(({ pointer }) => pointer) ?? null, pointers, question);
  }
});

test('a result that cannot be stored in any way fails once, and says why', async () => {
  const task = await outcome('answer-question', { question: '({ get broken() { throw new Error("cannot be read") } })' });
  assert.deepEqual([task.status, task.attempts, task.error.code], ['failed', 1, 'result_not_stored']);
  assert.match(task.error.message, /cannot be read/);
});

test('an odd failure is a failure', async () => {
  const task = await outcome('answer-question', { question: 'fail oddly' });
  assert.deepEqual([task.status, task.error.code, task.error.message], ['failed', '7', 'a\ufffdb']);
});

test("the model's answer and its tokens fail no task", async () => {
  const answer = '{"choices":[{"message":{"content":"a\\u0000b \\ud800"},"finish_reason":"stop"}],"usage":{"prompt_tokens":"many","completion_tokens":-4}}';
  let asked = 0;
  await withProvider(platform, (response) => { asked += 1; response.end(answer); }, async () => {
    const task = await outcome('describe-text', { text: 'One.' });
    assert.deepEqual([task.status, task.attempts, asked], ['completed', 1, 1]);
    assert.equal(task.result.answer, 'a\ufffdb \ufffd');
    assert.deepEqual(task.result.model.tokens, { prompt: 0, completion: 0 });
    await platform.replicas[0].child.said('the change is logged', (line) => line.task_id === task.task_id && line.cleaned?.[0]?.pointer === '/text');
  });
});
