'use strict';
// The small pieces that the nodes are made of.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Attempts } = require('../../nodes/lib/attempts');
const { Batch } = require('../../nodes/lib/batch');
const { bearerOf, keyHash, sameSecret } = require('../../nodes/lib/api-keys');
const { databaseFailure, isAway, untilDatabaseAnswers } = require('../../nodes/lib/database');
const { describe: describeFailure, Failure, failMessage } = require('../../nodes/lib/failure');
const { isJson } = require('../../nodes/lib/json-body');
const { launcherOf } = require('../../nodes/lib/launcher');
const { jobOptions, limitsOf } = require('../../nodes/lib/limits');
const { answerProblem, problemOfFailure } = require('../../nodes/lib/problem');
const { fillTemplate, templateProblem } = require('../../nodes/lib/template');
const { compileSchema, inputProblems, knownWorkflows } = require('../../nodes/lib/workflows');
const { numberStatistics, textStatistics } = require('../../mcp-tools/tools');
const { completion, delayMs } = require('../../llm-stand-in/completion');
const { queues } = require('../../platform.json');

test('an attempt is settled once, by its key, or by the queue that takes it away', async () => {
  const attempts = new Attempts();
  const first = attempts.begin();
  assert.equal(attempts.size, 1);
  assert.equal(attempts.settle(first.key, { result: 1 }), true);
  assert.equal(attempts.settle(first.key, { result: 2 }), false);
  assert.equal(attempts.settle('unknown', {}), false);
  assert.deepEqual(await first.outcome, { result: 1 });
  const taken = new AbortController();
  const second = attempts.begin(taken.signal);
  taken.abort();
  assert.equal((await second.outcome).failure.code, 'expired');
  assert.equal((await attempts.begin(taken.signal).outcome).failure.code, 'expired');
  assert.equal(attempts.size, 0);
});

test('what comes while a batch runs makes the next ones, of so many and so long', async () => {
  const ran = [];
  const gates = [];
  const batch = new Batch(async (items) => {
    ran.push(items.map(({ name }) => name).join(''));
    await new Promise((resolve) => { gates.push(resolve); });
    return items.map(({ name }) => `${name}!`);
  }, { most: 3, atOnce: 1 });
  const add = (name, length = 1) => batch.add({ name, length });
  const first = [add('a'), add('b')];
  await new Promise(setImmediate);
  const others = [add('c'), add('d', 900_000), add('e', 900_000), add('f'), add('g'), add('h')];
  while (ran.length < 4 || gates.length > 0) {
    gates.shift()?.();
    await new Promise(setImmediate);
  }
  assert.deepEqual(ran, ['ab', 'cd', 'efg', 'h']);
  assert.deepEqual(await Promise.all([...first, ...others]), ['a!', 'b!', 'c!', 'd!', 'e!', 'f!', 'g!', 'h!']);
});

test('one that is refused harms no other of its batch; a database that is away is no refusal', async () => {
  let away = false;
  const batch = new Batch(async (items) => {
    if (away) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
    if (items.some(({ bad }) => bad)) throw Object.assign(new Error('refused'), { code: '22P05' });
    return items.map(({ name }) => name);
  });
  const add = (name, bad = false) => batch.add({ name, bad, length: 1 }).catch((error) => error.message);
  assert.deepEqual(await Promise.all([add('a'), add('b', true), add('c')]), ['a', 'refused', 'c']);
  away = true;
  assert.deepEqual(await Promise.all([add('a'), add('b')]), ['away', 'away']);
});

test('a workflow says its limits, or nothing for the defaults of the platform', () => {
  assert.deepEqual(limitsOf('w', { concurrency: '8', time_limit: 1200, retries: 0, priority: '-5' }), { concurrency: 8, time_limit: 1200, retries: 0, priority: -5 });
  assert.deepEqual(limitsOf('w', { concurrency: '', time_limit: null }), {});
  for (const [field, value] of [
    ['concurrency', 0], ['concurrency', 'many'], ['concurrency', 1.5], ['concurrency', true], ['time_limit', 0], ['time_limit', 86_401],
    ['retries', -1], ['retries', '101'], ['priority', 101], ['priority', 'NaN'], ['priority', ' '], ['time_limit', '1e400'],
  ]) {
    assert.throws(() => limitsOf('workflow w (node n)', { [field]: value }), /^Error: the .+ '.*' of workflow w \(node n\) is not valid: expected a whole number from -?\d+ to \d+/, `${field} ${value}`);
  }
  assert.deepEqual(jobOptions(undefined), { expireInSeconds: queues.expire_seconds, retryLimit: queues.retry_limit, priority: 0 });
  assert.deepEqual(jobOptions({ time_limit: 5, retries: 0, priority: 2 }), { expireInSeconds: 5, retryLimit: 0, priority: 2 });
});

