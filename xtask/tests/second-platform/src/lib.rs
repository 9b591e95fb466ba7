//! A second platform, as an adopter might have one: every name is another, workflows call no tools, and one service more has
//! a port and a secret. What works only because of a name of the shipped platform fails on it.
//!
//! Its programs are those of this repository, so that it can run.

use vocabulary::model::{
    Action, Alert, Approval, Architecture, ChangeClass, Check, CheckTimes, Command, ConfigurationFile,
    Container, ContainerPolicy, Dashboard, Dashboards, Database, Destination, DisplayUnit, Draining, Edge,
    EdgePolicy, EditorAccess, Evidence, Expected, Exposure, Fact, Fault, Folder, Gate, GateCommand,
    GateGroup, Group, Health, Identity, Image, ImageLimits, Initialise, Label, Lifetime, LlmEndpoint,
    LogStore, Metric, MetricKind, MetricRef, Monitoring, Need, OnChange, Operation, Panel, Platform, Port,
    PortRef, Predicate, Probe, Process, Proof, Protocol, Query, QueuePolicy, Reaction, Reads, Recording,
    ReleasePolicy, Resources, Review, Role, RouteRule, RuleTest, Samples, Scrape, Scratch, Secret,
    SecretKind, SecretRef, SecretRight, SecretSource, SecretStore, SecretUse, Series, Service, ServiceId,
    Severity, Shape, SmokeCheck, SmokeStep, SmokeSuite, Stop, Storage, Test, TestKind, User, Value, Variable,
    Volume, VolumeRef, Workers,
};

const PORTAL: ServiceId = ServiceId("portal");
const CLEAR: PortRef = PortRef { service: PORTAL, name: "clear" };
const TLS: PortRef = PortRef { service: PORTAL, name: "tls" };
const STATE: PortRef = PortRef { service: PORTAL, name: "state" };
const PORTAL_FOLDER: VolumeRef = VolumeRef { service: PORTAL, name: "place" };
const ENGINE: ServiceId = ServiceId("flow-engine");
const API: PortRef = PortRef { service: ENGINE, name: "api" };
const HEALTH: PortRef = PortRef { service: ENGINE, name: "health" };
const CONTROL: PortRef = PortRef { service: ENGINE, name: "control" };
const STUDIO: PortRef = PortRef { service: ENGINE, name: "studio" };
const STORE: ServiceId = ServiceId("store");
const QUERIES: PortRef = PortRef { service: STORE, name: "queries" };
const CLUSTER: VolumeRef = VolumeRef { service: STORE, name: "cluster" };
const SCHEMA: ServiceId = ServiceId("schema");
const ORACLE: ServiceId = ServiceId("oracle");
const ASK: PortRef = PortRef { service: ORACLE, name: "ask" };
/// The service that the shipped platform has no counterpart of.
const LEDGER: ServiceId = ServiceId("ledger");
const BOOK: PortRef = PortRef { service: LEDGER, name: "book" };
const WATCH: ServiceId = ServiceId("watch");
const VAULT: ServiceId = ServiceId("vault");
const STRONGROOM: SecretStore = SecretStore {
    api: PortRef { service: VAULT, name: "door" },
    mount: "strongroom",
    configuration: VolumeRef { service: VAULT, name: "rules" },
    data: VolumeRef { service: VAULT, name: "safe" },
};
const LIST: VolumeRef = VolumeRef { service: WATCH, name: "list" };
const HERALD: ServiceId = ServiceId("herald");
const HORN: PortRef = PortRef { service: HERALD, name: "horn" };
const CALLS: VolumeRef = VolumeRef { service: HERALD, name: "calls" };
const SCRIBE: ServiceId = ServiceId("scribe");
const INK: PortRef = PortRef { service: SCRIBE, name: "ink" };
const PULSE: PortRef = PortRef { service: SCRIBE, name: "pulse" };
const BOOKMARKS: VolumeRef = VolumeRef { service: SCRIBE, name: "bookmarks" };
const PAGES: PortRef = PortRef { service: WATCH, name: "pages" };

const ROOT_PASSWORD: SecretRef = SecretRef("store-root");
const OWNER_PASSWORD: SecretRef = SecretRef("store-owner");
const ENGINE_PASSWORD: SecretRef = SecretRef("store-engine");
const WATCH_PASSWORD: SecretRef = SecretRef("store-watch");
const COPY_PASSWORD: SecretRef = SecretRef("store-copy");
const MODEL_KEY: SecretRef = SecretRef("model-key");
const CLIENT_KEY: SecretRef = SecretRef("client-key");
const CONTROL_TOKEN: SecretRef = SecretRef("control-token");
const CERTIFICATE: SecretRef = SecretRef("portal-certificate");
const LEDGER_KEY: SecretRef = SecretRef("ledger-key");

const PAGING_KEY: SecretRef = SecretRef("paging-key");
const CHAT_WEBHOOK: SecretRef = SecretRef("chat-webhook");
const MAIL_PASSWORD: SecretRef = SecretRef("mail-password");

const READY: MetricRef = MetricRef("harbour_ready");

