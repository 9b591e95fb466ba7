//! Every invariant of a platform: what breaks it is found, named and, when there is more than one, found with the rest.

use vocabulary::model::environment::{Environment, SecretsIn};
use vocabulary::model::expression::Expression;
use vocabulary::model::{
    Alert, ChangeClass, Check, CheckTimes, Command, ConfigurationFile, Container, Contract, Dashboard,
    Database, Destination, DisplayUnit, Draining, Edge, EdgePolicy, Evidence, Expected, Exposure, Fact,
    Fault, Folder, Gate, GateCommand, GateGroup, Group, Health, Identity, Image, Initialise, Label, Lifetime,
    LlmEndpoint, LogStore, Metric, MetricKind, MetricRef, Monitoring, Need, OnChange, Panel, PlantedArgument,
    PlantedFault, PlantedFile, Platform, Port, PortRef, Predicate, Probe, Process, Proof, Protocol, Query,
    Reaction, Reads, Recording, Resources, Role, RouteRule, RuleTest, Samples, Scrape, Scratch, Secret,
    SecretKind, SecretRef, SecretRight, SecretSource, SecretStore, SecretUse, Series, Service, ServiceId,
    Severity, Shape, SmokeCheck, SmokeStep, SmokeSuite, Stop, Storage, Test, TestKind, Value, Viewer, Volume,
    VolumeRef, Workers,
};

use second_platform::{edge, read, variable};

const WEB: ServiceId = ServiceId("web");
const DB: ServiceId = ServiceId("db");
const SETUP: ServiceId = ServiceId("setup");
const MODEL: ServiceId = ServiceId("model");
const NOBODY: ServiceId = ServiceId("nobody");

const HTTP: PortRef = PortRef { service: WEB, name: "http" };
const HTTPS: PortRef = PortRef { service: WEB, name: "https" };
const SQL: PortRef = PortRef { service: DB, name: "sql" };
const ASK: PortRef = PortRef { service: MODEL, name: "ask" };
const DATA: VolumeRef = VolumeRef { service: DB, name: "data" };
const RUN: VolumeRef = VolumeRef { service: WEB, name: "run" };
const PASSWORD: SecretRef = SecretRef("password");
const TOKEN: SecretRef = SecretRef("token");
const KEY: SecretRef = SecretRef("key");
const WORK: SecretRef = SecretRef("work");
const REQUESTS: MetricRef = MetricRef("requests_total");
const SECONDS: MetricRef = MetricRef("request_seconds");

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const BUILT: Image = Image::Built { dockerfile: "images/Dockerfile", target: "web" };
const PINNED: Image = Image::Pinned { reference: "registry.example:5000/part:1.2", digest: DIGEST };

fn port(name: &'static str, number: u16, exposure: Exposure) -> Port {
    second_platform::port(name, number, Protocol::Http, exposure)
}

fn scraping(path: &'static str, every_seconds: u16) -> Edge {
    Edge { scrape: Some(Scrape { path, every_seconds }), ..edge(HTTP, Need::Run) }
}

fn command(arguments: Vec<Value>) -> Command {
    Command { program: "node", arguments, calls: vec![], variables: vec![] }
}

fn process(commands: Vec<Command>) -> Process {
    Process { initialise: None, commands, identity: Identity::Caller, on_change: vec![] }
}

fn service(id: ServiceId, lifetime: Lifetime) -> Service {
    Service {
        image: PINNED,
        stop: Stop { signal: "SIGTERM", grace_seconds: 10 },
        process: Some(process(vec![command(vec![])])),
        container: runs(shape()),
        ..second_platform::service(id, "a part", lifetime)
    }
}

/// What every container of the fixture has.
fn shape() -> Shape {
    Shape { scratch: vec![], probe: Probe::Wget, ..second_platform::shape(vec![]) }
}

fn folder(volume: &'static str, path: &'static str) -> Folder {
    Folder { volume, path, storage: Storage::Volume }
}

fn runs(shape: Shape) -> Container {
    Container::Runs(Box::new(shape))
}

fn web() -> Service {
    Service {
        image: BUILT,
        ports: vec![port("http", 8080, Exposure::Public)],
        edges: vec![edge(SQL, Need::Start), edge(ASK, Need::Run)],
        starts_after: vec![SETUP],
        variables: vec![
            variable("ADDRESS", Value::BindAddress(HTTP)),
            variable("DATABASE", Value::Url { port: SQL, path: "/web" }),
            variable("NAME", Value::Joined(vec![Value::Text("web-"), Value::Fact(Fact::Replica)])),
            variable("TOKEN_PATH", Value::SecretFile(TOKEN)),
        ],
        secrets: vec![read(TOKEN, "TOKEN_FILE"), read(KEY, "KEY_FILE")],
        health: Some(Health::Http { port: HTTP, path: "/ready" }),
        metrics: vec![
            Metric {
                name: REQUESTS,
                kind: MetricKind::Counter,
                help: "asked",
                labels: vec!["code"],
                ours: true,
            },
            Metric {
                name: SECONDS,
                kind: MetricKind::Histogram { buckets: vec![0.1, 1.0] },
                help: "took",
                labels: vec![],
                ours: true,
            },
        ],
        alerts: vec![alert()],
        process: Some(Process {
            on_change: vec![OnChange {
                paths: vec!["flows"],
                reaction: Reaction::ReloadFlows { port: HTTP, path: "/reload", token: TOKEN, gate: "GATE" },
            }],
            ..process(vec![command(vec![])])
        }),
        volumes: vec![Volume { name: RUN.name, purpose: "sockets", precious: false }],
        container: runs(Shape {
            sources: vec!["flows"],
            folders: vec![folder(RUN.name, "/run/web")],
            scratch: vec![Scratch { path: "/tmp", mib: 16 }],
            configuration: vec![ConfigurationFile {
                name: "settings",
                source: "generated/settings.json",
                path: "/etc/settings.json",
            }],
            ..shape()
        }),
        ..service(WEB, Lifetime::LongRunning { replicas: 2 })
    }
}

