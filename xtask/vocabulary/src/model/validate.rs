//! The invariants that types cannot hold. One call finds every violation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::{
    ChangeClass, Command, Destination, Exposure, Fact, Health, Image, Lifetime, Metric, MetricKind, Need,
    Platform, PortRef, Reaction, Scrape, SecretRef, Service, ServiceId, Value, VolumeRef,
};

/// One broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// What it is about, such as `service postgres` or `secret llm-api-key`.
    pub subject: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.subject, self.problem)
    }
}

impl Platform {
    /// Every violation, in the order of the platform's own values. Empty means valid.
    #[must_use]
    pub fn validate(&self) -> Vec<Violation> {
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
            alerts(self, service, &mut report);
            process(self, service, &mut report);
        }
        unique("service", self.services.iter().map(|service| service.id.0), &mut report);
        unique("secret", self.secrets.iter().map(|secret| secret.name.0), &mut report);
        unique("label", self.labels.iter().map(|label| label.name), &mut report);
        unique("metric", self.metrics().map(|(_, metric)| metric.name.0), &mut report);
        unique(
            "alert",
            self.services.iter().flat_map(|service| &service.alerts).map(|alert| alert.name),
            &mut report,
        );
        unreached_ports(self, &mut report);
        unread_secrets(self, &mut report);
        start_cycles(self, &mut report);
        smoke(self, &mut report);
        gates(self, &mut report);
        review(self, &mut report);
        report.0
    }
}

struct Report(Vec<Violation>);

impl Report {
    fn add(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Violation { subject: subject.into(), problem: problem.into() });
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
    if let Lifetime::LongRunning { replicas } = &service.lifetime {
        if replicas.is_empty() {
            report.add(
                subject(service),
                "it has no replica; name at least one, an empty name for a single one",
            );
        }
        if replicas.len() > 1 && replicas.contains(&"") {
            report.add(subject(service), "with more than one replica each needs a name");
        }
        unique(&format!("replica of {}", service.id), replicas.iter().copied(), report);
    }
    unique(&format!("volume of {}", service.id), service.volumes.iter().map(|volume| volume.name), report);
    unique(
        &format!("variable of {}", service.id),
        service
            .variables
            .iter()
            .map(|variable| variable.name)
            .chain(service.secrets.iter().filter_map(|used| used.variable)),
        report,
    );
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
        if !seen.insert(to) {
            report.add(format!("edge {} -> {to}", service.id), "it stands twice; remove one");
        }
    }
    for earlier in &service.starts_after {
        match platform.service(*earlier).map(|earlier| &earlier.lifetime) {
            Some(Lifetime::OneShot) => {}
            Some(_) => report.add(
                subject(service),
                format!("it starts after {earlier}, which never ends; say so with an edge to a port of it"),
            ),
            None => {
                report.add(subject(service), format!("it starts after {earlier}, which does not exist"));
            }
        }
    }
}

fn health(platform: &Platform, service: &Service, report: &mut Report) {
    match (&service.lifetime, &service.health) {
        (Lifetime::OneShot, Some(_)) => report
            .add(subject(service), "a one-shot service is judged by its exit code; remove its health check"),
        (Lifetime::LongRunning { .. } | Lifetime::StandIn, None) => {
            report.add(subject(service), "it has no health check; every long-running service needs one");
        }
        _ => {}
    }
    if let Some(Health::Http { port, .. } | Health::Tcp { port }) = &service.health {
        own_port(platform, service, *port, "its health check asks", report);
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
        report.add(subject(service), "its stop grace is 0 s; give it time to end by itself");
    }
}

