//! OpenBao: keeps the secrets (Vault API).

use vocabulary::model::{
    Command, Container, Destination, Edge, Exposure, Folder, Group, Health, Identity, Lifetime, Need, Port,
    PortRef, Probe, Process, Protocol, Resources, Scratch, SecretStore, Service, ServiceId, Shape, Stop,
    Storage, User, Value, Variable, Volume, VolumeRef,
};

use super::{images, pins, postgres};

pub const ID: ServiceId = ServiceId("openbao");
const PROGRAM: &str = "bao";
pub const API: PortRef = PortRef { service: ID, name: "api" };
const CONFIGURATION: VolumeRef = VolumeRef { service: ID, name: "configuration" };
const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };
pub const STORE: SecretStore =
    SecretStore { api: API, mount: "flowship", configuration: CONFIGURATION, data: DATA };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "OpenBao: secrets",
        group: Some(Group("secrets")),
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::OPENBAO,
        ports: vec![Port {
            name: "api",
            number: 8200,
            protocol: Protocol::Https,
            exposure: Exposure::Operator,
            purpose: "the Vault API",
        }],
        edges: vec![Edge {
            to: Destination::Port(postgres::SQL),
            need: Need::Run,
            why: "gives the application's logins new passwords",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        // Sealed, it is alive, and waits for its keys: whoever needs a secret says so.
        health: Some(Health::Http {
            port: API,
            path: "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200",
        }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 15 },
        resources: Resources { memory_mib: 256, cpu_millis: 500, pids: 64 },
        volumes: vec![
            Volume { name: DATA.name, purpose: "the sealed secrets", precious: true },
            Volume {
                name: CONFIGURATION.name,
                purpose: "its configuration and its certificate",
                precious: false,
            },
        ],
        metrics: vec![],
        alerts: vec![],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: PROGRAM,
                arguments: arguments(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            // The user openbao of the official image.
            user: User { uid: 100, gid: 1000 },
            sources: vec![],
            command: [vec![Value::Text(PROGRAM)], arguments()].concat(),
            // The image's entry point gives its folders to its user, and its program a capability: nobody may do that here.
            variables: ["SKIP_CHOWN", "SKIP_SETCAP"]
                .map(|name| Variable { name, value: Value::Text("true") })
                .into(),
            folders: vec![
                Folder { volume: DATA.name, path: "/openbao/file", storage: Storage::Volume },
                Folder {
                    volume: CONFIGURATION.name,
                    path: "/openbao/config",
                    storage: Storage::Memory { mib: 1 },
                },
            ],
            scratch: vec![Scratch { path: "/openbao/logs", mib: 1 }, images::TEMPORARY],
            configuration: vec![],
            probe: Probe::Wget,
            shared_memory_mib: None,
            open_files: None,
            debugger: None,
        })),
    }
}

fn arguments() -> Vec<Value> {
    vec![
        Value::Text("server"),
        Value::Joined(vec![
            Value::Text("-config="),
            Value::Folder(CONFIGURATION),
            Value::Text("/"),
            Value::Text(SecretStore::CONFIGURATION),
        ]),
    ]
}
