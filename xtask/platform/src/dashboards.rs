//! Dashboards: what people look at while all is well, and first when it is not.

use vocabulary::model::expression::Expression;
use vocabulary::model::{DEPLOYS_TOTAL, Dashboard, DisplayUnit, MetricRef, Panel, Query, SECRET_DUE};

use super::edge::*;
use super::node_exporter::*;
use super::node_exporter_alerts::DISKS;
use super::node_red_metrics::*;
use super::otel_collector::TLS_CERTIFICATE_ENDS_SECONDS;
use super::postgres_exporter::*;
use super::prometheus::UP;
use super::recordings::{COMPLETED, COST_PER_TASK, SUCCESS, TIME_TO_RESULT, TOKENS_PER_TASK};

/// Minutes over which rates are taken: five scrapes.
const RATE: u32 = 5;

pub fn dashboards() -> Vec<Dashboard> {
    vec![overview(), queue(), models(), edge(), database(), host(), operations()]
}

fn panel(title: &'static str, about: &'static str, unit: DisplayUnit, queries: Vec<Query>) -> Panel {
    Panel { title, about, unit, queries }
}

fn query(legend: &'static str, expression: Expression) -> Query {
    Query { expression, legend }
}

/// How often a counter rises in a second, by these labels.
fn per_second(metric: MetricRef, by: &[&'static str]) -> Expression {
    metric.series().rate(RATE).sum(by)
}

/// What 95 % of the observations are below, by a label.
fn most(metric: MetricRef, by: &'static str) -> Expression {
    metric.buckets().rate(RATE).sum(&["le", by]).quantile(0.95)
}

fn overview() -> Dashboard {
    Dashboard {
        id: "overview",
        title: "Overview",
        about: "Whether the platform does its work. Look here first.",
        panels: vec![
            panel(
                "Tasks completed in an hour",
                "By workflow. It follows what callers ask for.",
                DisplayUnit::Number,
                vec![query("{{workflow_id}}", COMPLETED.series().now())],
            ),
            panel(
                "Share of tasks that were completed",
                "Of those that ended within an hour. The objective is 99 %.",
                DisplayUnit::Ratio,
                vec![query("{{workflow_id}}", SUCCESS.series().now())],
            ),
            panel(
                "Time to result",
                "95 % of the tasks have their result within this time.",
                DisplayUnit::Seconds,
                vec![query("{{workflow_id}}", TIME_TO_RESULT.series().now())],
            ),
            panel(
                "Responses to clients",
                "By status class. The objective is fewer than one 5xx in a thousand.",
                DisplayUnit::PerSecond,
                vec![query("{{code}}", per_second(HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL, &["code"]))],
            ),
            panel(
                "Services that answer",
                "1 for each target that answered the last scrape.",
                DisplayUnit::Number,
                vec![query("{{job}}", UP.series().now().min(&["job"]))],
            ),
            panel(
                "Replicas that take requests",
                "How many are ready, and how many are draining because they end.",
                DisplayUnit::Number,
                vec![
                    query("ready", READY.series().now().sum(&[])),
                    query("draining", DRAINING.series().now().sum(&[])),
                ],
            ),
            panel(
                "Errors of nodes",
                "By type of node. None is normal.",
                DisplayUnit::PerSecond,
                vec![query("{{node_type}}", per_second(FLOW_ERRORS_TOTAL, &["node_type"]))],
            ),
            panel(
                "Delay of the event loop",
                "One in a hundred turns is later than this. More than 0.1 s slows every request of the replica.",
                DisplayUnit::Seconds,
                vec![query(
                    "{{instance}}",
                    NODEJS_EVENTLOOP_LAG_P99_SECONDS.series().now().max(&["instance"]),
                )],
            ),
        ],
    }
}

fn queue() -> Dashboard {
    Dashboard {
        id: "queue",
        title: "Queue",
        about: "Whether tasks are taken as fast as they arrive.",
        panels: vec![
            panel(
                "Jobs",
                "By state. `failed` is the dead letter queue.",
                DisplayUnit::Number,
                vec![query("{{queue}} {{state}}", QUEUE_JOBS.series().now().max(&["queue", "state"]))],
            ),
            panel(
                "Age of the oldest job",
                "How long it has waited. It rises when workers are too few, or stand still.",
                DisplayUnit::Seconds,
                vec![query("{{queue}}", QUEUE_OLDEST_JOB_AGE_SECONDS.series().now().max(&["queue"]))],
            ),
            panel(
                "Tasks accepted and ended",
                "The two are equal in the long run.",
                DisplayUnit::PerSecond,
                vec![
                    query("accepted", per_second(TASKS_ACCEPTED_TOTAL, &[])),
                    query("{{status}}", per_second(TASKS_FINISHED_TOTAL, &["status"])),
                ],
            ),
            panel(
                "Attempts",
                "By outcome. Retries come before failures.",
                DisplayUnit::PerSecond,
                vec![query("{{outcome}}", per_second(TASK_ATTEMPTS_TOTAL, &["outcome"]))],
            ),
            panel(
                "Tasks in work",
                "By replica.",
                DisplayUnit::Number,
                vec![query("{{instance}}", TASKS_IN_FLIGHT.series().now().sum(&["instance"]))],
            ),
            panel(
                "Duration of tasks",
                "From acceptance to result: 95 % are faster.",
                DisplayUnit::Seconds,
                vec![query("{{workflow_id}}", most(TASK_DURATION_SECONDS, "workflow_id"))],
            ),
        ],
    }
}

fn models() -> Dashboard {
    Dashboard {
        id: "models",
        title: "Models and tools",
        about: "What language models and tools answer, how fast, and what they use.",
        panels: vec![
            panel(
                "Calls of models",
                "By provider and outcome, after retries.",
                DisplayUnit::PerSecond,
                vec![query(
                    "{{provider}} {{outcome}}",
                    per_second(LLM_REQUESTS_TOTAL, &["provider", "outcome"]),
                )],
            ),
            panel(
                "Duration of a call",
                "95 % are faster, retries included.",
                DisplayUnit::Seconds,
                vec![query("{{model}}", most(LLM_REQUEST_DURATION_SECONDS, "model"))],
            ),
            panel(
                "Repeated calls",
                "By reason.",
                DisplayUnit::PerSecond,
                vec![query("{{reason}}", per_second(LLM_RETRIES_TOTAL, &["reason"]))],
            ),
            panel(
                "Tokens",
                "By model and kind. Providers charge for them.",
                DisplayUnit::PerSecond,
                vec![query("{{model}} {{kind}}", per_second(LLM_TOKENS_TOTAL, &["model", "kind"]))],
            ),
            panel(
                "Tokens per task",
                "Of the tasks that ended within an hour.",
                DisplayUnit::Number,
                vec![query("tokens", TOKENS_PER_TASK.series().now())],
            ),
            panel(
                "Cost",
                "Of an hour, by model, in the currency of `llm.prompt_price` and `llm.completion_price`. Empty without them.",
                DisplayUnit::Number,
                vec![query("{{model}}", LLM_COST_TOTAL.series().increase(60).sum(&["model"]))],
            ),
            panel(
                "Cost per task",
                "By workflow, of the tasks that ended within an hour.",
                DisplayUnit::Number,
                vec![query("{{workflow_id}}", COST_PER_TASK.series().now())],
            ),
            panel(
                "Calls of tools",
                "By tool and outcome.",
                DisplayUnit::PerSecond,
                vec![query("{{tool}} {{outcome}}", per_second(MCP_CALLS_TOTAL, &["tool", "outcome"]))],
            ),
            panel(
                "Duration of a call of a tool",
                "95 % are faster.",
                DisplayUnit::Seconds,
                vec![query("{{tool}}", most(MCP_CALL_DURATION_SECONDS, "tool"))],
            ),
            panel(
                "Decisions of routers",
                "By output. `fallback` means that no rule matched.",
                DisplayUnit::PerSecond,
                vec![query(
                    "{{router}} {{output}}",
                    per_second(ROUTED_MESSAGES_TOTAL, &["router", "output"]),
                )],
            ),
        ],
    }
}

fn edge() -> Dashboard {
    Dashboard {
        id: "edge",
        title: "Edge",
        about: "What clients get, and what the flows do for it.",
        panels: vec![
            panel(
                "Responses",
                "By status class, as clients see them.",
                DisplayUnit::PerSecond,
                vec![query("{{code}}", per_second(HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL, &["code"]))],
            ),
            panel(
                "Connections",
                "As a share of those that clients may have.",
                DisplayUnit::Ratio,
                vec![query(
                    "{{proxy}}",
                    HAPROXY_FRONTEND_CURRENT_SESSIONS.series().now().sum(&["proxy"])
                        / HAPROXY_FRONTEND_LIMIT_SESSIONS.series().now().sum(&["proxy"]),
                )],
            ),
            panel(
                "Servers that take requests",
                "By backend. None means that its clients get 503.",
                DisplayUnit::Number,
                vec![query("{{proxy}}", HAPROXY_BACKEND_ACTIVE_SERVERS.series().now().sum(&["proxy"]))],
            ),
            panel(
                "Certificate",
                "Until the one that the edge presents ends, as a handshake shows.",
                DisplayUnit::SecondsUntil,
                vec![query(
                    "{{instance}}",
                    TLS_CERTIFICATE_ENDS_SECONDS.series().now().min(&["instance"]) - Expression::Time,
                )],
            ),
            panel(
                "Requests of the flows",
                "By route.",
                DisplayUnit::PerSecond,
                vec![query("{{route}}", per_second(HTTP_REQUESTS_TOTAL, &["route"]))],
            ),
            panel(
                "Duration of a request",
                "From its arrival at the flows to the end of the answer: 95 % are faster.",
                DisplayUnit::Seconds,
                vec![query("{{route}}", most(HTTP_REQUEST_DURATION_SECONDS, "route"))],
            ),
            panel(
                "Requests in work",
                "By replica.",
                DisplayUnit::Number,
                vec![query("{{instance}}", HTTP_REQUESTS_IN_FLIGHT.series().now().sum(&["instance"]))],
            ),
        ],
    }
}

fn database() -> Dashboard {
    Dashboard {
        id: "database",
        title: "Database",
        about: "Whether PostgreSQL answers, and how near it is to its limits.",
        panels: vec![
            panel(
                "PostgreSQL answers",
                "1 when it answered its exporter.",
                DisplayUnit::Number,
                vec![query("{{instance}}", PG_UP.series().now().min(&["instance"]))],
            ),
            panel(
                "Connections",
                "By state, and how many it takes.",
                DisplayUnit::Number,
                vec![
                    query("{{state}}", PG_STAT_ACTIVITY_COUNT.series().now().sum(&["state"])),
                    query("limit", PG_SETTINGS_MAX_CONNECTIONS.series().now().max(&[])),
                ],
            ),
            panel(
                "Longest transaction",
                "More than minutes keeps the database from tidying up.",
                DisplayUnit::Seconds,
                vec![query("{{state}}", PG_STAT_ACTIVITY_MAX_TX_DURATION.series().now().max(&["state"]))],
            ),
            panel(
                "Deadlocks",
                "None is normal.",
                DisplayUnit::PerSecond,
                vec![query("{{datname}}", per_second(PG_STAT_DATABASE_DEADLOCKS, &["datname"]))],
            ),
            panel(
                "Queries of the flows",
                "By outcome.",
                DisplayUnit::PerSecond,
                vec![query("{{outcome}}", per_second(SQL_QUERIES_TOTAL, &["outcome"]))],
            ),
            panel(
                "Duration of a query of the flows",
                "95 % are faster.",
                DisplayUnit::Seconds,
                vec![query("{{instance}}", most(SQL_QUERY_DURATION_SECONDS, "instance"))],
            ),
        ],
    }
}

fn host() -> Dashboard {
    Dashboard {
        id: "host",
        title: "Host",
        about: "What the machines have left.",
        panels: vec![
            panel(
                "Processors busy",
                "As a share of all.",
                DisplayUnit::Ratio,
                vec![query(
                    "{{instance}}",
                    Expression::Number(1.0)
                        - NODE_CPU_SECONDS_TOTAL
                            .series()
                            .is("mode", "idle")
                            .rate(RATE)
                            .average(&["instance"]),
                )],
            ),
            panel(
                "Memory available",
                "What processes can still get.",
                DisplayUnit::Bytes,
                vec![
                    query("{{instance}}", NODE_MEMORY_MEMAVAILABLE_BYTES.series().now().sum(&["instance"])),
                    query(
                        "{{instance}} in all",
                        NODE_MEMORY_MEMTOTAL_BYTES.series().now().sum(&["instance"]),
                    ),
                ],
            ),
            panel(
                "Disks free",
                "As a share of the file system. Below 10 % somebody is paged.",
                DisplayUnit::Ratio,
                vec![query(
                    "{{mountpoint}}",
                    NODE_FILESYSTEM_AVAIL_BYTES.series().matches("fstype", DISKS).now().min(&["mountpoint"])
                        / NODE_FILESYSTEM_SIZE_BYTES
                            .series()
                            .matches("fstype", DISKS)
                            .now()
                            .min(&["mountpoint"]),
                )],
            ),
            panel(
                "Processes that the kernel ended",
                "Because memory ran out, within an hour.",
                DisplayUnit::Number,
                vec![query("{{instance}}", NODE_VMSTAT_OOM_KILL.series().increase(60).sum(&["instance"]))],
            ),
        ],
    }
}

fn operations() -> Dashboard {
    Dashboard {
        id: "operations",
        title: "Deploys and secrets",
        about: "What operators did, and what they have to do.",
        panels: vec![
            panel(
                "Deploys",
                "All so far, by result.",
                DisplayUnit::Number,
                vec![query("{{environment}} {{result}}", {
                    DEPLOYS_TOTAL.series().now().max(&["environment", "result"])
                })],
            ),
            panel(
                "Secrets are due in",
                "Below zero one is overdue: rotate it.",
                DisplayUnit::SecondsUntil,
                vec![query("{{secret}}", {
                    SECRET_DUE.series().now().max(&["environment", "secret"]) - Expression::Time
                })],
            ),
            panel(
                "Smoke checks",
                "1 for each that passed in the last run.",
                DisplayUnit::Number,
                vec![query("{{check}}", SMOKE_CHECK_PASSED.series().now().min(&["check"]))],
            ),
            panel(
                "What runs",
                "The releases, by replica.",
                DisplayUnit::Number,
                vec![query(
                    "{{release}} {{replica}}",
                    BUILD_INFO.series().now().max(&["release", "replica"]),
                )],
            ),
        ],
    }
}