const DRAINING: Draining = Draining { delay_ms: 900, limit_seconds: 15, development_limit_seconds: 12 };
const PRODUCTION: &str = "images/Dockerfile";
const DEVELOPMENT: &str = "images/Dockerfile.dev";
const USER: User = User { uid: 20_002, gid: 20_002 };
const TEMPORARY: Scratch = Scratch { path: "/tmp", mib: 8 };
const INITDB: [&str; 3] = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"];

/// The platform `harbour`.
pub fn platform() -> Platform {
    Platform {
        name: "harbour",
        recordings: vec![recording()],
        services: vec![
            portal(),
            ledger(),
            store(),
            schema(),
            engine(),
            oracle(),
            watch(),
            scribe(),
            herald(),
            vault(),
        ],
        dashboards: vec![dashboard()],
        secrets: secrets(),
        labels: ["workflow_id", "node_id", "task_id", "component", "environment"]
            .into_iter()
            .map(|name| Label {
                name,
                purpose: "what its name says",
                example: "x",
                unbounded: name == "task_id",
            })
            .collect(),
        workers: Workers {
            flows: API,
            operations: CONTROL,
            editor: STUDIO,
            operations_token: CONTROL_TOKEN,
            api_key: CLIENT_KEY,
        },
        database: Database {
            port: QUERIES,
            name: "flowship",
            user: "flowship_app",
            password: ENGINE_PASSWORD,
            migrations: SCHEMA,
            discard: "ops/scripts/discard-database.sh",
            credential: "ops/scripts/database-credential.sh",
            contract: None,
        },
        tools: None,
        secret_store: Some(STRONGROOM),
        log_store: Some(LogStore { api: PAGES, collector: SCRIBE }),
        monitoring: Some(Monitoring {
            scraper: PAGES,
            scraper_configuration: LIST,
            notifier: HORN,
            notifier_configuration: CALLS,
            paging_key: PAGING_KEY,
            chat_webhook: CHAT_WEBHOOK,
            mail_password: MAIL_PASSWORD,
            viewer: None,
        }),
        llm: LlmEndpoint { stand_in: ASK, path: "/v1", model: "oracle-small", key: MODEL_KEY },
        queue: queue(),
        containers: containers(),
        draining: DRAINING,
        edge: EdgePolicy {
            http: CLEAR,
            https: TLS,
            certificate: CERTIFICATE,
            folder: PORTAL_FOLDER,
            path: "/api/",
            workflows: "/api/voyages/",
            tasks: "/api/tasks/",
            max_connections: 512,
            check_every_ms: 200,
            check_failures: 3,
            check_successes: 2,
            head_limit_seconds: 10,
            tunnel_limit_seconds: 600,
            answer_limit_seconds: 10,
            strict_transport_seconds: 63_072_000,
            body_limit_bytes: 1 << 20,
            body_limit_seconds: 5,
            head_limit_bytes: 15 << 10,
            max_headers: 50,
            max_streams: 50,
            max_requests_of_address: 500,
            max_connections_of_address: 50,
            max_new_connections_of_address: 300,
            rate_seconds: 10,
            max_addresses: 10_000,
        },
        smoke: smoke(),
        gates: gates(),
        review: Review { label: "harbour-master", asked_for: vec![ChangeClass::WidensReach] },
        operations: vec![Operation {
            method: "GET",
            path: "/api/ships/{ship}",
            purpose: "where a ship is",
            body_limit_bytes: 0,
        }],
        access: vec![harbour_master()],
        release: ReleasePolicy {
            branch: "trunk",
            required_check: "All",
            architectures: vec![Architecture::Aarch64],
            public_keys: vec![],
        },
        actions: actions(),
    }
}

/// One that nothing is said of yet.
pub fn service(id: ServiceId, purpose: &'static str, lifetime: Lifetime) -> Service {
    Service {
        id,
        purpose,
        group: None,
        lifetime,
        image: Image::None,
        ports: vec![],
        edges: vec![],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![],
        health: None,
        stop: Stop { signal: "SIGTERM", grace_seconds: 5 },
        resources: Resources { memory_mib: 256, cpu_millis: 500, pids: 64 },
        volumes: vec![],
        metrics: vec![],
        alerts: vec![],
        process: None,
        container: Container::Later,
    }
}

pub fn port(name: &'static str, number: u16, protocol: Protocol, exposure: Exposure) -> Port {
    Port { name, number, protocol, exposure, purpose: "to be reached" }
}

pub fn edge(to: PortRef, need: Need) -> Edge {
    Edge { to: Destination::Port(to), need, why: "needs it", scrape: None }
}

pub fn variable(name: &'static str, value: Value) -> Variable {
    Variable { name, value }
}

pub fn read(secret: SecretRef, variable: &'static str) -> SecretUse {
    SecretUse { secret, variable: Some(variable) }
}

fn runs(program: &'static str, file: &'static str, calls: Vec<&'static str>) -> Option<Process> {
    let arguments = vec![Value::Tree(file)];
    let commands = vec![Command { program, arguments, calls, variables: vec![] }];
    Some(Process { initialise: None, commands, identity: Identity::Caller, on_change: vec![] })
}

