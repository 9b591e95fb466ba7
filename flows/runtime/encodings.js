'use strict';
// What a value looks like inside URLs, JSON, headers and dumps, as xtask/runner/src/plan/encodings.rs knows it too.

// What encodings make of a shorter value would hide ordinary words.
const SHORTEST = 8;
// So deep is text quoted inside quoted text: an answer in JSON, shown by util.inspect, in a line of JSON.
const QUOTED = 4;

function formsOf(value) {
  const bytes = Buffer.from(value);
  if (bytes.length < SHORTEST) return new Set([value]);
  const hex = bytes.toString('hex');
  const urls = [strict(value), encodeURIComponent(value), new URLSearchParams({ '': value }).toString().slice(1)];
  const lower = urls.map((url) => url.replace(/%../g, (escape) => escape.toLowerCase()));
  return new Set([...quoted(value), hex, hex.toUpperCase(), ...urls, ...lower, ...[0, 1, 2].flatMap((before) => base64(bytes, before))]);
}

function quoted(value) {
  const forms = new Set([value]);
  for (let depth = 0; depth < QUOTED; depth += 1) {
    for (const form of [...forms]) forms.add(JSON.stringify(form).slice(1, -1)).add(form.replaceAll('\\', '\\\\'));
  }
  return forms;
}

function strict(value) {
  return encodeURIComponent(value).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

// The letters that stand for this value alone when so many bytes come before it, whatever comes after it.
function base64(bytes, before) {
  const whole = Buffer.concat([Buffer.alloc(before), bytes]);
  return ['base64', 'base64url'].map((encoding) =>
    whole.toString(encoding).slice(Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6)));
}

module.exports = { formsOf };
