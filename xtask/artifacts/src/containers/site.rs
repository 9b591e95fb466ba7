//! What a site decides, as the Compose files ask for it: the variables, and their values for one environment.
//!
//! The files themselves are the same for every environment. Values come from the process's environment or, rendered
//! from `ops/environments/NAME.toml`, from a file given by `--env-file`.

use std::collections::BTreeMap;
use std::path::Path;

use vocabulary::formats::compose::{Otherwise, Text};
use vocabulary::formats::dotenv;
pub use vocabulary::formats::dotenv::Line;
use vocabulary::model::environment::Environment;
use vocabulary::model::topology::{Scope, Topology, Unit};
use vocabulary::model::{Image, Platform, ServiceId};
use vocabulary::problem::Problem;

/// A variable that has no default where production runs.
#[derive(Debug, Clone, Copy)]
pub struct Required {
    pub name: &'static str,
    pub what: &'static str,
    /// A value of the right shape, for the example and for judges.
    pub example: &'static str,
}

pub const ENVIRONMENT: Required =
    Required { name: "FLOWSHIP_ENVIRONMENT", what: "name of the environment", example: "staging" };
pub const LLM_BASE_URL: Required = Required {
    name: "FLOWSHIP_LLM_BASE_URL",
    what: "base URL of the model, ending in /v1",
    example: "https://llm.example.com/v1",
};
pub const LLM_MODEL: Required =
    Required { name: "FLOWSHIP_LLM_MODEL", what: "name of the model", example: "small-chat" };
pub const SECRETS: Required = Required {
    name: "FLOWSHIP_SECRETS",
    what: "absolute path of the folder with the secret files",
    example: "/etc/flowship/secrets",
};
pub const PUBLIC_ADDRESS: Required = Required {
    name: "FLOWSHIP_PUBLIC_ADDRESS",
    what: "address of the public interface",
    example: "192.0.2.10",
};
/// Of a replica, where releases are rolled out.
pub const RELEASE: Required =
    Required { name: "FLOWSHIP_RELEASE", what: "name of the release", example: "1.2.0-0123456789ab" };
/// Where releases are rolled out: a replica whose file is in it takes no requests yet.
pub const HELD: Required = Required {
    name: "FLOWSHIP_HELD",
    what: "absolute path of the folder with one file per held replica",
    example: "/var/lib/flowship/staging/held",
};
/// Where releases are rolled out: with the edge's configuration and sockets.
pub const EDGE_FOLDER: Required = Required {
    name: "FLOWSHIP_EDGE_FOLDER",
    what: "absolute path of the folder of the edge",
    example: "/var/lib/flowship/staging/data/edge/run",
};
/// Where the secret store runs: with its configuration and its certificate.
pub const STORE_FOLDER: Required = Required {
    name: "FLOWSHIP_SECRET_STORE_FOLDER",
    what: "absolute path of the folder with the configuration of the secret store",
    example: "/var/lib/flowship/staging/data/openbao/configuration",
};
/// Where logs are collected: whoever follows the containers keeps there what they write.
pub const LOGS: Required = Required {
    name: "FLOWSHIP_LOGS",
    what: "absolute path of the folder with the logs of the containers",
    example: "/var/lib/flowship/staging/services",
};
pub const LOGS_KEPT: Required =
    Required { name: "FLOWSHIP_LOGS_KEPT", what: "how long log lines are kept", example: "7d" };
