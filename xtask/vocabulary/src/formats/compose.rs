//! Compose files as values (the Compose Specification), as far as one host needs them. What a site decides stays a
//! typed reference to a variable ([`Part::Variable`]); a dollar sign in a literal is escaped by the writer.

use std::collections::BTreeSet;

use super::yaml::Yaml;

/// One project, or the part of it that one file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    pub name: Option<Text>,
    /// Files whose projects become part of this one, relative to this file.
    pub include: Vec<&'static str>,
    pub services: Vec<(String, Service)>,
    pub networks: Vec<(String, Network)>,
    /// Named volumes.
    pub volumes: Vec<String>,
    /// Name and path on the host.
    pub secrets: Vec<(String, Text)>,
    /// Name and path relative to the project.
    pub configs: Vec<(String, String)>,
}

/// A text with references to variables in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Part>);

/// A piece of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    Variable { name: String, otherwise: Otherwise },
}

/// What holds where a variable is not set, or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    Default(Text),
    /// Compose refuses, with this explanation.
    Refuse(&'static str),
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    pub image: Text,
    pub build: Option<Build>,
    pub entrypoint: Vec<String>,
    pub command: Vec<Text>,
    /// Number or variable; never root's.
    pub user: Text,
    pub environment: Vec<(String, Text)>,
    pub depends_on: Vec<(String, DependencyCondition)>,
    pub networks: Vec<(String, Attachment)>,
    pub ports: Vec<Published>,
    pub secrets: Vec<String>,
    /// Name and where it lies in the container.
    pub configs: Vec<(String, String)>,
    pub volumes: Vec<Mount>,
    pub tmpfs: Vec<Tmpfs>,
    pub healthcheck: Option<Healthcheck>,
    pub memory: Text,
    /// In cores.
    pub cpus: Text,
    pub pids: Text,
    pub shared_memory_mib: Option<u32>,
    pub open_files: Option<u32>,
    pub restart: Restart,
    pub stop_signal: String,
    pub stop_grace_seconds: u16,
    pub logs: Logs,
    pub watch: Vec<Watch>,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub context: &'static str,
    pub dockerfile: String,
    pub target: String,
}

/// What a dependency has to be before its dependent starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyCondition {
    Healthy,
    CompletedSuccessfully,
}

/// A service's place in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub address: Text,
}

/// A port on an address of the host. There is none without an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub address: Text,
    pub published: Text,
    pub target: u16,
}

/// Something of the host, or a named volume, in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    Bind {
        source: Text,
        target: String,
        read_only: bool,
    },
    Volume {
        name: String,
        target: String,
    },
    /// The file system of the host, read-only; the propagation says whether what is mounted there later appears too.
    Host {
        source: Text,
        target: String,
        propagation: Text,
    },
}

/// A folder in memory. Nothing in it can be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    pub path: String,
    pub mib: u32,
    pub uid: Text,
    pub gid: Text,
}

/// A health check that the engine makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    pub command: Vec<Text>,
    pub every_seconds: u16,
    pub limit_seconds: u16,
    pub start_seconds: u16,
    pub failures: u16,
}

/// What follows the end of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    Never,
    /// So many times in the life of the container. A service that ended with 0 stays down when the engine starts anew.
    OnFailure { attempts: u16 },
    /// Whatever ended it, the engine's own end included. The engine pauses before each start, twice as long as before
    /// the last, up to a minute; after ten seconds of running the first pause is 0.1 s again.
    Always,
}

/// The bound of what the engine keeps of a service's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logs {
    pub file_mib: u16,
    pub files: u16,
}

/// A path of the host, and what `docker compose watch` does when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pub path: String,
    pub action: WatchAction,
}

/// The answer to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchAction {
    Restart,
    Rebuild,
}

/// A bridge network with a subnet of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub subnet: Text,
    /// Whether there is a way out.
    pub internal: bool,
    /// Whether the host has an address in it.
    pub host: bool,
}