/// What runs these files of ours in a container.
pub fn shape(sources: Vec<&'static str>) -> Shape {
    Shape {
        in_development: true,
        user: USER,
        sources,
        command: vec![],
        variables: vec![],
        folders: vec![],
        scratch: vec![TEMPORARY],
        configuration: vec![],
        probe: Probe::Script,
        shared_memory_mib: None,
        open_files: None,
        debugger: None,
    }
}

fn portal() -> Service {
    const FILE: &str = "/usr/local/etc/haproxy/haproxy.cfg";
    let arguments = |file| {
        let words =
            vec![Value::Text("-C"), Value::Folder(PORTAL_FOLDER), Value::Text("-f"), Value::Text(file)];
        words.into_iter()
    };
    Service {
        image: Image::Pinned {
            reference: "haproxy:3.4.5-alpine3.24",
            digest: "sha256:7ffdd3845020aa4c97ffaa56c8cab3ad473ecae0b8ea5e55d2378d663755e092",
        },
        ports: vec![
            port("clear", 18_080, Protocol::Http, Exposure::Public),
            port("tls", 18_443, Protocol::Https, Exposure::Public),
            port("state", 18_404, Protocol::Http, Exposure::Internal),
        ],
        edges: vec![
            edge(API, Need::Run),
            edge(HEALTH, Need::Run),
            Edge { to: Destination::Internet, ..edge(API, Need::Run) },
        ],
        variables: vec![
            variable("HARBOUR_ENVIRONMENT", Value::Fact(Fact::Environment)),
            variable("CLEAR_HOST", Value::BindAddress(CLEAR)),
            variable("CLEAR_PORT", Value::BindPort(CLEAR)),
            variable("TLS_HOST", Value::BindAddress(TLS)),
            variable("TLS_PORT", Value::BindPort(TLS)),
            variable("STATE_HOST", Value::BindAddress(STATE)),
            variable("STATE_PORT", Value::BindPort(STATE)),
        ],
        secrets: vec![read(CERTIFICATE, "PORTAL_PEM_FILE")],
        health: Some(Health::Http { port: STATE, path: "/well" }),
        stop: Stop { signal: "SIGUSR1", grace_seconds: 10 },
        volumes: vec![Volume { name: PORTAL_FOLDER.name, purpose: "its sockets", precious: false }],
        process: Some(Process {
            initialise: None,
            commands: vec![Command {
                program: "haproxy",
                arguments: [Value::Text("-W"), Value::Text("-db")]
                    .into_iter()
                    .chain(arguments("portal.cfg"))
                    .collect(),
                calls: vec![],
                variables: vec![],
            }],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            in_development: false,
            user: User { uid: 99, gid: 99 },
            command: std::iter::once(Value::Text("haproxy")).chain(arguments(FILE)).collect(),
            folders: vec![Folder {
                volume: PORTAL_FOLDER.name,
                path: "/run/portal",
                storage: Storage::Memory { mib: 1 },
            }],
            configuration: vec![ConfigurationFile {
                name: "portal",
                source: "ops/edge/portal.cfg",
                path: FILE,
            }],
            probe: Probe::Wget,
            ..shape(vec![])
        })),
        ..service(PORTAL, "the way in", Lifetime::LongRunning { replicas: 1 })
    }
}

