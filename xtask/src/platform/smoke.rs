//! The five smoke checks.

use vocabulary::model::{SmokeCheck, SmokeSuite};

use super::{llm, mcp_tools, node_red, postgres};

pub const DATABASE: &str = "database";
pub const LLM_PROVIDER: &str = "llm_provider";
pub const QUEUE: &str = "queue";
pub const MCP_ROUTING: &str = "mcp_routing";
pub const END_TO_END: &str = "end_to_end";

pub fn smoke() -> SmokeSuite {
    SmokeSuite {
        checks: vec![
            SmokeCheck {
                name: DATABASE,
                purpose: "a query is answered, and a row that is written is read back",
                relies_on: vec![node_red::ID, postgres::ID],
            },
            SmokeCheck {
                name: LLM_PROVIDER,
                purpose: "the model answers with text and accounts for its tokens",
                relies_on: vec![node_red::ID, llm::ID],
            },
            SmokeCheck {
                name: QUEUE,
                purpose: "a job that is sent to a queue of this run's own comes back from it",
                relies_on: vec![node_red::ID, postgres::ID],
            },
            SmokeCheck {
                name: MCP_ROUTING,
                purpose: "an envelope leaves the router by the output its rule names, and the tool call reaches \
                          the MCP server that offers the tool",
                relies_on: vec![node_red::ID, mcp_tools::ID],
            },
            SmokeCheck {
                name: END_TO_END,
                purpose: "a task that is submitted over HTTP is routed, calls a tool, calls the model, and has \
                          exactly one stored result",
                relies_on: vec![node_red::ID, postgres::ID, mcp_tools::ID, llm::ID],
            },
        ],
        check_limit_ms: 15_000,
        run_limit_ms: 30_000,
    }
}
