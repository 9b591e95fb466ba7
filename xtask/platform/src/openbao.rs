//! OpenBao: keeps the secrets (Vault API).

use vocabulary::model::{
    Alert, Check, Command, Container, Destination, Edge, Exposure, Fault, Folder, Group, Health, Identity,
    Lifetime, MetricKind, MetricRef, Need, Port, PortRef, Probe, Process, Protocol, Resources, Samples,
    Scratch, SecretStore, Service, ServiceId, Severity, Shape, Stop, Storage, TestKind, User, Value,
    Variable, Volume, VolumeRef,
};

use super::rule_tests::{fire, level, levels, test};
use super::{images, pins, postgres};

pub const ID: ServiceId = ServiceId("openbao");
const PROGRAM: &str = "bao";
pub const API: PortRef = PortRef { service: ID, name: "api" };
pub const VAULT_CORE_UNSEALED: MetricRef = MetricRef("vault_core_unsealed");
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
        metrics: vec![super::foreign(
            VAULT_CORE_UNSEALED,
            MetricKind::Gauge,
            "1 when the store gives out secrets; one series before it has been unsealed, another one afterwards",
            &["cluster"],
        )],
        alerts: vec![sealed()],
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

fn sealed() -> Alert {
    const INSTANCE: &str = "instance=\"a\"";
    Alert {
        name: "SecretStoreSealed",
        severity: Severity::Warning,
        // What it exported before it was unsealed stays for five minutes.
        expression: VAULT_CORE_UNSEALED.series().now().max(&["instance"]).equals(0.0),
        for_minutes: 10,
        owner: super::OWNER,
        meaning: "The secret store is sealed: it gives out no secret until people with keys unseal it. It is after each start.",
        impact: "None for clients: services go on with the secrets that they have read, and are restarted with them. Deploys, \
                 rotations and new keys are refused, and after a restart of the machine nothing starts.",
        checks: vec![
            super::STATUS,
            Check { command: "flowship logs ENV openbao", look_for: "when it started, or who sealed it" },
        ],
        remedy: "Find out why first: somebody who seals it may have seen an attack. Then as many people as it needs run \
                 `flowship secrets unseal ENV --key-file FILE` with their keys.",
        fault: Fault::NotCaused(
            "the drill's platform has its secrets in files; a test seals a real store and reads the metric",
        ),
        tests: [
            levels(
                10,
                INSTANCE,
                &[
                    level(VAULT_CORE_UNSEALED, "cluster=\"\",instance=\"a\"", [0.0; 3]),
                    level(VAULT_CORE_UNSEALED, "cluster=\"vault-1\",instance=\"a\"", [1.0, 1.0, 0.0]),
                    level(VAULT_CORE_UNSEALED, "cluster=\"vault-2\",instance=\"b\"", [1.0; 3]),
                ],
            ),
            vec![
                test(
                    TestKind::Firing,
                    "it was started and never unsealed",
                    vec![(VAULT_CORE_UNSEALED, "cluster=\"\",instance=\"a\"", Samples::level(0.0, 30))],
                    vec![fire(9, &[]), fire(29, &[INSTANCE])],
                ),
                test(
                    TestKind::Silent,
                    "people unseal it in time",
                    vec![
                        (
                            VAULT_CORE_UNSEALED,
                            "cluster=\"\",instance=\"a\"",
                            Samples::level(0.0, 14).then(&Samples::missing(20)),
                        ),
                        (
                            VAULT_CORE_UNSEALED,
                            "cluster=\"vault-1\",instance=\"a\"",
                            Samples::missing(9).then(&Samples::level(1.0, 25)),
                        ),
                    ],
                    [8, 9, 11, 14, 33].map(|minute| fire(minute, &[])).to_vec(),
                ),
            ],
        ]
        .concat(),
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
