//! Recording rules: what the business asks of the platform, by workflow, for dashboards.

use vocabulary::model::{Expected, MetricRef, Recording, RuleTest, Samples, Series, TestKind};

use super::node_red_metrics::{
    LLM_COST_TOTAL, LLM_TOKENS_TOTAL, TASK_DURATION_SECONDS, TASKS_FINISHED_TOTAL,
};

pub const COMPLETED: MetricRef = MetricRef("workflow:flowship_tasks_completed:increase1h");
pub const SUCCESS: MetricRef = MetricRef("workflow:flowship_tasks_success:ratio1h");
pub const TIME_TO_RESULT: MetricRef = MetricRef("workflow:flowship_time_to_result_seconds:p95_1h");
pub const TOKENS_PER_TASK: MetricRef = MetricRef("platform:flowship_tokens_per_task:ratio1h");
pub const COST_PER_TASK: MetricRef = MetricRef("workflow:flowship_cost_per_task:ratio1h");

const HOUR: u32 = 60;

pub fn recordings() -> Vec<Recording> {
    let completed =
        || TASKS_FINISHED_TOTAL.series().is("status", "completed").increase(HOUR).sum(&["workflow_id"]);
    vec![
        Recording {
            name: COMPLETED,
            expression: completed(),
            help: "Tasks that were completed within the last hour.",
            tests: vec![recorded(
                "each workflow by itself, and no failures",
                tasks(),
                vec![("workflow_id=\"v\"", 60.0), ("workflow_id=\"w\"", 360.0)],
            )],
        },
        Recording {
            name: SUCCESS,
            expression: completed() / TASKS_FINISHED_TOTAL.series().increase(HOUR).sum(&["workflow_id"]),
            help: "Of the tasks that ended within the last hour, the share that was completed.",
            tests: vec![recorded(
                "each workflow by itself",
                tasks(),
                vec![("workflow_id=\"v\"", 1.0), ("workflow_id=\"w\"", 0.75)],
            )],
        },
        Recording {
            name: TIME_TO_RESULT,
            expression: TASK_DURATION_SECONDS.buckets().rate(HOUR).sum(&["workflow_id", "le"]).quantile(0.95),
            help: "Of the tasks that ended within the last hour, 95 % had their result within so many seconds.",
            tests: vec![recorded(
                "half of the tasks within a second, the others within five",
                vec![
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"a\",le=\"1\"", 5.0),
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"a\",le=\"5\"", 5.0),
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"a\",le=\"+Inf\"", 5.0),
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"b\",le=\"1\"", 0.0),
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"b\",le=\"5\"", 5.0),
                    bucket("workflow_id=\"w\",status=\"completed\",instance=\"b\",le=\"+Inf\"", 5.0),
                ],
                vec![("workflow_id=\"w\"", 4.6)],
            )],
        },
        Recording {
            name: TOKENS_PER_TASK,
            expression: LLM_TOKENS_TOTAL.series().increase(HOUR).sum(&[])
                / TASKS_FINISHED_TOTAL.series().increase(HOUR).sum(&[]),
            help: "Tokens of all models per task that ended within the last hour.",
            tests: vec![recorded(
                "all models and all tasks",
                [
                    tasks(),
                    vec![
                        counter(LLM_TOKENS_TOTAL, "provider=\"p\",model=\"m\",kind=\"prompt\"", 600.0),
                        counter(LLM_TOKENS_TOTAL, "provider=\"p\",model=\"m\",kind=\"completion\"", 300.0),
                    ],
                ]
                .concat(),
                vec![("", 100.0)],
            )],
        },
        Recording {
            name: COST_PER_TASK,
            expression: LLM_COST_TOTAL.series().increase(HOUR).sum(&["workflow_id"])
                / TASKS_FINISHED_TOTAL.series().increase(HOUR).sum(&["workflow_id"]),
            help: "Cost of all models per task that ended within the last hour, in the currency of the environment's prices.",
            tests: vec![recorded(
                "each workflow by itself, all its models, and what no task caused left out",
                [
                    tasks(),
                    vec![
                        counter(LLM_COST_TOTAL, "provider=\"p\",model=\"m\",workflow_id=\"w\"", 6.0),
                        counter(LLM_COST_TOTAL, "provider=\"q\",model=\"n\",workflow_id=\"w\"", 2.0),
                        counter(LLM_COST_TOTAL, "provider=\"p\",model=\"m\",workflow_id=\"v\"", 0.5),
                        counter(LLM_COST_TOTAL, "provider=\"p\",model=\"m\",workflow_id=\"\"", 3.0),
                    ],
                ]
                .concat(),
                vec![("workflow_id=\"v\"", 0.5), ("workflow_id=\"w\"", 1.0)],
            )],
        },
    ]
}

/// Nine tasks a minute: one of a workflow, and eight of another on two replicas, of which two fail.
fn tasks() -> Vec<Series> {
    vec![
        counter(TASKS_FINISHED_TOTAL, "workflow_id=\"v\",status=\"completed\",instance=\"a\"", 1.0),
        counter(TASKS_FINISHED_TOTAL, "workflow_id=\"w\",status=\"completed\",instance=\"a\"", 2.0),
        counter(TASKS_FINISHED_TOTAL, "workflow_id=\"w\",status=\"completed\",instance=\"b\"", 4.0),
        counter(TASKS_FINISHED_TOTAL, "workflow_id=\"w\",status=\"failed\",instance=\"b\"", 2.0),
    ]
}

fn counter(metric: MetricRef, labels: &'static str, per_minute: f64) -> Series {
    Series { metric, part: "", labels, samples: Samples::rising(0.0, per_minute, 91) }
}

fn bucket(labels: &'static str, per_minute: f64) -> Series {
    Series { part: "_bucket", ..counter(TASK_DURATION_SECONDS, labels, per_minute) }
}

/// The samples after an hour and a half.
fn recorded(what: &'static str, series: Vec<Series>, samples: Vec<(&'static str, f64)>) -> RuleTest {
    let (labels, values) = samples.into_iter().unzip();
    RuleTest { kind: TestKind::Firing, what, series, expects: vec![Expected { minute: 90, labels, values }] }
}
