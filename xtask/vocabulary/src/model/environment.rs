//! One environment: what a site decides about where and how the platform runs.
//!
//! Serialised, an environment has the very keys of `ops/environments/NAME.toml`, so that what is shown can be saved.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One environment with every default filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// The stem of its file: lower-case letters, digits and dashes.
    pub name: String,
    pub tier: Tier,
    pub engine: EngineKind,
    /// DNS name under which the edge serves the platform.
    pub domain: String,
    /// The environment in which a release must have run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotes_from: Option<String>,
    /// The gates that a release must have passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The optional parts of the platform that run there, besides the store of its secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// At least one; their names and addresses differ.
    pub hosts: Vec<Host>,
    /// Overrides of the platform's sizes, by service id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, Size>,
    /// Explicit ports: service id -> port name -> port. Empty anywhere but in development on the process engine.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, BTreeMap<String, u16>>,
    /// Where the edge serves other machines; `None`: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// `None`: no ruleset for the host is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
    /// Which places outside the platform a service may connect to, besides the model's provider: service id -> `host:port`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub egress: BTreeMap<String, Vec<String>>,
    /// `None` only where nobody is on call, that is outside production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Contacts>,
    pub retention: Retention,
    /// `None` means the local stand-in, which only development has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmProvider>,
    #[serde(skip_serializing_if = "Tls::is_self_signed")]
    pub tls: Tls,
    #[serde(skip_serializing_if = "SecretsIn::is_default")]
    pub secret_store: SecretsIn,
    #[serde(skip_serializing_if = "EdgeSettings::is_default")]
    pub edge: EdgeSettings,
    pub objectives: Objectives,
}

impl Environment {
    /// The port that the site fixed for `service.port`, if it did.
    pub fn port(&self, service: &str, port: &str) -> Option<u16> {
        self.ports.get(service)?.get(port).copied()
    }

    /// Whether processes that a deploy starts on a host belong to root.
    #[must_use]
    pub fn runs_as_root(&self) -> bool {
        self.hosts.iter().any(|host| host.ssh_user == "root")
    }

    /// The site's overrides for a service; all `None` when there are none.
    pub fn size(&self, service: &str) -> Size {
        self.sizes.get(service).copied().unwrap_or_default()
    }
}

/// Where the edge serves other machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listen {
    /// An IP address of the host; `0.0.0.0` or `::` for all of them.
    pub address: String,
    /// Redirects to `https`.
    pub http: u16,
    pub https: u16,
}

impl Default for Listen {
    /// The ports that clients ask by themselves.
    fn default() -> Self {
        Self { address: String::new(), http: 80, https: 443 }
    }
}

/// Who may log in to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Firewall {
    /// Addresses, or networks such as `192.0.2.0/24`.
    pub ssh_from: Vec<String>,
    pub ssh_port: u16,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { ssh_from: vec![], ssh_port: 22 }
    }
}

/// A place outside the platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remote {
    /// IP address or DNS name.
    pub host: String,
    pub port: u16,
}

impl Remote {
    /// Reads `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if inner.is_none() && host.contains(':') {
            return None;
        }
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self { host: inner.unwrap_or(host).to_owned(), port })
    }

    /// The server of an address that begins with `http://` or `https://`.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let port = if scheme == "http" { 80 } else { 443 };
        let has_port = authority.rsplit(']').next()?.contains(':');
        Self::parse(&if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
    }
}

/// How much an environment matters, and so how strict its rules are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    #[default]
    Development,
    Staging,
    Production,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Development, Self::Staging, Self::Production];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What runs the services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Plain processes under our own supervisor, on this machine.
    #[default]
    Process,
    /// Containers on exactly one host.
    Compose,
    /// Containers on more than one host.
    Kubernetes,
}

impl EngineKind {
    pub const ALL: [Self; 3] = [Self::Process, Self::Compose, Self::Kubernetes];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A machine that runs services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    pub name: String,
    /// IP address or DNS name.
    pub address: String,
    /// Who an operator logs in as.
    pub ssh_user: String,
}

/// Overrides of one service's size; `None` keeps what the platform says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Memory limit in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// CPU limit in thousandths of a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Limit of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// How many of it run; only for services that scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// Who is told when something is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contacts {
    /// The team or person on call, as runbooks and alerts name it.
    pub on_call: String,
    pub email: String,
    /// With its leading `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_channel: Option<String>,
    /// Name of the PagerDuty service; its key is a secret and not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty_service: Option<String>,
    /// Where its events go instead of PagerDuty's usual address: that of its European region, or of a proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagerduty_url: Option<String>,
    /// `host:port` of the server that takes mail from `email`, over TLS; without one nothing is mailed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_server: Option<String>,
    /// Who outside notices that alerts are no longer delivered: it is asked every minute at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_url: Option<String>,
    /// `HH:MM-HH:MM` in UTC, in which nothing but critical alerts is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<String>,
}

