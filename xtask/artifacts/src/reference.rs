//! `docs/reference/*.md`: the platform's tables for people.

use std::collections::BTreeSet;

use vocabulary::formats::markdown::{Block, code, write};
use vocabulary::model::topology::{Network, Scope, Topology, WayOut};
use vocabulary::model::{
    Destination, EditorAccess, Exposure, Gate, Health, Image, Lifetime, MetricKind, Need, Platform, Proof,
    Reads, Recording, SecretSource, Service,
};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};
use super::workflows;

pub const FAMILY: Committed = Committed {
    name: "reference",
    what: "docs/reference: tables of the platform's parts",
    source: file!(),
    make: generate,
};

/// The cells of a table, row by row.
pub type Rows = Result<Vec<Vec<String>>, Vec<Problem>>;

/// A page with one table.
pub struct Page {
    /// Its file below `docs/reference`, without the ending.
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub source: &'static str,
    pub headers: Vec<&'static str>,
    pub rows: fn(&Platform) -> Rows,
}

fn pages() -> Vec<Page> {
    vec![
        Page {
            name: "services",
            title: "Services",
            about: "The platform's services. The limits apply to each replica.",
            source: "xtask/platform/src",
            headers: vec!["service", "what", "runs", "image", "health", "memory MiB", "CPU", "pids"],
            rows: |platform| Ok(services(platform)),
        },
        Page {
            name: "ports",
            title: "Ports",
            about: "Where services listen, and which services may connect. On the process engine every \
                    checkout has its own port \
                    numbers; `cargo xtask status` shows them.",
            source: "xtask/platform/src",
            headers: vec!["port", "number", "protocol", "exposure", "reached by", "what"],
            rows: |platform| Ok(ports(platform)),
        },
        Page {
            name: "edges",
            title: "Edges",
            about: "Which service may connect to which. All other connections are forbidden.",
            source: "xtask/platform/src",
            headers: vec!["from", "to", "needed to", "why"],
            rows: |platform| Ok(edges(platform)),
        },
        Page {
            name: "networks",
            title: "Networks",
            about: "Networks for containers on one host, derived from the edges: each client shares one \
                    network with each \
                    server that it connects to. Addresses begin with FLOWSHIP_NETWORK_PREFIX.",
            source: "xtask/platform/src (the edges)",
            headers: vec!["network", "members", "addresses", "way out", "host"],
            rows: |platform| Ok(networks(platform)),
        },
        Page {
            name: "engine-limits",
            title: "Engine limits",
            about: "Connections that no edge allows, but that Compose cannot block in production. The host's firewall \
                    can: see [security.md](../security.md#networks).",
            source: "xtask/platform/src (the edges)",
            headers: vec!["from", "to", "why"],
            rows: |platform| Ok(engine_limits(platform)),
        },
        Page {
            name: "reachability",
            title: "Reachability",
            about: "Which containers can connect to which port in a rehearsal of production, which includes \
                    the stand-ins. \
                    `cargo xtask rehearse compose` tries every connection from inside each container's \
                    network, and fails \
                    if a result differs from this page.",
            source: "xtask/platform/src (the edges)",
            headers: vec![
                "port",
                "reached, as an edge allows",
                "reached, though no edge allows it",
                "not reached",
            ],
            rows: |platform| Ok(reachability(platform)),
        },
        Page {
            name: "secrets",
            title: "Secrets",
            about: "All secrets, where they come from and which services read them. Services get secrets as \
                    files.",
            source: "xtask/platform/src/secrets.rs",
            headers: vec!["secret", "purpose", "made by", "read by", "replaced after", "how it is replaced"],
            rows: |platform| Ok(secrets(platform)),
        },
        Page {
            name: "access",
            title: "Access",
            about: "What people may do, by role. [security.md](../security.md#access-control) says what enforces each column.",
            source: "xtask/platform/src/access.rs",
            headers: vec![
                "role",
                "who",
                "hosts",
                "commands on environments",
                "OpenBao",
                "reviews on GitHub",
                "Grafana",
                "Node-RED's editor",
            ],
            rows: |platform| Ok(access(platform)),
        },
        Page {
            name: "operations",
            title: "Operations",
            about: "The operations of the API. The edge answers 413 to a larger body.",
            source: "xtask/platform/src/operations.rs",
            headers: vec!["method", "path", "what it does", "largest body"],
            rows: |platform| Ok(operations(platform)),
        },
        Page {
            name: "labels",
            title: "Log labels",
            about: "The labels on every log line.",
            source: "xtask/platform/src/labels.rs",
            headers: vec!["label", "what", "example", "values"],
            rows: |platform| Ok(labels(platform)),
        },
        Page {
            name: "metrics",
            title: "Metrics",
            about: "The metrics that alerts or our own code use.",
            source: "xtask/platform/src",
            headers: vec!["metric", "kind", "exported by", "labels", "what"],
            rows: |platform| Ok(metrics(platform)),
        },
        Page {
            name: "alerts",
            title: "Alerts",
            about: "When an alert fires, what it means, and what to do first. Each links to its runbook.",
            source: "xtask/platform/src",
            headers: vec!["alert", "severity", "about", "after", "owner", "meaning", "do first"],
            rows: |platform| Ok(alerts(platform)),
        },
        Page {
            name: "recordings",
            title: "Recording rules",
            about: "Metrics that Prometheus computes from others, such as those about the business.",
            source: "xtask/platform/src/recordings.rs",
            headers: vec!["metric", "what", "expression"],
            rows: |platform| Ok(recordings(platform)),
        },
        Page {
            name: "smoke",
            title: "Smoke checks",
            about: "The checks of `cargo xtask smoke`, in this order. All of them always run.",
            source: "xtask/platform/src/smoke.rs",
            headers: vec!["check", "passes when", "relies on"],
            rows: |platform| Ok(smoke(platform)),
        },
        Page {
            name: "gates",
            title: "Gates",
            about: "The gates of `cargo xtask ci`.",
            source: "xtask/platform/src/gates/",
            headers: vec![
                "gate",
                "group",
                "passes when",
                "reads",
                "waits for",
                "elsewhere",
                "limit",
                "believed because",
                "when it fails",
            ],
            rows: |platform| Ok(gates(platform)),
        },
        Page {
            name: "jobs",
            title: "Jobs",
            about: "The jobs that run on GitHub, and their permissions. `cargo xtask ci --as-workflow JOB` \
                    runs a job's commands on \
                    your machine.",
            source: "xtask/artifacts/src/workflows",
            headers: vec!["job", "started by", "needs", "may", "environment", "secrets"],
            rows: jobs,
        },
    ]
}

