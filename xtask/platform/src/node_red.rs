//! Node-RED: two replicas that take tasks over HTTP and work on them. Flows are baked in and read-only.

use vocabulary::model::{
    Command, Container, Destination, Draining, Edge, Exposure, Fact, Folder, Health, Identity, Image,
    Lifetime, Need, OnChange, Port, PortRef, Probe, Process, Protocol, Reaction, Resources, SecretUse,
    Service, ServiceId, Shape, Stop, Storage, Value, Variable, Volume, VolumeRef, Workers,
};

use super::{component, images, llm, mcp_tools, migrate, node_red_metrics as metrics, postgres, secrets};

pub const ID: ServiceId = ServiceId("node-red");
pub const FLOWS: PortRef = PortRef { service: ID, name: "flows" };
pub const READY: PortRef = PortRef { service: ID, name: "ready" };
pub const OPS: PortRef = PortRef { service: ID, name: "ops" };
pub const EDITOR: PortRef = PortRef { service: ID, name: "editor" };
pub const USER: VolumeRef = VolumeRef { service: ID, name: "user" };

pub const WORKERS: Workers = Workers {
    flows: FLOWS,
    operations: OPS,
    editor: EDITOR,
    operations_token: secrets::OPS_TOKEN,
    api_key: secrets::API_KEY,
};

/// The delay is longer than the edge needs to notice, so that no request is sent to a replica that leaves.
pub const DRAINING: Draining = Draining { delay_ms: 800, limit_seconds: 65, development_limit_seconds: 25 };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "Node-RED: the API and the workers, flows baked in",
        group: None,
        lifetime: Lifetime::LongRunning { replicas: 2 },
        image: Image::Built { dockerfile: images::PRODUCTION, target: "node-red" },
        ports: ports(),
        edges: vec![
            Edge {
                to: Destination::Port(postgres::SQL),
                need: Need::Run,
                why: "stores tasks and results, sends and fetches jobs",
                scrape: None,
            },
            Edge { to: Destination::Port(mcp_tools::MCP), need: Need::Run, why: "calls tools", scrape: None },
            Edge {
                to: Destination::Port(llm::API),
                need: Need::Run,
                why: "calls the model's stand-in",
                scrape: None,
            },
            Edge {
                to: Destination::Internet,
                need: Need::Run,
                why: "calls the model's provider",
                scrape: None,
            },
        ],
        starts_after: vec![migrate::ID],
        variables: variables(),
        secrets: vec![
            SecretUse { secret: secrets::POSTGRES_APP_PASSWORD, variable: Some("POSTGRES_PASSWORD_FILE") },
            SecretUse { secret: secrets::LLM_API_KEY, variable: Some("LLM_API_KEY_FILE") },
            SecretUse { secret: secrets::OPS_TOKEN, variable: Some("OPS_TOKEN_FILE") },
            SecretUse { secret: secrets::API_KEY, variable: Some("API_KEY_FILE") },
        ],
        health: Some(Health::Http { port: READY, path: "/readyz" }),
        // Longer than the drain's delay and limit together.
        stop: Stop { signal: "SIGTERM", grace_seconds: 5 },
        resources: Resources { memory_mib: 512, cpu_millis: 1000, pids: 128 },
        volumes: vec![Volume {
            name: "user",
            purpose: "Node-RED's scratch folder; nothing in it matters",
            precious: false,
        }],
        metrics: metrics::metrics(),
        alerts: super::node_red_alerts::alerts(),
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "node",
                arguments: vec![Value::Tree("flows/runtime/main.js")],
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![
                OnChange {
                    paths: vec!["flows/flows.json", "flows/test-smoke.json"],
                    reaction: Reaction::ReloadFlows {
                        port: OPS,
                        path: "/reload",
                        token: secrets::OPS_TOKEN,
                        gate: "FLOW_GATE",
                    },
                },
                OnChange {
                    paths: vec![
                        "flows/nodes",
                        "flows/runtime",
                        "flows/settings.js",
                        "flows/platform.json",
                        "flows/catalogue.json",
                    ],
                    reaction: Reaction::Restart,
                },
            ],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            user: images::USER,
            sources: vec![
                "flows/runtime",
                "flows/nodes",
                "flows/settings.js",
                "flows/platform.json",
                "flows/catalogue.json",
                "flows/test-smoke.json",
                "flows/flows.json",
            ],
            command: vec![],
            variables: vec![],
            folders: vec![Folder {
                volume: "user",
                path: "/var/lib/flowship/user",
                storage: Storage::Memory { mib: 16 },
            }],
            scratch: vec![images::TEMPORARY],
            configuration: vec![],
            probe: Probe::Script,
            shared_memory_mib: None,
            open_files: None,
            debugger: Some(9229),
        })),
    }
}

