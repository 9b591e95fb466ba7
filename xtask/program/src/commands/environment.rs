//! `cargo xtask environment`: what the environments' files say, checked and with every default filled in.

mod firewall;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use vocabulary::problem::Problem;

use crate::context::Context;
use foundation::columns;
use foundation::exit::Refused;
use foundation::stdout;
use judges::site::{self, Known, SettingDoc};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask environment list
  cargo xtask environment show production --json
  cargo xtask environment check
  cargo xtask environment settings
  cargo xtask environment firewall staging | ssh root@staging-1 nft -f -")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the environments
    List,
    /// Show an environment with all defaults, as TOML
    Show {
        /// The name of a file in ops/environments, without .toml
        #[arg(value_name = "ENV")]
        name: String,
    },
    /// Check the files of all environments; exit code 2 if one is wrong
    Check,
    /// List all settings: key, type, default, when it is required, meaning
    Settings,
    /// Print the ruleset for the firewall of an environment's host, for nft
    Firewall(firewall::Options),
}

/// # Errors
/// Refused when a file that is asked for is wrong.
pub fn run(context: &Context, options: Options) -> Result<()> {
    let known = site::known(context.platform);
    match options.what {
        What::List => list(context, &known),
        What::Show { name } => show(context, &name, &known),
        What::Check => check(context, &known),
        What::Settings => settings(context),
        What::Firewall(options) => firewall::run(context, &options, &known),
    }
}

fn list(context: &Context, known: &Known) -> Result<()> {
    let environments = site::load_all(&context.root, known)?;
    if context.json {
        return stdout::json(&environments);
    }
    let mut rows = vec![["NAME", "TIER", "ENGINE", "HOSTS", "DOMAIN"].map(str::to_owned)];
    rows.extend(environments.iter().map(|environment| {
        [
            environment.name.clone(),
            environment.tier.to_string(),
            environment.engine.to_string(),
            environment.hosts.len().to_string(),
            environment.domain.clone(),
        ]
    }));
    stdout::text(&columns::table(&rows))
}

fn show(context: &Context, name: &str, known: &Known) -> Result<()> {
    let (environment, not_yet) = site::load_with_notes(&context.root, name, known)?;
    warn(&not_yet);
    if context.json {
        return stdout::json(&environment);
    }
    stdout::text(&toml::to_string(&environment).context("an environment as TOML")?)
}

fn check(context: &Context, known: &Known) -> Result<()> {
    let files = site::files(&context.root)?;
    let (not_yet, problems): (Vec<Problem>, Vec<Problem>) = match site::judge(&files, known) {
        Ok((_, not_yet)) => (not_yet, vec![]),
        Err(problems) => (vec![], problems),
    };
    if context.json {
        stdout::json(&json!({ "files": files.len(), "problems": problems, "not_yet": not_yet }))?;
    } else {
        warn(&not_yet);
    }
    if !problems.is_empty() {
        return Err(Refused(site::listing(&problems)).into());
    }
    if !context.json {
        stdout::text(&format!("no problems in {} environments\n", files.len()))?;
    }
    Ok(())
}

/// On stderr, so that what is shown can be saved.
fn warn(not_yet: &[Problem]) {
    for note in not_yet {
        eprintln!("{note}");
    }
}

fn settings(context: &Context) -> Result<()> {
    let settings = site::settings();
    if context.json {
        return stdout::json(&settings);
    }
    let text: String = settings.iter().map(paragraph).collect();
    stdout::text(&text)
}

