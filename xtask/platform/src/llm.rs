//! The OpenAI-compatible endpoint. In production somebody else's; while developing and in CI a stand-in that
//! speaks the same protocol, checks the key and counts tokens.

use vocabulary::model::{
    Command, Container, Exposure, Health, Identity, Image, Lifetime, LlmEndpoint, OnChange, Port, PortRef,
    Probe, Process, Protocol, Reaction, Resources, SecretUse, Service, ServiceId, Shape, Stop, Value,
    Variable,
};

use super::{component, images, secrets};

pub const ID: ServiceId = ServiceId("llm");
pub const API: PortRef = PortRef { service: ID, name: "api" };

pub fn endpoint() -> LlmEndpoint {
    LlmEndpoint { stand_in: API, path: "/v1", model: "flowship-stand-in", key: secrets::LLM_API_KEY }
}

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "OpenAI-compatible endpoint: a provider in production, a local stand-in while developing",
        group: None,
        lifetime: Lifetime::StandIn,
        image: Image::Built { dockerfile: images::DEVELOPMENT, target: "llm-stand-in" },
        ports: vec![Port {
            name: "api",
            number: 4200,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "chat completions",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: [
            component(ID),
            vec![
                Variable { name: "HOST", value: Value::BindAddress(API) },
                Variable { name: "PORT", value: Value::BindPort(API) },
            ],
        ]
        .concat(),
        secrets: vec![SecretUse { secret: secrets::LLM_API_KEY, variable: Some("LLM_API_KEY_FILE") }],
        health: Some(Health::Http { port: API, path: "/health" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 5 },
        resources: Resources { memory_mib: 192, cpu_millis: 500, pids: 64 },
        volumes: vec![],
        metrics: vec![],
        alerts: vec![],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "node",
                arguments: vec![Value::Tree("flows/llm-stand-in/main.js")],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![OnChange { paths: vec!["flows/llm-stand-in"], reaction: Reaction::Restart }],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            user: images::USER,
            sources: vec!["flows/runtime", "flows/platform.json", "flows/llm-stand-in"],
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
