//! The one table of what a site can set. Reading, defaults, errors and documentation all follow it.
//!
//! A key is a path: `<service>` and `<port>` stand for names of the platform, `[]` for each table of an array.

use serde::Serialize;
use vocabulary::model::environment::{
    Acme, EngineKind, Environment, Firewall, Host, Listen, LlmProvider, SecretsIn, Size, Tier, Tls,
    TlsProfile,
};

use super::kind::{Kind, Text, Value};

/// When a file must say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    Never,
    /// Always; within an array, in each of its tables.
    Always,
    /// In these tiers, whatever else the file says.
    In(&'static [Tier]),
    /// In these tiers, and wherever the file has the table that it is part of.
    InOrBeside(&'static [Tier]),
}

/// The names that stood for `<service>` and `<port>`, and the index that stood for `[]`.
#[derive(Debug, Clone, Default)]
pub struct Captured<'a> {
    pub service: &'a str,
    pub port: &'a str,
    pub index: usize,
}

/// One thing that a site can set.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    /// As the file would say it. `None`: unset.
    pub default: Option<&'static str>,
    pub needed: Needed,
    /// The engines on which it changes what runs. With none it is only checked, so far.
    pub read_by: &'static [EngineKind],
    pub what: &'static str,
    /// Puts an accepted value into the environment.
    pub set: fn(&mut Environment, &Captured<'_>, &Value),
}

/// One row of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDoc {
    pub key: &'static str,
    #[serde(rename = "type")]
    pub kind: String,
    /// As the file would say it; empty when there is none.
    pub default: &'static str,
    /// When a file must say it, in words.
    pub needed: String,
    /// On which engines it changes something, in words.
    pub read_by: String,
    pub what: &'static str,
}

/// The reference of all settings, in the order of the table.
pub fn settings() -> Vec<SettingDoc> {
    SETTINGS
        .iter()
        .map(|setting| SettingDoc {
            key: setting.key,
            kind: setting.kind.words(),
            default: setting.default.unwrap_or_default(),
            needed: needed_words(setting),
            read_by: read_by_words(setting),
            what: setting.what,
        })
        .collect()
}

fn needed_words(setting: &Setting) -> String {
    let tiers = |tiers: &[Tier]| tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(" and ");
    let table = setting.key.rsplit_once('.').map_or("", |(table, _)| table);
    match setting.needed {
        Needed::Never => "optional".to_owned(),
        Needed::Always if table.is_empty() => "always".to_owned(),
        Needed::Always => format!("in each of {}", table.trim_end_matches("[]")),
        Needed::In(list) => format!("in {}", tiers(list)),
        Needed::InOrBeside([]) => format!("with the rest of {table}"),
        Needed::InOrBeside(list) => format!("in {}, and with the rest of {table}", tiers(list)),
    }
}

fn read_by_words(setting: &Setting) -> String {
    match setting.read_by {
        [] => "not yet".to_owned(),
        engines => engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", "),
    }
}

/// Why a setting changes nothing on an engine; none when it does.
pub fn not_yet(setting: &Setting, engine: EngineKind) -> Option<String> {
    match setting.read_by {
        [] => Some("nothing reads it".to_owned()),
        engines if engines.contains(&engine) => None,
        _ => Some(format!("the {engine} engine does not read it; {} does", read_by_words(setting))),
    }
}

/// The engines that bring something up so far.
const BOTH: &[EngineKind] = &[EngineKind::Process, EngineKind::Compose];
const NONE: &[EngineKind] = &[];

const TIERS: &[&str] = &[Tier::Development.name(), Tier::Staging.name(), Tier::Production.name()];
const ENGINES: &[&str] =
    &[EngineKind::Process.name(), EngineKind::Compose.name(), EngineKind::Kubernetes.name()];
const STORES: &[&str] = &[SecretsIn::Files.name(), SecretsIn::Vault.name()];
const TLS_PROFILES: &[&str] = &[TlsProfile::Intermediate.name(), TlsProfile::Modern.name()];
const PRODUCTION: &[Tier] = &[Tier::Production];
const SHARED: &[Tier] = &[Tier::Staging, Tier::Production];

const fn days(min: i64) -> Kind {
    Kind::Integer { min, max: 3650, unit: "days" }
}

const PRICE: Kind = Kind::Amount { max: 1_000_000, unit: "such as 0.15" };
const PORT: Kind = Kind::Integer { min: 1, max: 65_535, unit: "" };

pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "name",
        kind: Kind::Text(Text::Label),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The environment's name, which must be that of the file; setting it only protects against a copied file.",
        set: |environment, _, value| environment.name = value.text(),
    },
    Setting {
        key: "tier",
        kind: Kind::Choice(TIERS),
        default: None,
        needed: Needed::Always,
        read_by: BOTH,
        what: "How much the environment matters: production refuses what is unsafe, development needs next to nothing.",
        set: |environment, _, value| environment.tier = named(&Tier::ALL, Tier::name, value),
    },
    Setting {
        key: "engine",
        kind: Kind::Choice(ENGINES),
        default: None,
        needed: Needed::Always,
        read_by: BOTH,
        what: "What runs the services: processes on this machine, containers on one host, or (not yet) Kubernetes on several.",
        set: |environment, _, value| environment.engine = named(&EngineKind::ALL, EngineKind::name, value),
    },
    Setting {
        key: "domain",
        kind: Kind::Text(Text::DnsName),
        default: Some("\"localhost\""),
        needed: Needed::In(SHARED),
        read_by: BOTH,
        what: "The DNS name under which the edge serves the platform.",
        set: |environment, _, value| environment.domain = value.text(),
    },
    Setting {
        key: "promotes_from",
        kind: Kind::Text(Text::Label),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The environment in which a release must have run before it is deployed to this one.",
        set: |environment, _, value| environment.promotes_from = Some(value.text()),
    },
    Setting {
        key: "requires",
        kind: Kind::Gates,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The gates that a release must have passed, by the evidence in it, before it is deployed.",
        set: |environment, _, value| environment.requires = value.names(),
    },
    Setting {
        key: "with",
        kind: Kind::List(Text::Label),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Optional parts of the platform that run there too, by their names.",
        set: |environment, _, value| environment.with = value.names(),
    },
    Setting {
        key: "hosts[].name",
        kind: Kind::Text(Text::Label),
        default: None,
        needed: Needed::Always,
        read_by: NONE,
        what: "The host's name. Without any host, development runs on this machine.",
        set: |environment, at, value| host(environment, at).name = value.text(),
    },
    Setting {
        key: "hosts[].address",
        kind: Kind::Text(Text::Address),
        default: None,
        needed: Needed::Always,
        read_by: BOTH,
        what: "The host's address.",
        set: |environment, at, value| host(environment, at).address = value.text(),
    },
    Setting {
        key: "hosts[].ssh_user",
        kind: Kind::Text(Text::Login),
        default: Some("\"flowship\""),
        needed: Needed::Never,
        read_by: BOTH,
        what: "The user that operators log in as. `~/.ssh/config` sets everything else, such as the port.",
        set: |environment, at, value| host(environment, at).ssh_user = value.text(),
    },
    Setting {
        key: "sizes.<service>.memory_mib",
        kind: Kind::Integer { min: 16, max: 1_048_576, unit: "MiB" },
        default: None,
        needed: Needed::Never,
        read_by: &[EngineKind::Compose],
        what: "Memory limit of the service, instead of the platform's.",
        set: |environment, at, value| size(environment, at).memory_mib = Some(value.integer()),
    },
    Setting {
        key: "sizes.<service>.cpu_millis",
        kind: Kind::Integer { min: 10, max: 256_000, unit: "thousandths of a core" },
        default: None,
        needed: Needed::Never,
        read_by: &[EngineKind::Compose],
        what: "CPU limit of the service, instead of the platform's.",
        set: |environment, at, value| size(environment, at).cpu_millis = Some(value.integer()),
    },
    Setting {
        key: "sizes.<service>.pids",
        kind: Kind::Integer { min: 8, max: 65_536, unit: "processes and threads" },
        default: None,
        needed: Needed::Never,
        read_by: &[EngineKind::Compose],
        what: "Limit of the service's processes and threads, instead of the platform's.",
        set: |environment, at, value| size(environment, at).pids = Some(value.integer()),
    },
    Setting {
        key: "sizes.<service>.replicas",
        kind: Kind::Integer { min: 1, max: 32, unit: "replicas" },
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "How many of the service run, instead of the platform's number; only for services that scale.",
        set: |environment, at, value| size(environment, at).replicas = Some(value.integer()),
    },
    Setting {
        key: "contacts.on_call",
        kind: Kind::Text(Text::Words),
        default: None,
        needed: Needed::InOrBeside(PRODUCTION),
        read_by: NONE,
        what: "The team or person on call, as runbooks and alerts name it.",
        set: |environment, _, value| environment.contacts.get_or_insert_default().on_call = value.text(),
    },
    Setting {
        key: "contacts.email",
        kind: Kind::Text(Text::Email),
        default: None,
        needed: Needed::InOrBeside(PRODUCTION),
        read_by: BOTH,
        what: "Where alerts are mailed.",
        set: |environment, _, value| environment.contacts.get_or_insert_default().email = value.text(),
    },
    Setting {
        key: "contacts.slack_channel",
        kind: Kind::Text(Text::SlackChannel),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Where warnings are posted.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().slack_channel = Some(value.text());
        },
    },
    Setting {
        key: "contacts.pagerduty_service",
        kind: Kind::Text(Text::Words),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The PagerDuty service that pages; its key is a secret and not set here.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().pagerduty_service = Some(value.text());
        },
    },
    Setting {
        key: "contacts.pagerduty_url",
        kind: Kind::Text(Text::HttpsUrl),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Where events for PagerDuty go, such as its European region's https://events.eu.pagerduty.com/v2/enqueue, instead of its usual address.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().pagerduty_url = Some(value.text());
        },
    },
    Setting {
        key: "contacts.mail_server",
        kind: Kind::Text(Text::Remote),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The mail server that alerts are sent through, as contacts.email; its password is a secret. Without it, nothing is mailed.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().mail_server = Some(value.text());
        },
    },
    Setting {
        key: "contacts.heartbeat_url",
        kind: Kind::Text(Text::HttpsUrl),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The address of a dead man's switch, such as a service that pages when it has heard nothing for 60 s.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().heartbeat_url = Some(value.text());
        },
    },
    Setting {
        key: "contacts.quiet_hours",
        kind: Kind::Text(Text::Hours),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "When only critical alerts are delivered, in UTC; the others follow afterwards.",
        set: |environment, _, value| {
            environment.contacts.get_or_insert_default().quiet_hours = Some(value.text());
        },
    },
    Setting {
        key: "retention.logs_days",
        kind: days(1),
        default: Some("7"),
        needed: Needed::In(PRODUCTION),
        read_by: BOTH,
        what: "How long logs are kept.",
        set: |environment, _, value| environment.retention.logs_days = value.integer(),
    },
    Setting {
        key: "retention.metrics_days",
        kind: days(1),
        default: Some("7"),
        needed: Needed::In(PRODUCTION),
        read_by: BOTH,
        what: "How long metrics are kept.",
        set: |environment, _, value| environment.retention.metrics_days = value.integer(),
    },
    Setting {
        key: "retention.backups_days",
        kind: days(0),
        default: Some("7"),
        needed: Needed::In(PRODUCTION),
        read_by: NONE,
        what: "How long backups, and with them recovery to any point in time, are kept; 0 keeps none (not in production).",
        set: |environment, _, value| environment.retention.backups_days = value.integer(),
    },
    Setting {
        key: "llm.base_url",
        kind: Kind::Text(Text::LlmUrl),
        default: None,
        needed: Needed::InOrBeside(SHARED),
        read_by: BOTH,
        what: "An OpenAI-compatible endpoint. Without llm, development uses the local stand-in.",
        set: |environment, _, value| llm(environment).base_url = value.text(),
    },
    Setting {
        key: "llm.model",
        kind: Kind::Text(Text::Words),
        default: None,
        needed: Needed::InOrBeside(SHARED),
        read_by: BOTH,
        what: "The model to ask for.",
        set: |environment, _, value| llm(environment).model = value.text(),
    },
    Setting {
        key: "llm.api_key_file",
        kind: Kind::Text(Text::Path),
        default: None,
        needed: Needed::InOrBeside(SHARED),
        read_by: BOTH,
        what: "The file with the provider's key; the key itself is never a setting.",
        set: |environment, _, value| llm(environment).api_key_file = value.text(),
    },
    Setting {
        key: "llm.prompt_price",
        kind: PRICE,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "What the provider charges for a million tokens of prompts. Costs are shown in the same currency.",
        set: |environment, _, value| llm(environment).prompt_price = Some(value.text()),
    },
    Setting {
        key: "llm.completion_price",
        kind: PRICE,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "What it charges for a million tokens of answers.",
        set: |environment, _, value| llm(environment).completion_price = Some(value.text()),
    },
    Setting {
        key: "ports.<service>.<port>",
        kind: PORT,
        default: None,
        needed: Needed::Never,
        read_by: &[EngineKind::Process],
        what: "A port to use instead of the checkout's own choice; only in development on the process engine.",
        set: |environment, at, value| {
            let ports = environment.ports.entry(at.service.to_owned()).or_default();
            ports.insert(at.port.to_owned(), port(value));
        },
    },
    Setting {
        key: "listen.address",
        kind: Kind::Text(Text::IpAddress),
        default: None,
        needed: Needed::InOrBeside(&[]),
        read_by: BOTH,
        what: "The address on which a deployed environment serves other machines. Without listen, the edge serves this \
               machine alone, on a port that status shows.",
        set: |environment, _, value| listen(environment).address = value.text(),
    },
    Setting {
        key: "listen.https",
        kind: PORT,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The port there; 443 unless it is set. Ports below 1024 may need a right: see docs/deployment.md.",
        set: |environment, _, value| listen(environment).https = port(value),
    },
    Setting {
        key: "listen.http",
        kind: PORT,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The port there that redirects to https; 80 unless it is set.",
        set: |environment, _, value| listen(environment).http = port(value),
    },
    Setting {
        key: "firewall.ssh_from",
        kind: Kind::List(Text::Network),
        default: None,
        needed: Needed::InOrBeside(&[]),
        read_by: BOTH,
        what: "From where operators log in to the host: the ruleset of `cargo xtask environment firewall` lets nobody else in.",
        set: |environment, _, value| firewall(environment).ssh_from = value.names(),
    },
    Setting {
        key: "firewall.ssh_port",
        kind: PORT,
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The port of the host's SSH server; 22 unless it is set.",
        set: |environment, _, value| firewall(environment).ssh_port = port(value),
    },
    Setting {
        key: "egress.<service>",
        kind: Kind::List(Text::Remote),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The servers outside the platform that the service may connect to, besides llm.base_url. The host's firewall \
               enforces it: see docs/security.md.",
        set: |environment, at, value| {
            environment.egress.insert(at.service.to_owned(), value.names());
        },
    },
    Setting {
        key: "tls.acme_contact",
        kind: Kind::Text(Text::Email),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Who the ACME authority writes to; setting it turns ACME on. Without tls the certificate is our own.",
        set: |environment, _, value| {
            environment.tls = Tls::Acme(Acme { acme_contact: value.text(), ..acme(environment) });
        },
    },
    Setting {
        key: "tls.acme_directory",
        kind: Kind::Text(Text::HttpsUrl),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The directory of an ACME authority other than Let's Encrypt; needs tls.acme_contact.",
        set: |environment, _, value| {
            environment.tls = Tls::Acme(Acme { acme_directory: Some(value.text()), ..acme(environment) });
        },
    },
    Setting {
        key: "tls.acme_ca_file",
        kind: Kind::Text(Text::Path),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The certificate (PEM) that the ACME authority's own server is trusted by, if the host, or on Compose the edge's image, does not trust it.",
        set: |environment, _, value| {
            environment.tls = Tls::Acme(Acme { acme_ca_file: Some(value.text()), ..acme(environment) });
        },
    },
    Setting {
        key: "tls.certificate_file",
        kind: Kind::Text(Text::Path),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The edge's certificate with its chain (PEM), instead of ACME; needs tls.key_file.",
        set: |environment, _, value| {
            let (_, key_file) = tls_files(environment);
            environment.tls = Tls::Files { certificate_file: value.text(), key_file };
        },
    },
    Setting {
        key: "tls.key_file",
        kind: Kind::Text(Text::Path),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The key of tls.certificate_file (PEM).",
        set: |environment, _, value| {
            let (certificate_file, _) = tls_files(environment);
            environment.tls = Tls::Files { certificate_file, key_file: value.text() };
        },
    },
    Setting {
        key: "secret_store",
        kind: Kind::Choice(STORES),
        default: Some("\"files\""),
        needed: Needed::Never,
        read_by: BOTH,
        what: "Where secrets are kept: in files that only their owner can read, or in OpenBao, which then runs beside the services.",
        set: |environment, _, value| {
            environment.secret_store = named(&SecretsIn::ALL, SecretsIn::name, value)
        },
    },
    Setting {
        key: "edge.tls_profile",
        kind: Kind::Choice(TLS_PROFILES),
        default: Some("\"intermediate\""),
        needed: Needed::Never,
        read_by: BOTH,
        what: "Mozilla's TLS profile that the edge follows: intermediate speaks TLS 1.2 and 1.3, modern only 1.3.",
        set: |environment, _, value| {
            environment.edge.tls_profile = named(&TlsProfile::ALL, TlsProfile::name, value);
        },
    },
    Setting {
        key: "edge.allow",
        kind: Kind::List(Text::Network),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "The clients that the edge serves; all if it is not set.",
        set: |environment, _, value| environment.edge.allow = value.names(),
    },
    Setting {
        key: "edge.deny",
        kind: Kind::List(Text::Network),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Clients that the edge does not serve, even if edge.allow contains them.",
        set: |environment, _, value| environment.edge.deny = value.names(),
    },
    Setting {
        key: "edge.trusted_proxies",
        kind: Kind::List(Text::Network),
        default: None,
        needed: Needed::Never,
        read_by: BOTH,
        what: "Load balancers in front of the edge. From them alone, it takes the client's address from X-Forwarded-For.",
        set: |environment, _, value| environment.edge.trusted_proxies = value.names(),
    },
    Setting {
        key: "objectives.rpo_seconds",
        kind: Kind::Integer { min: 0, max: 86_400, unit: "seconds" },
        default: Some("0"),
        needed: Needed::Never,
        read_by: NONE,
        what: "Recovery point: at most this much of acknowledged work may be lost; drills are measured against it.",
        set: |environment, _, value| environment.objectives.rpo_seconds = value.integer(),
    },
    Setting {
        key: "objectives.rto_seconds",
        kind: Kind::Integer { min: 1, max: 86_400, unit: "seconds" },
        default: Some("60"),
        needed: Needed::Never,
        read_by: NONE,
        what: "Recovery time: the platform serves again within it; drills are measured against it.",
        set: |environment, _, value| environment.objectives.rto_seconds = value.integer(),
    },
];

