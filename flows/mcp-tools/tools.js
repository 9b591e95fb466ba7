'use strict';
// The tools that the platform's own MCP server offers. Pure: what they answer depends on the arguments alone.

const z = require('zod');

// A call whose answer was lost may be repeated.
const PURE = { readOnlyHint: true, idempotentHint: true, openWorldHint: false };

function registerTools(server) {
  server.registerTool(
    'text_statistics',
    {
      title: 'Text statistics',
      description: 'Counts the characters, words and sentences of a text.',
      annotations: PURE,
      inputSchema: { text: z.string().min(1).max(100_000) },
      outputSchema: { characters: z.number(), words: z.number(), sentences: z.number() },
    },
    async ({ text }) => answer(textStatistics(text)),
  );
  server.registerTool(
    'number_statistics',
    {
      title: 'Number statistics',
      description: 'Counts numbers, adds them up and finds the smallest, the largest and the mean.',
      annotations: PURE,
      inputSchema: { numbers: z.array(z.number()).min(1).max(10_000) },
      outputSchema: { count: z.number(), sum: z.number(), smallest: z.number(), largest: z.number(), mean: z.number() },
    },
    async ({ numbers }) => answer(numberStatistics(numbers)),
  );
}

function answer(structuredContent) {
  return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
}

function segments(text, granularity) {
  return [...new Intl.Segmenter('en', { granularity }).segment(text)];
}

function textStatistics(text) {
  return {
    characters: segments(text, 'grapheme').length,
    words: segments(text, 'word').filter((segment) => segment.isWordLike).length,
    sentences: segments(text, 'sentence').filter((segment) => segment.segment.trim() !== '').length,
  };
}

function numberStatistics(numbers) {
  const sum = numbers.reduce((total, number) => total + number, 0);
  return {
    count: numbers.length,
    sum,
    smallest: numbers.reduce((left, right) => Math.min(left, right)),
    largest: numbers.reduce((left, right) => Math.max(left, right)),
    mean: sum / numbers.length,
  };
}

module.exports = { registerTools, textStatistics, numberStatistics };
