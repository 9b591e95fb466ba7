//! The invariants that types cannot hold. One call finds every violation.

mod containers;
mod roles;
mod rules;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::{
    Command, Destination, Edge, Fact, Group, Health, Image, Lifetime, Metric, MetricKind, Need, Platform,
    PortRef, Reaction, Scrape, SecretRef, Service, Value, VolumeRef,
};
use crate::problem::Problem;

impl Platform {
    /// Every broken invariant, in the order of the platform's own values. Empty means valid.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut report = Report(Vec::new());
        for service in &self.services {
            service_names(service, &mut report);
            ports(service, &mut report);
            edges(self, service, &mut report);
            health(self, service, &mut report);
            limits(service, &mut report);
            image(service, &mut report);
            values(self, service, &mut report);
            secret_uses(self, service, &mut report);
            metrics(self, service, &mut report);
            process(self, service, &mut report);
            containers::container(self, service, &mut report);
        }
        unique("service", self.services.iter().map(|service| service.id.0), &mut report);
        unique("secret", self.secrets.iter().map(|secret| secret.name.0), &mut report);
        unique("label", self.labels.iter().map(|label| label.name), &mut report);
        whole::judge(self, &mut report);
        roles::judge(self, &mut report);
        rules::judge(self, &mut report);
        containers::together(self, &mut report);
        report.0
    }
}

struct Report(Vec<Problem>);

/// Signals that end a service.
const STOP_SIGNALS: [&str; 4] = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1"];

impl Report {
    fn add(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem::new(subject.into(), problem));
    }
}

fn subject(service: &Service) -> String {
    format!("service {}", service.id)
}

fn service_names(service: &Service, report: &mut Report) {
    if !is_name(service.id.0) {
        report.add(
            subject(service),
            "its id must be lower-case letters, digits and hyphens, at most 40 of them",
        );
    }
    if service.lifetime == (Lifetime::LongRunning { replicas: 0 }) {
        report.add(subject(service), "none of it runs; let at least one");
    }
    if let Some(group) = service.group {
        shape("group", group.0, report);
    }
    for volume in &service.volumes {
        shape(&format!("volume of {}", service.id), volume.name, report);
    }
    for name in variable_names(service).filter(|name| !is_variable(name)) {
        report
            .add(subject(service), format!("{name} is no name of a variable: A to Z, digits and _ make one"));
    }
    unique(&format!("volume of {}", service.id), service.volumes.iter().map(|volume| volume.name), report);
    unique(&format!("variable of {}", service.id), variable_names(service), report);
}

fn variable_names(service: &Service) -> impl Iterator<Item = &'static str> {
    let own = service.variables.iter().map(|variable| variable.name);
    own.chain(service.secrets.iter().filter_map(|used| used.variable))
}

fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn shape(kind: &str, name: &str, report: &mut Report) {
    if !is_name(name) {
        report.add(
            format!("{kind} {name}"),
            "its name must be lower-case letters, digits and hyphens, at most 40 of them",
        );
    }
}