test('bearer keys', () => {
  assert.equal(bearerOf('Bearer abc'), 'abc');
  assert.equal(bearerOf('bearer  abc'), 'abc');
  for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'Bearer ä']) assert.equal(bearerOf(header), undefined, header);
  assert.equal(keyHash('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.equal(sameSecret('abc', 'abc'), true);
  assert.equal(sameSecret('abc', 'abcd'), false);
});

test('a database that is away is told from a statement that is wrong', () => {
  for (const error of [{ code: 'ECONNREFUSED' }, { code: '57P01' }, { code: '57P03' }, { code: '08006' }, { message: 'Connection terminated unexpectedly' }, { message: 'timeout exceeded when trying to connect' }]) {
    assert.equal(isAway(error), true, JSON.stringify(error));
    assert.equal(databaseFailure(Object.assign(new Error(error.message ?? ''), error)).unavailable, 'database');
  }
  for (const error of [{ code: '42601', message: 'syntax error' }, { code: '23505' }, new Error('Connection to the moon')]) assert.equal(isAway(error), false);
});

test('what must not be lost is tried until the database answers, and no longer than wanted', async () => {
  let calls = 0;
  const away = () => { calls += 1; if (calls < 3) throw Object.assign(new Error(), { code: 'ECONNREFUSED' }); return 'stored'; };
  assert.equal(await untilDatabaseAnswers(away, undefined, 1), 'stored');
  await assert.rejects(untilDatabaseAnswers(() => { throw Object.assign(new Error('wrong'), { code: '42601' }); }, undefined, 1), /wrong/);
  const given = new AbortController();
  const trying = untilDatabaseAnswers(() => { throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' }); }, given.signal, 60_000);
  given.abort();
  await assert.rejects(trying, /away/);
});

test('a failure travels on the message', () => {
  const message = {};
  let reported;
  failMessage(message, new Failure('no', { code: 'x', permanent: true, unavailable: 'mcp' }), (error) => { reported = error; });
  assert.deepEqual(message.failure, { message: 'no', code: 'x', permanent: true, unavailable: 'mcp', retry_after_seconds: null });
  assert.equal(reported.message, 'no');
  assert.deepEqual(describeFailure(new Error('plain')), { message: 'plain', code: 'error', permanent: false, unavailable: null, retry_after_seconds: null });
});

test('problems tell the status and what to do, never the inside', () => {
  const unavailable = problemOfFailure({ unavailable: 'database', message: 'secret detail' });
  assert.equal(unavailable.status, 503);
  assert.doesNotMatch(unavailable.detail, /secret/);
  assert.equal(problemOfFailure(undefined).status, 500);
  const message = answerProblem({}, 503, 'later');
  assert.ok(Number(message.headers['Retry-After']) > 0);
  assert.equal(answerProblem({}, 401, 'key').headers['WWW-Authenticate'], 'Bearer');
});

test('media types', () => {
  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/vnd.x+json']) assert.equal(isJson(type), true, type);
  for (const type of [undefined, '', 'text/json', 'application/jsonp', 'application/x-www-form-urlencoded']) assert.equal(isJson(type), false, type);
});

test('templates put text in as it is and objects as JSON', () => {
  const view = { a: '<x>', b: { n: 1 }, empty: '', zero: 0, no: false, list: [{ n: 1 }, { n: 2 }], text: 'abc' };
  assert.equal(fillTemplate('{{a}} & {{b}} {{{b}}}{{&a}}', view), '<x> & {"n":1} {"n":1}<x>');
  assert.equal(fillTemplate('[{{empty}}] {{zero}} {{no}} {{text.length}} {{#list}}{{n}}{{a}},{{/list}}', view), '[] 0 false 3 1<x>,2<x>,');
  assert.equal(fillTemplate(undefined, {}), '');
  assert.equal(templateProblem('{{a}}'), undefined);
  assert.match(templateProblem('{{#a}}'), /Unclosed section/);
  assert.match(templateProblem('{{#a}}{{> header}}{{/a}}'), /includes \{\{> header\}\}/);
});

test('a variable without a value is named; what may be missing stands in a section', () => {
  const view = { payload: { text: 'x', none: null, items: [{ name: 'a' }, {}] } };
  for (const [template, said] of [
    ['{{question}}', 'the prompt cannot be filled in: {{question}} has no value'],
    ['{{payload.txt}}', 'the prompt cannot be filled in: {{payload.txt}} has no value; there are text, none, items'],
    ['{{{payload.none}}}', 'the prompt cannot be filled in: {{payload.none}} has no value; there are text, none, items'],
    ['{{payload.text.deep.er}}', 'the prompt cannot be filled in: {{payload.text.deep.er}} has no value'],
    ['{{#payload.items}}{{name}}{{/payload.items}}', 'the prompt cannot be filled in: {{name}} has no value'],
    ['{{^payload.none}}{{payload.none}}{{/payload.none}}', 'the prompt cannot be filled in: {{payload.none}} has no value; there are text, none, items'],
  ]) assert.throws(() => fillTemplate(template, view, 'the prompt'), { message: said, code: 'template_variable_missing', permanent: true }, template);
  assert.equal(fillTemplate('{{#payload.tone}}Tone: {{payload.tone}}. {{/payload.tone}}{{^payload.tone}}No tone. {{/payload.tone}}{{payload.text}}', view), 'No tone. x');
  const circle = {};
  circle.self = circle;
  assert.throws(() => fillTemplate('{{circle}}', { circle }, 'the prompt'), { message: /\{\{circle\}\} cannot be written as JSON/, permanent: true });
});

test('workflows are the nodes that are not disabled, and judge their input', () => {
  const schema = '{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]}';
  const nodes = [
    { id: '1', type: 'workflow', workflow_id: 'one' }, { id: '2', type: 'workflow', workflow_id: 'off', d: true },
    { id: '3', type: 'workflow', workflow_id: 'broken' }, { id: '4', type: 'tab' },
  ];
  const started = new Map([['1', { validate: compileSchema('w', schema) }]]);
  const known = knownWorkflows({ nodes: { eachNode: (visit) => nodes.forEach(visit), getNode: (id) => started.get(id) } });
  assert.deepEqual([...known.keys()], ['one', 'broken']);
  assert.equal(known.get('broken'), undefined);
  assert.deepEqual(inputProblems(known.get('one'), { n: 1 }), []);
  assert.deepEqual(inputProblems(known.get('one'), { n: 'x' }), [{ pointer: '/input/n', detail: 'must be number' }]);
  assert.throws(() => compileSchema('w', '{'), /^Error: the input schema of w is not valid JSON/);
  assert.throws(() => compileSchema('w', undefined), /^Error: the input schema of w is not valid JSON/);
});

test('a schema that is none, or that says less than it seems to, is refused with the place in it', () => {
  for (const [schema, said] of [
    [{ type: 'objekt' }, 'is not a JSON Schema: at "/type": must be equal to one of the allowed values (array, boolean, integer, null, number, object, string)'],
    [{ type: 'object', properties: { a: { type: 'strin' } } }, 'is not a JSON Schema: at "/properties/a/type": must be equal to one of the allowed values (array, boolean, integer, null, number, object, string)'],
    [{ type: 'object', properties: { a: {} }, required: 'a' }, 'is not a JSON Schema: at "/required": must be array'],
    [[], 'is not a JSON Schema: at "": must be object,boolean'],
    ['text', 'cannot be used: schema must be object or boolean'],
    [{ type: 'object', properties: { typ: { type: 'string' }, 'a/b': { typ: 'string' } } }, 'cannot be used: at "/properties/a~1b/typ": unknown keyword'],
    [{ properties: { a: {} } }, 'cannot be used: at "": missing type "object" for keyword "properties"'],
    [{ type: 'object', properties: { a: { minLength: 1 } } }, 'cannot be used: at "/properties/a": missing type "string" for keyword "minLength"'],
    [{ type: 'object', properties: { a: { type: 'string', format: 'email' } } }, 'cannot be used: at "/properties/a": unknown format "email"'],
    [{ type: 'object', required: ['b'], properties: { a: {} } }, 'cannot be used: at "": required property "b" is not defined'],
    [{ $ref: '#/nothing' }, "cannot be used: can't resolve reference #/nothing from id #"],
    [{ $async: true, type: 'object' }, 'cannot be used: at "/$async": input is judged at once'],
  ]) assert.throws(() => compileSchema('workflow w', JSON.stringify(schema)), { message: `the input schema of workflow w ${said}` });
});

test('a node outside the launcher says where it belongs', () => {
  assert.throws(() => launcherOf({ settings: {} }, 'llm-request'), /'llm-request' works only inside the Flowship launcher.*node runtime\/main\.js/);
});

test('the tools count', () => {
  assert.deepEqual(textStatistics('Hi there. 👩‍🚀!'), { characters: 12, words: 2, sentences: 2 });
  assert.deepEqual(numberStatistics([3, -1]), { count: 2, sum: 2, smallest: -1, largest: 3, mean: 1 });
});

test('the stand-in answers the same to the same, and counts tokens', () => {
  const request = { model: 'm', messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: [{ type: 'text', text: 'Well?' }] }] };
  const answer = completion(request);
  assert.deepEqual(completion(request), answer);
  assert.match(answer.content, /Well\?$/);
  assert.notEqual(completion({ ...request, messages: [{ role: 'user', content: 'Other' }] }).content, answer.content);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  for (const [content, ms] of [['Well?', 0], ['Well? Answer after 2000 ms.', 2000], ['answer after some ms', 0]]) {
    assert.equal(delayMs({ messages: [{ role: 'user', content }] }), ms, content);
  }
});