/// How long data is kept, in days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Retention {
    pub logs_days: u32,
    pub metrics_days: u32,
    /// 0: no backups are kept.
    pub backups_days: u32,
}

/// An OpenAI-compatible endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LlmProvider {
    /// Ends in `/v1`.
    pub base_url: String,
    pub model: String,
    /// Path of the file with the key; the key itself is never a setting.
    pub api_key_file: String,
    /// For a million tokens of prompts: a decimal number, in any currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_price: Option<String>,
    /// For a million tokens of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_price: Option<String>,
}

/// Where the edge's certificate comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Tls {
    /// A certificate of our own making, for development.
    #[default]
    SelfSigned,
    /// Fetched from an ACME authority, and renewed.
    Acme(Acme),
    /// Files on the host, PEM: the certificate with its chain, and its key.
    Files { certificate_file: String, key_file: String },
}

/// An account of an ACME authority (RFC 8555).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acme {
    /// The e-mail address that the authority writes to.
    pub acme_contact: String,
    /// The address of its directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme_directory: Option<String>,
    /// PEM on the host: who certified the authority's own server, where the host does not trust that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme_ca_file: Option<String>,
}

impl Acme {
    /// Let's Encrypt.
    pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

    #[must_use]
    pub fn directory(&self) -> &str {
        self.acme_directory.as_deref().unwrap_or(Self::DIRECTORY)
    }
}

impl Tls {
    pub fn is_self_signed(&self) -> bool {
        *self == Self::SelfSigned
    }

    /// What the server of its ACME authority is trusted by, besides what the machine trusts.
    pub fn acme_ca_file(&self) -> Option<&str> {
        match self {
            Self::Acme(acme) => acme.acme_ca_file.as_deref(),
            Self::SelfSigned | Self::Files { .. } => None,
        }
    }
}

/// Where an environment keeps its secrets. Services read files in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretsIn {
    /// In files that only their owner can read.
    #[default]
    Files,
    /// In the platform's secret store, a server with the API of HashiCorp Vault.
    Vault,
}

impl SecretsIn {
    pub const ALL: [Self; 2] = [Self::Files, Self::Vault];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Vault => "vault",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::Files
    }
}

impl fmt::Display for SecretsIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What the edge of a site lets in. Networks are in CIDR notation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EdgeSettings {
    #[serde(skip_serializing_if = "TlsProfile::is_default")]
    pub tls_profile: TlsProfile,
    /// Clients that are served; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Clients that are not served, also when they are allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Load balancers in front of the edge: who they say they got a request from is the client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
}

impl EdgeSettings {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which of Mozilla's profiles the edge follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsProfile {
    /// TLS 1.2 and 1.3.
    #[default]
    Intermediate,
    /// TLS 1.3 alone.
    Modern,
}

impl TlsProfile {
    pub const ALL: [Self; 2] = [Self::Intermediate, Self::Modern];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Intermediate => "intermediate",
            Self::Modern => "modern",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a recovery must achieve; drills are measured against it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// At most this much of acknowledged work is lost, in seconds.
    pub rpo_seconds: u32,
    /// The platform serves again within this time, in seconds.
    pub rto_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::Remote;

    #[test]
    fn places_outside_are_read_from_words_and_from_urls() {
        let remote = |host: &str, port| Some(Remote { host: host.to_owned(), port });
        for (text, read) in [
            ("a.example.com:443", remote("a.example.com", 443)),
            ("192.0.2.1:1", remote("192.0.2.1", 1)),
            ("[2001:db8::1]:443", remote("2001:db8::1", 443)),
            ("2001:db8::1:443", None),
            ("a.example.com", None),
            ("a.example.com:0", None),
            ("a.example.com:65536", None),
        ] {
            assert_eq!(Remote::parse(text), read, "{text}");
        }
        for (url, read) in [
            ("https://a.example.com/v1", remote("a.example.com", 443)),
            ("http://a.example.com/v1", remote("a.example.com", 80)),
            ("https://a.example.com:8443/v1", remote("a.example.com", 8443)),
            ("https://[2001:db8::1]/v1", remote("2001:db8::1", 443)),
        ] {
            assert_eq!(Remote::of_url(url), read, "{url}");
        }
    }
}