fn generate(platform: &Platform) -> Made {
    write_pages(&pages(), platform)
}

/// The pages as files.
///
/// # Errors
/// When the rows of one cannot be made.
pub fn write_pages(pages: &[Page], platform: &Platform) -> Made {
    pages.iter().map(|page| artifact(page, platform)).collect()
}

fn artifact(page: &Page, platform: &Platform) -> Result<Artifact, Vec<Problem>> {
    let mut blocks: Vec<_> = banner(page.source).into_iter().map(Block::Comment).collect();
    blocks.push(Block::Heading(1, page.title.to_owned()));
    blocks.push(Block::Paragraph(page.about.to_owned()));
    let rows = (page.rows)(platform)?;
    blocks.extend(not_yet(platform, &rows).map(Block::Paragraph));
    blocks.push(Block::Table { headers: page.headers.clone(), rows });
    Ok(Artifact::file(format!("docs/reference/{}.md", page.name), write(&blocks)))
}

fn services(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .services
        .iter()
        .map(|service| {
            vec![
                code(service.id.0),
                service.purpose.to_owned(),
                lifetime(service),
                image(&service.image),
                service.health.as_ref().map_or("its exit code".to_owned(), health),
                service.resources.memory_mib.to_string(),
                format!("{:.2}", f64::from(service.resources.cpu_millis) / 1000.0),
                service.resources.pids.to_string(),
            ]
        })
        .collect()
}

/// The services that a page speaks of and that no engine runs yet.
fn not_yet(platform: &Platform, rows: &[Vec<String>]) -> Option<String> {
    // Each code span is a service's name, or begins with it and a point.
    let spans = rows.iter().flatten().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let named: BTreeSet<&str> = spans.filter_map(|span| span.split('.').next()).collect();
    let services =
        platform.services.iter().filter(|service| service.is_planned() && named.contains(service.id.0));
    let names: Vec<_> = services.map(|service| code(service.id.0)).collect();
    (!names.is_empty()).then(|| {
        format!("Not yet: no engine runs {}. What this page says about them is planned.", names.join(", "))
    })
}

fn lifetime(service: &Service) -> String {
    if service.is_planned() {
        return service.group.map_or("not yet".to_owned(), |group| format!("not yet: comes with {group}"));
    }
    if let Some(group) = service.group {
        return format!("optional: {group}");
    }
    match &service.lifetime {
        Lifetime::OneShot => "once, before its dependents".to_owned(),
        Lifetime::StandIn => "only in development".to_owned(),
        Lifetime::LongRunning { replicas: 1 } => "always".to_owned(),
        Lifetime::LongRunning { replicas } => format!("always, {replicas} replicas"),
    }
}