fn alert() -> Alert {
    let test = |kind, expects: Vec<(u32, &[&'static str])>| RuleTest {
        kind,
        what: "somebody asks",
        series: vec![Series {
            metric: REQUESTS,
            part: "",
            labels: "code=\"200\",job=\"web\"",
            samples: Samples::rising(0.0, 1.0, 10),
        }],
        expects: expects
            .into_iter()
            .map(|(minute, labels)| Expected { minute, labels: labels.to_vec(), values: vec![] })
            .collect(),
    };
    Alert {
        name: "WebIsAsked",
        severity: Severity::Warning,
        expression: REQUESTS.series().rate(5).sum(&["code"]).above(0.0),
        for_minutes: 5,
        owner: "web",
        meaning: "somebody asks",
        impact: "none",
        checks: vec![Check { command: "flowship status ENV", look_for: "who" }],
        remedy: "answer",
        fault: Fault::Nothing,
        tests: vec![
            test(TestKind::Firing, vec![(9, &["code=\"200\""])]),
            test(TestKind::Silent, vec![(2, &[])]),
            test(TestKind::Boundary, vec![(5, &[]), (6, &["code=\"200\""])]),
        ],
    }
}

fn recording() -> Recording {
    Recording {
        name: MetricRef("code:requests:rate5m"),
        expression: REQUESTS.series().rate(5).sum(&["code"]),
        help: "requests a second",
        tests: vec![RuleTest {
            expects: vec![Expected { minute: 9, labels: vec!["code=\"200\""], values: vec![0.02] }],
            ..alert().tests[0].clone()
        }],
    }
}

fn dashboard() -> Dashboard {
    let queries =
        vec![Query { expression: REQUESTS.series().rate(5).sum(&["code"]), legend: "status {{code}}" }];
    let panel = Panel { title: "Requests", about: "all", unit: DisplayUnit::PerSecond, queries };
    Dashboard { id: "overview", title: "Overview", about: "all", panels: vec![panel] }
}

fn of_web(platform: &mut Platform) -> &mut Alert {
    &mut at(platform, WEB).alerts[0]
}

fn db() -> Service {
    Service {
        ports: vec![port("sql", 5432, Exposure::Internal)],
        secrets: vec![read(PASSWORD, "PASSWORD_FILE")],
        health: Some(Health::Http { port: SQL, path: "/" }),
        volumes: vec![Volume { name: "data", purpose: "rows", precious: true }],
        process: Some(Process {
            initialise: Some(Initialise {
                volume: DATA,
                creates: "VERSION",
                command: command(vec![Value::Folder(DATA)]),
            }),
            ..process(vec![command(vec![Value::Folder(DATA), Value::BindPort(SQL)])])
        }),
        container: runs(Shape { folders: vec![folder("data", "/data")], ..shape() }),
        ..service(DB, Lifetime::LongRunning { replicas: 1 })
    }
}

fn setup() -> Service {
    Service {
        edges: vec![edge(SQL, Need::Start)],
        secrets: vec![read(PASSWORD, "PASSWORD_FILE")],
        process: Some(Process {
            on_change: vec![OnChange { paths: vec!["migrations"], reaction: Reaction::RunAgain }],
            ..process(vec![command(vec![Value::Host(SQL)]), command(vec![Value::Number(SQL)])])
        }),
        ..service(SETUP, Lifetime::OneShot)
    }
}

fn model() -> Service {
    Service {
        ports: vec![port("ask", 8000, Exposure::Internal)],
        edges: vec![scraping("/metrics", 15)],
        secrets: vec![read(WORK, "WORK_FILE")],
        health: Some(Health::Command(command(vec![Value::BindPort(ASK)]))),
        stop: Stop { signal: "SIGTERM", grace_seconds: 8 },
        ..service(MODEL, Lifetime::StandIn)
    }
}

fn secret(name: SecretRef, source: SecretSource) -> Secret {
    Secret { name, purpose: "to be let in", kind: SecretKind::BearerToken, source, rotate_after_days: 90 }
}

fn gate(id: &'static str, after: Vec<&'static str>) -> Gate {
    Gate {
        id,
        group: GateGroup::Sources,
        checks: "something",
        commands: vec![GateCommand {
            program: "cargo",
            arguments: vec![],
            calls: vec![],
            folder: ".",
            evidence: Evidence::ExitCode,
            sarif: None,
            proof: Proof::PlantedFault(PlantedFault {
                files: vec![PlantedFile { name: "lib.rs", text: "fault" }],
                arguments: vec![PlantedArgument::Path("lib.rs")],
                finding: "finding",
            }),
        }],
        after,
        requires: vec![],
        reads: Reads::World,
        negative_control: "tests/gates.rs::it_fails",
        remedy: "fix it",
        limit_seconds: 60,
    }
}

/// What the second gate's program must find.
fn fault(platform: &mut Platform) -> &mut PlantedFault {
    match &mut platform.gates[1].commands[0].proof {
        Proof::PlantedFault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn platform() -> Platform {
    let second = second_platform::platform();
    Platform {
        name: "fixture",
        services: vec![web(), db(), setup(), model()],
        recordings: vec![recording()],
        dashboards: vec![dashboard()],
        secrets: vec![
            secret(PASSWORD, SecretSource::Generated { bytes: 16 }),
            secret(TOKEN, SecretSource::Generated { bytes: 24 }),
            secret(KEY, SecretSource::Provided { by: "the provider" }),
            secret(WORK, SecretSource::Generated { bytes: 24 }),
        ],
        labels: vec![
            Label { name: "task_id", purpose: "which task", example: "1", unbounded: true },
            Label { name: "component", purpose: "which part", example: "web", unbounded: false },
        ],
        workers: Workers { flows: ASK, operations: ASK, editor: ASK, operations_token: WORK, api_key: WORK },
        database: Database {
            port: SQL,
            name: "db",
            user: "web",
            password: WORK,
            migrations: SETUP,
            discard: "discard.sh",
            credential: "credential.sh",
            contract: None,
        },
        secret_store: None,
        log_store: None,
        monitoring: None,
        operations: second.operations.clone(),
        access: vec![role()],
        llm: LlmEndpoint { stand_in: ASK, path: "/v1", model: "stand-in", key: KEY },
        draining: Draining { delay_ms: 800, limit_seconds: 6, development_limit_seconds: 5 },
        edge: EdgePolicy {
            http: HTTP,
            https: HTTP,
            certificate: TOKEN,
            folder: RUN,
            answer_limit_seconds: 4,
            ..second.edge
        },
        smoke: SmokeSuite {
            checks: vec![SmokeCheck {
                name: "end_to_end",
                purpose: "it works",
                relies_on: vec![WEB, DB],
                steps: vec![SmokeStep::Route {
                    title: "route it",
                    rules: vec![RouteRule { condition: exists(), output: "left" }],
                    leaves_by: Some("left"),
                }],
                expects: vec![exists()],
                detail: "payload",
            }],
            check_limit_ms: 10,
            run_limit_ms: 10,
        },
        gates: vec![gate("format", vec![]), gate("tests", vec!["format"])],
        ..second
    }
}

fn role() -> Role {
    Role { secrets: vec![], ..second_platform::platform().access[0].clone() }
}

fn exists() -> Predicate {
    Predicate { property: "payload", test: Test::Exists }
}

fn at(platform: &mut Platform, id: ServiceId) -> &mut Service {
    platform.services.iter_mut().find(|service| service.id == id).unwrap()
}

fn process_at(platform: &mut Platform, id: ServiceId) -> &mut Process {
    at(platform, id).process.as_mut().unwrap()
}

fn shape_at(platform: &mut Platform, id: ServiceId) -> &mut Shape {
    match &mut at(platform, id).container {
        Container::Runs(shape) => shape,
        Container::Later => panic!("{id} runs in no container"),
    }
}

#[test]
fn an_optional_part_runs_where_it_is_asked_for() {
    let platform = second_platform::platform();
    let optional = |environment: &Environment| {
        let units = platform.units(environment);
        let optional = units.iter().filter(|unit| unit.service.group.is_some());
        optional.map(vocabulary::model::Unit::name).collect::<Vec<_>>()
    };
    let mut environment = Environment::default();
    assert_eq!(optional(&environment), [""; 0]);
    environment.with = vec!["lookout".into()];
    assert_eq!(optional(&environment), ["watch", "scribe", "herald"]);
    // Who keeps secrets in files has no store.
    environment.with = vec!["strongroom".into()];
    assert_eq!(optional(&environment), [""; 0]);
    environment.secret_store = SecretsIn::Vault;
    assert_eq!(optional(&environment), ["vault"]);
    assert_eq!(platform.groups().into_iter().collect::<Vec<_>>(), [Group("lookout")]);
}

#[test]
fn an_optional_part_brings_what_it_cannot_start_without() {
    let mut platform = second_platform::platform();
    let watch = platform.monitoring.unwrap().scraper;
    let asked = Environment { with: vec!["horn".into()], ..Environment::default() };
    for (need, expected) in [(Need::Run, &["herald"][..]), (Need::Start, &["watch", "scribe", "herald"])] {
        let herald = platform.services.iter_mut().find(|service| service.id.0 == "herald").unwrap();
        herald.group = Some(Group("horn"));
        herald.edges = vec![Edge { to: Destination::Port(watch), need, why: "asks", scrape: None }];
        let units = platform.units(&asked);
        let optional = units.iter().filter(|unit| unit.service.group.is_some());
        assert_eq!(optional.map(vocabulary::model::Unit::name).collect::<Vec<_>>(), expected);
    }
    let problems = platform.validate();
    assert!(
        problems.iter().all(|problem| !problem.to_string().contains("cannot start without")),
        "{problems:?}"
    );
    // Nothing brings the secret store: it runs where secrets are kept in it.
    let store = platform.secret_store.unwrap().api;
    let herald = platform.services.iter_mut().find(|service| service.id.0 == "herald").unwrap();
    herald.edges[0].to = Destination::Port(store);
    let problems = platform.validate();
    assert!(
        problems.iter().any(|problem| problem.to_string().contains("cannot start without")),
        "{problems:?}"
    );
}

type Change = fn(&mut Platform);

/// What is broken, and `subject: problem` of the one violation that is then found (or of both, where one change
/// cannot break less). `*` at the end stands for any rest.
const RULES: &[(Change, &[&str])] = &[
    // Names.
    (
        |p| {
            p.services.push(Service {
                ports: vec![],
                health: None,
                ..service(ServiceId("Big Name"), Lifetime::OneShot)
            });
        },
        &["service Big Name: its id must be lower-case letters, digits and hyphens, at most 40 of them"],
    ),
    (
        |p| p.services.push(service(ServiceId("-a"), Lifetime::OneShot)),
        &["service -a: its id must be lower-case letters*"],
    ),
    (
        |p| {
            p.services
                .push(service(ServiceId("a2345678901234567890123456789012345678901"), Lifetime::OneShot))
        },
        &["service a2345678901234567890123456789012345678901: its id must be lower-case letters*"],
    ),
    (
        |p| p.services.push(service(SETUP, Lifetime::OneShot)),
        &["service setup: the name is taken twice; rename one"],
    ),
    (
        |p| at(p, DB).lifetime = Lifetime::LongRunning { replicas: 0 },
        &["service db: none of it runs; let at least one"],
    ),
    (
        |p| {
            at(p, WEB).edges.retain(|edge| edge.to != Destination::Port(ASK));
            at(p, DB).edges.push(edge(ASK, Need::Run));
        },
        &["service web: it is told the address of model.ask without an edge to it; add the edge"],
    ),
    (
        |p| at(p, DB).volumes.push(Volume { name: "data", purpose: "more", precious: false }),
        &["volume of db data: the name is taken twice; rename one"],
    ),
    (
        |p| {
            at(p, DB).volumes.push(Volume { name: "../data", purpose: "more", precious: false });
            shape_at(p, DB).folders.push(folder("../data", "/more"));
        },
        &["volume of db ../data: its name must be lower-case letters*"],
    ),
    (
        |p| at(p, WEB).variables.push(variable("NAME", Value::Text("x"))),
        &["variable of web NAME: the name is taken twice; rename one"],
    ),
    (
        |p| at(p, WEB).variables.push(variable("KEY_FILE", Value::Text("x"))),
        &["variable of web KEY_FILE: the name is taken twice; rename one"],
    ),
    (
        |p| at(p, WEB).variables.push(variable("MY-NAME", Value::Text("x"))),
        &["service web: MY-NAME is no name of a variable: A to Z, digits and _ make one"],
    ),
    (
        |p| {
            let twice = vec![variable("A", Value::Text("1")), variable("A", Value::Text("2"))];
            process_at(p, WEB).commands[0].variables = twice;
        },
        &["variable of web A: the name is taken twice; rename one"],
    ),
    (|p| p.secrets.push(p.secrets[0].clone()), &["secret password: the name is taken twice; rename one"]),
    (
        |p| {
            p.secrets.push(secret(SecretRef("a/b"), SecretSource::Provided { by: "x" }));
            at(p, WEB).secrets.push(SecretUse { secret: SecretRef("a/b"), variable: None });
        },
        &["secret a/b: its name must be lower-case letters*"],
    ),
    (|p| p.labels.push(p.labels[0].clone()), &["label task_id: the name is taken twice; rename one"]),
    (
        |p| {
            let again = at(p, WEB).metrics[0].clone();
            at(p, WEB).metrics.push(again);
        },
        &["metric requests_total: the name is taken twice; rename one"],
    ),
    (
        |p| {
            let again = at(p, WEB).alerts[0].clone();
            at(p, WEB).alerts.push(again);
        },
        &["alert WebIsAsked: the name is taken twice; rename one"],
    ),
    // Ports.
    (
        |p| at(p, WEB).ports.push(port("http", 9000, Exposure::Public)),
        &["port of web http: the name is taken twice; rename one"],
    ),
    (
        |p| at(p, WEB).ports.push(port("my_port", 9000, Exposure::Public)),
        &["port of web my_port: its name must be lower-case letters*"],
    ),
    (
        |p| at(p, DB).ports[0].number = 443,
        &["port db.sql: number 443 needs a privilege that no service has; take one from 1024 on"],
    ),
    (
        |p| at(p, WEB).ports.push(port("more", 8080, Exposure::Public)),
        &["port web.more: number 8080 is also that of web.http; give each its own"],
    ),
    (
        |p| at(p, WEB).ports.push(port("more", 9000, Exposure::Internal)),
        &["port web.more: no edge leads to it and it is not exposed; remove it or add the edge"],
    ),
    // Edges.
    (
        |p| at(p, WEB).edges.push(edge(PortRef { service: DB, name: "admin" }, Need::Run)),
        &["edge web -> db.admin: nobody serves it; add the port to db or remove the edge"],
    ),
    (
        |p| at(p, WEB).edges.push(edge(PortRef { service: NOBODY, name: "x" }, Need::Run)),
        &["edge web -> nobody.x: nobody serves it*"],
    ),
    (
        |p| at(p, WEB).edges.push(edge(HTTP, Need::Run)),
        &["edge web -> web.http: a service needs no edge to itself; remove it"],
    ),
    (
        |p| at(p, WEB).edges.push(edge(SQL, Need::Run)),
        &["edge web -> db.sql: it is listed twice; remove one"],
    ),
    (
        |p| at(p, WEB).starts_after.push(DB),
        &["service web: it starts after db, which never ends; use an edge to one of its ports instead"],
    ),
    (
        |p| at(p, WEB).starts_after.push(NOBODY),
        &["service web: it starts after nobody, which does not exist"],
    ),
    (
        |p| at(p, DB).edges.push(edge(HTTP, Need::Start)),
        &[
            "service web: it cannot start before itself: what it needs to start forms a circle",
            "service db: it cannot start before itself: what it needs to start forms a circle",
            "service setup: it cannot start before itself: what it needs to start forms a circle",
        ],
    ),
    // Health.
    (
        |p| at(p, SETUP).health = Some(Health::Command(command(vec![]))),
        &["service setup: the exit code of a one-shot service is its health; remove its health check"],
    ),
    (
        |p| at(p, DB).health = None,
        &["service db: it has no health check; every long-running service needs one"],
    ),
    (|p| at(p, MODEL).health = None, &["service model: it has no health check*"]),
    (
        |p| at(p, WEB).health = Some(Health::Http { port: SQL, path: "/" }),
        &["service web: its health check asks db.sql, which is no port of it; name one of http"],
    ),
    (
        |p| at(p, WEB).health = Some(Health::Http { port: PortRef { service: WEB, name: "x" }, path: "/" }),
        &["service web: its health check asks web.x, which is no port of it; name one of http"],
    ),
    (
        |p| at(p, WEB).health = Some(Health::Http { port: HTTP, path: "ready" }),
        &["service web: its health check asks for \"ready\"; a path begins with /"],
    ),
    // Limits.
    (
        |p| at(p, WEB).resources.memory_mib = 0,
        &["service web: memory_mib is 0; every service has a limit above 0"],
    ),
    (|p| at(p, WEB).resources.cpu_millis = 0, &["service web: cpu_millis is 0*"]),
    (|p| at(p, WEB).resources.pids = 0, &["service web: pids is 0*"]),
    (
        |p| at(p, DB).stop.grace_seconds = 0,
        &["service db: its stop grace is 0 s; give it time to stop by itself"],
    ),
    (
        |p| at(p, WEB).stop.signal = "SIGUSR2",
        &["service web: it is stopped by SIGUSR2; name one of SIGTERM, SIGINT, SIGQUIT, SIGUSR1"],
    ),
    // Images.
    (
        |p| at(p, DB).image = Image::Pinned { reference: "db:1", digest: "sha256:12" },
        &["service db: the digest of db:1 is not sha256: and 64 lower-case hexadecimal digits"],
    ),
    (
        |p| at(p, DB).image = Image::Pinned { reference: "registry.example:5000/db", digest: DIGEST },
        &["service db: registry.example:5000/db names no version; add the tag beside the digest"],
    ),
    // Values.
    (
        |p| at(p, WEB).variables.push(variable("X", Value::BindPort(SQL))),
        &["service web: it binds db.sql, which is no port of it; name one of http"],
    ),
    (
        |p| process_at(p, SETUP).commands[0].arguments.push(Value::BindAddress(HTTP)),
        &["service setup: it binds web.http, which is no port of it; name one of none (it has no port)"],
    ),
    (
        |p| at(p, DB).variables.push(variable("X", Value::Joined(vec![Value::Host(HTTP)]))),
        &["service db: it is told the address of web.http without an edge to it; add the edge"],
    ),
    (
        |p| at(p, WEB).variables.push(variable("X", Value::Number(PortRef { service: WEB, name: "x" }))),
        &["service web: it is told the address of web.x, which is no port of it; name one of http"],
    ),
    (
        |p| at(p, WEB).variables.push(variable("X", Value::Folder(DATA))),
        &["service web: it uses the folder db/data, which is no volume of it"],
    ),
    (
        |p| at(p, DB).variables.push(variable("X", Value::Folder(VolumeRef { service: DB, name: "x" }))),
        &["service db: it uses the folder db/x, which is no volume of it"],
    ),
    (
        |p| at(p, MODEL).variables.push(variable("X", Value::SecretFile(KEY))),
        &["service model: it names the file of key without reading it; add the use"],
    ),
    (
        |p| at(p, DB).variables.push(variable("X", Value::Fact(Fact::Replica))),
        &["service db: it asks for its replica's name and does not scale"],
    ),
    (
        |p| at(p, MODEL).health = Some(Health::Command(command(vec![Value::SecretFile(KEY)]))),
        &["service model: it names the file of key without reading it; add the use"],
    ),
    (
        |p| {
            process_at(p, DB).initialise.as_mut().unwrap().command.variables =
                vec![variable("X", Value::Host(HTTP))]
        },
        &["service db: it is told the address of web.http without an edge to it; add the edge"],
    ),
    (
        |p| at(p, DB).variables.push(variable("X", Value::Host(HTTP))),
        &["service db: it is told the address of web.http without an edge to it; add the edge"],
    ),
    (
        |p| shape_at(p, DB).command.push(Value::Number(HTTP)),
        &["service db: it is told the address of web.http without an edge to it; add the edge"],
    ),
    (
        |p| shape_at(p, MODEL).variables.push(variable("X", Value::SecretFile(KEY))),
        &["service model: it names the file of key without reading it; add the use"],
    ),
    // Secrets.
    (
        |p| at(p, WEB).secrets.push(SecretUse { secret: SecretRef("other"), variable: None }),
        &["service web: it reads the secret other, which nobody defines"],
    ),
    (
        |p| at(p, WEB).secrets.push(SecretUse { secret: TOKEN, variable: None }),
        &["secret of web token: the name is taken twice; rename one"],
    ),
    (
        |p| at(p, WEB).secrets[0].variable = Some("TOKEN"),
        &["service web: TOKEN hands over token; name it TOKEN_FILE: secrets go as paths"],
    ),
    (
        |p| p.secrets.push(secret(SecretRef("other"), SecretSource::Provided { by: "x" })),
        &["secret other: nobody reads it; remove it or name its reader"],
    ),
    (
        |p| p.secrets[0].rotate_after_days = 0,
        &["secret password: its rotation is 0 days; give a number above 0"],
    ),
    (
        |p| p.secrets[0].source = SecretSource::Generated { bytes: 15 },
        &["secret password: 15 random bytes can be guessed; take 16 or more"],
    ),
    // Metrics and alerts.
    (
        |p| at(p, MODEL).edges = vec![scraping("metrics", 1)],
        &["edge model -> web.http: it scrapes \"metrics\"; a path begins with /"],
    ),
    (
        |p| at(p, MODEL).edges = vec![scraping("/metrics", 0)],
        &["edge model -> web.http: it scrapes every 0 s; give an interval above 0"],
    ),
    (
        |p| at(p, MODEL).edges = vec![edge(HTTP, Need::Run)],
        &[
            "service web: it has metrics that nobody scrapes; add `scrape` to an edge that leads to it, or remove them",
        ],
    ),
    (
        |p| at(p, WEB).metrics[1].kind = MetricKind::Counter,
        &["metric request_seconds: a counter's name ends in _total (Prometheus naming practice)"],
    ),
    (
        |p| at(p, WEB).metrics[1].kind = MetricKind::Histogram { buckets: vec![] },
        &["metric request_seconds: its buckets must be given and rise"],
    ),
    (
        |p| at(p, WEB).metrics[1].kind = MetricKind::Histogram { buckets: vec![1.0, 1.0] },
        &["metric request_seconds: its buckets must be given and rise"],
    ),
    (
        |p| at(p, WEB).metrics[1].labels.push("task_id"),
        &["metric request_seconds: the label task_id has no bound, so each value would be a series; drop it"],
    ),
    (
        |p| of_web(p).expression = MetricRef("other").series().now().above(1.0),
        &["alert WebIsAsked: it reads other, which no service exports"],
    ),
    (
        |p| of_web(p).expression = SECONDS.series().now().above(1.0),
        &["alert WebIsAsked: it reads request_seconds, which no service exports"],
    ),
    (
        |p| {
            of_web(p).expression =
                SECONDS.buckets().rate(5).sum(&["le"]).quantile(0.9).above(REQUESTS.observations())
        },
        &["alert WebIsAsked: it reads requests_total_count, which no service exports"],
    ),
    (
        |p| of_web(p).expression = REQUESTS.series().is("status", "200").now().above(1.0),
        &["alert WebIsAsked: requests_total has no label status; it has code, instance, job"],
    ),
    (
        |p| {
            of_web(p).expression =
                MetricRef("code:requests:rate5m").series().is("job", "web").now().above(1.0)
        },
        &["alert WebIsAsked: code:requests:rate5m has no label job; it has code"],
    ),
    (
        |p| of_web(p).expression = REQUESTS.series().now().sum(&["status"]).above(1.0),
        &["alert WebIsAsked: what it reads has no label status; it has code, instance, job"],
    ),
    (
        |p| of_web(p).expression = REQUESTS.series().is("code", "\\").now().above(1.0),
        &["alert WebIsAsked: code=\"\\\": a value has neither quotation marks nor backslashes"],
    ),
    (
        |p| of_web(p).expression = Expression::Vector(1.0),
        &["alert WebIsAsked: it reads no metric, so it always fires or never"],
    ),
    (|p| of_web(p).name = "../web", &["alert ../web: its name must be CamelCase, of letters and digits"]),
    (
        |p| of_web(p).checks.clear(),
        &["alert WebIsAsked: it has no check: whoever is told must know where to look"],
    ),
    (|p| drop(of_web(p).tests.remove(2)), &["alert WebIsAsked: it has no boundary test"]),
    (
        |p| of_web(p).tests[1].expects[0].labels.push(""),
        &["alert WebIsAsked: \"somebody asks\" does not show what a silent test shows"],
    ),
    (
        |p| of_web(p).tests[2].expects.truncate(1),
        &["alert WebIsAsked: \"somebody asks\" does not show what a boundary test shows"],
    ),
    (
        |p| of_web(p).tests[0].series[0].metric = MetricRef("other"),
        &["alert WebIsAsked: its test has other, which no service exports"],
    ),
    (
        |p| of_web(p).tests[0].series[0].labels = "status=\"200\"",
        &["alert WebIsAsked: requests_total has no label status; it has code, instance, job"],
    ),
    (
        |p| of_web(p).tests[0].series[0].labels = "code",
        &["alert WebIsAsked: its test has requests_total: expected one of =, !=, =~ and !~, found \"\""],
    ),
    (
        |p| of_web(p).tests[0].expects[0].labels[0] = "code=200",
        &["alert WebIsAsked: \"somebody asks\" expects expected a value in quotation marks*"],
    ),
    (
        |p| p.recordings[0].name = MetricRef("requests"),
        &["recording requests: its name is one of an exported metric; write level:metric:operation"],
    ),
    (
        |p| p.recordings.push(p.recordings[0].clone()),
        &["metric code:requests:rate5m: the name is taken twice; rename one"],
    ),
    (
        |p| p.recordings[0].tests.clear(),
        &["recording code:requests:rate5m: it has no test; add one with its value"],
    ),
    (
        |p| p.recordings[0].tests[0].expects[0].values.clear(),
        &["recording code:requests:rate5m: \"somebody asks\": each sample needs its value"],
    ),
    // Dashboards.
    (|p| p.dashboards.push(dashboard()), &["dashboard overview: the name is taken twice; rename one"]),
    (|p| p.dashboards[0].panels.clear(), &["dashboard overview: it has no panel"]),
    (
        |p| p.dashboards[0].panels.push(dashboard().panels.remove(0)),
        &["panel of dashboard overview Requests: the name is taken twice; rename one"],
    ),
    (
        |p| p.dashboards[0].panels[0].queries.clear(),
        &["dashboard overview: \"Requests\": it has no query, so it is always empty"],
    ),
    (
        |p| {
            p.dashboards[0].panels[0].queries[0].expression = MetricRef("requests").series().now();
        },
        &["dashboard overview: \"Requests\": it reads requests, which no service exports"],
    ),
    (
        |p| p.dashboards[0].panels[0].queries[0].legend = "{{status}}",
        &["dashboard overview: \"Requests\": its legend names status; the result has \"code\""],
    ),
    // The secret store.
    (
        |p| {
            let data = VolumeRef { service: WEB, name: "x" };
            p.secret_store = Some(SecretStore { api: HTTP, mount: "secrets", configuration: RUN, data });
        },
        &[
            "secret_store: web runs where it is chosen, so it has a group of its own",
            "secret_store: web/x is no volume of web; name one that is",
        ],
    ),
    // The log store.
    (
        |p| p.log_store = Some(LogStore { api: PortRef { service: DB, name: "x" }, collector: WEB }),
        &["log_store: db.x is no port of db; name one that is", "log_store: web has no edge to db.x; add it"],
    ),
    // What watches.
    (
        |p| {
            p.monitoring = Some(Monitoring {
                scraper: HTTP,
                scraper_configuration: DATA,
                notifier: HTTPS,
                notifier_configuration: RUN,
                paging_key: TOKEN,
                chat_webhook: KEY,
                mail_password: PASSWORD,
                viewer: Some(Viewer { web: HTTP, configuration: DATA }),
            });
        },
        &[
            "monitoring: web.https is no port of web; name one that is",
            "monitoring: db/data is no volume of web; name one that is",
            "monitoring: db/data is no volume of web; name one that is",
            "monitoring: web does not read the secret password; add the use",
        ],
    ),
    // Processes.
    (|p| process_at(p, SETUP).commands.clear(), &["service setup: its process runs no command"]),
    (|p| process_at(p, DB).commands.clear(), &["service db: a long-running process has exactly one command"]),
    (
        |p| process_at(p, MODEL).commands.push(command(vec![])),
        &["service model: a long-running process has exactly one command"],
    ),
    (
        |p| {
            let process = process_at(p, WEB);
            process.initialise = Some(Initialise { volume: DATA, creates: "x", command: command(vec![]) });
        },
        &["service web: it uses the folder db/data, which is no volume of it"],
    ),
    (
        |p| process_at(p, WEB).on_change[0].reaction = Reaction::RunAgain,
        &["service web: only a one-shot service is run again; restart this one"],
    ),
    (
        |p| process_at(p, SETUP).on_change[0].reaction = Reaction::Restart,
        &["service setup: a one-shot service is run again, not restarted"],
    ),
    (
        |p| {
            process_at(p, WEB).on_change[0].reaction =
                Reaction::ReloadFlows { port: SQL, path: "/", token: TOKEN, gate: "GATE" }
        },
        &["service web: flows are reloaded through db.sql, which is no port of it; name one of http"],
    ),
    (
        |p| {
            process_at(p, WEB).on_change[0].reaction =
                Reaction::ReloadFlows { port: HTTP, path: "x", token: TOKEN, gate: "GATE" }
        },
        &["service web: flows are reloaded at \"x\"; a path begins with /"],
    ),
    (
        |p| {
            let reaction = Reaction::ReloadFlows { port: HTTP, path: "/", token: PASSWORD, gate: "GATE" };
            process_at(p, WEB).on_change[0].reaction = reaction;
        },
        &["service web: it names the file of password without reading it; add the use"],
    ),
    (
        |p| at(p, DB).process = None,
        &[
            "service web: as a process it cannot start without db, which has no process",
            "service setup: as a process it cannot start without db, which has no process",
        ],
    ),
    // The model's endpoint and the queue.
    (|p| p.llm.stand_in = SQL, &["llm: db.sql is no port of a stand-in"]),
    (|p| p.llm.stand_in.name = "x", &["llm: model.x is no port of a stand-in"]),
    (|p| p.llm.key = SecretRef("other"), &["llm: its key is the secret other, which nobody defines"]),
    (|p| p.queue.dead_letter = p.queue.task, &["queue cargo: the name is taken twice; rename one"]),
    (|p| p.queue.poll_ms = 0, &["queue: poll_ms is 0; give a number above 0"]),
    (|p| p.queue.park_max_seconds = 0, &["queue: park_max_seconds is 0; give a number above 0"]),
    (
        |p| p.queue.park_within_seconds = p.queue.retention_seconds + 1,
        &["queue: a task may be parked for longer than a job is kept; shorten park_within_seconds"],
    ),
    (
        |p| p.queue.concurrency = p.queue.in_flight + 1,
        &["queue: one workflow may have more tasks at once than a replica; lower concurrency"],
    ),
    (|p| p.queue.concurrency = 0, &["queue: concurrency is 0; give a number above 0"]),
    (
        |p| p.queue.retry_delay_seconds = p.queue.retry_delay_max_seconds + 1,
        &["queue: the longest retry delay is shorter than the first"],
    ),
    (
        |p| p.queue.heartbeat_seconds = p.queue.expire_seconds,
        &["queue: an attempt expires before a dead worker is noticed; shorten the heartbeat"],
    ),
    // Smoke checks.
    (
        |p| p.smoke.checks.push(p.smoke.checks[0].clone()),
        &["smoke check end_to_end: the name is taken twice; rename one"],
    ),
    (|p| p.smoke.checks.clear(), &["smoke: it has no check, so it cannot fail"]),
    (
        |p| p.smoke.check_limit_ms = 0,
        &["smoke: the limit of a check must be above 0 and at most that of the run"],
    ),
    (|p| p.smoke.run_limit_ms = 9, &["smoke: the limit of a check must be above 0*"]),
    (
        |p| p.smoke.checks[0].relies_on.push(NOBODY),
        &["smoke check end_to_end: it relies on nobody, which does not exist"],
    ),
    (
        |p| p.smoke.checks[0].name = "End to end",
        &["smoke check End to end: its name must be lower-case words joined by underscores"],
    ),
    (
        |p| p.smoke.checks[0].steps.clear(),
        &["smoke check end_to_end: it does nothing or expects nothing, so it cannot fail"],
    ),
    (|p| p.smoke.checks[0].expects.clear(), &["smoke check end_to_end: it does nothing or expects nothing*"]),
    (
        |p| {
            let step = SmokeStep::Route { title: "route it", rules: vec![], leaves_by: Some("left") };
            p.smoke.checks[0].steps[0] = step;
        },
        &["smoke check end_to_end: route it: the message must leave by left, which no rule leads to"],
    ),
    // Gates.
    (|p| p.gates.push(gate("tests", vec![])), &["gate tests: the name is taken twice; rename one"]),
    (|p| p.gates[1].id = "My tests", &["gate My tests: its name must be lower-case letters*"]),
    (|p| p.gates[1].commands.clear(), &["gate tests: it runs nothing, so it cannot fail"]),
    (
        |p| p.gates[1].negative_control = "it_fails",
        &["gate tests: no test is known that plants a fault and sees it fail: name one as FILE::NAME"],
    ),
    (
        |p| p.gates[1].commands[0].proof = Proof::OwnTests,
        &["gate tests, cargo: it has no planted fault: give it one"],
    ),
    (
        |p| p.gates[1].commands[0].proof = Proof::InCommand("it looks"),
        &["gate tests, cargo: only this program itself may do without: give it a planted fault"],
    ),
    (
        |p| {
            let command = &mut p.gates[1].commands[0];
            (command.program, command.calls, command.proof) =
                (GateCommand::XTASK, vec!["gitleaks"], Proof::OwnTests);
        },
        &["gate tests, xtask: it calls other programs: say how it checks that they work"],
    ),
    (
        |p| {
            let command = &mut p.gates[1].commands[0];
            (command.program, command.proof) = (GateCommand::XTASK, Proof::InCommand(" "));
        },
        &["gate tests, xtask: it does not say how it checks that the other programs work"],
    ),
    (|p| fault(p).files.clear(), &["gate tests, cargo: its planted fault is in no file*"]),
    (|p| fault(p).arguments.clear(), &["gate tests, cargo: its planted fault is in no file*"]),
    (|p| fault(p).finding = "", &["gate tests, cargo: the expected finding is empty*"]),
    (
        |p| fault(p).finding = "fault",
        &["gate tests, cargo: the expected finding is empty, or part of the planted*"],
    ),
    (
        |p| fault(p).files[0].name = "a/b",
        &["gate tests, cargo: a planted file has no name, or one with a folder*"],
    ),
    (|p| p.gates[1].limit_seconds = 0, &["gate tests: its limit is 0 s; give it time to run"]),
    (
        |p| p.gates[0].after.push("tests"),
        &["gate format: it waits for tests, which is no gate listed before it"],
    ),
    // Reviews.
    (|p| p.review.label = " ", &["review: its label is empty; name the label that a reviewer sets"]),
    (
        |p| p.review.asked_for.push(ChangeClass::Neutral),
        &["review: it asks for the label on neutral changes too; leave them out"],
    ),
    // Containers.
    (
        |p| shape_at(p, WEB).user.uid = 0,
        &["service web: its container would run as root; set a user and a group above 0"],
    ),
    (
        |p| shape_at(p, SETUP).user.gid = 0,
        &["service setup: its container would run as root; set a user and a group above 0"],
    ),
    (
        |p| shape_at(p, WEB).sources.clear(),
        &["service web: its image is ours and holds no file; name its sources"],
    ),
    (
        |p| at(p, WEB).process = None,
        &["service web: its image is ours, and no single command of its process says what it starts"],
    ),
    (
        |p| {
            at(p, SETUP).image = BUILT;
            shape_at(p, SETUP).sources.push("migrations");
        },
        &["service setup: its image is ours, and no single command of its process says what it starts"],
    ),
    (
        |p| shape_at(p, DB).sources.push("flows"),
        &["service db: somebody else made its image, so it cannot hold our files; mount them"],
    ),
    (|p| at(p, DB).image = Image::None, &["service db: it runs in a container without an image"]),
    (
        |p| at(p, DB).image = Image::Pending { reason: "nobody has looked it up" },
        &["service db: it runs in a container without an image"],
    ),
    (
        |p| {
            let web = at(p, WEB);
            web.variables.push(variable("PORT", Value::BindPort(HTTP)));
            web.image = PINNED;
            shape_at(p, WEB).sources.clear();
            shape_at(p, WEB).probe = Probe::Script;
        },
        &[
            "service web: somebody else made its image, which does not hold our script; ask for its health by wget or a command",
        ],
    ),
    (
        |p| shape_at(p, WEB).probe = Probe::Script,
        &[
            "service web: no two variables say to the script at which address and number web.http listens; add them",
        ],
    ),
    (
        |p| {
            at(p, WEB).variables.push(variable("MODEL_PORT", Value::Number(ASK)));
            at(p, MODEL).process = None;
        },
        &[
            "service web: as a process it asks where model.ask is, and model does not run as one; leave the value out",
        ],
    ),
    (
        |p| {
            at(p, WEB).variables.push(variable("MODEL", Value::Url { port: ASK, path: "/" }));
            at(p, MODEL).container = Container::Later;
        },
        &[
            "service web: as a container it asks where model.ask is, and model does not run as one; leave the value out",
        ],
    ),
    (
        |p| {
            at(p, WEB).variables.push(variable("MODEL", Value::Url { port: ASK, path: "/" }));
            at(p, MODEL).group = Some(Group("models"));
        },
        &["service web: it asks where model.ask is, and model runs only with models; leave the value out"],
    ),
    (
        |p| at(p, DB).group = Some(Group("Data")),
        &[
            "edge web -> db.sql: it cannot start without db, which runs only with Data; let it do without",
            "group Data: its name must be lower-case letters, digits and hyphens, at most 40 of them",
            "edge setup -> db.sql: it cannot start without db, which runs only with Data; let it do without",
        ],
    ),
    (
        |p| shape_at(p, WEB).probe = Probe::Nothing,
        &["service web: nothing in its image can check its health; name the probe"],
    ),
    (
        |p| shape_at(p, DB).probe = Probe::Nothing,
        &["service db: nothing in its image can check its health; name the probe"],
    ),
    (
        |p| shape_at(p, DB).folders.clear(),
        &["service db: its volume data lies nowhere in its container, or twice"],
    ),
    (
        |p| shape_at(p, DB).folders.push(folder("data", "/more")),
        &["service db: its volume data lies nowhere in its container, or twice"],
    ),
    (
        |p| shape_at(p, WEB).folders.push(folder("data", "/data")),
        &["service web: its container has a folder for data, which is no volume of it"],
    ),
    (
        |p| shape_at(p, DB).folders[0].path = "data",
        &["service db: data must be absolute, and used once in its container"],
    ),
    (
        |p| shape_at(p, DB).scratch.push(Scratch { path: "/data", mib: 1 }),
        &["service db: /data must be absolute, and used once in its container"],
    ),
    (
        |p| shape_at(p, WEB).configuration[0].path = "/tmp",
        &["service web: /tmp must be absolute, and used once in its container"],
    ),
    (
        |p| at(p, DB).container = Container::Later,
        &[
            "service web: as a container it cannot start without db, which is not composed yet",
            "service setup: as a container it cannot start without db, which is not composed yet",
        ],
    ),
    (
        |p| {
            p.containers.restart_attempts = 0;
            p.containers.log_file_mib = 0;
            p.containers.log_files = 0;
            p.containers.check =
                CheckTimes { every_seconds: 0, limit_seconds: 0, start_seconds: 0, failures: 0 };
        },
        &[
            "containers: restart_attempts is 0; give a number above 0",
            "containers: log_file_mib is 0; give a number above 0",
            "containers: log_files is 0; give a number above 0",
            "containers: check.every_seconds is 0; give a number above 0",
            "containers: check.limit_seconds is 0; give a number above 0",
            "containers: check.failures is 0; give a number above 0",
        ],
    ),
    // Its networks derive from the edges: only a name that makes two of them the same can take one away.
    (
        |p| {
            let asked = PortRef { service: ServiceId("outside"), name: "http" };
            p.services.push(Service {
                ports: vec![port("http", 9000, Exposure::Internal)],
                health: Some(Health::Http { port: asked, path: "/" }),
                ..service(asked.service, Lifetime::LongRunning { replicas: 1 })
            });
            at(p, WEB).edges.push(edge(asked, Need::Run));
        },
        &["service web: no network lets it reach outside.http, as its edge allows"],
    ),
    // Draining.
    (
        |p| p.draining.delay_ms = 600,
        &["draining: the delay of 600 ms ends before the edge has noticed (600 ms); make it longer"],
    ),
    (
        |p| p.edge.answer_limit_seconds = 5,
        &[
            "edge: answer_limit_seconds is 5: it must be above 0, and end before a drain and before the edge gives up (5 s)*",
        ],
    ),
    (
        |p| p.draining.limit_seconds = 4,
        &[
            "edge: answer_limit_seconds is 4: it must be above 0, and end before a drain and before the edge gives up (4 s)*",
        ],
    ),
    (
        |p| p.edge.answer_limit_seconds = 0,
        &[
            "edge: answer_limit_seconds is 0: it must be above 0, and end before a drain and before the edge gives up (6 s)*",
            "edge: answer_limit_seconds is 0: it must be above 0, and end before a drain and before the edge gives up (5 s)*",
        ],
    ),
    (
        |p| at(p, WEB).stop.grace_seconds = 8,
        &["service web: it is killed before what model still answers has passed through it"],
    ),
    // Roles.
    (
        |p| {
            p.workers.flows.service = NOBODY;
            p.workers.operations.service = NOBODY;
            p.workers.editor.service = NOBODY;
            p.edge.http.service = ServiceId("no-edge");
            p.edge.https.service = ServiceId("no-edge");
            p.database.port.service = NOBODY;
        },
        &[
            "workers: nobody.ask is no port of nobody; name one that is",
            "workers: nobody.ask is no port of nobody; name one that is",
            "workers: nobody.ask is no port of nobody; name one that is",
            "edge: no-edge.http is no port of no-edge; name one that is",
            "edge: no-edge.http is no port of no-edge; name one that is",
            "database: nobody.sql is no port of nobody; name one that is",
        ],
    ),
    (|p| p.tools = Some(HTTPS), &["tools: web.https is no port of web; name one that is"]),
    (|p| p.workers.operations = HTTP, &["workers: web.http is no port of model; name one that is"]),
    (|p| p.workers.api_key = PASSWORD, &["workers: model does not read the secret password; add the use"]),
    (
        |p| p.workers.operations_token = PASSWORD,
        &["workers: model does not read the secret password; add the use"],
    ),
    (|p| p.database.password = PASSWORD, &["database: model does not read the secret password; add the use"]),
    (
        |p| p.edge.folder = VolumeRef { service: DB, name: "data" },
        &["edge: db/data is no volume of web; name one that is"],
    ),
    (|p| p.edge.folder.name = "none", &["edge: web/none is no volume of web; name one that is"]),
    (|p| p.edge.certificate = WORK, &["edge: web does not read the secret work; add the use"]),
    (|p| p.database.migrations = DB, &["database: db is no one-shot service that could migrate it"]),
    (
        |p| p.database.contract = Some(Contract { folder: "later", variable: "FOLDER" }),
        &["database: setup has no variable FOLDER; add it"],
    ),
    (
        |p| p.operations.push(p.operations[0]),
        &["operation GET /api/ships/{ship}: there are two of it; merge them"],
    ),
    (
        |p| p.operations[0].path = "/elsewhere",
        &["operation GET /elsewhere: it is not below /api/; the edge sends on nothing else"],
    ),
    (
        |p| p.operations[0].body_limit_bytes = u32::MAX,
        &[
            "operation GET /api/ships/{ship}: its body may have 4294967295 bytes; the edge lets 1048576 through at most",
        ],
    ),
    (
        |p| p.operations[0].path = "/api/.*",
        &["operation GET /api/.*: `.*` is neither a word nor a name in braces"],
    ),
    (|p| p.access.push(role()), &["role harbour-master: there are two of it; merge them"]),
    (
        |p| p.access[0].secrets.push(SecretRight::List),
        &["role harbour-master: it has rights in a secret store, and the platform has none; remove them"],
    ),
    (|p| p.release.architectures.clear(), &["release: it is for no architecture; name at least one"]),
];

fn found(platform: &Platform) -> Vec<String> {
    platform.validate().iter().map(ToString::to_string).collect()
}

fn is_meant(found: &str, expected: &str) -> bool {
    expected.strip_suffix('*').map_or(found == expected, |start| found.starts_with(start))
}

#[test]
fn the_fixture_is_valid() {
    assert_eq!(found(&platform()), [""; 0]);
}

#[test]
fn every_broken_rule_is_found_and_nothing_else() {
    for (change, expected) in RULES {
        let mut broken = platform();
        change(&mut broken);
        let found = found(&broken);
        let all = found.len() == expected.len()
            && found.iter().zip(*expected).all(|(found, expected)| is_meant(found, expected));
        assert!(all, "expected {expected:#?}\nfound {found:#?}");
    }
}

#[test]
fn what_is_broken_together_is_reported_together() {
    for (change, expected) in RULES {
        let mut broken = platform();
        change(&mut broken);
        let alone = found(&broken);
        // No other rule is about it.
        broken.labels.extend([(); 2].map(|()| Label { name: "twice", ..platform().labels[0].clone() }));
        let together = found(&broken);
        assert!(alone.iter().all(|problem| together.contains(problem)), "{expected:#?}: {together:#?}");
        assert!(together.len() > alone.len(), "{expected:#?}: {together:#?}");
    }
    let mut broken = platform();
    at(&mut broken, WEB).resources = Resources { memory_mib: 0, cpu_millis: 0, pids: 0 };
    at(&mut broken, DB).ports[0].number = 1;
    broken.secrets[0].rotate_after_days = 0;
    broken.gates[0].commands.clear();
    assert_eq!(found(&broken).len(), 6);
}

/// Each place that reports is reached by a row above: a new rule needs a row.
#[test]
fn every_reporting_place_has_its_row() {
    let sources = [
        include_str!("../src/model/validate.rs"),
        include_str!("../src/model/validate/whole.rs"),
        include_str!("../src/model/validate/containers.rs"),
    ];
    let words = |text: &str| -> Vec<String> { text.split('"').map(str::to_owned).collect::<Vec<_>>() };
    let told: String =
        RULES.iter().flat_map(|(_, expected)| *expected).map(|text| format!("{text}\n")).collect();
    let found: String = RULES
        .iter()
        .flat_map(|(change, _)| {
            let mut broken = platform();
            change(&mut broken);
            found(&broken)
        })
        .map(|text| format!("{text}\n"))
        .collect();
    assert!(!told.is_empty());
    for source in sources {
        for call in source.split("add(").skip(1) {
            let call = call.split(");\n").next().unwrap();
            // The longest literal of the call, up to its first hole, is the rule's own words.
            let literals = words(call).into_iter().skip(1).step_by(2);
            let Some(literal) = literals.max_by_key(String::len) else { continue };
            let part = literal.split(['{', '}', '\\']).max_by_key(|part| part.len()).unwrap().to_owned();
            assert!(found.contains(&part), "no row of RULES breaks the rule that says: {literal}");
        }
    }
}