impl Text {
    /// A text without variables.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        Text(vec![Part::Literal(text.into())])
    }

    /// The value of a variable alone.
    #[must_use]
    pub fn variable(name: impl Into<String>, otherwise: Otherwise) -> Self {
        Text(vec![Part::Variable { name: name.into(), otherwise }])
    }

    /// The value of a variable, or a default without variables.
    #[must_use]
    pub fn or(name: impl Into<String>, default: impl Into<String>) -> Self {
        Text::variable(name, Otherwise::Default(Text::literal(default)))
    }

    /// This, and a literal behind it.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Literal(text.into()));
        self
    }

    /// All, one after the other.
    #[must_use]
    pub fn concat(parts: impl IntoIterator<Item = Text>) -> Self {
        Text(parts.into_iter().flat_map(|text| text.0).collect())
    }

    /// The variables in it, also those in defaults.
    pub fn variables(&self, found: &mut BTreeSet<String>) {
        for part in &self.0 {
            if let Part::Variable { name, otherwise } = part {
                found.insert(name.clone());
                if let Otherwise::Default(default) = otherwise {
                    default.variables(found);
                }
            }
        }
    }

    /// As Compose reads it.
    #[must_use]
    pub fn write(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.replace('$', "$$"),
            Part::Variable { name, otherwise: Otherwise::Default(text) } => {
                format!("${{{name}:-{}}}", text.write())
            }
            Part::Variable { name, otherwise: Otherwise::Refuse(why) } => format!("${{{name}:?{why}}}"),
        };
        self.0.iter().map(part).collect()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::literal(text)
    }
}

impl Project {
    /// Everything that is wrong with it; empty means it can be written. Only for a whole project: a part may speak of
    /// what another part holds.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, service) in &self.services {
            let mut add = |problem: String| problems.push(format!("service {name}: {problem}"));
            for (network, _) in &service.networks {
                if !self.networks.iter().any(|(known, _)| known == network) {
                    add(format!("is in the network {network}, which does not exist"));
                }
            }
            for secret in &service.secrets {
                if !self.secrets.iter().any(|(known, _)| known == secret) {
                    add(format!("reads the secret {secret}, which does not exist"));
                }
            }
            for (config, _) in &service.configs {
                if !self.configs.iter().any(|(known, _)| known == config) {
                    add(format!("reads the config {config}, which does not exist"));
                }
            }
            for (needed, _) in &service.depends_on {
                if !self.services.iter().any(|(known, _)| known == needed) {
                    add(format!("needs {needed}, which does not exist"));
                }
            }
            for mount in &service.volumes {
                if let Mount::Volume { name: volume, .. } = mount
                    && !self.volumes.contains(volume)
                {
                    add(format!("uses the volume {volume}, which does not exist"));
                }
            }
            let user = service.user.write();
            if user.is_empty() || user.starts_with("0:") || user.starts_with("root") {
                add("runs as root, or does not say as whom".to_owned());
            }
            let outside = |(network, _): &(String, Attachment)| {
                self.networks.iter().any(|(known, value)| known == network && !value.internal)
            };
            if !service.ports.is_empty() && !service.networks.iter().any(outside) {
                add("publishes a port, and is in internal networks only: nobody would reach it".to_owned());
            }
            if service.networks.iter().filter(|one| outside(one)).count() > 1 {
                add("has two ways out; which of them carries its published ports is then chance".to_owned());
            }
        }
        let mut subnets = BTreeSet::new();
        for (name, network) in &self.networks {
            if !subnets.insert(network.subnet.write()) {
                problems.push(format!("network {name}: its subnet is taken twice"));
            }
        }
        problems
    }

    /// As YAML, in the order of its values. What is empty is left out.
    #[must_use]
    pub fn yaml(&self) -> Yaml {
        let mut entries = Entries::default();
        if let Some(name) = &self.name {
            entries.put("name", text(name));
        }
        entries.some("include", self.include.iter().map(|path| Yaml::text(*path)));
        entries.named(
            "services",
            self.services.iter().map(|(name, service)| (name.clone(), service_yaml(service))),
        );
        entries.named(
            "networks",
            self.networks.iter().map(|(name, network)| (name.clone(), network_yaml(network))),
        );
        entries.named("volumes", self.volumes.iter().map(|name| (name.clone(), Yaml::Mapping(vec![]))));
        entries.named(
            "secrets",
            self.secrets.iter().map(|(name, file)| (name.clone(), Yaml::mapping([("file", text(file))]))),
        );
        entries.named(
            "configs",
            self.configs
                .iter()
                .map(|(name, file)| (name.clone(), Yaml::mapping([("file", Yaml::text(file.clone()))]))),
        );
        Yaml::Mapping(entries.0)
    }
}

#[derive(Default)]
struct Entries(Vec<(String, Yaml)>);

impl Entries {
    fn put(&mut self, key: &str, value: Yaml) {
        self.0.push((key.to_owned(), value));
    }

    fn text(&mut self, key: &str, value: &Text) {
        if !value.0.is_empty() {
            self.put(key, text(value));
        }
    }

    fn some(&mut self, key: &str, items: impl Iterator<Item = Yaml>) {
        let items: Vec<_> = items.collect();
        if !items.is_empty() {
            self.put(key, Yaml::Sequence(items));
        }
    }

    fn named(&mut self, key: &str, items: impl Iterator<Item = (String, Yaml)>) {
        let items: Vec<_> = items.collect();
        if !items.is_empty() {
            self.put(key, Yaml::Mapping(items));
        }
    }
}

