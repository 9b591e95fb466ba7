//! What a Node-RED replica exports. The launcher reads these definitions from `flows/platform.json`.

use vocabulary::model::{Metric, MetricKind, MetricRef};

pub const BUILD_INFO: MetricRef = MetricRef("flowship_build_info");
pub const READY: MetricRef = MetricRef("flowship_ready");
pub const READINESS_CHECK_OK: MetricRef = MetricRef("flowship_readiness_check_ok");
pub const DRAINING: MetricRef = MetricRef("flowship_draining");
pub const DEPENDENCY_UP: MetricRef = MetricRef("flowship_dependency_up");
pub const RELOADS_TOTAL: MetricRef = MetricRef("flowship_reloads_total");
pub const FLOW_ERRORS_TOTAL: MetricRef = MetricRef("flowship_flow_errors_total");
pub const LOG_LINES_TOTAL: MetricRef = MetricRef("flowship_log_lines_total");
pub const HTTP_REQUESTS_TOTAL: MetricRef = MetricRef("flowship_http_requests_total");
pub const HTTP_REQUEST_DURATION_SECONDS: MetricRef = MetricRef("flowship_http_request_duration_seconds");
pub const HTTP_REQUESTS_IN_FLIGHT: MetricRef = MetricRef("flowship_http_requests_in_flight");
pub const SMOKE_RUNS_TOTAL: MetricRef = MetricRef("flowship_smoke_runs_total");
pub const SMOKE_CHECK_PASSED: MetricRef = MetricRef("flowship_smoke_check_passed");
pub const SMOKE_CHECK_DURATION_SECONDS: MetricRef = MetricRef("flowship_smoke_check_duration_seconds");
pub const TASKS_ACCEPTED_TOTAL: MetricRef = MetricRef("flowship_tasks_accepted_total");
pub const TASK_ATTEMPTS_TOTAL: MetricRef = MetricRef("flowship_task_attempts_total");
pub const TASKS_FINISHED_TOTAL: MetricRef = MetricRef("flowship_tasks_finished_total");
pub const TASK_DURATION_SECONDS: MetricRef = MetricRef("flowship_task_duration_seconds");
pub const TASKS_IN_FLIGHT: MetricRef = MetricRef("flowship_tasks_in_flight");
pub const QUEUE_JOBS: MetricRef = MetricRef("flowship_queue_jobs");
pub const QUEUE_OLDEST_JOB_AGE_SECONDS: MetricRef = MetricRef("flowship_queue_oldest_job_age_seconds");
pub const LLM_REQUESTS_TOTAL: MetricRef = MetricRef("flowship_llm_requests_total");
pub const LLM_REQUEST_DURATION_SECONDS: MetricRef = MetricRef("flowship_llm_request_duration_seconds");
pub const LLM_RETRIES_TOTAL: MetricRef = MetricRef("flowship_llm_retries_total");
pub const LLM_COST_TOTAL: MetricRef = MetricRef("flowship_llm_cost_total");
pub const LLM_TOKENS_TOTAL: MetricRef = MetricRef("flowship_llm_tokens_total");
pub const MCP_CALLS_TOTAL: MetricRef = MetricRef("flowship_mcp_calls_total");
pub const MCP_CALL_DURATION_SECONDS: MetricRef = MetricRef("flowship_mcp_call_duration_seconds");
pub const ROUTED_MESSAGES_TOTAL: MetricRef = MetricRef("flowship_routed_messages_total");
pub const SQL_QUERIES_TOTAL: MetricRef = MetricRef("flowship_sql_queries_total");
pub const SQL_QUERY_DURATION_SECONDS: MetricRef = MetricRef("flowship_sql_query_duration_seconds");
/// prom-client exports it by itself.
pub const NODEJS_EVENTLOOP_LAG_P99_SECONDS: MetricRef = MetricRef("nodejs_eventloop_lag_p99_seconds");

