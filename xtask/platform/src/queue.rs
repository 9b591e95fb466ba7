//! The task queue: pg-boss in PostgreSQL, so that tasks and results share one recovery point.

use vocabulary::model::QueuePolicy;

const HOUR_SECONDS: u32 = 60 * 60;
const DAY_SECONDS: u32 = 24 * HOUR_SECONDS;

pub fn queue() -> QueuePolicy {
    QueuePolicy {
        task: "tasks",
        dead_letter: "tasks-dead-letter",
        smoke_prefix: "smoke-",
        retry_limit: 3,
        retry_delay_seconds: 1,
        retry_delay_max_seconds: 30,
        retry_backoff: true,
        park_max_seconds: HOUR_SECONDS,
        // Longer than a quota that is renewed once a day, far shorter than the retention.
        park_within_seconds: 2 * DAY_SECONDS,
        expire_seconds: 120,
        heartbeat_seconds: 10,
        monitor_seconds: 5,
        retention_seconds: 14 * DAY_SECONDS,
        delete_after_seconds: 7 * DAY_SECONDS,
        poll_ms: 500,
        control_poll_ms: 1_000,
        // Tasks that wait for a model cost memory only; 256 inputs of 20 KB are 5 MB.
        in_flight: 256,
        in_flight_characters: 32_000_000,
        // One workflow leaves places for the others: nobody waits until its slow tasks have ended.
        concurrency: 224,
    }
}