fn image(image: &Image) -> String {
    match image {
        Image::Pinned { reference, .. } => code(reference),
        Image::Built { dockerfile, target } => format!("built: {} ({target})", code(dockerfile)),
        Image::Pending { reason } => format!("pending: {reason}"),
        Image::None => "none".to_owned(),
    }
}

fn health(health: &Health) -> String {
    match health {
        Health::Http { port, path } => format!("GET {} on {}", code(path), code(&port.to_string())),
        Health::Command(command) => format!("{} exits with 0", code(command.program)),
    }
}

fn ports(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .ports()
        .map(|(reference, port)| {
            let clients: Vec<_> = platform
                .edges()
                .filter(|(_, edge)| edge.to == Destination::Port(reference))
                .map(|(client, _)| code(client.0))
                .collect();
            let exposure = match port.exposure {
                Exposure::Internal => "internal",
                Exposure::Operator => "operator, from the host",
                Exposure::Development => "developer, only in development",
                Exposure::Public => "public",
            };
            vec![
                code(&reference.to_string()),
                port.number.to_string(),
                port.protocol.scheme().to_owned(),
                exposure.to_owned(),
                clients.join(", "),
                port.purpose.to_owned(),
            ]
        })
        .collect()
}

fn edges(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .edges()
        .map(|(client, edge)| {
            let to = match edge.to {
                Destination::Port(port) => code(&port.to_string()),
                Destination::Internet => "the internet".to_owned(),
            };
            let need = match edge.need {
                Need::Start => "start",
                Need::Run => "run in full",
            };
            vec![code(client.0), to, need.to_owned(), edge.why.to_owned()]
        })
        .collect()
}

fn networks(platform: &Platform) -> Vec<Vec<String>> {
    let topology = Topology::of(platform, Scope::Production);
    let row = |network: &Network| {
        let members: Vec<_> = network.members.iter().map(|member| code(member)).collect();
        vec![
            code(&network.name),
            members.join(", "),
            code(&Topology::subnet(network)),
            if network.way_out == WayOut::Open { "yes" } else { "no" }.to_owned(),
            if network.host { "reaches the members" } else { "has no address in it" }.to_owned(),
        ]
    };
    topology.networks.iter().map(row).collect()
}

fn engine_limits(platform: &Platform) -> Vec<Vec<String>> {
    let limits = Topology::of(platform, Scope::Production).limits();
    limits.into_iter().map(|limit| vec![code(&limit.from), limit.to, limit.why.to_owned()]).collect()
}

fn secrets(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .secrets
        .iter()
        .map(|secret| {
            let source = match secret.source {
                SecretSource::Generated { bytes } => format!("Flowship: {bytes} random bytes"),
                SecretSource::Provided { by } => by.to_owned(),
            };
            let readers: Vec<_> = platform.readers(secret.name).map(|reader| code(reader.0)).collect();
            vec![
                code(secret.name.0),
                secret.purpose.to_owned(),
                source,
                readers.join(", "),
                format!("{} days", secret.rotate_after_days),
                secret.kind.rotation().to_owned(),
            ]
        })
        .collect()
}

fn operations(platform: &Platform) -> Vec<Vec<String>> {
    let largest = |bytes: u32| match bytes {
        0 => "none".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", f64::from(bytes) / 1024.0),
    };
    let rows = platform.operations.iter();
    rows.map(|one| {
        vec![one.method.to_owned(), code(one.path), one.purpose.to_owned(), largest(one.body_limit_bytes)]
    })
    .collect()
}

fn access(platform: &Platform) -> Vec<Vec<String>> {
    let listed = |words: Vec<String>| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
    platform
        .access
        .iter()
        .map(|role| {
            vec![
                role.id.to_owned(),
                role.who.to_owned(),
                if role.login { "log in" } else { "-" }.to_owned(),
                listed(role.commands.iter().map(|command| code(command)).collect()),
                listed(role.secrets.iter().map(|right| right.words().to_owned()).collect()),
                listed(role.approves.iter().map(|one| one.words().to_owned()).collect()),
                role.dashboards.words().to_owned(),
                match role.editor {
                    EditorAccess::None => "-".to_owned(),
                    EditorAccess::Development => "on their own machine".to_owned(),
                },
            ]
        })
        .collect()
}

fn labels(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .labels
        .iter()
        .map(|label| {
            let values = if label.unbounded { "unbounded: never a metric's label" } else { "few" };
            vec![code(label.name), label.purpose.to_owned(), code(label.example), values.to_owned()]
        })
        .collect()
}

