//! The Model Context Protocol server whose tools workflows call.

use vocabulary::model::{
    Command, Container, Exposure, Health, Identity, Image, Lifetime, OnChange, Port, PortRef, Probe, Process,
    Protocol, Reaction, Resources, Service, ServiceId, Shape, Stop, Value, Variable,
};

use super::{component, images};

pub const ID: ServiceId = ServiceId("mcp-tools");
pub const MCP: PortRef = PortRef { service: ID, name: "mcp" };
pub const MCP_PATH: &str = "/mcp";

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "MCP server (Streamable HTTP) with the tools that workflows call",
        group: None,
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: Image::Built { dockerfile: images::PRODUCTION, target: "mcp-tools" },
        ports: vec![Port {
            name: "mcp",
            number: 4100,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "tools over Streamable HTTP, and /livez",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: [
            component(ID),
            vec![
                Variable { name: "HOST", value: Value::BindAddress(MCP) },
                Variable { name: "PORT", value: Value::BindPort(MCP) },
            ],
        ]
        .concat(),
        secrets: vec![],
        health: Some(Health::Http { port: MCP, path: "/livez" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 192, cpu_millis: 500, pids: 64 },
        volumes: vec![],
        metrics: vec![],
        alerts: vec![],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "node",
                arguments: vec![Value::Tree("flows/mcp-tools/main.js")],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![OnChange { paths: vec!["flows/mcp-tools"], reaction: Reaction::Restart }],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            user: images::USER,
            sources: vec!["flows/runtime", "flows/platform.json", "flows/mcp-tools"],
            command: vec![],
            variables: vec![],
            folders: vec![],
            scratch: vec![images::TEMPORARY],
            configuration: vec![],
            probe: Probe::Script,
            shared_memory_mib: None,
            open_files: None,
            debugger: None,
        })),
    }
}