fn engine() -> Service {
    const SCRATCH: VolumeRef = VolumeRef { service: ENGINE, name: "scratch" };
    let own = [
        ("FLOWSHIP_ENVIRONMENT", Value::Fact(Fact::Environment)),
        ("FLOWSHIP_TIER", Value::Fact(Fact::Tier)),
        ("FLOWSHIP_COMPONENT", Value::Text(ENGINE.0)),
        ("FLOWSHIP_REPLICA", Value::Fact(Fact::Replica)),
        ("FLOWSHIP_RELEASE", Value::Fact(Fact::Release)),
        ("HOLD_FILE", Value::Fact(Fact::HoldFile)),
        ("FLOWS_HOST", Value::BindAddress(API)),
        ("FLOWS_PORT", Value::BindPort(API)),
        ("READY_HOST", Value::BindAddress(HEALTH)),
        ("READY_PORT", Value::BindPort(HEALTH)),
        ("OPS_HOST", Value::BindAddress(CONTROL)),
        ("OPS_PORT", Value::BindPort(CONTROL)),
        ("EDITOR_HOST", Value::BindAddress(STUDIO)),
        ("EDITOR_PORT", Value::BindPort(STUDIO)),
        ("USER_DIR", Value::Folder(SCRATCH)),
        ("DRAIN_DELAY_MS", Value::Fact(Fact::DrainDelay)),
        ("DRAIN_TIMEOUT_MS", Value::Fact(Fact::DrainLimit)),
        ("POSTGRES_HOST", Value::Host(QUERIES)),
        ("POSTGRES_PORT", Value::Number(QUERIES)),
        ("POSTGRES_DB", Value::Text("flowship")),
        ("POSTGRES_USER", Value::Text("flowship_app")),
        ("LLM_BASE_URL", Value::Fact(Fact::LlmBaseUrl)),
        ("LLM_MODEL", Value::Fact(Fact::LlmModel)),
        ("PROMPT_PRICE", Value::Fact(Fact::LlmPromptPrice)),
        ("COMPLETION_PRICE", Value::Fact(Fact::LlmCompletionPrice)),
        ("LEDGER_URL", Value::Url { port: BOOK, path: "/v1" }),
    ];
    let reload = OnChange {
        paths: vec!["flows/flows.json"],
        reaction: Reaction::ReloadFlows {
            port: CONTROL,
            path: "/reload",
            token: CONTROL_TOKEN,
            gate: "FLOW_GATE",
        },
    };
    let sources = [
        "flows/runtime",
        "flows/nodes",
        "flows/settings.js",
        "flows/platform.json",
        "flows/catalogue.json",
        "flows/test-smoke.json",
        "flows/flows.json",
    ];
    Service {
        image: Image::Built { dockerfile: PRODUCTION, target: "engine" },
        ports: vec![
            port("api", 2881, Protocol::Http, Exposure::Internal),
            port("health", 2882, Protocol::Http, Exposure::Internal),
            port("control", 2883, Protocol::Http, Exposure::Operator),
            port("studio", 2880, Protocol::Http, Exposure::Development),
        ],
        edges: vec![edge(QUERIES, Need::Run), edge(BOOK, Need::Run), edge(ASK, Need::Run)],
        starts_after: vec![SCHEMA],
        variables: own.into_iter().map(|(name, value)| variable(name, value)).collect(),
        secrets: vec![
            read(ENGINE_PASSWORD, "POSTGRES_PASSWORD_FILE"),
            read(MODEL_KEY, "LLM_API_KEY_FILE"),
            read(CONTROL_TOKEN, "OPS_TOKEN_FILE"),
            read(CLIENT_KEY, "API_KEY_FILE"),
            read(LEDGER_KEY, "LEDGER_KEY_FILE"),
        ],
        health: Some(Health::Http { port: HEALTH, path: "/readyz" }),
        stop: Stop { signal: "SIGTERM", grace_seconds: 5 },
        volumes: vec![Volume { name: "scratch", purpose: "nothing that matters", precious: false }],
        metrics: metrics(),
        alerts: vec![alert()],
        process: runs("node", "flows/runtime/main.js", vec![])
            .map(|process| Process { on_change: vec![reload], ..process }),
        container: Container::Runs(Box::new(Shape {
            folders: vec![Folder {
                volume: "scratch",
                path: "/var/lib/harbour/scratch",
                storage: Storage::Memory { mib: 16 },
            }],
            debugger: Some(9230),
            ..shape(sources.to_vec())
        })),
        ..service(ENGINE, "Node-RED under another name", Lifetime::LongRunning { replicas: 2 })
    }
}

fn store() -> Service {
    let setting = |name, value| [Value::Text("-c"), Value::Joined(vec![Value::Text(name), value])];
    let listens = [
        setting("listen_addresses=", Value::BindAddress(QUERIES)),
        setting("port=", Value::BindPort(QUERIES)),
    ];
    let listens = listens.concat();
    let joined = |text, value| Value::Joined(vec![Value::Text(text), value]);
    let command = |program, arguments| Command { program, arguments, calls: vec![], variables: vec![] };
    let initdb = [
        vec![
            joined("--pgdata=", Value::Folder(CLUSTER)),
            Value::Text("--username=postgres"),
            joined("--pwfile=", Value::SecretFile(ROOT_PASSWORD)),
        ],
        INITDB.map(Value::Text).to_vec(),
    ];
    let own = vec![
        Value::Text("-D"),
        Value::Folder(CLUSTER),
        Value::Text("-c"),
        Value::Text("unix_socket_directories="),
    ];
    Service {
        image: Image::Pinned {
            reference: "postgres:18-bookworm",
            digest: "sha256:1961f96e6029a02c3812d7cb329a3b03a3ac2bb067058dec17b0f5596aca9296",
        },
        ports: vec![port("queries", 25_432, Protocol::Tcp, Exposure::Internal)],
        secrets: vec![read(ROOT_PASSWORD, "POSTGRES_PASSWORD_FILE")],
        health: Some(Health::Command(command(
            "pg_isready",
            vec![
                joined("--host=", Value::BindAddress(QUERIES)),
                joined("--port=", Value::BindPort(QUERIES)),
                Value::Text("--username=postgres"),
            ],
        ))),
        stop: Stop { signal: "SIGINT", grace_seconds: 60 },
        volumes: vec![Volume { name: "cluster", purpose: "all data", precious: true }],
        process: Some(Process {
            initialise: Some(Initialise {
                volume: CLUSTER,
                creates: "PG_VERSION",
                command: command("initdb", initdb.concat()),
            }),
            commands: vec![command("postgres", [own, listens.clone()].concat())],
            identity: Identity::NotRoot,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            user: User { uid: 999, gid: 999 },
            command: [vec![Value::Text("postgres")], listens].concat(),
            folders: vec![Folder {
                volume: "cluster",
                path: "/var/lib/postgresql",
                storage: Storage::Volume,
            }],
            scratch: vec![Scratch { path: "/var/run/postgresql", mib: 1 }, TEMPORARY],
            probe: Probe::Nothing,
            ..shape(vec![])
        })),
        ..service(STORE, "PostgreSQL under another name", Lifetime::LongRunning { replicas: 1 })
    }
}