/// Where the host is watched: with the metrics of what has ended, such as deploys.
pub const METRICS: Required = Required {
    name: "FLOWSHIP_METRICS",
    what: "absolute path of the folder with the metrics of what has ended",
    example: "/var/lib/flowship/staging/metrics",
};
/// Where metrics are scraped: with the configuration of what scrapes, its rules and its targets.
pub const SCRAPER_FOLDER: Required = Required {
    name: "FLOWSHIP_SCRAPER_FOLDER",
    what: "absolute path of the folder with the configuration of what scrapes metrics",
    example: "/var/lib/flowship/staging/data/prometheus/configuration",
};
/// Where alerts are delivered.
pub const NOTIFIER_FOLDER: Required = Required {
    name: "FLOWSHIP_NOTIFIER_FOLDER",
    what: "absolute path of the folder with the configuration of what delivers alerts",
    example: "/var/lib/flowship/staging/data/alertmanager/configuration",
};
/// Where dashboards are shown.
pub const VIEWER_FOLDER: Required = Required {
    name: "FLOWSHIP_VIEWER_FOLDER",
    what: "absolute path of the folder with the dashboards and with what shows them reads besides",
    example: "/var/lib/flowship/staging/data/grafana/configuration",
};
/// Where logs are collected: the program that does, which is no part of any image.
pub const COLLECTOR: Required = Required {
    name: "FLOWSHIP_LOG_COLLECTOR",
    what: "absolute path of the program that collects logs",
    example: "/root/.cache/flowship/tools/otel-collector/bin/otel-collector",
};
/// The folder with its configuration.
pub const COLLECTOR_FOLDER: Required = Required {
    name: "FLOWSHIP_LOG_COLLECTOR_FOLDER",
    what: "absolute path of the folder with the configuration of what collects logs",
    example: "/var/lib/flowship/staging/data/otel-collector/configuration",
};
const REQUIRED: [Required; 5] = [ENVIRONMENT, SECRETS, PUBLIC_ADDRESS, LLM_BASE_URL, LLM_MODEL];
/// Prices of a million tokens, where the site names them.
pub const LLM_PROMPT_PRICE: &str = "FLOWSHIP_LLM_PROMPT_PRICE";
pub const LLM_COMPLETION_PRICE: &str = "FLOWSHIP_LLM_COMPLETION_PRICE";
/// The file of the model's key, if it is not in the folder of the other secrets.
pub const LLM_API_KEY_FILE: &str = "FLOWSHIP_LLM_API_KEY_FILE";
pub const NETWORK_PREFIX: &str = "FLOWSHIP_NETWORK_PREFIX";
/// The folder with the file systems that whoever watches the host sees: all, with the default.
pub const HOST_ROOT: &str = "FLOWSHIP_HOST_ROOT";
/// Whether it sees what is mounted there later: with the default, which needs a host whose root is a shared mount, as systemd
/// makes it.
pub const PROPAGATION: &str = "FLOWSHIP_HOST_PROPAGATION";
pub const FOLLOWS_HOST: &str = "rslave";
pub const IGNORES_HOST: &str = "rprivate";
/// As whom containers write into the developer's files.
pub const UID: &str = "FLOWSHIP_UID";
pub const GID: &str = "FLOWSHIP_GID";

impl Required {
    pub fn required(self) -> Text {
        Text::variable(self.name, Otherwise::Refuse(self.what))
    }

    pub fn or(self, default: Text) -> Text {
        Text::variable(self.name, Otherwise::Default(default))
    }
}

/// What a service's limits may be overridden with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    MemoryMib,
    Cpus,
    Pids,
}

impl Limit {
    pub fn variable(self, service: ServiceId) -> String {
        let suffix = match self {
            Limit::MemoryMib => "MEMORY_MIB",
            Limit::Cpus => "CPUS",
            Limit::Pids => "PIDS",
        };
        format!("FLOWSHIP_{}_{suffix}", upper(service.0))
    }
}

pub fn environment(scope: Scope) -> Text {
    match scope {
        Scope::Development => ENVIRONMENT.or(Text::literal("dev")),
        Scope::Production | Scope::Rehearsal => ENVIRONMENT.required(),
    }
}

pub fn network_prefix(platform: &Platform) -> Text {
    Text::or(NETWORK_PREFIX, platform.containers.network_prefix)
}

/// The variable that names the image of a service.
pub fn image_variable(service: ServiceId) -> String {
    format!("FLOWSHIP_IMAGE_{}", upper(service.0))
}

/// The variable with the digest of what a service reads from the host: another one has it started anew.
pub fn digest_variable(service: ServiceId) -> String {
    format!("FLOWSHIP_{}_CONFIGURATION", upper(service.0))
}

/// The variable with the host's number of a published port.
pub fn port_variable(unit: &Unit<'_>, port: &str) -> String {
    format!("FLOWSHIP_PORT_{}_{}", upper(&unit.name()), upper(port))
}

pub fn secret_file(platform: &Platform, secret: &str) -> Text {
    let with_others = SECRETS.required().then(format!("/{secret}"));
    if secret == platform.llm.key.0 {
        Text::variable(LLM_API_KEY_FILE, Otherwise::Default(with_others))
    } else {
        with_others
    }
}

pub fn cores(millis: u32) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// What one run of an environment adds to what its file says.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// Image references by service: from a release's lock, a stand-ins' lock or a build.
    pub images: BTreeMap<ServiceId, String>,
    /// Absolute. Files in it are readable for everybody, the folder for its owner alone: containers of several users
    /// read them, people do not.
    pub secrets: &'a Path,
    /// Of the interface that serves the public.
    pub public_address: &'a str,
    /// First two numbers of the networks' addresses, where the platform's own are taken.
    pub network_prefix: Option<&'a str>,
    pub scope: Scope,
}

/// The text of the file for `--env-file`.
///
/// # Errors
/// As [`dotenv::write`].
pub fn text(lines: &[Line]) -> Result<String, Vec<Problem>> {
    dotenv::write(lines)
}

