//! What cannot go together in one environment. Pure.

use std::collections::BTreeMap;

use vocabulary::model::environment::{EngineKind, Host, Tier};

use foundation::nearest::nearest;

use super::read::Reading;

/// Adds every impossible combination. A rule is silent about values whose own type is already wrong.
pub fn check(reading: &mut Reading<'_>) {
    for rule in [
        name,
        engine,
        hosts,
        unique_hosts,
        domain,
        backups,
        llm,
        ports,
        unique_ports,
        listen,
        firewall,
        egress,
        replicas,
        tls,
        edge,
        promotes_from,
        requires,
        with,
    ] {
        rule(reading);
    }
}

fn refuse(reading: &mut Reading<'_>, key: &str, wrong: impl Into<String>, expected: impl Into<String>) {
    let place = reading.place(key);
    reading.problems.add(&place, wrong, expected, None);
}

fn is_production(reading: &Reading<'_>) -> bool {
    reading.tier() == Some(Tier::Production)
}

fn name(reading: &mut Reading<'_>) {
    let (name, stem) = (reading.environment.name.clone(), reading.stem);
    if reading.sound("name") && name != stem {
        let place = reading.place("name");
        let expected = format!("\"{stem}\", the name of the file, or no name");
        let near = nearest(&name, [stem]);
        reading.problems.add(&place, format!("name: \"{name}\" in {stem}.toml"), expected, near);
    }
}

fn engine(reading: &mut Reading<'_>) {
    if is_production(reading) && reading.engine() == Some(EngineKind::Process) {
        let expected = "compose (one host) or kubernetes (more than one)";
        refuse(reading, "engine", "engine: process cannot run production", expected);
    }
}

fn hosts(reading: &mut Reading<'_>) {
    let count = reading.environment.hosts.len();
    let told = match count {
        0 => "no host is given".to_owned(),
        1 => "one host is given".to_owned(),
        count => format!("{count} hosts are given"),
    };
    let expected = match reading.engine() {
        Some(EngineKind::Process) if count > 1 => {
            "at most one on the process engine; compose and kubernetes use others"
        }
        Some(EngineKind::Compose) if count != 1 => {
            "exactly one [[hosts]] on compose; kubernetes is for several"
        }
        Some(EngineKind::Kubernetes) if count < 2 => {
            "more than one [[hosts]] on kubernetes; compose suits a single one"
        }
        _ => return,
    };
    if reading.seen.get("hosts").is_none_or(|seen| seen.sound) {
        refuse(reading, "hosts", format!("hosts: {told}"), expected);
    }
}

fn unique_hosts(reading: &mut Reading<'_>) {
    for (what, of) in
        [("name", (|host| &host.name) as fn(&Host) -> &String), ("address", |host| &host.address)]
    {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let values: Vec<String> = reading.environment.hosts.iter().map(|host| of(host).clone()).collect();
        for (index, value) in values.into_iter().enumerate() {
            let key = format!("hosts[{index}].{what}");
            if !reading.sound(&key) {
                continue;
            }
            match first.get(&value) {
                Some(earlier) => {
                    let wrong = format!("{key}: \"{value}\" is already the {what} of hosts[{earlier}]");
                    refuse(reading, &key, wrong, format!("another {what} for each host"));
                }
                None => {
                    first.insert(value, index);
                }
            }
        }
    }
}

fn domain(reading: &mut Reading<'_>) {
    let domain = reading.environment.domain.clone();
    if !reading.sound("domain") || domain.contains('.') {
        return;
    }
    if is_production(reading) {
        let expected = "a DNS name that others can resolve, such as \"flowship.example.com\"";
        refuse(reading, "domain", format!("domain: \"{domain}\" in production"), expected);
    }
}

fn backups(reading: &mut Reading<'_>) {
    let key = "retention.backups_days";
    if is_production(reading) && reading.sound(key) && reading.environment.retention.backups_days == 0 {
        refuse(reading, key, format!("{key}: production without backups"), "at least 1 day");
    }
}

