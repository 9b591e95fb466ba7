//! The parts that generators, engines and commands look for exist, and can do what is asked of them.

use std::collections::BTreeSet;

use super::Report;
use crate::model::{Destination, Lifetime, Platform, PortRef, SecretRef, ServiceId, VolumeRef};

pub(super) fn judge(platform: &Platform, report: &mut Report) {
    let (workers, edge, database) = (&platform.workers, &platform.edge, &platform.database);
    let of = |service: ServiceId, ports: &[PortRef], role: &str, report: &mut Report| {
        for port in ports {
            if port.service != service || platform.port(*port).is_none() {
                report.add(role, format!("{port} is no port of {service}; name one that is"));
            }
        }
    };
    of(workers.service(), &[workers.flows, workers.operations, workers.editor], "workers", report);
    of(edge.service(), &[edge.http, edge.https], "edge", report);
    of(database.port.service, &[database.port], "database", report);
    if let Some(tools) = platform.tools {
        of(tools.service, &[tools], "tools", report);
    }
    read_by(platform, workers.service(), workers.operations_token, "workers", report);
    read_by(platform, workers.service(), workers.api_key, "workers", report);
    read_by(platform, workers.service(), database.password, "database", report);
    read_by(platform, edge.service(), edge.certificate, "edge", report);
    let is_own = |folder: VolumeRef| {
        let owner = platform.service(folder.service);
        owner.is_some_and(|owner| owner.volumes.iter().any(|volume| volume.name == folder.name))
    };
    if platform.service(edge.service()).is_some()
        && (edge.folder.service != edge.service() || !is_own(edge.folder))
    {
        report.add("edge", format!("{} is no volume of {}; name one that is", edge.folder, edge.service()));
    }
    if let Some(store) = platform.secret_store {
        of(store.service(), &[store.api], "secret_store", report);
        let group = platform.service(store.service()).map(|service| service.group);
        let members = platform.services.iter().filter(|service| Some(service.group) == group).count();
        if group == Some(None) || members > 1 {
            let seen = format!("{} runs where it is chosen, so it has a group of its own", store.service());
            report.add("secret_store", seen);
        }
        for folder in [store.configuration, store.data] {
            if folder.service != store.service() || !is_own(folder) {
                let seen = format!("{folder} is no volume of {}; name one that is", store.service());
                report.add("secret_store", seen);
            }
        }
    }
    if let Some(monitoring) = platform.monitoring {
        let (scraper, notifier) = (monitoring.scraper, monitoring.notifier);
        of(scraper.service, &[scraper], "monitoring", report);
        of(notifier.service, &[notifier], "monitoring", report);
        let viewer = monitoring.viewer.map(|viewer| (viewer.web, viewer.configuration));
        if let Some((web, _)) = viewer {
            of(web.service, &[web], "monitoring", report);
        }
        for (port, folder) in
            [(scraper, monitoring.scraper_configuration), (notifier, monitoring.notifier_configuration)]
                .into_iter()
                .chain(viewer)
        {
            if folder.service != port.service || !is_own(folder) {
                report.add(
                    "monitoring",
                    format!("{folder} is no volume of {}; name one that is", port.service),
                );
            }
        }
        for secret in [monitoring.paging_key, monitoring.chat_webhook, monitoring.mail_password] {
            read_by(platform, notifier.service, secret, "monitoring", report);
        }
    }
    if let Some(store) = platform.log_store {
        of(store.api.service, &[store.api], "log_store", report);
        let sends = platform.service(store.collector).is_some_and(|collector| {
            collector.edges.iter().any(|edge| edge.to == Destination::Port(store.api))
        });
        if !sends {
            let seen = format!("{} has no edge to {}; add it", store.collector, store.api);
            report.add("log_store", seen);
        }
    }
    let migrations = platform.service(database.migrations).map(|service| &service.lifetime);
    if migrations != Some(&Lifetime::OneShot) {
        report
            .add("database", format!("{} is no one-shot service that could migrate it", database.migrations));
    }
    if let (Some(contract), Some(service)) = (database.contract, platform.service(database.migrations))
        && !service.variables.iter().any(|variable| variable.name == contract.variable)
    {
        let seen = format!("{} has no variable {}; add it", database.migrations, contract.variable);
        report.add("database", seen);
    }
    operations(platform, report);
    people(platform, report);
    if platform.release.architectures.is_empty() {
        report.add("release", "it is for no architecture; name at least one");
    }
}

fn operations(platform: &Platform, report: &mut Report) {
    let (edge, mut seen) = (&platform.edge, BTreeSet::new());
    for operation in &platform.operations {
        let subject = format!("operation {} {}", operation.method, operation.path);
        if !seen.insert((operation.method, operation.path)) {
            report.add(&subject, "there are two of it; merge them");
        }
        if !operation.path.starts_with(edge.path) {
            report.add(&subject, format!("it is not below {}; the edge sends on nothing else", edge.path));
        }
        let is_word = |text: &str| {
            !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || "-_".contains(one))
        };
        for part in operation.path.split('/').skip(1) {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            if !is_word(name.unwrap_or(part)) {
                report.add(&subject, format!("`{part}` is neither a word nor a name in braces"));
            }
        }
        if operation.body_limit_bytes > edge.body_limit_bytes {
            let seen = format!(
                "its body may have {} bytes; the edge lets {} through at most",
                operation.body_limit_bytes, edge.body_limit_bytes
            );
            report.add(&subject, seen);
        }
    }
}

fn people(platform: &Platform, report: &mut Report) {
    for (index, role) in platform.access.iter().enumerate() {
        let subject = format!("role {}", role.id);
        if platform.access[..index].iter().any(|other| other.id == role.id) {
            report.add(&subject, "there are two of it; merge them");
        }
        if !role.secrets.is_empty() && platform.secret_store.is_none() {
            report.add(&subject, "it has rights in a secret store, and the platform has none; remove them");
        }
    }
}

fn read_by(platform: &Platform, service: ServiceId, secret: SecretRef, role: &str, report: &mut Report) {
    let known = platform.service(service);
    let reads = |service: &crate::model::Service| service.secrets.iter().any(|used| used.secret == secret);
    if known.is_some_and(|service| !reads(service)) {
        report.add(role, format!("{service} does not read the secret {secret}; add the use"));
    }
}