/// One more variable of that file.
pub fn variable(name: &str, value: String) -> Line {
    Line::Variable { name: name.to_owned(), value }
}

/// The variables of the Compose files that an environment decides.
pub fn decided(topology: &Topology<'_>, environment: &Environment) -> Vec<Line> {
    let platform = topology.platform;
    let mut lines = vec![variable(ENVIRONMENT.name, environment.name.clone())];
    let mut put = |name: &str, value: String| lines.push(variable(name, value));
    match &environment.llm {
        Some(llm) => {
            put(LLM_BASE_URL.name, llm.base_url.clone());
            put(LLM_MODEL.name, llm.model.clone());
            put(LLM_API_KEY_FILE, llm.api_key_file.clone());
            for (name, price) in
                [(LLM_PROMPT_PRICE, &llm.prompt_price), (LLM_COMPLETION_PRICE, &llm.completion_price)]
            {
                if let Some(price) = price {
                    put(name, price.clone());
                }
            }
        }
        None => {
            let stand_in = platform.llm.stand_in;
            if let (Some(unit), Some(port)) = (topology.unit(stand_in.service.0), platform.port(stand_in)) {
                let scheme = port.protocol.scheme();
                let base = format!("{scheme}://{}:{}{}", unit.name(), port.number, platform.llm.path);
                put(LLM_BASE_URL.name, base);
                put(LLM_MODEL.name, platform.llm.model.to_owned());
            }
        }
    }
    for service in platform.services.iter().filter(|service| service.container.shape().is_some()) {
        let size = environment.size(service.id.0);
        let limits = [
            (Limit::MemoryMib, size.memory_mib.map(|mib| mib.to_string())),
            (Limit::Cpus, size.cpu_millis.map(cores)),
            (Limit::Pids, size.pids.map(|pids| pids.to_string())),
        ];
        for (limit, value) in limits {
            if let Some(value) = value {
                put(&limit.variable(service.id), value);
            }
        }
    }
    lines
}

/// All variables of one run: the contents of the file for `--env-file`.
pub fn values(platform: &Platform, environment: &Environment, placement: &Placement<'_>) -> Vec<Line> {
    let mut lines = decided(&Topology::of(platform, placement.scope), environment);
    let mut put = |name: &str, value: String| lines.push(variable(name, value));
    put(SECRETS.name, placement.secrets.display().to_string());
    put(PUBLIC_ADDRESS.name, placement.public_address.to_owned());
    if let Some(prefix) = placement.network_prefix {
        put(NETWORK_PREFIX, prefix.to_owned());
    }
    for (service, reference) in &placement.images {
        put(&image_variable(*service), reference.clone());
    }
    lines
}

/// An image as the files name it: by its variable, and by its digest where it is pinned.
pub fn image(platform: &Platform, service: ServiceId, image: &Image, scope: Scope) -> Text {
    let variable = image_variable(service);
    match image {
        Image::Pinned { reference, digest } => Text::or(variable, format!("{reference}@{digest}")),
        Image::Built { .. } if scope == Scope::Development => {
            Text::or(variable, format!("{}/{service}:dev", platform.name))
        }
        _ => Text::variable(
            variable,
            Otherwise::Refuse(
                "reference of the image, from the lock of a release or of `cargo xtask image build`",
            ),
        ),
    }
}

/// Every variable without a default, with an example; the others as comments.
pub fn example(platform: &Platform) -> Vec<Line> {
    let comment = |text: String| Line::Comment(text);
    let variable = |name: String, value: String| Line::Variable { name, value };
    let mut lines = Vec::new();
    for required in REQUIRED {
        lines.extend([Line::Blank, comment(required.what.to_owned())]);
        lines.push(variable(required.name.to_owned(), required.example.to_owned()));
    }
    lines.extend([Line::Blank, comment("Our images, from the lock of a release.".to_owned())]);
    let composed = || platform.services.iter().filter(|service| service.container.shape().is_some());
    for service in composed().filter(|service| matches!(service.image, Image::Built { .. })) {
        lines.push(variable(
            image_variable(service.id),
            format!("{}/{}:unreleased", platform.name, service.id),
        ));
    }
    lines.extend([Line::Blank, comment("Optional, with a default:".to_owned())]);
    lines.push(comment(format!("{NETWORK_PREFIX}: first two numbers of the addresses of the networks")));
    lines.push(comment(format!("{LLM_API_KEY_FILE}: file of the model's key, if it is not in that folder")));
    for service in composed() {
        let limits = [Limit::MemoryMib, Limit::Cpus, Limit::Pids].map(|limit| limit.variable(service.id));
        lines.push(comment(format!("{}: limits of {}", limits.join(", "), service.id)));
    }
    lines
}