fn paragraph(setting: &SettingDoc) -> String {
    let default = if setting.default.is_empty() { String::new() } else { format!(" [{}]", setting.default) };
    let SettingDoc { key, needed, kind, what, read_by, .. } = setting;
    format!("{key}{default}  ({needed})\n    {kind}\n    {what}\n    read by: {read_by}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use vocabulary::model::Platform;
    use vocabulary::model::environment::{
        Acme, Contacts, EngineKind, Environment, Firewall, Host, LlmProvider, SecretsIn, Tier, Tls,
        TlsProfile,
    };
    use vocabulary::model::topology::{Scope, Topology};

    use super::*;
    use crate::engines::compose::monitoring;
    use crate::engines::compose::observe::Observed;
    use crate::engines::process::instance::{Instance, sockets as sockets_of};
    use crate::engines::process::observe::edge_configuration;
    use crate::engines::process::resolve::Resolver;
    use artifacts::containers::{compose, edge, site as variables};

    /// Everything of a platform of processes that depends on the environment.
    fn processes(platform: &Platform, environment: &Environment) -> String {
        let units = platform.units(environment);
        let sockets = sockets_of(&units, environment);
        let ports = (20_000..)
            .zip(&sockets)
            .map(|(number, socket)| (socket.key.clone(), socket.fixed.unwrap_or(number)))
            .collect();
        let instance = Instance { root: "/tree".into(), folder: "/tree/state".into(), ports, release: None };
        let resolver = Resolver { platform, environment, instance: &instance, units: &units };
        let told: Vec<_> = units
            .iter()
            .flat_map(|unit| {
                unit.service
                    .process
                    .iter()
                    .flat_map(move |process| &process.commands)
                    .map(move |one| (unit, one))
            })
            .map(|(unit, command)| (unit.name(), resolver.variables(unit, command)))
            .collect();
        let staging = Environment { tier: Tier::Staging, ..environment.clone() };
        let slots = platform.slots(&staging);
        let ports = sockets_of(&slots, &staging).into_iter().map(|socket| socket.key).zip(20_000..).collect();
        let edge = edge_configuration(platform, &staging, &slots, &ports, Path::new("/"));
        let (deployed, guarded) = (deployed(environment), guarded(platform, environment));
        let watched = (artifacts::monitoring::FAMILY.make)(platform, environment).unwrap();
        format!("{:?} {told:?} {deployed}{guarded} {edge:?} {watched:?}", instance.ports)
    }

    /// A certificate from an authority, of whose settings one differs.
    fn fetched(change: fn(&mut Acme)) -> Tls {
        let mut acme = Acme::default();
        change(&mut acme);
        Tls::Acme(acme)
    }

    /// What every engine reads outside development.
    fn deployed(environment: &Environment) -> String {
        // The edge's certificate is made of these, or fetched by its configuration.
        let given = Some(&environment.tls).filter(|tls| matches!(tls, Tls::Files { .. }));
        let certificate = (&environment.domain, given);
        // Where it is deployed to, and what a deploy asks of a release.
        let hosts: Vec<_> = environment.hosts.iter().map(|host| (&host.address, &host.ssh_user)).collect();
        let asked = (&environment.promotes_from, &environment.requires);
        let (platform, scope) = (second_platform::platform(), Scope::Production.environment());
        let edge = edge::configured(&platform, &platform.units(&scope), &environment.edge).unwrap();
        // Where the edge serves other machines, and its configuration.
        format!("{certificate:?} {hosts:?} {asked:?} {:?} {}", environment.listen, edge.contents)
    }

    /// What the host's firewall is.
    fn guarded(platform: &Platform, environment: &Environment) -> String {
        let staging = Environment { tier: Tier::Staging, ..environment.clone() };
        let services = platform.services.iter();
        let names = services.flat_map(|service| artifacts::firewall::remotes(platform, environment, service));
        let resolved = names.map(|remote| (remote.host, vec!["192.0.2.1".parse().unwrap()])).collect();
        let prefix = platform.containers.network_prefix;
        artifacts::firewall::ruleset(platform, &staging, prefix, &resolved).unwrap().unwrap()
    }

    /// The same of one in containers.
    fn containers(platform: &Platform, environment: &Environment) -> String {
        let placement = variables::Placement {
            images: BTreeMap::new(),
            secrets: Path::new("/secrets"),
            public_address: "127.0.0.1",
            network_prefix: None,
            scope: Scope::Development,
        };
        let rendered = compose::rendered(&Topology::in_environment(platform, environment), "rendered/x");
        let composed = Environment { engine: EngineKind::Compose, ..environment.clone() };
        let units = platform.units(&composed);
        let seen = Observed { prefix: "10.77".into(), ..Observed::default() };
        let resolver = Resolver { platform, environment, instance: &seen.instance, units: &units };
        let host = monitoring::Host { collector: Some("/collector".into()), is_shared: true };
        let lines = monitoring::lines(resolver, &seen.prefix, &host).unwrap();
        let watched = (monitoring::files(resolver, &seen, &|_| true), variables::text(&lines).unwrap());
        format!(
            "{}{rendered:?}{watched:?}{}{}",
            variables::text(&variables::values(platform, environment, &placement)).unwrap(),
            deployed(environment),
            guarded(platform, &Environment { engine: EngineKind::Compose, ..environment.clone() })
        )
    }

    type Change = fn(&mut Environment);

    /// Another value of each setting.
    const CHANGES: &[(&str, Change)] = &[
        ("name", |e| e.name = "other".into()),
        ("domain", |e| e.domain = "other.example.com".into()),
        ("promotes_from", |e| e.promotes_from = Some("other".into())),
        ("requires", |e| e.requires = vec!["other".into()]),
        ("with", |e| e.with = vec![]),
        ("hosts[].name", |e| e.hosts[0].name = "other".into()),
        ("hosts[].address", |e| e.hosts[0].address = "10.0.0.9".into()),
        ("hosts[].ssh_user", |e| e.hosts[0].ssh_user = "other".into()),
        ("sizes.<service>.memory_mib", |e| {
            e.sizes.entry("flow-engine".into()).or_default().memory_mib = Some(77)
        }),
        ("sizes.<service>.cpu_millis", |e| {
            e.sizes.entry("flow-engine".into()).or_default().cpu_millis = Some(77)
        }),
        ("sizes.<service>.pids", |e| e.sizes.entry("flow-engine".into()).or_default().pids = Some(77)),
        ("sizes.<service>.replicas", |e| e.sizes.entry("flow-engine".into()).or_default().replicas = Some(2)),
        ("contacts.on_call", |e| e.contacts.as_mut().unwrap().on_call = "other".into()),
        ("contacts.email", |e| e.contacts.as_mut().unwrap().email = "other@example.com".into()),
        ("contacts.slack_channel", |e| e.contacts.as_mut().unwrap().slack_channel = Some("#other".into())),
        ("contacts.pagerduty_service", |e| {
            e.contacts.as_mut().unwrap().pagerduty_service = Some("other".into())
        }),
        ("contacts.pagerduty_url", |e| e.contacts.as_mut().unwrap().pagerduty_url = Some("https://o".into())),
        ("contacts.mail_server", |e| e.contacts.as_mut().unwrap().mail_server = Some("other:1".into())),
        ("contacts.heartbeat_url", |e| e.contacts.as_mut().unwrap().heartbeat_url = Some("https://o".into())),
        ("contacts.quiet_hours", |e| e.contacts.as_mut().unwrap().quiet_hours = Some("22:00-07:00".into())),
        ("retention.logs_days", |e| e.retention.logs_days = 77),
        ("retention.metrics_days", |e| e.retention.metrics_days = 77),
        ("retention.backups_days", |e| e.retention.backups_days = 77),
        ("llm.base_url", |e| e.llm.as_mut().unwrap().base_url = "https://other.example.com/v1".into()),
        ("llm.model", |e| e.llm.as_mut().unwrap().model = "other".into()),
        ("llm.prompt_price", |e| e.llm.as_mut().unwrap().prompt_price = Some("7".into())),
        ("llm.completion_price", |e| e.llm.as_mut().unwrap().completion_price = Some("7".into())),
        ("llm.api_key_file", |e| e.llm.as_mut().unwrap().api_key_file = "/other".into()),
        ("ports.<service>.<port>", |e| {
            e.ports.entry("store".into()).or_default().insert("queries".into(), 7777);
        }),
        ("listen.address", |e| e.listen.get_or_insert_default().address = "10.0.0.9".into()),
        ("listen.http", |e| e.listen.get_or_insert_default().http = 7777),
        ("listen.https", |e| e.listen.get_or_insert_default().https = 7777),
        ("firewall.ssh_from", |e| e.firewall.as_mut().unwrap().ssh_from = vec!["10.0.0.9".into()]),
        ("firewall.ssh_port", |e| e.firewall.as_mut().unwrap().ssh_port = 7777),
        ("egress.<service>", |e| {
            e.egress.insert("portal".into(), vec!["other.example.com:7777".into()]);
        }),
        ("tls.acme_contact", |e| e.tls = fetched(|acme| acme.acme_contact = "other@example.com".into())),
        ("tls.acme_directory", |e| {
            e.tls = fetched(|acme| acme.acme_directory = Some("https://a.example/dir".into()))
        }),
        ("tls.acme_ca_file", |e| e.tls = fetched(|acme| acme.acme_ca_file = Some("/other".into()))),
        ("tls.certificate_file", |e| {
            e.tls = Tls::Files { certificate_file: "/other".into(), key_file: String::new() };
        }),
        ("tls.key_file", |e| {
            e.tls = Tls::Files { certificate_file: String::new(), key_file: "/other".into() };
        }),
        ("secret_store", |e| e.secret_store = SecretsIn::Vault),
        ("edge.tls_profile", |e| e.edge.tls_profile = TlsProfile::Modern),
        ("edge.allow", |e| e.edge.allow = vec!["10.0.0.0/8".into()]),
        ("edge.deny", |e| e.edge.deny = vec!["10.0.0.0/8".into()]),
        ("edge.trusted_proxies", |e| e.edge.trusted_proxies = vec!["10.0.0.0/8".into()]),
        ("objectives.rpo_seconds", |e| e.objectives.rpo_seconds = 77),
        ("objectives.rto_seconds", |e| e.objectives.rto_seconds = 77),
    ];
    /// They decide which engine runs, and whether one does.
    const CHOOSE: [&str; 2] = ["tier", "engine"];

    #[test]
    fn a_setting_is_called_read_where_another_value_changes_what_runs() {
        let platform = second_platform::platform();
        let base = Environment {
            name: "dev".into(),
            with: vec!["lookout".into()],
            hosts: vec![Host { ssh_user: "flowship".into(), ..Host::default() }],
            contacts: Some(Contacts {
                pagerduty_service: Some("platform".into()),
                mail_server: Some("mail.example.com:587".into()),
                ..Contacts::default()
            }),
            llm: Some(LlmProvider::default()),
            firewall: Some(Firewall { ssh_from: vec!["10.0.0.8".into()], ssh_port: 22 }),
            ..Environment::default()
        };
        let documented: BTreeMap<_, _> =
            site::settings().into_iter().map(|setting| (setting.key, setting.read_by)).collect();
        let tried: BTreeSet<&str> = CHANGES.iter().map(|(key, _)| *key).chain(CHOOSE).collect();
        assert_eq!(tried, documented.keys().copied().collect(), "every setting is tried");
        for (key, change) in CHANGES {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(changed, base, "{key}");
            let mut reads = Vec::new();
            for (engine, made) in [
                (EngineKind::Process, processes as fn(&Platform, &Environment) -> String),
                (EngineKind::Compose, containers),
            ] {
                if made(&platform, &base) != made(&platform, &changed) {
                    reads.push(engine.name());
                }
            }
            let reads = if reads.is_empty() { "not yet".to_owned() } else { reads.join(", ") };
            assert_eq!(documented[key], reads, "{key}");
        }
    }
}
