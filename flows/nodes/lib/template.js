'use strict';
// Mustache for prompts and error texts: values go in as they are, objects as JSON.

const Mustache = require('mustache');

function fillTemplate(template, view) {
  return Mustache.render(template ?? '', view, {}, {
    escape: (value) => (typeof value === 'string' ? value : JSON.stringify(value)),
  });
}

function templateProblem(template) {
  try {
    Mustache.parse(template ?? '');
    return undefined;
  } catch (error) {
    return error.message;
  }
}

module.exports = { fillTemplate, templateProblem };
