//! Our images, and what holds for every container.

use vocabulary::model::{
    CheckTimes, ContainerPolicy, Folder, ImageLimits, Probe, Scratch, Shape, Storage, User, Value,
};

use super::pins;

pub const PRODUCTION: &str = "ops/docker/prod/Dockerfile";
pub const DEVELOPMENT: &str = "ops/docker/dev/Dockerfile";
pub const EDGE_CONFIGURATION: &str = "ops/edge/haproxy.cfg";

/// As whom our programs run: a user of no name, so that it owns nothing in any base.
pub const USER: User = User { uid: 10_001, gid: 10_001 };

/// The user nobody of images that are built on BusyBox, such as those of Prometheus.
pub const NOBODY: User = User { uid: 65_534, gid: 65_534 };

pub const TEMPORARY: Scratch = Scratch { path: "/tmp", mib: 16 };

/// What a container has that only runs a program of its own.
pub fn plain(user: User, command: Vec<Value>) -> Shape {
    Shape {
        in_development: true,
        user,
        sources: vec![],
        command,
        variables: vec![],
        folders: vec![],
        scratch: vec![],
        configuration: vec![],
        probe: Probe::Wget,
        shared_memory_mib: None,
        open_files: None,
        debugger: None,
    }
}

/// A folder of the host's, which holds a service's configuration: the service only reads it.
pub fn configuration(volume: &'static str, path: &'static str) -> Folder {
    Folder { volume, path, storage: Storage::Memory { mib: 1 } }
}

pub fn policy() -> ContainerPolicy {
    ContainerPolicy {
        root: "/srv/flowship",
        secrets: "/run/secrets",
        probe: "ops/scripts/probe.bash",
        node: pins::NODE,
        production: PRODUCTION,
        development: DEVELOPMENT,
        limits: limits(),
        strictest: ImageLimits { target: "", mebibytes: 260, tools: vec![] },
        restart_attempts: 5,
        // The start allows for a cluster that recovers, and for a dependency that is a minute late.
        check: CheckTimes { every_seconds: 3, limit_seconds: 3, start_seconds: 120, failures: 3 },
        log_file_mib: 10,
        log_files: 5,
        network_prefix: "10.203",
    }
}

fn limits() -> Vec<ImageLimits> {
    vec![
        // bash asks for the health: it opens a connection without a further program.
        ImageLimits { target: "node-red", mebibytes: 300, tools: vec!["bash"] },
        ImageLimits { target: "mcp-tools", mebibytes: 200, tools: vec!["bash"] },
        // Its program is a shell script; psql is what it is for.
        ImageLimits { target: "migrate", mebibytes: 100, tools: vec!["sh", "dash"] },
        ImageLimits { target: "barman", mebibytes: 400, tools: vec!["sh", "dash", "python3"] },
    ]
}