fn image(service: &Service, report: &mut Report) {
    if let Image::Pinned { reference, digest } = &service.image {
        let hexadecimal = digest.strip_prefix("sha256:").unwrap_or_default();
        if hexadecimal.len() != 64 || !hexadecimal.chars().all(|c| c.is_ascii_hexdigit()) {
            report.add(
                subject(service),
                format!("the digest of {reference} is not sha256: and 64 hexadecimal digits"),
            );
        }
        if !reference.contains(':') {
            report.add(
                subject(service),
                format!("{reference} names no version; add the tag beside the digest"),
            );
        }
    }
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
    let all = service.variables.iter().map(|variable| &variable.value).chain(in_commands);
    for value in all.flat_map(Value::walk) {
        match value {
            Value::BindAddress(port) | Value::BindPort(port) => {
                own_port(platform, service, *port, "it binds", report);
            }
            Value::Host(port) | Value::Number(port) | Value::Url { port, .. } => {
                reaches(platform, service, *port, report);
            }
            Value::Folder(volume) => owned_volume(service, *volume, report),
            Value::SecretFile(secret) => reads(service, *secret, report),
            Value::Fact(Fact::Replica) if service.replicas() == [""] => {
                report.add(subject(service), "it asks for its replica's name and has a single, nameless one");
            }
            Value::Text(_) | Value::Tree(_) | Value::Fact(_) | Value::Joined(_) => {}
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
    if let Some(Scrape { port, every_seconds, .. }) = &service.scrape {
        own_port(platform, service, *port, "it is scraped on", report);
        if *every_seconds == 0 {
            report.add(subject(service), "it is scraped every 0 s; give an interval above 0");
        }
    }
    if service.scrape.is_none() && !service.metrics.is_empty() {
        report.add(subject(service), "it has metrics that nobody scrapes; add `scrape` or remove them");
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

fn alerts(platform: &Platform, service: &Service, report: &mut Report) {
    for alert in &service.alerts {
        let subject = format!("alert {}", alert.name);
        for metric in &alert.reads {
            if platform.metric(*metric).is_none() {
                report.add(&subject, format!("it reads {metric}, which no service exports"));
            }
            if !alert.expression.contains(metric.0) {
                report.add(&subject, format!("it says to read {metric}, and its expression does not"));
            }
        }
        if alert.reads.is_empty() {
            report.add(&subject, "it reads no metric; list those of its expression");
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
    for change in &process.on_change {
        match (&change.reaction, &service.lifetime) {
            (Reaction::RunAgain, Lifetime::LongRunning { .. } | Lifetime::StandIn) => {
                report.add(subject(service), "only a one-shot service is run again; restart this one");
            }
            (Reaction::Restart | Reaction::ReloadFlows { .. }, Lifetime::OneShot) => {
                report.add(subject(service), "a one-shot service is run again, not restarted");
            }
            (Reaction::ReloadFlows { port, token, .. }, _) => {
                own_port(platform, service, *port, "flows are reloaded through", report);
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

fn unreached_ports(platform: &Platform, report: &mut Report) {
    for (reference, port) in platform.ports() {
        let reached = platform.edges().any(|(_, edge)| edge.to == Destination::Port(reference));
        if port.exposure == Exposure::Internal && !reached {
            report.add(
                format!("port {reference}"),
                "no edge leads to it and it is not exposed; remove it or add the edge",
            );
        }
    }
}

fn unread_secrets(platform: &Platform, report: &mut Report) {
    for secret in &platform.secrets {
        if platform.readers(secret.name).next().is_none() {
            report.add(format!("secret {}", secret.name), "nobody reads it; remove it or name its reader");
        }
        if secret.rotate_after_days == 0 {
            report.add(format!("secret {}", secret.name), "its rotation is 0 days; give a number above 0");
        }
    }
}

fn start_cycles(platform: &Platform, report: &mut Report) {
    let needs = |id: ServiceId| {
        platform.service(id).into_iter().flat_map(|service| {
            let over_edges = service.edges.iter().filter_map(|edge| match edge.to {
                Destination::Port(to) if edge.need == Need::Start => Some(to.service),
                _ => None,
            });
            over_edges.chain(service.starts_after.iter().copied())
        })
    };
    for service in &platform.services {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = needs(service.id).collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(needs(next));
            }
        }
        if reached.contains(&service.id) {
            report.add(
                subject(service),
                "it cannot start before itself: what it needs to start forms a circle",
            );
        }
    }
}

fn smoke(platform: &Platform, report: &mut Report) {
    unique("smoke check", platform.smoke.checks.iter().map(|check| check.name), report);
    if platform.smoke.check_limit_ms == 0 || platform.smoke.run_limit_ms < platform.smoke.check_limit_ms {
        report.add("smoke", "the limit of a check must be above 0 and at most that of the run");
    }
    for check in &platform.smoke.checks {
        for service in &check.relies_on {
            if platform.service(*service).is_none() {
                report.add(
                    format!("smoke check {}", check.name),
                    format!("it relies on {service}, which does not exist"),
                );
            }
        }
    }
}

fn gates(platform: &Platform, report: &mut Report) {
    unique("gate", platform.gates.iter().map(|gate| gate.id), report);
    for gate in &platform.gates {
        let subject = format!("gate {}", gate.id);
        if gate.commands.is_empty() {
            report.add(&subject, "it runs nothing, so it cannot fail");
        }
        if gate.limit_seconds == 0 {
            report.add(&subject, "its limit is 0 s; give it time to run");
        }
        for other in &gate.after {
            let earlier = platform.gates.iter().take_while(|candidate| candidate.id != gate.id);
            if !earlier.into_iter().any(|candidate| candidate.id == *other) {
                report.add(&subject, format!("it waits for {other}, which is no gate listed before it"));
            }
        }
    }
}

fn review(platform: &Platform, report: &mut Report) {
    if platform.review.label.trim().is_empty() {
        report.add("review", "its label is empty; name the label that a reviewer sets");
    }
    if platform.review.asked_for.contains(&ChangeClass::Neutral) {
        report.add("review", "it asks for the label on neutral changes too; leave them out");
    }
}