fn schema() -> Service {
    let sources = vec![
        "ops/scripts/migrate.sh",
        "ops/scripts/login-role.sql",
        "ops/scripts/roles.sql",
        "flows/migrations",
    ];
    Service {
        image: Image::Built { dockerfile: PRODUCTION, target: "schema" },
        edges: vec![edge(QUERIES, Need::Start)],
        variables: vec![
            variable("POSTGRES_HOST", Value::Host(QUERIES)),
            variable("POSTGRES_PORT", Value::Number(QUERIES)),
            variable("POSTGRES_DB", Value::Text("flowship")),
            variable("MIGRATIONS_DIR", Value::Tree("flows/migrations")),
        ],
        secrets: vec![
            read(ROOT_PASSWORD, "POSTGRES_SUPERUSER_PASSWORD_FILE"),
            read(OWNER_PASSWORD, "POSTGRES_OWNER_PASSWORD_FILE"),
            read(ENGINE_PASSWORD, "POSTGRES_APP_PASSWORD_FILE"),
            read(WATCH_PASSWORD, "POSTGRES_EXPORTER_PASSWORD_FILE"),
            read(COPY_PASSWORD, "POSTGRES_BARMAN_PASSWORD_FILE"),
        ],
        process: runs("sh", "ops/scripts/migrate.sh", vec!["psql", "dbmate"]),
        container: Container::Runs(Box::new(Shape { probe: Probe::Nothing, ..shape(sources) })),
        ..service(SCHEMA, "brings the schema", Lifetime::OneShot)
    }
}

/// A web server with a key of its own: the program of the model's stand-in, which is all that it has to be.
fn speaks(id: ServiceId, port: PortRef, key: SecretRef) -> Service {
    Service {
        variables: vec![
            variable("FLOWSHIP_ENVIRONMENT", Value::Fact(Fact::Environment)),
            variable("FLOWSHIP_COMPONENT", Value::Text(id.0)),
            variable("HOST", Value::BindAddress(port)),
            variable("PORT", Value::BindPort(port)),
        ],
        secrets: vec![read(key, "LLM_API_KEY_FILE")],
        health: Some(Health::Http { port, path: "/health" }),
        process: runs("node", "flows/llm-stand-in/main.js", vec![]),
        container: Container::Runs(Box::new(shape(vec![
            "flows/runtime",
            "flows/platform.json",
            "flows/llm-stand-in",
        ]))),
        ..service(id, "answers", Lifetime::StandIn)
    }
}

fn oracle() -> Service {
    Service {
        image: Image::Built { dockerfile: DEVELOPMENT, target: "oracle" },
        ports: vec![port("ask", 5200, Protocol::Http, Exposure::Internal)],
        ..speaks(ORACLE, ASK, MODEL_KEY)
    }
}

fn ledger() -> Service {
    Service {
        lifetime: Lifetime::LongRunning { replicas: 1 },
        image: Image::Built { dockerfile: PRODUCTION, target: "ledger" },
        ports: vec![port("book", 5300, Protocol::Http, Exposure::Internal)],
        ..speaks(LEDGER, BOOK, LEDGER_KEY)
    }
}

fn watch() -> Service {
    let scrapes =
        |to| Edge { scrape: Some(Scrape { path: "/metrics", every_seconds: 20 }), ..edge(to, Need::Run) };
    Service {
        image: pinned("prom/prometheus:v3.13.0"),
        container: keeps(LIST, Storage::Memory { mib: 1 }),
        ports: vec![port("pages", 9190, Protocol::Http, Exposure::Operator)],
        edges: vec![scrapes(CONTROL), scrapes(STATE), scrapes(BOOK), scrapes(INK), edge(HORN, Need::Run)],
        volumes: vec![Volume { name: LIST.name, purpose: "whom it reads", precious: false }],
        group: Some(Group("lookout")),
        health: Some(Health::Http { port: PAGES, path: "/" }),
        process: runs("node", "flows/llm-stand-in/main.js", vec![]),
        variables: vec![Variable { name: "KEPT", value: Value::Fact(Fact::LogsKept) }],
        ..service(WATCH, "reads the metrics", Lifetime::LongRunning { replicas: 1 })
    }
}

fn pinned(reference: &'static str) -> Image {
    let digest = "sha256:fdc6da21ca6963560c32336fd7feb9cf2d5e52668f1a1647205a4b41171f0806";
    Image::Pinned { reference, digest }
}

/// A container with one folder.
fn keeps(volume: VolumeRef, storage: Storage) -> Container {
    Container::Runs(Box::new(Shape {
        folders: vec![Folder { volume: volume.name, path: "/kept", storage }],
        probe: Probe::Wget,
        ..shape(vec![])
    }))
}

