//! PostgreSQL: data and queue in one place, so that both share one recovery point.

use vocabulary::model::{
    Command, Container, Exposure, Folder, Health, Identity, Initialise, Lifetime, Port, PortRef, Probe,
    Process, Protocol, Resources, Scratch, SecretUse, Service, ServiceId, Shape, Stop, Storage, User, Value,
    Variable, Volume, VolumeRef,
};

use super::{images, pins, secrets};

pub const ID: ServiceId = ServiceId("postgres");
pub const SQL: PortRef = PortRef { service: ID, name: "sql" };
pub const DATA: VolumeRef = VolumeRef { service: ID, name: "data" };

pub const DATABASE: &str = "flowship";

/// The role that the migrations make for Node-RED.
pub const APPLICATION_ROLE: &str = "flowship_app";

/// How a cluster is made, whoever makes it.
const INITDB: [&str; 3] = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"];

const PROGRAM: &str = "postgres";

/// Arguments of the program, whoever starts it.
fn listens() -> Vec<Value> {
    let setting = |name, value| [Value::Text("-c"), Value::Joined(vec![Value::Text(name), value])];
    [setting("listen_addresses=", Value::BindAddress(SQL)), setting("port=", Value::BindPort(SQL))].concat()
}

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "PostgreSQL: tasks, results and the queue",
        group: None,
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: pins::POSTGRES,
        ports: vec![Port {
            name: "sql",
            number: 5432,
            protocol: Protocol::Tcp,
            exposure: Exposure::Internal,
            purpose: "the PostgreSQL protocol",
        }],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![SecretUse {
            secret: secrets::POSTGRES_SUPERUSER_PASSWORD,
            variable: Some("POSTGRES_PASSWORD_FILE"),
        }],
        health: Some(Health::Command(Command {
            program: "pg_isready",
            arguments: vec![
                Value::Text("--quiet"),
                Value::Joined(vec![Value::Text("--host="), Value::BindAddress(SQL)]),
                Value::Joined(vec![Value::Text("--port="), Value::BindPort(SQL)]),
                Value::Text("--username=postgres"),
            ],
            calls: vec![],
            variables: vec![],
        })),
        // SIGINT is the fast shutdown: sessions are ended, nothing is recovered at the next start.
        stop: Stop { signal: "SIGINT", grace_seconds: 60 },
        resources: Resources { memory_mib: 1024, cpu_millis: 2000, pids: 256 },
        volumes: vec![Volume { name: "data", purpose: "the database cluster", precious: true }],
        metrics: vec![],
        alerts: vec![],
        process: Some(Process {
            initialise: Some(Initialise {
                volume: DATA,
                creates: "PG_VERSION",
                command: Command {
                    program: "initdb",
                    arguments: vec![
                        Value::Joined(vec![Value::Text("--pgdata="), Value::Folder(DATA)]),
                        Value::Text("--username=postgres"),
                        Value::Joined(vec![
                            Value::Text("--pwfile="),
                            Value::SecretFile(secrets::POSTGRES_SUPERUSER_PASSWORD),
                        ]),
                        Value::Text(INITDB[0]),
                        Value::Text(INITDB[1]),
                        Value::Text(INITDB[2]),
                    ],
                    calls: vec![],
                    variables: vec![],
                },
            }),
            commands: vec![Command {
                program: PROGRAM,
                arguments: [
                    vec![Value::Text("-D"), Value::Folder(DATA)],
                    // Without a socket no path can be too long for one.
                    vec![Value::Text("-c"), Value::Text("unix_socket_directories=")],
                    listens(),
                ]
                .concat(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::NotRoot,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            // The user postgres of the official image.
            user: User { uid: 999, gid: 999 },
            sources: vec![],
            command: [vec![Value::Text(PROGRAM)], listens()].concat(),
            variables: vec![Variable {
                name: "POSTGRES_INITDB_ARGS",
                value: Value::Joined(vec![
                    Value::Text(INITDB[0]),
                    Value::Text(" "),
                    Value::Text(INITDB[1]),
                    Value::Text(" "),
                    Value::Text(INITDB[2]),
                ]),
            }],
            // The official image keeps the cluster in a folder of its own below this one.
            folders: vec![Folder { volume: "data", path: "/var/lib/postgresql", storage: Storage::Volume }],
            // The image's entry point speaks to the cluster through a socket while it makes it.
            scratch: vec![Scratch { path: "/var/run/postgresql", mib: 1 }, images::TEMPORARY],
            configuration: vec![],
            probe: Probe::Nothing,
            // Parallel queries share their memory there.
            shared_memory_mib: Some(256),
            open_files: None,
            debugger: None,
        })),
    }
}
