'use strict';
// Text for the editor, which shows messages as HTML after it has looked for them in its catalogue: there a colon ends the
// name of a catalogue, and braces and dollars stand for values.

const SPECIAL = /[&<>"':{}$]/g;

function html(text) {
  return text.split('\n').map((line) => line.replace(SPECIAL, (character) => `&#${character.charCodeAt(0)};`)).join('<br>');
}

module.exports = { html };