pub fn metrics() -> Vec<Metric> {
    vec![
        Metric {
            name: BUILD_INFO,
            kind: MetricKind::Gauge,
            help: "Always 1; its labels are the revision of the flows that run, the release, the environment and the replica.",
            labels: vec!["rev", "release", "environment", "replica"],
            ours: true,
        },
        Metric {
            name: READY,
            kind: MetricKind::Gauge,
            help: "1 when this replica takes requests, 0 when it is not ready or draining.",
            labels: vec![],
            ours: true,
        },
        Metric {
            name: READINESS_CHECK_OK,
            kind: MetricKind::Gauge,
            help: "1 when the readiness check passes, 0 when it fails.",
            labels: vec!["check"],
            ours: true,
        },
        Metric {
            name: DRAINING,
            kind: MetricKind::Gauge,
            help: "1 from the moment this replica begins to stop.",
            labels: vec![],
            ours: true,
        },
        Metric {
            name: DEPENDENCY_UP,
            kind: MetricKind::Gauge,
            help: "1 when the shared dependency answered the last check, else 0.",
            labels: vec!["dependency"],
            ours: true,
        },
        Metric {
            name: RELOADS_TOTAL,
            kind: MetricKind::Counter,
            help: "Reloads of the flows, by outcome.",
            labels: vec!["outcome"],
            ours: true,
        },
        Metric {
            name: FLOW_ERRORS_TOTAL,
            kind: MetricKind::Counter,
            help: "Errors that nodes reported, by node type.",
            labels: vec!["node_type"],
            ours: true,
        },
        Metric {
            name: LOG_LINES_TOTAL,
            kind: MetricKind::Counter,
            help: "Log lines written, by level.",
            labels: vec!["level"],
            ours: true,
        },
        Metric {
            name: HTTP_REQUESTS_TOTAL,
            kind: MetricKind::Counter,
            help: "Requests answered by the flows, by method, route pattern and status code.",
            labels: vec!["method", "route", "status"],
            ours: true,
        },
        Metric {
            name: HTTP_REQUEST_DURATION_SECONDS,
            kind: MetricKind::Histogram {
                buckets: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            },
            help: "Time from a request's arrival to the end of its answer.",
            labels: vec!["method", "route"],
            ours: true,
        },
        Metric {
            name: HTTP_REQUESTS_IN_FLIGHT,
            kind: MetricKind::Gauge,
            help: "Requests that the flows are answering now.",
            labels: vec![],
            ours: true,
        },
        Metric {
            name: SMOKE_RUNS_TOTAL,
            kind: MetricKind::Counter,
            help: "Smoke runs, by status.",
            labels: vec!["status"],
            ours: true,
        },
        Metric {
            name: SMOKE_CHECK_PASSED,
            kind: MetricKind::Gauge,
            help: "1 when the smoke check passed in the last run that contained it, else 0.",
            labels: vec!["check"],
            ours: true,
        },
        Metric {
            name: SMOKE_CHECK_DURATION_SECONDS,
            kind: MetricKind::Gauge,
            help: "Duration of the smoke check in the last run that contained it.",
            labels: vec!["check"],
            ours: true,
        },
        Metric {
            name: TASKS_ACCEPTED_TOTAL,
            kind: MetricKind::Counter,
            help: "Tasks that were stored and queued, by workflow; a repeated idempotency key counts once.",
            labels: vec!["workflow_id"],
            ours: true,
        },
        Metric {
            name: TASK_ATTEMPTS_TOTAL,
            kind: MetricKind::Counter,
            help: "Attempts at a task that ended on this replica, by outcome: completed, retried, parked, handed_back, failed or lost.",
            labels: vec!["workflow_id", "outcome"],
            ours: true,
        },
        Metric {
            name: TASKS_FINISHED_TOTAL,
            kind: MetricKind::Counter,
            help: "Tasks whose one result this replica stored, by final status.",
            labels: vec!["workflow_id", "status"],
            ours: true,
        },
        Metric {
            name: TASK_DURATION_SECONDS,
            kind: MetricKind::Histogram {
                buckets: vec![0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0],
            },
            help: "Time from a task's acceptance to its stored result.",
            labels: vec!["workflow_id", "status"],
            ours: true,
        },
        Metric {
            name: TASKS_IN_FLIGHT,
            kind: MetricKind::Gauge,
            help: "Tasks that this replica is working on now.",
            labels: vec![],
            ours: true,
        },
        Metric {
            name: QUEUE_JOBS,
            kind: MetricKind::Gauge,
            help: "Jobs in the queue, by state: queued, parked (those of the queued that must wait), active or failed (in the \
                   dead letter queue).",
            labels: vec!["queue", "state"],
            ours: true,
        },
        Metric {
            name: QUEUE_OLDEST_JOB_AGE_SECONDS,
            kind: MetricKind::Gauge,
            help: "How long the oldest waiting job has waited; 0 when none waits.",
            labels: vec!["queue"],
            ours: true,
        },
        Metric {
            name: LLM_REQUESTS_TOTAL,
            kind: MetricKind::Counter,
            help: "Calls of a model, after retries, by provider and outcome.",
            labels: vec!["provider", "model", "outcome"],
            ours: true,
        },
        Metric {
            name: LLM_REQUEST_DURATION_SECONDS,
            kind: MetricKind::Histogram {
                buckets: vec![0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0],
            },
            help: "Duration of a call of the model, retries included.",
            labels: vec!["provider", "model", "outcome"],
            ours: true,
        },
        Metric {
            name: LLM_RETRIES_TOTAL,
            kind: MetricKind::Counter,
            help: "Repeated calls of the model, by reason.",
            labels: vec!["provider", "model", "reason"],
            ours: true,
        },
        Metric {
            name: LLM_TOKENS_TOTAL,
            kind: MetricKind::Counter,
            help: "Tokens that the provider reported, by kind: prompt or completion.",
            labels: vec!["provider", "model", "kind"],
            ours: true,
        },
        Metric {
            name: LLM_COST_TOTAL,
            kind: MetricKind::Counter,
            help: "What the tokens cost at the prices that the environment sets, in their currency. Models without a price \
                   are not counted. The workflow is empty outside of tasks.",
            labels: vec!["provider", "model", "workflow_id"],
            ours: true,
        },
        Metric {
            name: MCP_CALLS_TOTAL,
            kind: MetricKind::Counter,
            help: "Tool calls, by MCP server, tool and outcome.",
            labels: vec!["server", "tool", "outcome"],
            ours: true,
        },
        Metric {
            name: MCP_CALL_DURATION_SECONDS,
            kind: MetricKind::Histogram {
                buckets: vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            },
            help: "Duration of a tool call.",
            labels: vec!["server", "tool"],
            ours: true,
        },
        Metric {
            name: ROUTED_MESSAGES_TOTAL,
            kind: MetricKind::Counter,
            help: "Envelopes that left a router, by router and output; `fallback` is the output when no rule matches.",
            labels: vec!["router", "output"],
            ours: true,
        },
        Metric {
            name: SQL_QUERIES_TOTAL,
            kind: MetricKind::Counter,
            help: "SQL queries of the flows, by outcome.",
            labels: vec!["outcome"],
            ours: true,
        },
        Metric {
            name: SQL_QUERY_DURATION_SECONDS,
            kind: MetricKind::Histogram {
                buckets: vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
            },
            help: "Duration of an SQL query of the flows.",
            labels: vec![],
            ours: true,
        },
        super::foreign(
            NODEJS_EVENTLOOP_LAG_P99_SECONDS,
            MetricKind::Gauge,
            "By how much one in a hundred turns of the event loop is late",
            &[],
        ),
    ]
}