fn named<T: Copy + Default>(all: &[T], name: fn(T) -> &'static str, value: &Value) -> T {
    all.iter().copied().find(|&one| name(one) == value.text()).unwrap_or_default()
}

fn host<'a>(environment: &'a mut Environment, at: &Captured<'_>) -> &'a mut Host {
    if environment.hosts.len() <= at.index {
        environment.hosts.resize_with(at.index + 1, Host::default);
    }
    &mut environment.hosts[at.index]
}

fn size<'a>(environment: &'a mut Environment, at: &Captured<'_>) -> &'a mut Size {
    environment.sizes.entry(at.service.to_owned()).or_default()
}

fn listen(environment: &mut Environment) -> &mut Listen {
    environment.listen.get_or_insert_default()
}

fn firewall(environment: &mut Environment) -> &mut Firewall {
    environment.firewall.get_or_insert_default()
}

fn port(value: &Value) -> u16 {
    u16::try_from(value.integer()).unwrap_or_default()
}

fn llm(environment: &mut Environment) -> &mut LlmProvider {
    environment.llm.get_or_insert_default()
}

fn acme(environment: &Environment) -> Acme {
    match &environment.tls {
        Tls::Acme(acme) => acme.clone(),
        Tls::SelfSigned | Tls::Files { .. } => Acme::default(),
    }
}

fn tls_files(environment: &Environment) -> (String, String) {
    match &environment.tls {
        Tls::Files { certificate_file, key_file } => (certificate_file.clone(), key_file.clone()),
        Tls::SelfSigned | Tls::Acme(_) => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_each_default_is_of_its_kind() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..index].iter().all(|earlier| earlier.key != setting.key), "{}", setting.key);
            if let Some(default) = setting.default {
                let value = toml::de::DeValue::parse(default).expect(setting.key);
                setting.kind.accept(value.get_ref()).expect(setting.key);
                assert_ne!(setting.needed, Needed::Always, "{}: needed always, so no default", setting.key);
            }
        }
    }

    #[test]
    fn the_reference_shows_type_default_and_need() {
        let docs = settings();
        let row = |key: &str| docs.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!(row("retention.logs_days").kind, "a whole number of days from 1 to 3650");
        assert_eq!(row("retention.logs_days").default, "7");
        assert_eq!(row("tier").needed, "always");
        assert_eq!(row("hosts[].name").needed, "in each of hosts");
        assert_eq!(row("llm.model").needed, "in staging and production, and with the rest of llm");
        assert_eq!(row("domain").needed, "in staging and production");
    }
}