fn llm(reading: &mut Reading<'_>) {
    let key = "llm.base_url";
    let clear = reading.environment.llm.as_ref().is_some_and(|llm| llm.base_url.starts_with("http://"));
    if is_production(reading) && reading.sound(key) && clear {
        let expected = "an address that begins with https://";
        refuse(reading, key, format!("{key}: production would send its key unencrypted"), expected);
    }
}

fn ports(reading: &mut Reading<'_>) {
    if !reading.seen.contains_key("ports") {
        return;
    }
    let found = match (reading.tier(), reading.engine()) {
        (Some(tier), _) if tier != Tier::Development => format!("in {tier}"),
        (_, Some(engine)) if engine != EngineKind::Process => format!("on the {engine} engine"),
        _ => return,
    };
    let expected = "explicit ports only in development on the process engine; remove the table";
    refuse(reading, "ports", format!("ports: set {found}"), expected);
}

fn unique_ports(reading: &mut Reading<'_>) {
    let mut taken: BTreeMap<u16, String> = BTreeMap::new();
    let mut clashes = Vec::new();
    for (service, ports) in &reading.environment.ports {
        for (name, port) in ports {
            let owner = format!("{service}.{name}");
            match taken.get(port) {
                Some(earlier) => clashes.push((owner, *port, earlier.clone())),
                None => {
                    taken.insert(*port, owner);
                }
            }
        }
    }
    for (owner, port, earlier) in clashes {
        let key = format!("ports.{owner}");
        let wrong = format!("{key}: {port} is already the port of {earlier}");
        refuse(reading, &key, wrong, "another port for each");
    }
}

fn listen(reading: &mut Reading<'_>) {
    let Some(listen) = reading.environment.listen.clone() else { return };
    if reading.tier() == Some(Tier::Development) {
        let expected = "listen only in staging and production; remove the table";
        refuse(reading, "listen", "listen: set in development", expected);
    } else if listen.http == listen.https {
        let key = if reading.seen.contains_key("listen.http") { "listen.http" } else { "listen.https" };
        refuse(reading, key, format!("{key}: {} is the port of both", listen.https), "another port for each");
    }
}

fn firewall(reading: &mut Reading<'_>) {
    if reading.environment.firewall.is_some() && reading.tier() == Some(Tier::Development) {
        let expected = "firewall only in staging and production; remove the table";
        refuse(reading, "firewall", "firewall: set in development", expected);
    }
}

fn egress(reading: &mut Reading<'_>) {
    let services = &reading.known.services;
    let calls_out = |id: &str| services.iter().any(|known| known.id == id && known.calls_out);
    let wrong: Vec<String> =
        reading.environment.egress.keys().filter(|service| !calls_out(service)).cloned().collect();
    let those: Vec<&str> = services.iter().filter(|known| known.calls_out).map(|known| known.id).collect();
    let expected = format!("egress only for {}", those.join(", "));
    for service in wrong {
        let key = format!("egress.{service}");
        refuse(reading, &key, format!("{key}: {service} connects to nothing outside"), expected.clone());
    }
}

fn replicas(reading: &mut Reading<'_>) {
    let wanted: Vec<(String, u32)> = (reading.environment.sizes.iter())
        .filter_map(|(service, size)| size.replicas.map(|count| (service.clone(), count)))
        .collect();
    for (service, count) in wanted {
        let key = format!("sizes.{service}.replicas");
        if !reading.known.services.iter().any(|known| known.id == service && known.scales) {
            let scaling: Vec<&str> =
                reading.known.services.iter().filter(|known| known.scales).map(|known| known.id).collect();
            let expected = format!("replicas only for {}", scaling.join(", "));
            refuse(reading, &key, format!("{key}: {service} does not scale"), expected);
        } else if is_production(reading) && count < 2 {
            let expected = "at least 2, so that one serves while the other is replaced";
            refuse(reading, &key, format!("{key}: one replica in production"), expected);
        }
    }
}