/// Brings the log lines to the watch, which keeps them too.
fn scribe() -> Service {
    let variables = [
        ("LINES", Value::Fact(Fact::LogFolder)),
        ("SHELF", Value::Url { port: PAGES, path: "" }),
        ("PORTAL", Value::Url { port: TLS, path: "" }),
        ("BOOKMARKS", Value::Folder(BOOKMARKS)),
        ("PULSE_HOST", Value::BindAddress(PULSE)),
        ("PULSE_PORT", Value::BindPort(PULSE)),
        ("INK_HOST", Value::BindAddress(INK)),
        ("INK_PORT", Value::BindPort(INK)),
    ];
    Service {
        group: Some(Group("lookout")),
        image: pinned("busybox:1.37.0-musl"),
        container: keeps(BOOKMARKS, Storage::Volume),
        ports: vec![
            port("pulse", 9194, Protocol::Http, Exposure::Operator),
            port("ink", 9195, Protocol::Http, Exposure::Internal),
        ],
        edges: vec![edge(PAGES, Need::Run), edge(TLS, Need::Run)],
        health: Some(Health::Http { port: PULSE, path: "/" }),
        volumes: vec![Volume { name: BOOKMARKS.name, purpose: "how far it has read", precious: false }],
        process: runs("node", "flows/llm-stand-in/main.js", vec![]),
        variables: variables.map(|(name, value)| Variable { name, value }).into(),
        ..service(SCRIBE, "brings the log lines", Lifetime::LongRunning { replicas: 1 })
    }
}

/// Tells people what the watch has seen.
fn herald() -> Service {
    let file = |secret| SecretUse { secret, variable: None };
    Service {
        group: Some(Group("lookout")),
        image: pinned("prom/alertmanager:v0.33.0"),
        container: keeps(CALLS, Storage::Memory { mib: 1 }),
        ports: vec![port("horn", 9193, Protocol::Http, Exposure::Operator)],
        edges: vec![Edge { to: Destination::Internet, need: Need::Run, why: "calls", scrape: None }],
        secrets: [PAGING_KEY, CHAT_WEBHOOK, MAIL_PASSWORD].map(file).into(),
        health: Some(Health::Http { port: HORN, path: "/" }),
        volumes: vec![Volume { name: CALLS.name, purpose: "whom it calls", precious: false }],
        process: runs("node", "flows/llm-stand-in/main.js", vec![]),
        ..service(HERALD, "tells people", Lifetime::LongRunning { replicas: 1 })
    }
}

/// Keeps the secrets, where a site wants that.
fn vault() -> Service {
    let arguments = vec![Value::Text("server"), Value::Folder(STRONGROOM.configuration)];
    let command = Command { program: "bao", arguments: arguments.clone(), calls: vec![], variables: vec![] };
    Service {
        image: Image::Pinned {
            reference: "ghcr.io/openbao/openbao:2.5.3",
            digest: "sha256:fdc6da21ca6963560c32336fd7feb9cf2d5e52668f1a1647205a4b41171f0806",
        },
        ports: vec![port("door", 8300, Protocol::Https, Exposure::Operator)],
        health: Some(Health::Http { port: STRONGROOM.api, path: "/v1/sys/health" }),
        volumes: vec![
            Volume { name: "rules", purpose: "its configuration", precious: false },
            Volume { name: "safe", purpose: "the sealed secrets", precious: true },
        ],
        process: Some(Process {
            initialise: None,
            commands: vec![command],
            identity: Identity::Caller,
            on_change: vec![],
        }),
        container: Container::Runs(Box::new(Shape {
            user: User { uid: 100, gid: 1000 },
            command: [vec![Value::Text("bao")], arguments].concat(),
            folders: vec![
                Folder { volume: "safe", path: "/openbao/file", storage: Storage::Volume },
                Folder { volume: "rules", path: "/openbao/config", storage: Storage::Memory { mib: 1 } },
            ],
            probe: Probe::Wget,
            ..shape(vec![])
        })),
        group: Some(Group("strongroom")),
        ..service(VAULT, "keeps the secrets", Lifetime::LongRunning { replicas: 1 })
    }
}

fn secrets() -> Vec<Secret> {
    let made = |name| Secret {
        name,
        purpose: "lets somebody in",
        kind: SecretKind::BearerToken,
        source: SecretSource::Generated { bytes: 24 },
        rotate_after_days: 60,
    };
    let given =
        |name, kind| Secret { kind, source: SecretSource::Provided { by: "somebody else" }, ..made(name) };
    let password = |name, role| Secret { kind: SecretKind::DatabasePassword { role }, ..made(name) };
    vec![
        password(ROOT_PASSWORD, "postgres"),
        password(OWNER_PASSWORD, "flowship_owner"),
        Secret { kind: SecretKind::DatabaseLogin { role: "flowship_app" }, ..made(ENGINE_PASSWORD) },
        password(WATCH_PASSWORD, "flowship_exporter"),
        password(COPY_PASSWORD, "flowship_barman"),
        given(MODEL_KEY, SecretKind::ProviderKey),
        made(CLIENT_KEY),
        made(CONTROL_TOKEN),
        given(CERTIFICATE, SecretKind::CertificatePair),
        Secret { kind: SecretKind::AccountPassword, ..made(LEDGER_KEY) },
        given(PAGING_KEY, SecretKind::ProviderKey),
        given(CHAT_WEBHOOK, SecretKind::ProviderKey),
        given(MAIL_PASSWORD, SecretKind::ProviderKey),
    ]
}

