//! The operations of the API, which the flows carry out.

use vocabulary::model::Operation;

use super::edge;

/// What `retry-failed` and `drain` are told.
const OPTIONS: u32 = 4 << 10;

pub fn operations() -> Vec<Operation> {
    let reads = |path, purpose| Operation { method: "GET", path, purpose, body_limit_bytes: 0 };
    let operates = |path, purpose| Operation { method: "POST", path, purpose, body_limit_bytes: OPTIONS };
    vec![
        Operation {
            method: "POST",
            path: "/api/v1/workflows/{workflow_id}/tasks",
            purpose: "submits a task",
            body_limit_bytes: edge::POLICY.body_limit_bytes,
        },
        reads("/api/v1/tasks", "lists tasks"),
        reads("/api/v1/tasks/{task_id}", "shows a task and its result"),
        reads("/api/v1/queues", "lists the queues"),
        reads("/api/v1/queues/{name}", "shows a queue"),
        operates("/api/v1/queues/{name}/retry-failed", "tries failed tasks again"),
        operates("/api/v1/queues/{name}/drain", "stops handing out the tasks of a queue, or starts again"),
    ]
}