fn tls(reading: &mut Reading<'_>) {
    let given = |key: &str| reading.seen.contains_key(key);
    let (acme, certificate, key) =
        (given("tls.acme_contact"), given("tls.certificate_file"), given("tls.key_file"));
    let domain_told = reading.sound("domain") || reading.tier() == Some(Tier::Development);
    let pair = "both tls.certificate_file and tls.key_file";
    let more = ["tls.acme_directory", "tls.acme_ca_file"].into_iter().find(|key| given(key));
    if let Some(key) = more.filter(|_| !acme) {
        refuse(reading, key, format!("{key}: without tls.acme_contact"), "tls.acme_contact too, or no ACME");
    } else if acme && (certificate || key) {
        let wrong = "tls: an ACME contact and files at once";
        refuse(reading, "tls", wrong, "either tls.acme_contact, or tls.certificate_file and tls.key_file");
    } else if certificate && !key {
        refuse(reading, "tls.certificate_file", "tls.certificate_file: without its key", pair);
    } else if key && !certificate {
        refuse(reading, "tls.key_file", "tls.key_file: without its certificate", pair);
    } else if acme && domain_told && !reading.environment.domain.contains('.') {
        let wrong = format!("tls.acme_contact: no authority certifies \"{}\"", reading.environment.domain);
        refuse(reading, "tls.acme_contact", wrong, "a domain that the authority can reach, or no tls");
    } else if acme && given("edge.allow") {
        let wrong = "tls.acme_contact: edge.allow keeps the authority out, which connects from anywhere";
        refuse(
            reading,
            "tls.acme_contact",
            wrong.to_owned(),
            "no edge.allow, or certificate_file and key_file",
        );
    } else if is_production(reading) && !acme && !certificate {
        let expected = "a table [tls] with acme_contact, or with certificate_file and key_file";
        refuse(reading, "tls", "missing tls, which production must set", expected);
    }
}

/// Whoever trusts everybody lets every client choose its address.
fn edge(reading: &mut Reading<'_>) {
    let key = "edge.trusted_proxies";
    let every = reading.environment.edge.trusted_proxies.iter().find(|network| network.ends_with("/0"));
    if let Some(every) = every.cloned() {
        let wrong = format!("{key}: \"{every}\" lets every client choose its address");
        refuse(reading, key, wrong, "only the addresses of your load balancers");
    }
}

fn promotes_from(reading: &mut Reading<'_>) {
    let key = "promotes_from";
    if reading.sound(key) && reading.environment.promotes_from.as_deref() == Some(reading.stem) {
        let wrong = format!("{key}: \"{}\" is this environment", reading.stem);
        refuse(reading, key, wrong, "another environment");
    }
}

fn requires(reading: &mut Reading<'_>) {
    if let Some(gates) = &reading.known.gates {
        names(reading, "requires", "gate", &reading.environment.requires.clone(), gates);
    }
}

fn with(reading: &mut Reading<'_>) {
    let key = "with";
    names(reading, key, "optional part", &reading.environment.with.clone(), &reading.known.groups);
    let is_contained = |name: &&String| reading.known.only_in_containers.contains(&name.as_str());
    if let Some(name) = reading.environment.with.iter().find(is_contained)
        && reading.environment.engine == EngineKind::Process
    {
        let wrong = format!("{key}: nothing of \"{name}\" runs with engine = \"process\"");
        refuse(reading, key, wrong, "engine = \"compose\", or without it");
    }
}

/// Refuses each name that the platform does not have.
fn names(reading: &mut Reading<'_>, key: &str, what: &str, said: &[String], known: &[&str]) {
    let (place, expected) = (reading.place(key), format!("one of {}", known.join(", ")));
    for name in said.iter().filter(|name| !known.contains(&name.as_str())) {
        let wrong = format!("{key}: unknown {what} \"{}\"", name.escape_debug());
        reading.problems.add(&place, wrong, expected.clone(), nearest(name, known.iter().copied()));
    }
}
