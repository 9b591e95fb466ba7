//! The five smoke checks: what each does, and what must hold afterwards.

use vocabulary::model::{Predicate, RouteRule, SmokeCheck, SmokeStep, SmokeSuite, Test};

use super::{llm, mcp_tools, node_red, postgres};

/// A call of the model or of a tool is given up, also when it was repeated once, before the check itself is.
const CALL_LIMIT_MS: u32 = 6_000;

pub fn smoke() -> SmokeSuite {
    SmokeSuite {
        checks: vec![database(), llm_provider(), queue(), mcp_routing(), end_to_end()],
        check_limit_ms: 15_000,
        run_limit_ms: 30_000,
    }
}

fn database() -> SmokeCheck {
    SmokeCheck {
        name: "database",
        purpose: "PostgreSQL answers a query, and a row that is written can be read",
        relies_on: vec![node_red::ID, postgres::ID],
        steps: vec![SmokeStep::Query {
            title: "write and read",
            sql: "WITH old AS (DELETE FROM flowship.smoke_marks WHERE written_at < now() - interval '1 day') INSERT \
                  INTO flowship.smoke_marks (run_id) VALUES ($1) RETURNING run_id",
            parameters: vec!["smoke.run_id"],
        }],
        expects: vec![holds("payload.0.run_id", Test::EqualsProperty("smoke.run_id"))],
        detail: "payload",
    }
}

fn llm_provider() -> SmokeCheck {
    SmokeCheck {
        name: "llm_provider",
        purpose: "the model answers with text and reports its token counts",
        relies_on: vec![node_red::ID, llm::ID],
        steps: vec![SmokeStep::AskModel {
            title: "ask the model",
            prompt: "Answer with one word: ready",
            tokens: 20,
            limit_ms: CALL_LIMIT_MS,
            retries: 1,
        }],
        expects: vec![holds("llm.text", Test::Exists), holds("llm.tokens.completion", Test::Above(0))],
        detail: "llm",
    }
}

fn queue() -> SmokeCheck {
    SmokeCheck {
        name: "queue",
        purpose: "a job that is sent to a temporary queue can be taken from it",
        relies_on: vec![node_red::ID, postgres::ID],
        steps: vec![SmokeStep::SendAndTakeJob { title: "send and take" }],
        expects: vec![holds("payload.run_id", Test::EqualsProperty("smoke.run_id"))],
        detail: "payload",
    }
}

fn mcp_routing() -> SmokeCheck {
    SmokeCheck {
        name: "mcp_routing",
        purpose: "the router sends an envelope to the output that its rule names, and to the fallback if no rule \
                  matches; a tool call reaches the MCP server that offers the tool",
        relies_on: vec![node_red::ID, mcp_tools::ID],
        steps: vec![
            SmokeStep::SetPayload { title: "envelope", json: "{\"text\":\"Flowship routes this.\"}" },
            SmokeStep::Route {
                title: "by its rule",
                rules: vec![
                    RouteRule { condition: holds("smoke.check", Test::Equals("another")), output: "another" },
                    RouteRule {
                        condition: holds("smoke.check", Test::Equals("mcp_routing")),
                        output: "routed",
                    },
                ],
                leaves_by: Some("routed"),
            },
            SmokeStep::Route {
                title: "by the fallback",
                rules: vec![RouteRule { condition: holds("payload.text", Test::Missing), output: "another" }],
                leaves_by: None,
            },
            SmokeStep::CallTool { title: "call the tool", tool: "text_statistics", limit_ms: CALL_LIMIT_MS },
        ],
        expects: vec![
            holds("route", Test::Equals("fallback")),
            holds("tool.output.words", Test::Equals("3")),
        ],
        detail: "tool",
    }
}

fn end_to_end() -> SmokeCheck {
    SmokeCheck {
        name: "end_to_end",
        purpose: "a task submitted over HTTP is routed, calls a tool and the model, and has exactly one stored result",
        relies_on: vec![node_red::ID, postgres::ID, mcp_tools::ID, llm::ID],
        steps: vec![SmokeStep::TaskThroughApi {
            title: "a task through the API",
            workflow: "describe-text",
            input: "{\"text\":\"Flowship ships this.\"}",
        }],
        expects: vec![
            holds("payload.status", Test::Equals("completed")),
            holds("history", Test::Equals("queued running completed")),
            holds("payload.result.route", Test::Equals("text")),
            holds("payload.result.tool.output.words", Test::Equals("3")),
            holds("payload.result.model.tokens.completion", Test::Above(0)),
        ],
        detail: "history",
    }
}

fn holds(property: &'static str, test: Test) -> Predicate {
    Predicate { property, test }
}
