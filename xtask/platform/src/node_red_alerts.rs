//! Alerts about replicas, tasks, the queue, models and tools.

use vocabulary::model::expression::{Expression, Selector};
use vocabulary::model::{Alert, Check, Expected, Fault, MetricRef, RuleTest, Samples, Severity, TestKind};

use super::node_red_metrics::*;
use super::objectives::Objective;
use super::rule_tests::{Example, fire, level, levels, part, rates, rising, test};
use super::{LOGS, OWNER, STATUS, llm, mcp_tools, node_red, postgres, secrets};

/// The tests of a quantile of 0.95: of 100 observations a minute 95 end in the bucket up to the limit, then a little fewer.
/// One replica is fast, the other one is not.
macro_rules! histogram {
    ($metric:ident, $minutes:literal, $fires:literal, $labels:literal, [$half:literal, $limit:literal, $beyond:literal]) => {
        rates(
            1,
            $minutes,
            $fires,
            &[
                [
                    (concat!($labels, "instance=\"a\",le=\"", $half, "\""), [50.0; 3]),
                    (concat!($labels, "instance=\"a\",le=\"", $limit, "\""), [50.0; 3]),
                    (concat!($labels, "instance=\"a\",le=\"", $beyond, "\""), [50.0; 3]),
                    (concat!($labels, "instance=\"a\",le=\"+Inf\""), [50.0; 3]),
                ],
                [
                    (concat!($labels, "instance=\"b\",le=\"", $half, "\""), [49.0, 0.0, 0.0]),
                    (concat!($labels, "instance=\"b\",le=\"", $limit, "\""), [49.0, 45.0, 44.9]),
                    (concat!($labels, "instance=\"b\",le=\"", $beyond, "\""), [50.0; 3]),
                    (concat!($labels, "instance=\"b\",le=\"+Inf\""), [50.0; 3]),
                ],
            ]
            .concat()
            .into_iter()
            .map(|(labels, values)| part($metric, "_bucket", labels, values))
            .collect::<Vec<_>>(),
        )
    };
}

/// Those who answer for the workflows.
const WORKFLOWS: &str = "workflows";
const SMOKE: Check = Check { command: "flowship smoke ENV", look_for: "the check that fails, and its error" };
const DRIFT: Check =
    Check { command: "flowship drift ENV", look_for: "replicas that do not run what was deployed" };

const SUCCESS: Objective = Objective {
    names: ["TasksErrorBudgetFastBurn", "TasksErrorBudgetBurn", "TasksErrorBudgetSlowBurn"],
    budget: 0.01,
    failed: || finished().is("status", "failed"),
    all: finished,
    metric: TASKS_FINISHED_TOTAL,
    succeeds: [
        "workflow_id=\"w\",status=\"completed\",instance=\"a\"",
        "workflow_id=\"w\",status=\"completed\",instance=\"b\"",
    ],
    fails: [
        "workflow_id=\"w\",status=\"failed\",instance=\"a\"",
        "workflow_id=\"w\",status=\"failed\",instance=\"b\"",
    ],
    others: &[],
    fault: Fault::ModelAnswers(401),
    owner: WORKFLOWS,
    meanings: [
        "So many tasks fail for good that the error budget of 30 days (1 %) is used up in two days.",
        "So many tasks fail for good that the error budget of 30 days (1 %) is used up in five days.",
        "For three days so many tasks failed for good that the error budget of 30 days (1 %) will be used up.",
    ],
    impact: "Callers get no result for these tasks.",
    checks: task_checks,
    remedy: FAILED,
};

/// A flow whose function fails twice a second, and no Catch node.
const FAILING: &str = r#"[
    {"id": "drill", "type": "tab", "label": "Fire drill", "disabled": false, "info": ""},
    {"id": "drill-often", "type": "inject", "z": "drill", "name": "", "props": [{"p": "payload"}], "repeat": "0.5",
     "crontab": "", "once": true, "onceDelay": 0.1, "topic": "", "payload": "", "payloadType": "date",
     "x": 100, "y": 100, "wires": [["drill-fails"]]},
    {"id": "drill-fails", "type": "function", "z": "drill", "name": "", "func": "throw new Error('fire drill');",
     "outputs": 1, "timeout": 0, "noerr": 0, "initialize": "", "finalize": "", "libs": [],
     "x": 300, "y": 100, "wires": [[]]}
]"#;

/// More than 1,000 tasks wait, for longer than any result should take.
const FLOOD: Fault = Fault::Drained { tasks: 1_100, seconds: 340 };

