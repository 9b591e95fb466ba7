'use strict';

const { launcherOf } = require('./lib/launcher');
const { Attempts } = require('./lib/attempts');
const { Database, connectionSettings } = require('./lib/database');
const { Queue } = require('./lib/queue');
const { BOOTSTRAP, enterBootstrapKey, holderOf } = require('./lib/api-keys');
const { NAMES, queueState } = require('./lib/queue-administration');
const { keeperOf } = require('./lib/key-requests');
const { submissionsTo } = require('./lib/submission');
const { knownWorkflows } = require('./lib/workflows');

module.exports = (RED) => {
  RED.nodes.registerType('flowship-postgres', function FlowshipPostgres(definition) {
    RED.nodes.createNode(this, definition);
    const launcher = launcherOf(RED, 'flowship-postgres');
    const { config, readSecret, dependencies, hold, keeper, metrics, log } = launcher;
    const settings = (purpose) => connectionSettings(config.postgres, readSecret, `flowship-${config.replica}-${purpose}`);

    this.attempts = new Attempts();
    this.workers = new Set();
    this.database = new Database({
      settings: settings('flows'),
      report: (error) => dependencies.report('database', error),
      onQuery: (outcome, seconds) => {
        metrics.increment('flowship_sql_queries_total', { outcome });
        metrics.observe('flowship_sql_query_duration_seconds', {}, seconds);
      },
    });
    this.submissions = submissionsTo(this.database);
    this.queue = new Queue({ settings: settings('queue'), log, hold });

    // Entering the platform's own key is also the question whether the database answers: after a start, a
    // rotation or a restore the key is there as soon as the database is.
    const stopProbe = dependencies.register('database', async () => {
      const key = readSecret(config.apiKeyFile);
      if (await holderOf(this.database, key) !== BOOTSTRAP) await enterBootstrapKey(this.database, key);
    }, { intervalMs: 2000 });

    const states = () => Promise.all(NAMES.map((name) => queueState(this.database, name)));
    const stopJobs = metrics.collect('flowship_queue_jobs', async () => (await states()).flatMap((queue) => (
      ['queued', 'parked', 'active', 'failed'].map((state) => ({ labels: { queue: queue.name, state }, value: queue[state] }))
    )));
    const stopAges = metrics.collect('flowship_queue_oldest_job_age_seconds', async () => (
      (await states()).map((queue) => ({ labels: { queue: queue.name }, value: queue.oldest_seconds }))
    ));
    const stopInFlight = metrics.collect('flowship_tasks_in_flight', async () => this.attempts.size);

    const stopKeys = keeper.register(keeperOf({ database: this.database, workflows: () => [...knownWorkflows(RED).keys()].sort(), log }));

    this.on('close', async (done) => {
      for (const stop of [stopProbe, stopKeys, stopJobs, stopAges, stopInFlight]) stop?.();
      await this.queue.close().catch((error) => log.warn({ queue_error: error.message }, 'the queue did not stop cleanly'));
      await this.database.close();
      done();
    });
  });
};