fn metrics(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .metrics()
        .map(|(service, metric)| {
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram { .. } => "histogram",
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| code(label)).collect();
            vec![
                code(metric.name.0),
                kind.to_owned(),
                code(service.0),
                labels.join(", "),
                metric.help.to_owned(),
            ]
        })
        .collect()
}

fn alerts(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .services
        .iter()
        .flat_map(|service| service.alerts.iter().map(move |alert| (service, alert)))
        .map(|(service, alert)| {
            vec![
                format!("[{}](../runbooks/{0}.md)", alert.name),
                alert.severity.name().to_owned(),
                code(service.id.0),
                format!("{} min", alert.for_minutes),
                alert.owner.to_owned(),
                alert.meaning.to_owned(),
                alert.remedy.to_owned(),
            ]
        })
        .collect()
}

fn recordings(platform: &Platform) -> Vec<Vec<String>> {
    let row = |recording: &Recording| {
        vec![code(recording.name.0), recording.help.to_owned(), code(&recording.expression.to_string())]
    };
    platform.recordings.iter().map(row).collect()
}

fn smoke(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .smoke
        .checks
        .iter()
        .map(|check| {
            let services: Vec<_> = check.relies_on.iter().map(|service| code(service.0)).collect();
            vec![code(check.name), check.purpose.to_owned(), services.join(", ")]
        })
        .collect()
}

fn reachability(platform: &Platform) -> Vec<Vec<String>> {
    let topology = Topology::of(platform, Scope::Rehearsal);
    let mut rows = Vec::new();
    for to in &topology.units {
        for port in &to.service.ports {
            let (mut allowed, mut limits, mut closed) = (vec![], vec![], vec![]);
            for from in topology.units.iter().filter(|from| from.name() != to.name()) {
                let column = match (topology.reaches(from, to, port), topology.allows(from, to, port)) {
                    (true, true) => &mut allowed,
                    (true, false) => &mut limits,
                    (false, _) => &mut closed,
                };
                column.push(code(&from.name()));
            }
            let cell = code(&format!("{}.{}", to.name(), port.name));
            rows.push(vec![cell, allowed.join(", "), limits.join(", "), closed.join(", ")]);
        }
    }
    rows
}

/// Derived from the workflows, which derive from the gates.
fn jobs(platform: &Platform) -> Rows {
    let row = |workflow: &workflows::WorkflowRecord, job: &workflows::JobRecord| {
        let may = job.permissions.iter().map(|may| format!("{} {} ({})", may.access, may.scope, may.why));
        let place = job.environment.as_ref().map_or_else(String::new, |place| match place.reviewers {
            "required" => format!("{}, with reviewers", code(&place.name)),
            _ => code(&place.name),
        });
        vec![
            code(&format!("{}/{}", workflow.id, job.id)),
            workflow.triggers.join(", "),
            job.needs.join(", "),
            may.collect::<Vec<_>>().join(", "),
            place,
            codes(&job.secrets),
        ]
    };
    let workflows = workflows::workflows(platform)?;
    Ok(workflows.iter().flat_map(|workflow| workflow.jobs.iter().map(|job| row(workflow, job))).collect())
}

fn codes(texts: &[&str]) -> String {
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

fn gates(platform: &Platform) -> Vec<Vec<String>> {
    platform
        .gates
        .iter()
        .map(|gate| {
            vec![
                code(gate.id),
                gate.group.name().to_owned(),
                gate.checks.to_owned(),
                match &gate.reads {
                    Reads::Files(files) => codes(files),
                    Reads::History => "all files, and the history of git".to_owned(),
                    Reads::World => "what is published".to_owned(),
                },
                gate.after.join(", "),
                gate.requires
                    .iter()
                    .map(|one| format!("not run: {}", one.absent()))
                    .collect::<Vec<_>>()
                    .join("; "),
                format!("{} s", gate.limit_seconds),
                proofs(gate),
                gate.remedy.to_owned(),
            ]
        })
        .collect()
}

/// Why each of its programs is believed, once.
fn proofs(gate: &Gate) -> String {
    let mut proofs = Vec::new();
    for command in &gate.commands {
        let proof = match &command.proof {
            Proof::PlantedFault(fault) => {
                format!("{} finds a planted fault: {}", command.program, code(fault.finding))
            }
            Proof::OwnTests => "it is our own code and has tests".to_owned(),
            Proof::InCommand(how) => (*how).to_owned(),
        };
        if !proofs.contains(&proof) {
            proofs.push(proof);
        }
    }
    proofs.join("; ")
}
