'use strict';
// What jsonb and PostgreSQL's text can hold, and what is made of the rest. An input with changes is refused; an
// answer that was paid for is stored with them.

const REPLACEMENT = '\uFFFD';
// JSON.stringify, jsonb and whoever reads the answer all recurse; none of them says where it gives up.
const MAX_DEPTH = 256;
const SHOWN_CHANGES = 50;

// A whole number that JSON can write and a double cannot hold; json-body puts it in the number's place.
class Inexact {
  constructor(source) {
    this.source = source;
  }
}

function storableText(text) {
  return text.toWellFormed().replaceAll('\0', REPLACEMENT);
}

function segment(key) {
  return storableText(String(key)).replaceAll('~', '~0').replaceAll('/', '~1');
}

// -> {value, changes: [{pointer, detail}]}: the value as JSON would store it, and each place that had to change.
function storable(root, from = '') {
  const changes = [];
  const ancestors = new Set();
  const note = (pointer, detail) => {
    if (changes.length < SHOWN_CHANGES) changes.push({ pointer, detail });
  };

  function text(value, pointer, what) {
    const stored = storableText(value);
    if (stored !== value) note(pointer, `${what} ${value.includes('\0') ? 'has the character U+0000' : 'has half of a surrogate pair'}`);
    return stored;
  }

  function visit(value, pointer, key) {
    switch (typeof value) {
      case 'string': return text(value, pointer, 'the text');
      case 'number':
        if (Number.isFinite(value)) return value;
        note(pointer, `the number ${value} is not finite, or too large for a double`);
        return null;
      case 'bigint':
        note(pointer, 'a BigInt is no JSON number');
        return String(value);
      case 'object': return value === null ? null : composite(value, pointer, key);
      case 'boolean': return value;
      default: return undefined;
    }
  }

  function composite(value, pointer, key) {
    if (value instanceof Inexact) {
      note(pointer, `the whole number ${value.source.slice(0, 40)} is too large to be kept exactly; send it as a string`);
      return null;
    }
    if (typeof value.toJSON === 'function') return visit(value.toJSON(key), pointer, key);
    if (value instanceof String || value instanceof Number || value instanceof Boolean) return visit(value.valueOf(), pointer, key);
    if (ancestors.has(value)) {
      note(pointer, 'the value contains itself');
      return null;
    }
    if (ancestors.size >= MAX_DEPTH) {
      note(pointer, `the value is nested deeper than ${MAX_DEPTH} levels`);
      return null;
    }
    ancestors.add(value);
    const stored = Array.isArray(value)
      ? Array.from(value, (item, index) => visit(item, `${pointer}/${index}`, String(index)) ?? null)
      : Object.fromEntries(Object.entries(value).map(([name, item]) => {
        const at = `${pointer}/${segment(name)}`;
        return [text(name, at, 'the name'), visit(item, at, name)];
      }).filter(([, item]) => item !== undefined));
    ancestors.delete(value);
    return stored;
  }

  return { value: visit(root, from, ''), changes };
}

module.exports = { MAX_DEPTH, REPLACEMENT, Inexact, storable, storableText };
