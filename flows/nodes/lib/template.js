'use strict';
// Mustache for prompts and error texts: values go in as they are, objects as JSON. Mustache puts nothing where a
// variable is missing, and a model answers such a prompt too, at a price: here it is an error. What may be missing
// stands in a section.

const Mustache = require('mustache');
const { Failure } = require('./failure');

const MOST_KEYS = 10;

function refused(message) {
  return new Failure(message, { code: 'template_variable_missing', permanent: true });
}

// What the writer of the template may have meant.
function known(name, context) {
  const parent = name.includes('.') ? context.lookup(name.slice(0, name.lastIndexOf('.'))) : undefined;
  const keys = parent !== null && typeof parent === 'object' && !Array.isArray(parent) ? Object.keys(parent) : [];
  return keys.length === 0 ? '' : `; there are ${keys.slice(0, MOST_KEYS).join(', ')}${keys.length > MOST_KEYS ? ', ...' : ''}`;
}

function valueOf([, name], context) {
  const value = context.lookup(name);
  if (value === undefined || value === null) throw refused(`{{${name}}} has no value${known(name, context)}`);
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw refused(`{{${name}}} cannot be written as JSON: ${error.message.split('\n')[0]}`);
  }
}

class Writer extends Mustache.Writer {
  escapedValue(token, context) {
    return valueOf(token, context);
  }

  unescapedValue(token, context) {
    return valueOf(token, context);
  }
}

const writer = new Writer();

// Throws a permanent Failure that names the variable; `place` says whose template it is.
function fillTemplate(template, view, place) {
  try {
    return writer.render(template ?? '', view);
  } catch (error) {
    if (error instanceof Failure) error.message = `${place} cannot be filled in: ${error.message}`;
    throw error;
  }
}

function partialsOf(tokens) {
  return tokens.flatMap(([kind, name, , , inner]) => (kind === '>' ? [name] : partialsOf(Array.isArray(inner) ? inner : [])));
}

function templateProblem(template) {
  try {
    const partials = partialsOf(writer.parse(template ?? ''));
    return partials.length > 0 ? `it includes {{> ${partials[0]}}}, and there are no other templates to include` : undefined;
  } catch (error) {
    return error.message;
  }
}

module.exports = { fillTemplate, templateProblem };
