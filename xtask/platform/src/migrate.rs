//! The one shot that brings the database to the release: roles with their passwords, then the migrations. In development
//! it runs the contract migrations too.

use vocabulary::model::{
    Command, Container, Contract, Destination, Edge, Fact, Identity, Image, Lifetime, Need, OnChange, Probe,
    Process, Reaction, Resources, SecretUse, Service, ServiceId, Shape, Stop, Value, Variable,
};

use super::{images, postgres, secrets};

pub const ID: ServiceId = ServiceId("migrate");

const FOLDER: &str = "flows/migrations";
pub const CONTRACT: Contract = Contract { folder: "flows/migrations/contract", variable: "MIGRATIONS_DIR" };

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "creates the database's roles and runs the migrations, including the queue's schema",
        group: None,
        lifetime: Lifetime::OneShot,
        image: Image::Built { dockerfile: images::PRODUCTION, target: "migrate" },
        ports: vec![],
        edges: vec![Edge {
            to: Destination::Port(postgres::SQL),
            need: Need::Start,
            why: "changes the schema",
            scrape: None,
        }],
        starts_after: vec![],
        variables: vec![
            Variable { name: "POSTGRES_HOST", value: Value::Host(postgres::SQL) },
            Variable { name: "POSTGRES_PORT", value: Value::Number(postgres::SQL) },
            Variable { name: "POSTGRES_DB", value: Value::Text(postgres::DATABASE) },
            Variable { name: CONTRACT.variable, value: Value::Tree(FOLDER) },
            Variable { name: "CONTRACT_MIGRATIONS_DIR", value: Value::Tree(CONTRACT.folder) },
            Variable { name: "FLOWSHIP_TIER", value: Value::Fact(Fact::Tier) },
        ],
        secrets: vec![
            SecretUse {
                secret: secrets::POSTGRES_SUPERUSER_PASSWORD,
                variable: Some("POSTGRES_SUPERUSER_PASSWORD_FILE"),
            },
            SecretUse {
                secret: secrets::POSTGRES_OWNER_PASSWORD,
                variable: Some("POSTGRES_OWNER_PASSWORD_FILE"),
            },
            SecretUse {
                secret: secrets::POSTGRES_APP_PASSWORD,
                variable: Some("POSTGRES_APP_PASSWORD_FILE"),
            },
            SecretUse {
                secret: secrets::POSTGRES_EXPORTER_PASSWORD,
                variable: Some("POSTGRES_EXPORTER_PASSWORD_FILE"),
            },
            SecretUse {
                secret: secrets::POSTGRES_BARMAN_PASSWORD,
                variable: Some("POSTGRES_BARMAN_PASSWORD_FILE"),
            },
        ],
        health: None,
        stop: Stop { signal: "SIGTERM", grace_seconds: 30 },
        resources: Resources { memory_mib: 128, cpu_millis: 500, pids: 32 },
        volumes: vec![],
        metrics: vec![],
        alerts: vec![],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "sh",
                arguments: vec![Value::Tree("ops/scripts/migrate.sh")],
                calls: vec!["psql", "dbmate"],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![OnChange {
                paths: vec![
                    FOLDER,
                    "ops/scripts/migrate.sh",
                    "ops/scripts/login-administrator.sql",
                    "ops/scripts/login-role.sql",
                    "ops/scripts/roles.sql",
                ],
                reaction: Reaction::RunAgain,
            }],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: true,
            user: images::USER,
            sources: vec![
                "ops/scripts/migrate.sh",
                "ops/scripts/discard-database.sh",
                "ops/scripts/database-credential.sh",
                "ops/scripts/login-administrator.sql",
                "ops/scripts/login-role.sql",
                "ops/scripts/roles.sql",
                FOLDER,
            ],
            command: vec![],
            variables: vec![],
            folders: vec![],
            scratch: vec![images::TEMPORARY],
            configuration: vec![],
            probe: Probe::Nothing,
            shared_memory_mib: None,
            open_files: None,
            debugger: None,
        })),
    }
}