fn queue() -> QueuePolicy {
    QueuePolicy {
        task: "cargo",
        dead_letter: "cargo-lost",
        smoke_prefix: "trial-",
        retry_limit: 2,
        retry_delay_seconds: 1,
        retry_delay_max_seconds: 10,
        retry_backoff: true,
        park_max_seconds: 60,
        park_within_seconds: 600,
        expire_seconds: 60,
        heartbeat_seconds: 10,
        monitor_seconds: 5,
        retention_seconds: 3600,
        delete_after_seconds: 600,
        poll_ms: 500,
        control_poll_ms: 1000,
        in_flight: 16,
        in_flight_characters: 1_000_000,
        concurrency: 8,
    }
}

fn containers() -> ContainerPolicy {
    ContainerPolicy {
        root: "/srv/harbour",
        secrets: "/run/keys",
        probe: "ops/scripts/probe.bash",
        node: Image::Pinned {
            reference: "node:24-bookworm-slim",
            digest: "sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d",
        },
        production: PRODUCTION,
        development: DEVELOPMENT,
        limits: vec![],
        strictest: ImageLimits { target: "", mebibytes: 200, tools: vec![] },
        restart_attempts: 3,
        check: CheckTimes { every_seconds: 5, limit_seconds: 2, start_seconds: 60, failures: 3 },
        log_file_mib: 5,
        log_files: 2,
        network_prefix: "10.99",
    }
}

fn smoke() -> SmokeSuite {
    let exists = |property| Predicate { property, test: Test::Exists };
    SmokeSuite {
        checks: vec![
            SmokeCheck {
                name: "store",
                purpose: "a query is answered",
                relies_on: vec![ENGINE, STORE],
                steps: vec![SmokeStep::Query { title: "ask", sql: "SELECT 1 AS one", parameters: vec![] }],
                expects: vec![exists("payload.0.one")],
                detail: "payload",
            },
            SmokeCheck {
                name: "route",
                purpose: "a message leaves by its rule",
                relies_on: vec![ENGINE],
                steps: vec![SmokeStep::Route {
                    title: "by the rule",
                    rules: vec![RouteRule { condition: exists("smoke.check"), output: "berth" }],
                    leaves_by: Some("berth"),
                }],
                expects: vec![exists("route")],
                detail: "route",
            },
        ],
        check_limit_ms: 5_000,
        run_limit_ms: 10_000,
    }
}

fn harbour_master() -> Role {
    Role {
        id: "harbour-master",
        who: "decides who lands",
        editor: EditorAccess::None,
        secrets: vec![SecretRight::List, SecretRight::Replace],
        dashboards: Dashboards::Viewer,
        approves: vec![Approval::Release],
        login: true,
        commands: vec!["deploy"],
    }
}

fn gates() -> Vec<Gate> {
    let gate = |id, group, arguments: &[&'static str]| Gate {
        id,
        group,
        checks: "all is well",
        commands: vec![GateCommand {
            program: GateCommand::XTASK,
            arguments: arguments.to_vec(),
            calls: vec![],
            folder: ".",
            evidence: Evidence::ExitCode,
            sarif: None,
            proof: Proof::OwnTests,
        }],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec!["flows"]),
        negative_control: "tests/harbour.rs::it_fails",
        remedy: "fix it",
        limit_seconds: 60,
    };
    vec![
        gate("berths", GateGroup::Sources, &["check", "flows"]),
        gate("customs", GateGroup::Security, &["check", "compliance"]),
    ]
}

fn actions() -> Vec<Action> {
    [
        "Swatinem/rust-cache",
        "actions/attest-build-provenance",
        "actions/cache",
        "actions/checkout",
        "actions/download-artifact",
        "actions/setup-python",
        "actions/upload-artifact",
        "github/codeql-action/upload-sarif",
    ]
    .map(|name| Action { name, version: "v1.0.0", commit: "0123456789abcdef0123456789abcdef01234567" })
    .to_vec()
}

