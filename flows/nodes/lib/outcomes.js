'use strict';
// What the attempts of one moment end with, stored together. A completed task and its job end in one statement.

const { Batch } = require('./batch');

// -> a Batch of {job, status, text, length}, where `text` is JSON for flowship.finish_tasks; the result of each is whether
// it was stored, or another attempt's was before.
function outcomesTo({ database, queue }) {
  const finish = async (parameters, ...values) => {
    const { rows } = await database.query(`SELECT flowship.finish_tasks(${parameters}) AS task_id`, values);
    return rows.map((row) => row.task_id);
  };
  return new Batch(async (items) => {
    const stored = new Set();
    for (const [name, of] of Map.groupBy(items, ({ job }) => job.name)) {
      const texts = `[${of.map(({ text }) => text).join()}]`;
      const completed = of.filter(({ status }) => status === 'completed').map(({ job: { id, retryCount } }) => ({ id, retryCount }));
      let added;
      if (completed.length === 0) {
        added = await finish('$1', texts);
      } else {
        const executeSql = async (complete, values) => {
          added = await finish('$1, $2, $3, $4, $5, $6', texts, complete, ...values);
          return { rows: [{ count: added.length, ids: [] }] };
        };
        await queue.boss.complete(name, completed, null, { db: { executeSql } });
      }
      for (const taskId of added) stored.add(taskId);
    }
    return items.map(({ job }) => stored.delete(job.taskId));
  });
}

module.exports = { outcomesTo };
