'use strict';
// What a task has called already, written before and after the call: an attempt that is repeated must not repeat a tool
// with effects. A call is known by its node, its arguments and how often the attempt has made it.

const crypto = require('node:crypto');
const { untilDatabaseAnswers } = require('./database');
const { Failure } = require('./failure');

function journalOf({ attempts, database }, { key, taskId, nodeId }) {
  return (tool, args) => {
    const hash = crypto.createHash('sha256').update(JSON.stringify([tool, args]) ?? '').digest('hex').slice(0, 32);
    const call = `${nodeId}/${hash}/${attempts.countCall(key, `${nodeId}/${hash}`)}`;
    const query = (text, ...values) => database.query(text, [taskId, call, ...values]);
    return {
      // -> the answer of an earlier attempt, or undefined when this one is the first
      async begin() {
        const { rowCount } = await query('INSERT INTO flowship.tool_calls (task_id, call) VALUES ($1, $2) ON CONFLICT DO NOTHING');
        if (rowCount === 1) return undefined;
        const { rows: [row] } = await query('SELECT answer FROM flowship.tool_calls WHERE task_id = $1 AND call = $2');
        if (row?.answer) return row.answer;
        throw new Failure(
          `outcome unknown, not repeated: an earlier attempt called the tool ${tool} and ended before the answer; it declares neither idempotentHint nor readOnlyHint`,
          { code: 'mcp_outcome_unknown', permanent: true },
        );
      },
      nothingRan: () => untilDatabaseAnswers(() => query('DELETE FROM flowship.tool_calls WHERE task_id = $1 AND call = $2')),
      end: (answer) => untilDatabaseAnswers(() => query('UPDATE flowship.tool_calls SET answer = $3 WHERE task_id = $1 AND call = $2', JSON.stringify(answer))),
    };
  };
}

module.exports = { journalOf };