const FAILED: &str = "List the tasks with their errors: GET /api/v1/tasks?status=failed. Fix the cause (a model, a tool, \
                      the last deploy), then run them again: POST /api/v1/queues/tasks/retry-failed.";

fn finished() -> Selector {
    TASKS_FINISHED_TOTAL.series()
}

fn task_checks() -> Vec<Check> {
    vec![
        SMOKE,
        Check {
            command: "flowship logs ENV",
            look_for: "`the task failed for good`, with its reason and code",
        },
        Check { command: "flowship history ENV", look_for: "a deploy just before the failures began" },
    ]
}

pub fn alerts() -> Vec<Alert> {
    [replicas(), SUCCESS.alerts(), tasks(), calls(), business()].concat()
}

/// How the tasks of one workflow ended, two replicas that do the same.
fn ended(status: &'static str, values: [f64; 3]) -> [Example; 2] {
    let labels = match status {
        "failed" => SUCCESS.fails,
        _ => SUCCESS.succeeds,
    };
    labels.map(|labels| rising(TASKS_FINISHED_TOTAL, labels, values.map(|value| value / 2.0)))
}

fn replicas() -> Vec<Alert> {
    vec![
        Alert {
            name: "ReplicaNotReady",
            severity: Severity::Critical,
            expression: READY.series().now().equals(0.0).unless(DRAINING.series().now().equals(1.0)),
            for_minutes: 2,
            owner: OWNER,
            meaning: "A replica has not been ready for two minutes, and does not stop either.",
            impact: "The other replicas do its work. If it is the last one, clients get 503.",
            checks: vec![STATUS, LOGS],
            remedy: "Read its /readyz: the body names the check that fails.",
            fault: Fault::SecretMissing(secrets::API_KEY),
            tests: [
                levels(
                    2,
                    "instance=\"a\"",
                    &[
                        level(READY, "instance=\"a\"", [1.0, 1.0, 0.0]),
                        level(DRAINING, "instance=\"a\"", [0.0, 0.0, 0.0]),
                    ],
                ),
                vec![test(
                    TestKind::Silent,
                    "a replica drains for long, as in a deploy, and ends",
                    vec![
                        (
                            READY,
                            "instance=\"a\"",
                            Samples::level(1.0, 5).then(&Samples::level(0.0, 10)).gone(),
                        ),
                        (
                            DRAINING,
                            "instance=\"a\"",
                            Samples::level(0.0, 5).then(&Samples::level(1.0, 10)).gone(),
                        ),
                    ],
                    [6, 8, 14, 15, 30].map(|minute| fire(minute, &[])).to_vec(),
                )],
            ]
            .concat(),
        },
        Alert {
            name: "DependencyDown",
            severity: Severity::Critical,
            expression: DEPENDENCY_UP.series().now().max(&["dependency"]).equals(0.0),
            for_minutes: 2,
            owner: OWNER,
            meaning: "No replica reaches the dependency in the label: the database, a model or an MCP server.",
            impact: "Tasks that need it wait, or fail when their attempts are used up.",
            checks: vec![STATUS, SMOKE],
            remedy: "Bring it back. The replicas recover by themselves, and the queue keeps the tasks.",
            fault: Fault::Stopped(postgres::ID),
            tests: levels(
                2,
                "dependency=\"database\"",
                &[
                    level(DEPENDENCY_UP, "dependency=\"database\",instance=\"a\"", [1.0, 1.0, 0.0]),
                    // One that reaches it is enough.
                    level(DEPENDENCY_UP, "dependency=\"database\",instance=\"b\"", [1.0, 0.0, 0.0]),
                    level(DEPENDENCY_UP, "dependency=\"llm\",instance=\"b\"", [1.0, 1.0, 1.0]),
                ],
            ),
        },
        Alert {
            name: "SmokeFailed",
            severity: Severity::Critical,
            expression: SMOKE_CHECK_PASSED.series().now().min(&["check"]).equals(0.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "A smoke check failed in the last run.",
            impact: "What the check stands for does not work for clients either.",
            checks: vec![SMOKE],
            remedy: "The smoke run shows the error of the check in the label. If it began with the last deploy, roll back.",
            fault: Fault::SmokeWithout(mcp_tools::ID),
            tests: levels(
                0,
                "check=\"queue\"",
                &[
                    level(SMOKE_CHECK_PASSED, "check=\"queue\",instance=\"a\"", [1.0, 1.0, 0.0]),
                    level(SMOKE_CHECK_PASSED, "check=\"queue\",instance=\"b\"", [1.0, 1.0, 1.0]),
                    level(SMOKE_CHECK_PASSED, "check=\"database\",instance=\"a\"", [1.0, 1.0, 1.0]),
                ],
            ),
        },
        Alert {
            name: "ReplicasDiffer",
            severity: Severity::Warning,
            expression: BUILD_INFO.series().now().count(&["rev"]).count(&[]).above(1.0),
            for_minutes: 30,
            owner: OWNER,
            meaning: "For half an hour replicas have been running different flows.",
            impact: "The same task may have another result on another replica.",
            checks: vec![DRIFT, Check { command: "flowship lock ENV show", look_for: "a deploy that hangs" }],
            remedy: "Run the deploy again: it continues where it stopped.",
            fault: Fault::MoreNodes(FAILING),
            tests: vec![
                differ(TestKind::Firing, "2", vec![fire(60, &[""])]),
                differ(TestKind::Boundary, "2", vec![fire(39, &[]), fire(40, &[""])]),
                differ(TestKind::Silent, "1", vec![fire(60, &[])]),
            ],
        },
        Alert {
            name: "EventLoopSlow",
            severity: Severity::Warning,
            expression: NODEJS_EVENTLOOP_LAG_P99_SECONDS.series().now().above(0.5),
            for_minutes: 5,
            owner: WORKFLOWS,
            meaning: "A replica answers late: in 1 % of its turns, code ran for more than half a second.",
            impact: "All requests and tasks of the replica wait meanwhile; the edge may take it out.",
            checks: vec![LOGS],
            remedy: "Look for a function node that computes for long, and split its work or move it into a tool.",
            fault: Fault::Stutters { service: node_red::ID, milliseconds: 700 },
            tests: levels(
                5,
                "instance=\"a\"",
                &[level(NODEJS_EVENTLOOP_LAG_P99_SECONDS, "instance=\"a\"", [0.01, 0.5, 0.51])],
            ),
        },
        Alert {
            name: "NodesFail",
            severity: Severity::Warning,
            expression: FLOW_ERRORS_TOTAL.series().increase(10).sum(&["node_type"]).above(20.0),
            for_minutes: 0,
            owner: WORKFLOWS,
            meaning: "Nodes of the type in the label reported more than 20 errors in ten minutes.",
            impact: "Tasks fail or are repeated.",
            checks: vec![LOGS],
            remedy: "The log names node and error. Correct the flow, or give it a catch node for what may happen.",
            fault: Fault::MoreNodes(FAILING),
            tests: rates(
                7,
                0,
                "node_type=\"function\"",
                &[
                    rising(FLOW_ERRORS_TOTAL, "node_type=\"function\",instance=\"a\"", [0.1, 1.0, 1.5]),
                    rising(FLOW_ERRORS_TOTAL, "node_type=\"function\",instance=\"b\"", [0.1, 1.0, 1.5]),
                    rising(FLOW_ERRORS_TOTAL, "node_type=\"llm-request\",instance=\"b\"", [0.1; 3]),
                ],
            )
            .into_iter()
            .chain([just_above_twenty()])
            .collect(),
        },
        Alert {
            name: "SqlFails",
            severity: Severity::Warning,
            expression: failing(SQL_QUERIES_TOTAL, 10, &[]).above(0.05),
            for_minutes: 5,
            owner: WORKFLOWS,
            meaning: "More than 5 % of the SQL queries of the flows fail.",
            impact: "Tasks fail or are repeated.",
            checks: vec![LOGS],
            remedy: "The log has the error of PostgreSQL. After a deploy it is often a migration that did not run.",
            fault: Fault::Stopped(postgres::ID),
            tests: rates(
                1,
                5,
                "",
                &[
                    rising(SQL_QUERIES_TOTAL, "outcome=\"failed\",instance=\"a\"", [0.0, 2.5, 2.625]),
                    rising(SQL_QUERIES_TOTAL, "outcome=\"failed\",instance=\"b\"", [0.0, 2.5, 2.625]),
                    rising(SQL_QUERIES_TOTAL, "outcome=\"ok\",instance=\"a\"", [100.0, 95.0, 94.75]),
                ],
            ),
        },
        Alert {
            name: "SqlSlow",
            severity: Severity::Warning,
            expression: slow(SQL_QUERY_DURATION_SECONDS, 10, &[], 0.95).above(1.0),
            for_minutes: 10,
            owner: WORKFLOWS,
            meaning: "One SQL query of the flows in twenty takes longer than a second.",
            impact: "Tasks take longer, and connections run out.",
            checks: vec![LOGS, STATUS],
            remedy: "Find the query in the log, and add the index that it needs.",
            fault: Fault::Stutters { service: postgres::ID, milliseconds: 2_500 },
            tests: histogram!(SQL_QUERY_DURATION_SECONDS, 10, "", "", ["0.5", "1", "2.5"]),
        },
        Alert {
            name: "ApiSlow",
            severity: Severity::Warning,
            expression: slow(HTTP_REQUEST_DURATION_SECONDS, 10, &["route"], 0.95).above(1.0),
            for_minutes: 10,
            owner: OWNER,
            meaning: "One request in twenty to the route in the label takes longer than a second.",
            impact: "Clients wait, and may give up.",
            checks: vec![STATUS, LOGS],
            remedy: "Look for a slow database (SqlSlow) or replica (EventLoopSlow); otherwise add replicas.",
            fault: Fault::Stutters { service: postgres::ID, milliseconds: 2_500 },
            tests: histogram!(
                HTTP_REQUEST_DURATION_SECONDS,
                10,
                "route=\"/a\"",
                "method=\"GET\",route=\"/a\",",
                ["0.5", "1", "2.5"]
            ),
        },
    ]
}

fn just_above_twenty() -> RuleTest {
    let labels = "node_type=\"function\",instance=\"a\"";
    let samples = Samples::level(0.0, 5).then(&Samples::level(20.0, 1)).then(&Samples::level(21.0, 5));
    let expects = vec![fire(5, &[]), fire(6, &["node_type=\"function\""])];
    test(TestKind::Boundary, "the twenty-first error", vec![(FLOW_ERRORS_TOTAL, labels, samples)], expects)
}

/// From minute 10 on a replica has these flows; another one has those of revision 1.
fn differ(kind: TestKind, rev: &str, expects: Vec<Expected>) -> RuleTest {
    let (what, labels) = match rev {
        "1" => ("a replica is replaced, with the same flows", "rev=\"1\",replica=\"c\",instance=\"c\""),
        _ => ("a replica is replaced, and another stays behind", "rev=\"2\",replica=\"c\",instance=\"c\""),
    };
    test(
        kind,
        what,
        vec![
            (BUILD_INFO, "rev=\"1\",replica=\"a\",instance=\"a\"", Samples::level(1.0, 61)),
            (BUILD_INFO, "rev=\"1\",replica=\"b\",instance=\"b\"", Samples::level(1.0, 10).gone()),
            (BUILD_INFO, labels, Samples::missing(10).then(&Samples::level(1.0, 60))),
        ],
        expects,
    )
}

/// The share of calls that did not end well.
fn failing(metric: MetricRef, minutes: u32, by: &[&'static str]) -> Expression {
    metric.series().is_not("outcome", "ok").rate(minutes).sum(by) / metric.series().rate(minutes).sum(by)
}

fn slow(metric: MetricRef, minutes: u32, by: &[&'static str], quantile: f64) -> Expression {
    let by = [by, &["le"]].concat();
    metric.buckets().rate(minutes).sum(&by).quantile(quantile)
}

fn tasks() -> Vec<Alert> {
    let failed = || finished().is("status", "failed").increase(30).sum(&["workflow_id"]);
    let age = || QUEUE_OLDEST_JOB_AGE_SECONDS.series().now().max(&["queue"]);
    let jobs = |state| QUEUE_JOBS.series().is("state", state).now().max(&["queue"]);
    vec![
        Alert {
            name: "TasksMostlyFail",
            severity: Severity::Critical,
            expression: (failed() / finished().increase(30).sum(&["workflow_id"]))
                .above(0.5)
                .and(failed().at_least(5.0)),
            for_minutes: 0,
            owner: WORKFLOWS,
            meaning: "Most tasks of the workflow in the label failed for good in the last half hour.",
            impact: "The workflow is as good as down, though other workflows, or few tasks, hide it from burn rates.",
            checks: task_checks(),
            remedy: FAILED,
            fault: Fault::ModelAnswers(401),
            tests: [
                rates(
                    5,
                    0,
                    "workflow_id=\"w\"",
                    &[
                        ended("failed", [0.0, 1.0, 1.0]).to_vec(),
                        ended("completed", [1.0, 1.0, 0.9]).to_vec(),
                        vec![rising(
                            TASKS_FINISHED_TOTAL,
                            "workflow_id=\"other\",status=\"completed\",instance=\"a\"",
                            [500.0; 3],
                        )],
                    ]
                    .concat(),
                ),
                vec![
                    test(
                        TestKind::Firing,
                        "one task a minute, and nine of ten fail",
                        vec![
                            (TASKS_FINISHED_TOTAL, SUCCESS.fails[0], Samples::rising(3.0, 0.9, 40)),
                            (TASKS_FINISHED_TOTAL, SUCCESS.succeeds[0], Samples::rising(100.0, 0.1, 40)),
                        ],
                        vec![fire(7, &["workflow_id=\"w\""]), fire(39, &["workflow_id=\"w\""])],
                    ),
                    test(
                        TestKind::Silent,
                        "four failures, and nothing else",
                        vec![(
                            TASKS_FINISHED_TOTAL,
                            SUCCESS.fails[0],
                            Samples::rising(0.0, 1.0, 5).then(&Samples::level(4.0, 40)),
                        )],
                        vec![fire(5, &[]), fire(31, &[]), fire(44, &[])],
                    ),
                ],
            ]
            .concat(),
        },
        Alert {
            name: "QueueOld",
            severity: Severity::Warning,
            expression: age().above(300.0),
            for_minutes: 5,
            owner: OWNER,
            meaning: "A task has waited for more than five minutes.",
            impact: "Results come late.",
            checks: vec![STATUS, SMOKE],
            remedy: "Compare flowship_tasks_in_flight with the limits of a replica and of the workflow; add a replica \
                     or find what is slow.",
            fault: FLOOD,
            tests: levels(
                5,
                "queue=\"tasks\"",
                &[
                    level(
                        QUEUE_OLDEST_JOB_AGE_SECONDS,
                        "queue=\"tasks\",instance=\"a\"",
                        [9.0, 300.0, 301.0],
                    ),
                    // It cannot be read where the database is not reached.
                    level(QUEUE_OLDEST_JOB_AGE_SECONDS, "queue=\"tasks\",instance=\"b\"", [0.0, 0.0, 0.0]),
                    level(QUEUE_OLDEST_JOB_AGE_SECONDS, "queue=\"smoke\",instance=\"b\"", [0.0, 0.0, 0.0]),
                ],
            ),
        },
        Alert {
            name: "QueueStands",
            severity: Severity::Critical,
            expression: QUEUE_OLDEST_JOB_AGE_SECONDS
                .series()
                .now()
                .max(&[])
                .above(120.0)
                .unless(TASK_ATTEMPTS_TOTAL.series().rate(5).max(&[]).above(0.0)),
            for_minutes: 5,
            owner: OWNER,
            meaning: "Tasks wait, and for five minutes no attempt at any of them has ended.",
            impact: "Nothing is worked on: no task gets a result.",
            checks: vec![STATUS, SMOKE, LOGS],
            remedy: "Look whether somebody drains the queue (GET /api/v1/queues), whether the model answers, and \
                     whether a replica is ready. Start the replicas again if they hang.",
            fault: FLOOD,
            tests: [
                rates(
                    5,
                    5,
                    "",
                    &[
                        level(
                            QUEUE_OLDEST_JOB_AGE_SECONDS,
                            "queue=\"tasks\",instance=\"a\"",
                            [9.0, 120.0, 125.0],
                        ),
                        level(QUEUE_OLDEST_JOB_AGE_SECONDS, "queue=\"smoke\",instance=\"a\"", [0.0; 3]),
                        rising(
                            TASK_ATTEMPTS_TOTAL,
                            "workflow_id=\"w\",outcome=\"completed\",instance=\"a\"",
                            [5.0, 0.0, 0.0],
                        ),
                    ],
                )
                .into_iter()
                .filter(|test| test.kind != TestKind::Boundary)
                .collect(),
                vec![
                    test(
                        TestKind::Silent,
                        "much waits, and one replica works",
                        vec![
                            (
                                QUEUE_OLDEST_JOB_AGE_SECONDS,
                                "queue=\"tasks\",instance=\"a\"",
                                Samples::level(500.0, 40),
                            ),
                            (
                                TASK_ATTEMPTS_TOTAL,
                                "workflow_id=\"w\",outcome=\"completed\",instance=\"a\"",
                                Samples::level(7.0, 40),
                            ),
                            (
                                TASK_ATTEMPTS_TOTAL,
                                "workflow_id=\"w\",outcome=\"failed\",instance=\"b\"",
                                Samples::rising(0.0, 0.5, 40),
                            ),
                        ],
                        vec![fire(20, &[]), fire(39, &[])],
                    ),
                    test(
                        TestKind::Boundary,
                        "its time",
                        vec![(
                            QUEUE_OLDEST_JOB_AGE_SECONDS,
                            "queue=\"tasks\",instance=\"a\"",
                            Samples::level(0.0, 5).then(&Samples::level(125.0, 40)),
                        )],
                        vec![fire(9, &[]), fire(10, &[""])],
                    ),
                ],
            ]
            .concat(),
        },
        Alert {
            name: "QueueDeep",
            severity: Severity::Warning,
            expression: jobs("queued").above(1000.0),
            for_minutes: 10,
            owner: OWNER,
            meaning: "More than 1,000 tasks wait.",
            impact: "Results come late, and later with each minute.",
            checks: vec![STATUS],
            remedy: "Add replicas (`sizes.node-red.replicas`), or limit the caller that sends them: `flowship keys list ENV`.",
            fault: FLOOD,
            tests: levels(
                10,
                "queue=\"tasks\"",
                &[
                    level(
                        QUEUE_JOBS,
                        "queue=\"tasks\",state=\"queued\",instance=\"a\"",
                        [3.0, 1000.0, 1001.0],
                    ),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"queued\",instance=\"b\"", [0.0; 3]),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"active\",instance=\"b\"", [9000.0; 3]),
                ],
            ),
        },
        Alert {
            name: "TasksParked",
            severity: Severity::Warning,
            expression: jobs("parked").above(100.0),
            for_minutes: 15,
            owner: WORKFLOWS,
            meaning: "More than 100 tasks wait because a provider asked to (Retry-After).",
            impact: "These tasks come late.",
            checks: vec![LOGS],
            remedy: "Ask the provider for a higher limit, or lower the concurrency of the workflow.",
            fault: Fault::ModelAsksToWait { seconds: 90, tasks: 150 },
            tests: levels(
                15,
                "queue=\"tasks\"",
                &[
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"parked\",instance=\"a\"", [3.0, 100.0, 101.0]),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"parked\",instance=\"b\"", [0.0; 3]),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"queued\",instance=\"b\"", [9000.0; 3]),
                ],
            ),
        },
        Alert {
            name: "DeadLettersWait",
            severity: Severity::Business,
            expression: jobs("failed").above(0.0),
            for_minutes: 60,
            owner: WORKFLOWS,
            meaning: "For an hour tasks have been in the dead letter queue, and nobody has decided about them.",
            impact: "Their callers have no result.",
            checks: vec![LOGS],
            remedy: FAILED,
            fault: Fault::ModelAnswers(401),
            tests: levels(
                60,
                "queue=\"tasks\"",
                &[
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"failed\",instance=\"a\"", [0.0, 0.0, 1.0]),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"failed\",instance=\"b\"", [0.0; 3]),
                    level(QUEUE_JOBS, "queue=\"tasks\",state=\"queued\",instance=\"b\"", [5.0; 3]),
                ],
            ),
        },
        Alert {
            name: "AttemptsLost",
            severity: Severity::Warning,
            expression: TASK_ATTEMPTS_TOTAL.series().is("outcome", "lost").increase(30).sum(&[]).above(5.0),
            for_minutes: 0,
            owner: OWNER,
            meaning: "More than five attempts in half an hour had lost their task to another replica when they ended.",
            impact: "Work is done twice. Each task still has one result.",
            checks: vec![STATUS, LOGS],
            remedy: "Replicas hang or lose the database for longer than a heartbeat: look for EventLoopSlow and \
                     PostgresDown.",
            fault: Fault::TakenOver { tasks: 60, seconds: 17 },
            tests: rates(
                6,
                0,
                "",
                &[
                    rising(
                        TASK_ATTEMPTS_TOTAL,
                        "workflow_id=\"w\",outcome=\"lost\",instance=\"a\"",
                        [0.0, 0.0, 0.5],
                    ),
                    rising(
                        TASK_ATTEMPTS_TOTAL,
                        "workflow_id=\"w\",outcome=\"lost\",instance=\"b\"",
                        [0.0, 0.0, 0.5],
                    ),
                    rising(
                        TASK_ATTEMPTS_TOTAL,
                        "workflow_id=\"w\",outcome=\"completed\",instance=\"b\"",
                        [50.0; 3],
                    ),
                ],
            ),
        },
    ]
}

