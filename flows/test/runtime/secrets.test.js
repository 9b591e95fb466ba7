'use strict';
// What a secret's file says while its value changes.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { acceptedSecrets, readSecret } = require('../../runtime/secrets');
const { carriesBearer } = require('../../runtime/bearer');

function file(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowship-secret-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const made = path.join(folder, 'secret');
  fs.writeFileSync(made, content);
  return made;
}

test('the first line is the value, and the other one is accepted while it changes', (t) => {
  for (const [content, accepted] of [
    ['one\n', ['one']],
    ['one\nnext two\n', ['one', 'two']],
    ['two\nprevious one\n', ['two', 'one']],
    ['one\nrevoked\n', ['one']],
    // As it is written into a file that containers have mounted.
    ['one\n\n\n\n', ['one']],
  ]) {
    const made = file(t, content);
    assert.equal(readSecret(made), accepted[0], content);
    assert.deepEqual(acceptedSecrets(made), accepted, content);
    for (const value of ['one', 'two']) {
      const req = { headers: { authorization: `Bearer ${value}` } };
      assert.equal(carriesBearer(req, made), accepted.includes(value), `${content} ${value}`);
    }
  }
  assert.throws(() => acceptedSecrets(file(t, '\n')), /is empty/);
});
