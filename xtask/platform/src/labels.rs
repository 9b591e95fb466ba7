//! The five labels on every log line.

use vocabulary::model::Label;

/// In the order in which they are written.
pub fn labels() -> Vec<Label> {
    vec![
        Label {
            name: "workflow_id",
            purpose: "the workflow that a task belongs to",
            example: "summarize",
            unbounded: false,
        },
        Label {
            name: "node_id",
            purpose: "the flow node that logged the line",
            example: "9f1c2ab34d5e6f70",
            unbounded: false,
        },
        Label {
            name: "task_id",
            purpose: "the task that the line is about",
            example: "0198c5a2-7f3e-7c11-9d4b-2f60c1a8e5d3",
            unbounded: true,
        },
        Label {
            name: "component",
            purpose: "the service that logged the line",
            example: "node-red",
            unbounded: false,
        },
        Label { name: "environment", purpose: "where it runs", example: "production", unbounded: false },
    ]
}