fn calls() -> Vec<Alert> {
    let tool = "server=\"tools\",tool=\"search\"";
    vec![
        Alert {
            name: "ModelFails",
            severity: Severity::Warning,
            expression: failing(LLM_REQUESTS_TOTAL, 10, &["provider", "model"]).above(0.2),
            for_minutes: 5,
            owner: WORKFLOWS,
            meaning: "More than a fifth of the calls of the model in the labels fail, after their retries.",
            impact: "Tasks wait for the next attempt, or fail.",
            checks: vec![SMOKE, LOGS],
            remedy: "Look at the provider's status page. Add a second provider to the node `llm-provider`, to which \
                     calls go when the first fails.",
            fault: Fault::ModelAnswers(401),
            tests: rates(
                1,
                5,
                "provider=\"p\",model=\"m\"",
                &[
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"m\",outcome=\"llm_timeout\",instance=\"a\"",
                        [0.0, 10.0, 10.5],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"m\",outcome=\"llm_unavailable\",instance=\"a\"",
                        [0.0, 10.0, 10.5],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"m\",outcome=\"ok\",instance=\"b\"",
                        [100.0, 80.0, 79.0],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"other\",outcome=\"ok\",instance=\"b\"",
                        [500.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "ModelSlow",
            severity: Severity::Warning,
            expression: slow(LLM_REQUEST_DURATION_SECONDS, 10, &["provider", "model"], 0.95).above(40.0),
            for_minutes: 10,
            owner: WORKFLOWS,
            meaning: "One call in twenty of the model in the labels takes longer than 40 seconds.",
            impact: "Results come late; tasks may exceed their time limit.",
            checks: vec![SMOKE],
            remedy: "Look at the provider's status page; use a smaller model or fewer tokens where that is enough.",
            fault: Fault::Frozen(llm::ID),
            tests: histogram!(
                LLM_REQUEST_DURATION_SECONDS,
                10,
                "provider=\"p\",model=\"m\"",
                "provider=\"p\",model=\"m\",outcome=\"ok\",",
                ["20", "40", "80"]
            ),
        },
        Alert {
            name: "ModelRepeated",
            severity: Severity::Warning,
            expression: (LLM_RETRIES_TOTAL.series().rate(10).sum(&["provider", "model"])
                / LLM_REQUESTS_TOTAL.series().rate(10).sum(&["provider", "model"]))
            .above(0.5),
            for_minutes: 10,
            owner: WORKFLOWS,
            meaning: "The calls of the model in the labels are repeated, on average, at least every second time.",
            impact: "Tasks take longer and cost more; the provider is about to refuse.",
            checks: vec![LOGS],
            remedy: "The label `reason` of flowship_llm_retries_total says why. Lower the workflow's concurrency where \
                     it is a limit of the provider.",
            fault: Fault::ModelAnswers(503),
            tests: rates(
                1,
                10,
                "provider=\"p\",model=\"m\"",
                &[
                    rising(
                        LLM_RETRIES_TOTAL,
                        "provider=\"p\",model=\"m\",reason=\"429\",instance=\"a\"",
                        [1.0, 32.0, 34.0],
                    ),
                    rising(
                        LLM_RETRIES_TOTAL,
                        "provider=\"p\",model=\"m\",reason=\"timeout\",instance=\"a\"",
                        [0.0, 32.0, 33.0],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"m\",outcome=\"ok\",instance=\"a\"",
                        [64.0; 3],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"m\",outcome=\"ok\",instance=\"b\"",
                        [64.0; 3],
                    ),
                    rising(
                        LLM_REQUESTS_TOTAL,
                        "provider=\"p\",model=\"other\",outcome=\"ok\",instance=\"b\"",
                        [640.0; 3],
                    ),
                    rising(
                        LLM_RETRIES_TOTAL,
                        "provider=\"p\",model=\"other\",reason=\"429\",instance=\"b\"",
                        [0.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "ToolFails",
            severity: Severity::Warning,
            expression: failing(MCP_CALLS_TOTAL, 10, &["server", "tool"]).above(0.2),
            for_minutes: 5,
            owner: WORKFLOWS,
            meaning: "More than a fifth of the calls of the tool in the labels fail.",
            impact: "Tasks that need the tool are repeated or fail.",
            checks: vec![SMOKE, LOGS],
            remedy: "The log has the tool's error. Start its server again if it hangs.",
            fault: Fault::Frozen(mcp_tools::ID),
            tests: rates(
                1,
                5,
                tool,
                &[
                    rising(
                        MCP_CALLS_TOTAL,
                        "server=\"tools\",tool=\"search\",outcome=\"mcp_timeout\",instance=\"a\"",
                        [0.0, 10.0, 10.5],
                    ),
                    rising(
                        MCP_CALLS_TOTAL,
                        "server=\"tools\",tool=\"search\",outcome=\"error\",instance=\"a\"",
                        [0.0, 10.0, 10.5],
                    ),
                    rising(
                        MCP_CALLS_TOTAL,
                        "server=\"tools\",tool=\"search\",outcome=\"ok\",instance=\"b\"",
                        [100.0, 80.0, 79.0],
                    ),
                    rising(
                        MCP_CALLS_TOTAL,
                        "server=\"tools\",tool=\"other\",outcome=\"ok\",instance=\"b\"",
                        [500.0; 3],
                    ),
                ],
            ),
        },
        Alert {
            name: "ToolSlow",
            severity: Severity::Warning,
            expression: slow(MCP_CALL_DURATION_SECONDS, 10, &["server", "tool"], 0.95).above(10.0),
            for_minutes: 10,
            owner: WORKFLOWS,
            meaning: "One call in twenty of the tool in the labels takes longer than ten seconds.",
            impact: "Results come late.",
            checks: vec![LOGS],
            remedy: "Find out what the tool waits for; give it more processors or replicas.",
            fault: Fault::Frozen(mcp_tools::ID),
            tests: histogram!(
                MCP_CALL_DURATION_SECONDS,
                10,
                "server=\"tools\",tool=\"search\"",
                "server=\"tools\",tool=\"search\",",
                ["5", "10", "30"]
            ),
        },
    ]
}

fn business() -> Vec<Alert> {
    let accepted = || TASKS_ACCEPTED_TOTAL.series();
    vec![
        Alert {
            name: "ResultsSlow",
            severity: Severity::Business,
            expression: slow(TASK_DURATION_SECONDS, 60, &["workflow_id"], 0.95).above(300.0),
            for_minutes: 15,
            owner: WORKFLOWS,
            meaning: "One task in twenty of the workflow in the label takes longer than five minutes to its result.",
            impact: "Those who wait for results notice.",
            checks: task_checks(),
            remedy: "Look for QueueOld, ModelSlow and ToolSlow: one of them says where the time goes.",
            fault: FLOOD,
            tests: histogram!(
                TASK_DURATION_SECONDS,
                15,
                "workflow_id=\"w\"",
                "workflow_id=\"w\",status=\"completed\",",
                ["60", "300", "900"]
            ),
        },
        Alert {
            name: "WorkflowQuiet",
            severity: Severity::Business,
            expression: accepted()
                .increase(1440)
                .sum(&["workflow_id"])
                .above(100.0)
                .unless(accepted().increase(120).max(&["workflow_id"]).above(0.0)),
            for_minutes: 0,
            owner: WORKFLOWS,
            meaning: "A workflow that had more than 100 tasks within a day has had none for two hours.",
            impact: "A caller may be broken, or locked out.",
            checks: vec![
                Check {
                    command: "flowship keys list ENV",
                    look_for: "the caller's key: revoked, or past its end",
                },
                STATUS,
            ],
            remedy: "Ask the caller. At night and on holidays this may be as it should be: silence it.",
            fault: Fault::NoTasks,
            tests: quiet(),
        },
    ]
}

/// A hundred tasks, one a minute; then none.
fn quiet() -> Vec<RuleTest> {
    const A: &str = "workflow_id=\"w\",instance=\"a\"";
    const B: &str = "workflow_id=\"w\",instance=\"b\"";
    const OTHER: &str = "workflow_id=\"other\",instance=\"b\"";
    let series = |count: u32, also: Samples| {
        let tasks =
            || Samples::rising(0.0, 0.5, count + 1).then(&Samples::level(f64::from(count) / 2.0, 240));
        vec![
            (TASKS_ACCEPTED_TOTAL, A, tasks()),
            (TASKS_ACCEPTED_TOTAL, B, tasks()),
            (TASKS_ACCEPTED_TOTAL, OTHER, also),
        ]
    };
    let busy = || Samples::rising(0.0, 1.0, 340);
    vec![
        test(
            TestKind::Firing,
            "none for three hours",
            series(101, busy()),
            vec![fire(290, &["workflow_id=\"w\""])],
        ),
        test(TestKind::Silent, "it never had many", series(100, busy()), vec![fire(290, &[])]),
        test(
            TestKind::Boundary,
            "none for two hours",
            series(101, busy()),
            vec![fire(219, &[]), fire(220, &["workflow_id=\"w\""])],
        ),
        test(
            TestKind::Boundary,
            "one replica still gets some",
            vec![
                (TASKS_ACCEPTED_TOTAL, A, Samples::rising(0.0, 1.0, 102).then(&Samples::level(101.0, 240))),
                (TASKS_ACCEPTED_TOTAL, B, Samples::rising(0.0, 0.1, 151).then(&Samples::level(15.0, 190))),
            ],
            vec![fire(265, &[]), fire(275, &["workflow_id=\"w\""])],
        ),
    ]
}