fn text(value: &Text) -> Yaml {
    Yaml::text(value.write())
}

fn seconds(number: u16) -> Yaml {
    Yaml::text(format!("{number}s"))
}

fn service_yaml(service: &Service) -> Yaml {
    let mut out = Entries::default();
    out.text("image", &service.image);
    if let Some(build) = &service.build {
        out.put(
            "build",
            Yaml::mapping([
                ("context", Yaml::text(build.context)),
                ("dockerfile", Yaml::text(build.dockerfile.clone())),
                ("target", Yaml::text(build.target.clone())),
            ]),
        );
    }
    out.some(
        "entrypoint",
        service.entrypoint.iter().map(|word| Yaml::text(Text::literal(word.as_str()).write())),
    );
    out.some("command", service.command.iter().map(text));
    out.text("user", &service.user);
    out.put("init", Yaml::Boolean(true));
    out.put("read_only", Yaml::Boolean(true));
    out.put("cap_drop", Yaml::Sequence(vec![Yaml::text("ALL")]));
    out.put("security_opt", Yaml::Sequence(vec![Yaml::text("no-new-privileges:true")]));
    out.named("environment", service.environment.iter().map(|(name, value)| (name.clone(), text(value))));
    out.named(
        "depends_on",
        service.depends_on.iter().map(|(name, condition)| {
            let condition = match condition {
                DependencyCondition::Healthy => "service_healthy",
                DependencyCondition::CompletedSuccessfully => "service_completed_successfully",
            };
            (name.clone(), Yaml::mapping([("condition", Yaml::text(condition))]))
        }),
    );
    if service.networks.is_empty() {
        out.put("network_mode", Yaml::text("none"));
    }
    out.named(
        "networks",
        service
            .networks
            .iter()
            .map(|(name, at)| (name.clone(), Yaml::mapping([("ipv4_address", text(&at.address))]))),
    );
    out.some(
        "ports",
        service.ports.iter().map(|port| {
            Yaml::mapping([
                ("host_ip", text(&port.address)),
                ("published", text(&port.published)),
                ("target", Yaml::Integer(i64::from(port.target))),
                ("protocol", Yaml::text("tcp")),
            ])
        }),
    );
    out.some("secrets", service.secrets.iter().map(|name| Yaml::text(name.clone())));
    out.some(
        "configs",
        service.configs.iter().map(|(name, target)| {
            Yaml::mapping([("source", Yaml::text(name.clone())), ("target", Yaml::text(target.clone()))])
        }),
    );
    out.some("volumes", service.volumes.iter().map(mount_yaml));
    out.some("tmpfs", service.tmpfs.iter().map(tmpfs_yaml));
    if let Some(check) = &service.healthcheck {
        out.put("healthcheck", healthcheck_yaml(check));
    }
    out.text("mem_limit", &service.memory);
    // Equal to the memory: no swap, so that a limit is a limit.
    out.text("memswap_limit", &service.memory);
    out.text("cpus", &service.cpus);
    out.text("pids_limit", &service.pids);
    if let Some(mib) = service.shared_memory_mib {
        out.put("shm_size", Yaml::text(format!("{mib}m")));
    }
    // A core file would hold secrets. One byte also keeps collectors of cores from being called, which 0 does not.
    let core = [("core".to_owned(), Yaml::Integer(1))].into_iter();
    let files = service.open_files.map(|files| ("nofile".to_owned(), Yaml::Integer(i64::from(files))));
    out.put("ulimits", Yaml::Mapping(core.chain(files).collect()));
    out.put(
        "restart",
        Yaml::text(match service.restart {
            Restart::Never => "no".to_owned(),
            Restart::OnFailure { attempts } => format!("on-failure:{attempts}"),
            Restart::Always => "always".to_owned(),
        }),
    );
    out.put("stop_signal", Yaml::text(service.stop_signal.clone()));
    out.put("stop_grace_period", seconds(service.stop_grace_seconds));
    out.put(
        "logging",
        Yaml::mapping([
            ("driver", Yaml::text("json-file")),
            (
                "options",
                Yaml::mapping([
                    ("max-size", Yaml::text(format!("{}m", service.logs.file_mib))),
                    ("max-file", Yaml::text(service.logs.files.to_string())),
                ]),
            ),
        ]),
    );
    if !service.watch.is_empty() {
        let watch = service.watch.iter().map(|watch| {
            let action = match watch.action {
                WatchAction::Restart => "restart",
                WatchAction::Rebuild => "rebuild",
            };
            Yaml::mapping([("action", Yaml::text(action)), ("path", Yaml::text(watch.path.clone()))])
        });
        out.put("develop", Yaml::mapping([("watch", Yaml::Sequence(watch.collect()))]));
    }
    Yaml::Mapping(out.0)
}