/// What the launcher counts, which is part of the product: it refuses to count what its platform does not define.
const COUNTED: &[(&str, Kind, &[&str])] = &[
    ("flowship_build_info", Kind::Gauge, &["rev", "environment", "replica"]),
    ("flowship_ready", Kind::Gauge, &[]),
    ("flowship_readiness_check_ok", Kind::Gauge, &["check"]),
    ("flowship_draining", Kind::Gauge, &[]),
    ("flowship_dependency_up", Kind::Gauge, &["dependency"]),
    ("flowship_reloads_total", Kind::Counter, &["outcome"]),
    ("flowship_flow_errors_total", Kind::Counter, &["node_type"]),
    ("flowship_log_lines_total", Kind::Counter, &["level"]),
    ("flowship_http_requests_total", Kind::Counter, &["method", "route", "status"]),
    ("flowship_http_request_duration_seconds", Kind::Seconds, &["method", "route"]),
    ("flowship_http_requests_in_flight", Kind::Gauge, &[]),
    ("flowship_smoke_runs_total", Kind::Counter, &["status"]),
    ("flowship_smoke_check_passed", Kind::Gauge, &["check"]),
    ("flowship_smoke_check_duration_seconds", Kind::Gauge, &["check"]),
    ("flowship_tasks_accepted_total", Kind::Counter, &["workflow_id"]),
    ("flowship_task_attempts_total", Kind::Counter, &["workflow_id", "outcome"]),
    ("flowship_tasks_finished_total", Kind::Counter, &["workflow_id", "status"]),
    ("flowship_task_duration_seconds", Kind::Seconds, &["workflow_id", "status"]),
    ("flowship_tasks_in_flight", Kind::Gauge, &[]),
    ("flowship_queue_jobs", Kind::Gauge, &["queue", "state"]),
    ("flowship_queue_oldest_job_age_seconds", Kind::Gauge, &["queue"]),
    ("flowship_llm_requests_total", Kind::Counter, &["provider", "model", "outcome"]),
    ("flowship_llm_request_duration_seconds", Kind::Seconds, &["provider", "model", "outcome"]),
    ("flowship_llm_retries_total", Kind::Counter, &["provider", "model", "reason"]),
    ("flowship_llm_tokens_total", Kind::Counter, &["provider", "model", "kind"]),
    ("flowship_mcp_calls_total", Kind::Counter, &["server", "tool", "outcome"]),
    ("flowship_mcp_call_duration_seconds", Kind::Seconds, &["server", "tool"]),
    ("flowship_routed_messages_total", Kind::Counter, &["router", "output"]),
    ("flowship_sql_queries_total", Kind::Counter, &["outcome"]),
    ("flowship_sql_query_duration_seconds", Kind::Seconds, &[]),
];

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Seconds,
}

fn alert() -> Alert {
    let test = |kind, what, samples: Samples, expects: Vec<(u32, &[&'static str])>| RuleTest {
        kind,
        what,
        series: vec![Series { metric: READY, part: "", labels: "instance=\"a\"", samples }],
        expects: expects
            .into_iter()
            .map(|(minute, labels)| Expected { minute, labels: labels.to_vec(), values: vec![] })
            .collect(),
    };
    let fails = || Samples::level(1.0, 5).then(&Samples::level(0.0, 10));
    Alert {
        name: "EngineNotReady",
        severity: Severity::Critical,
        expression: READY.series().now().equals(0.0),
        for_minutes: 2,
        owner: "harbour",
        meaning: "An engine is not ready.",
        impact: "Others do its work.",
        checks: vec![Check { command: "flowship status ENV", look_for: "an engine that is not healthy" }],
        remedy: "Read its log.",
        fault: Fault::Stopped(ENGINE),
        tests: vec![
            test(TestKind::Firing, "it ends", fails(), vec![(14, &["instance=\"a\""])]),
            test(TestKind::Silent, "all is well", Samples::level(1.0, 15), vec![(14, &[])]),
            test(TestKind::Boundary, "its time", fails(), vec![(6, &[]), (7, &["instance=\"a\""])]),
        ],
    }
}

fn dashboard() -> Dashboard {
    let queries = vec![Query { expression: READY.series().now().sum(&[]), legend: "ready" }];
    let panel = Panel { title: "Engines", about: "that are ready", unit: DisplayUnit::Number, queries };
    Dashboard { id: "engines", title: "Engines", about: "Whether they run.", panels: vec![panel] }
}

fn recording() -> Recording {
    const ENGINES: MetricRef = MetricRef("harbour:ready:sum");
    let series = ["instance=\"a\"", "instance=\"b\""].map(|labels| Series {
        metric: READY,
        part: "",
        labels,
        samples: Samples::level(1.0, 2),
    });
    Recording {
        name: ENGINES,
        expression: READY.series().now().sum(&[]),
        help: "Engines that are ready.",
        tests: vec![RuleTest {
            kind: TestKind::Firing,
            what: "two",
            series: series.to_vec(),
            expects: vec![Expected { minute: 1, labels: vec![""], values: vec![2.0] }],
        }],
    }
}

fn metrics() -> Vec<Metric> {
    let counted = COUNTED.iter().map(|&(name, kind, labels)| Metric {
        name: MetricRef(name),
        kind: match kind {
            Kind::Counter => MetricKind::Counter,
            Kind::Gauge => MetricKind::Gauge,
            Kind::Seconds => MetricKind::Histogram { buckets: vec![0.1, 1.0, 10.0] },
        },
        help: "what its name says",
        labels: labels.to_vec(),
        ours: true,
    });
    let ready =
        Metric { name: READY, kind: MetricKind::Gauge, help: "1 when ready", labels: vec![], ours: true };
    counted.chain([ready]).collect()
}