fn ports() -> Vec<Port> {
    vec![
        Port {
            name: "flows",
            number: 1881,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "the API: what the flows' http-in nodes answer",
        },
        Port {
            name: "ready",
            number: 1882,
            protocol: Protocol::Http,
            exposure: Exposure::Internal,
            purpose: "/livez and /readyz, for the edge and the engine",
        },
        Port {
            name: "ops",
            number: 1883,
            protocol: Protocol::Http,
            exposure: Exposure::Operator,
            purpose: "/metrics for Prometheus; /readyz, and with a token /smoke and /drain, for the operator",
        },
        Port {
            name: "editor",
            number: 1880,
            protocol: Protocol::Http,
            exposure: Exposure::Development,
            purpose: "the flow editor and the admin API under /admin",
        },
    ]
}

fn variables() -> Vec<Variable> {
    [
        component(ID),
        vec![
            Variable { name: "FLOWSHIP_REPLICA", value: Value::Fact(Fact::Replica) },
            Variable { name: "FLOWSHIP_RELEASE", value: Value::Fact(Fact::Release) },
            Variable { name: "HOLD_FILE", value: Value::Fact(Fact::HoldFile) },
            Variable { name: "FLOWS_HOST", value: Value::BindAddress(FLOWS) },
            Variable { name: "FLOWS_PORT", value: Value::BindPort(FLOWS) },
            Variable { name: "READY_HOST", value: Value::BindAddress(READY) },
            Variable { name: "READY_PORT", value: Value::BindPort(READY) },
            Variable { name: "OPS_HOST", value: Value::BindAddress(OPS) },
            Variable { name: "OPS_PORT", value: Value::BindPort(OPS) },
            Variable { name: "EDITOR_HOST", value: Value::BindAddress(EDITOR) },
            Variable { name: "EDITOR_PORT", value: Value::BindPort(EDITOR) },
            Variable { name: "USER_DIR", value: Value::Folder(USER) },
            Variable { name: "DRAIN_DELAY_MS", value: Value::Fact(Fact::DrainDelay) },
            Variable { name: "DRAIN_TIMEOUT_MS", value: Value::Fact(Fact::DrainLimit) },
            Variable { name: "POSTGRES_HOST", value: Value::Host(postgres::SQL) },
            Variable { name: "POSTGRES_PORT", value: Value::Number(postgres::SQL) },
            Variable { name: "POSTGRES_DB", value: Value::Text(postgres::DATABASE) },
            Variable { name: "POSTGRES_USER", value: Value::Text(postgres::APPLICATION_ROLE) },
            Variable { name: "LLM_BASE_URL", value: Value::Fact(Fact::LlmBaseUrl) },
            Variable { name: "LLM_MODEL", value: Value::Fact(Fact::LlmModel) },
            Variable { name: "LLM_PROMPT_PRICE", value: Value::Fact(Fact::LlmPromptPrice) },
            Variable { name: "LLM_COMPLETION_PRICE", value: Value::Fact(Fact::LlmCompletionPrice) },
            Variable {
                name: "MCP_SERVERS",
                value: Value::Joined(vec![
                    Value::Text("tools="),
                    Value::Url { port: mcp_tools::MCP, path: mcp_tools::MCP_PATH },
                ]),
            },
        ],
    ]
    .concat()
}