fn mount_yaml(mount: &Mount) -> Yaml {
    match mount {
        Mount::Bind { source, target, read_only } => Yaml::mapping([
            ("type", Yaml::text("bind")),
            ("source", text(source)),
            ("target", Yaml::text(target.clone())),
            ("read_only", Yaml::Boolean(*read_only)),
            // A source that is missing is told instead of made, as root, in its place.
            ("bind", Yaml::mapping([("create_host_path", Yaml::Boolean(false))])),
        ]),
        Mount::Host { source, target, propagation } => Yaml::mapping([
            ("type", Yaml::text("bind")),
            ("source", text(source)),
            ("target", Yaml::text(target.clone())),
            ("read_only", Yaml::Boolean(true)),
            ("bind", Yaml::mapping([("propagation", text(propagation))])),
        ]),
        Mount::Volume { name, target } => Yaml::mapping([
            ("type", Yaml::text("volume")),
            ("source", Yaml::text(name.clone())),
            ("target", Yaml::text(target.clone())),
        ]),
    }
}

fn tmpfs_yaml(tmpfs: &Tmpfs) -> Yaml {
    let size = format!(":size={}m,mode=0700,noexec,nosuid,nodev,uid=", tmpfs.mib);
    let options =
        [Text::literal(tmpfs.path.as_str()).then(size), tmpfs.uid.clone().then(",gid="), tmpfs.gid.clone()];
    text(&Text::concat(options))
}

fn healthcheck_yaml(check: &Healthcheck) -> Yaml {
    let command = std::iter::once(Yaml::text("CMD")).chain(check.command.iter().map(text));
    Yaml::mapping([
        ("test", Yaml::Sequence(command.collect())),
        ("interval", seconds(check.every_seconds)),
        ("timeout", seconds(check.limit_seconds)),
        ("start_period", seconds(check.start_seconds)),
        ("retries", Yaml::Integer(i64::from(check.failures))),
    ])
}

fn network_yaml(network: &Network) -> Yaml {
    let mut out = Entries::default();
    out.put("driver", Yaml::text("bridge"));
    if !network.host {
        out.put(
            "driver_opts",
            Yaml::mapping([("com.docker.network.bridge.inhibit_ipv4", Yaml::text("true"))]),
        );
    }
    out.put("internal", Yaml::Boolean(network.internal));
    out.put(
        "ipam",
        Yaml::mapping([("config", Yaml::Sequence(vec![Yaml::mapping([("subnet", text(&network.subnet))])]))]),
    );
    Yaml::Mapping(out.0)
}

#[cfg(test)]
mod tests {
    use super::{Attachment, Network, Otherwise, Project, Published, Service, Text};

    #[test]
    fn literals_are_escaped_and_variables_are_not() {
        let text = Text::concat([
            Text::literal("a$b:"),
            Text::or("NAME", "x$y"),
            Text::variable("WHO", Otherwise::Refuse("say who")),
            Text::variable("DEEP", Otherwise::Default(Text::or("INNER", "z"))),
        ]);
        assert_eq!(text.write(), "a$$b:${NAME:-x$$y}${WHO:?say who}${DEEP:-${INNER:-z}}");
    }

    fn project() -> Project {
        let attached = Attachment { address: "10.0.0.2".into() };
        let service = Service {
            user: "1:1".into(),
            networks: vec![("out".to_owned(), attached)],
            ports: vec![Published { address: "127.0.0.1".into(), published: "80".into(), target: 80 }],
            ..Service::default()
        };
        let network = Network { subnet: "10.0.0.0/29".into(), internal: false, host: true };
        Project {
            services: vec![("app".to_owned(), service)],
            networks: vec![("out".to_owned(), network)],
            ..Project::default()
        }
    }

    #[test]
    fn finds_what_must_not_be_written() {
        type Change = fn(&mut Project);
        let changes: [(Change, &str); 6] = [
            (|_| {}, ""),
            (|project| project.networks[0].1.internal = true, "nobody would reach it"),
            (|project| project.networks[0].0 = "other".to_owned(), "the network out, which does not exist"),
            (|project| project.services[0].1.user = "0:0".into(), "runs as root"),
            (|project| project.services[0].1.secrets = vec!["key".to_owned()], "the secret key"),
            (
                |project| {
                    let again = project.networks[0].1.clone();
                    project.networks.push(("again".to_owned(), again));
                },
                "its subnet is taken twice",
            ),
        ];
        for (change, expected) in changes {
            let mut project = project();
            change(&mut project);
            let problems = project.validate().join("\n");
            assert!(problems.contains(expected) && problems.is_empty() == expected.is_empty(), "{problems}");
        }
    }
}