fn url_path(subject: &str, what: &str, path: &str, report: &mut Report) {
    if !path.starts_with('/') {
        report.add(subject, format!("{what} {path:?}; a path begins with /"));
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= 40
        && text.chars().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn unique<'a>(kind: &str, names: impl Iterator<Item = &'a str>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    let mut told = BTreeSet::new();
    for name in names {
        if !seen.insert(name) && told.insert(name) {
            report.add(format!("{kind} {name}"), "the name is taken twice; rename one");
        }
    }
}

fn ports(service: &Service, report: &mut Report) {
    unique(&format!("port of {}", service.id), service.ports.iter().map(|port| port.name), report);
    let mut by_number: BTreeMap<u16, &str> = BTreeMap::new();
    for port in &service.ports {
        shape(&format!("port of {}", service.id), port.name, report);
        if port.number < 1024 {
            report.add(
                format!("port {}.{}", service.id, port.name),
                format!(
                    "number {} needs a privilege that no service has; take one from 1024 on",
                    port.number
                ),
            );
        }
        if let Some(other) = by_number.insert(port.number, port.name) {
            report.add(
                format!("port {}.{}", service.id, port.name),
                format!("number {} is also that of {}.{other}; give each its own", port.number, service.id),
            );
        }
    }
}

fn edges(platform: &Platform, service: &Service, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for edge in &service.edges {
        let Destination::Port(to) = edge.to else { continue };
        if platform.port(to).is_none() {
            report.add(
                format!("edge {} -> {to}", service.id),
                format!("nobody serves it; add the port to {} or remove the edge", to.service),
            );
        }
        if to.service == service.id {
            report
                .add(format!("edge {} -> {to}", service.id), "a service needs no edge to itself; remove it");
        }
        if let Some(Scrape { path, every_seconds }) = edge.scrape {
            url_path(&format!("edge {} -> {to}", service.id), "it scrapes", path, report);
            if every_seconds == 0 {
                report.add(
                    format!("edge {} -> {to}", service.id),
                    "it scrapes every 0 s; give an interval above 0",
                );
            }
        }
        if edge.need == Need::Start
            && let Some(group) = platform.service(to.service).and_then(|other| may_be_missing(service, other))
            && !brings(platform, service, group)
        {
            report.add(
                format!("edge {} -> {to}", service.id),
                format!(
                    "it cannot start without {}, which runs only with {group}; let it do without",
                    to.service
                ),
            );
        }
        if !seen.insert(to) {
            report.add(format!("edge {} -> {to}", service.id), "it is listed twice; remove one");
        }
    }
    for earlier in &service.starts_after {
        match platform.service(*earlier).map(|earlier| &earlier.lifetime) {
            Some(Lifetime::OneShot) => {}
            Some(_) => report.add(
                subject(service),
                format!(
                    "it starts after {earlier}, which never ends; use an edge to one of its ports instead"
                ),
            ),
            None => {
                report.add(subject(service), format!("it starts after {earlier}, which does not exist"));
            }
        }
    }
}

fn health(platform: &Platform, service: &Service, report: &mut Report) {
    match (&service.lifetime, &service.health) {
        (Lifetime::OneShot, Some(_)) => report.add(
            subject(service),
            "the exit code of a one-shot service is its health; remove its health check",
        ),
        (Lifetime::LongRunning { .. } | Lifetime::StandIn, None) => {
            report.add(subject(service), "it has no health check; every long-running service needs one");
        }
        _ => {}
    }
    if let Some(Health::Http { port, path }) = &service.health {
        own_port(platform, service, *port, "its health check asks", report);
        url_path(&subject(service), "its health check asks for", path, report);
    }
}

fn own_port(platform: &Platform, service: &Service, port: PortRef, what: &str, report: &mut Report) {
    if port.service != service.id || platform.port(port).is_none() {
        report.add(
            subject(service),
            format!("{what} {port}, which is no port of it; name one of {}", listed(service)),
        );
    }
}

fn listed(service: &Service) -> String {
    let names: Vec<_> = service.ports.iter().map(|port| port.name).collect();
    if names.is_empty() { "none (it has no port)".to_owned() } else { names.join(", ") }
}

fn limits(service: &Service, report: &mut Report) {
    let resources = service.resources;
    for (what, limit) in
        [("memory_mib", resources.memory_mib), ("cpu_millis", resources.cpu_millis), ("pids", resources.pids)]
    {
        if limit == 0 {
            report.add(subject(service), format!("{what} is 0; every service has a limit above 0"));
        }
    }
    if service.stop.grace_seconds == 0 {
        report.add(subject(service), "its stop grace is 0 s; give it time to stop by itself");
    }
    if !STOP_SIGNALS.contains(&service.stop.signal) {
        report.add(
            subject(service),
            format!("it is stopped by {}; name one of {}", service.stop.signal, STOP_SIGNALS.join(", ")),
        );
    }
}

fn image(service: &Service, report: &mut Report) {
    if let Image::Pinned { reference, digest } = &service.image {
        let hexadecimal = digest.strip_prefix("sha256:").unwrap_or_default();
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if hexadecimal.len() != 64 || !hexadecimal.chars().all(is_digit) {
            report.add(
                subject(service),
                format!("the digest of {reference} is not sha256: and 64 lower-case hexadecimal digits"),
            );
        }
        // A colon before the last slash is that of the registry's port.
        if !reference.rsplit('/').next().unwrap_or_default().contains(':') {
            report.add(
                subject(service),
                format!("{reference} names no version; add the tag beside the digest"),
            );
        }
    }
}

/// Where the other does not run, a value that says where it is would be left out of the files, in silence.
fn runs_beside(platform: &Platform, service: &Service, port: PortRef, report: &mut Report) {
    let Some(other) = platform.service(port.service) else { return };
    // That it cannot start at all is said of the edge.
    let needed = |edge: &Edge| {
        edge.need == Need::Start && matches!(edge.to, Destination::Port(to) if to.service == other.id)
    };
    if service.edges.iter().any(needed) {
        return;
    }
    if let Some(group) = may_be_missing(service, other) {
        report.add(
            subject(service),
            format!("it asks where {port} is, and {} runs only with {group}; leave the value out", other.id),
        );
    }
    for (engine, runs, other_runs) in [
        ("a process", service.process.is_some(), other.process.is_some()),
        ("a container", service.container.shape().is_some(), other.container.shape().is_some()),
    ] {
        if runs && !other_runs {
            report.add(
                subject(service),
                format!(
                    "as {engine} it asks where {port} is, and {} does not run as one; leave the value out",
                    other.id
                ),
            );
        }
    }
}

/// Whether an environment that asks for the part of this service gets the other part, too.
fn brings(platform: &Platform, service: &Service, other: Group) -> bool {
    service.group.is_some_and(|own| {
        platform.asks_for(&Environment { with: vec![own.0.to_owned()], ..Environment::default() }, other)
    })
}

/// The optional part without which the other does not run, where this one may run without it.
fn may_be_missing(service: &Service, other: &Service) -> Option<Group> {
    other.group.filter(|group| service.group != Some(*group))
}

fn values(platform: &Platform, service: &Service, report: &mut Report) {
    let commands = service.process.iter().flat_map(|process| {
        process.commands.iter().chain(process.initialise.iter().map(|initialise| &initialise.command))
    });
    let health = match &service.health {
        Some(Health::Command(command)) => Some(command),
        _ => None,
    };
    let in_commands = commands.chain(health).flat_map(|command: &Command| {
        command.arguments.iter().chain(command.variables.iter().map(|variable| &variable.value))
    });
    let in_container =
        service.container.shape().into_iter().flat_map(|shape| {
            shape.command.iter().chain(shape.variables.iter().map(|variable| &variable.value))
        });
    let all = service.variables.iter().map(|variable| &variable.value).chain(in_commands).chain(in_container);
    for value in all.flat_map(Value::walk) {
        match value {
            Value::BindAddress(port) | Value::BindPort(port) => {
                own_port(platform, service, *port, "it binds", report);
            }
            Value::Host(port) | Value::Number(port) | Value::Url { port, .. } => {
                reaches(platform, service, *port, report);
                runs_beside(platform, service, *port, report);
            }
            Value::Folder(volume) => owned_volume(service, *volume, report),
            Value::SecretFile(secret) => reads(service, *secret, report),
            Value::Fact(Fact::Replica) if !service.scales() => {
                report.add(subject(service), "it asks for its replica's name and does not scale");
            }
            Value::Text(_) | Value::Whole(_) | Value::Tree(_) | Value::Fact(_) | Value::Joined(_) => {}
        }
    }
}

fn reaches(platform: &Platform, service: &Service, port: PortRef, report: &mut Report) {
    let declared = service.edges.iter().any(|edge| edge.to == Destination::Port(port));
    if port.service != service.id && !declared {
        report.add(
            subject(service),
            format!("it is told the address of {port} without an edge to it; add the edge"),
        );
    }
    if port.service == service.id && platform.port(port).is_none() {
        own_port(platform, service, port, "it is told the address of", report);
    }
}

fn owned_volume(service: &Service, volume: VolumeRef, report: &mut Report) {
    let known = service.volumes.iter().any(|candidate| candidate.name == volume.name);
    if volume.service != service.id || !known {
        report.add(subject(service), format!("it uses the folder {volume}, which is no volume of it"));
    }
}

fn reads(service: &Service, secret: SecretRef, report: &mut Report) {
    if !service.secrets.iter().any(|used| used.secret == secret) {
        report
            .add(subject(service), format!("it names the file of {secret} without reading it; add the use"));
    }
}

fn secret_uses(platform: &Platform, service: &Service, report: &mut Report) {
    unique(&format!("secret of {}", service.id), service.secrets.iter().map(|used| used.secret.0), report);
    for used in &service.secrets {
        if platform.secret(used.secret).is_none() {
            report
                .add(subject(service), format!("it reads the secret {}, which nobody defines", used.secret));
        }
        if let Some(variable) = used.variable
            && !variable.ends_with("_FILE")
        {
            report.add(
                subject(service),
                format!(
                    "{variable} hands over {}; name it {variable}_FILE: secrets go as paths",
                    used.secret
                ),
            );
        }
    }
}

fn metrics(platform: &Platform, service: &Service, report: &mut Report) {
    let scraped = service
        .ports
        .iter()
        .any(|port| platform.scrape(PortRef { service: service.id, name: port.name }).is_some());
    // Who scrapes others exports how that went.
    let scrapes = service.edges.iter().any(|edge| edge.scrape.is_some());
    if !scraped && !scrapes && !service.metrics.is_empty() {
        report.add(
            subject(service),
            "it has metrics that nobody scrapes; add `scrape` to an edge that leads to it, or remove them",
        );
    }
    for metric in &service.metrics {
        metric_shape(platform, metric, report);
    }
}

fn metric_shape(platform: &Platform, metric: &Metric, report: &mut Report) {
    let subject = format!("metric {}", metric.name);
    if metric.ours && metric.kind == MetricKind::Counter && !metric.name.0.ends_with("_total") {
        report.add(&subject, "a counter's name ends in _total (Prometheus naming practice)");
    }
    if let MetricKind::Histogram { buckets } = &metric.kind
        && (buckets.is_empty() || !buckets.is_sorted_by(|low, high| low < high))
    {
        report.add(&subject, "its buckets must be given and rise");
    }
    for label in platform.labels.iter().filter(|label| label.unbounded) {
        if metric.labels.contains(&label.name) {
            report.add(
                &subject,
                format!("the label {} has no bound, so each value would be a series; drop it", label.name),
            );
        }
    }
}

fn process(platform: &Platform, service: &Service, report: &mut Report) {
    let Some(process) = &service.process else { return };
    match service.lifetime {
        Lifetime::OneShot if process.commands.is_empty() => {
            report.add(subject(service), "its process runs no command");
        }
        Lifetime::LongRunning { .. } | Lifetime::StandIn if process.commands.len() != 1 => {
            report.add(subject(service), "a long-running process has exactly one command");
        }
        _ => {}
    }
    if let Some(initialise) = &process.initialise {
        owned_volume(service, initialise.volume, report);
    }
    for command in &process.commands {
        unique(
            &format!("variable of {}", service.id),
            command.variables.iter().map(|variable| variable.name),
            report,
        );
    }
    for change in &process.on_change {
        match (&change.reaction, &service.lifetime) {
            (Reaction::RunAgain, Lifetime::LongRunning { .. } | Lifetime::StandIn) => {
                report.add(subject(service), "only a one-shot service is run again; restart this one");
            }
            (Reaction::Restart | Reaction::ReloadFlows { .. }, Lifetime::OneShot) => {
                report.add(subject(service), "a one-shot service is run again, not restarted");
            }
            (Reaction::ReloadFlows { port, path, token, .. }, _) => {
                own_port(platform, service, *port, "flows are reloaded through", report);
                url_path(&subject(service), "flows are reloaded at", path, report);
                reads(service, *token, report);
            }
            _ => {}
        }
    }
    for edge in service.edges.iter().filter(|edge| edge.need == Need::Start) {
        let Destination::Port(to) = edge.to else { continue };
        if let Some(needed) = platform.service(to.service)
            && needed.process.is_none()
        {
            report.add(
                subject(service),
                format!("as a process it cannot start without {}, which has no process", to.service),
            );
        }
    }
}
