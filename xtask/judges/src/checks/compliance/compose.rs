//! Rows on Compose projects.

use super::compose_project::{Project, joined};
use super::interpolation::{GIVEN, settled};
use super::row::{Inspection, Row, Source, Subject, Verdict};
use super::tree::Tree;
use super::yaml::{Node, Value};
use crate::checks::container_secrets::{assigned_secret, names_secret};

pub fn rows() -> Vec<Row> {
    let row =
        |id, what, sources, also, judge| Row { id, what, sources, subject: Subject::Compose, also, judge };
    vec![
        row(
            "C1",
            "every service drops all capabilities, and takes none back but NET_BIND_SERVICE",
            &[Source::CisDocker("5.4")],
            &["rehearsal"],
            capabilities,
        ),
        row("C2", "no service is privileged", &[Source::CisDocker("5.5")], &["rehearsal"], privileged),
        row(
            "C3",
            "no folder of the host's system is mounted, and no relative path leaves the repository",
            &[Source::CisDocker("5.6")],
            &[],
            host_folders,
        ),
        row(
            "C4",
            "no service shares the host's network, processes, IPC, host name or users",
            &[
                Source::CisDocker("5.10"),
                Source::CisDocker("5.16"),
                Source::CisDocker("5.17"),
                Source::CisDocker("5.21"),
                Source::CisDocker("5.31"),
            ],
            &["rehearsal"],
            namespaces,
        ),
        row(
            "C5",
            "every service has a limit of memory, of processor time and of processes",
            &[Source::CisDocker("5.11"), Source::CisDocker("5.12"), Source::CisDocker("5.29")],
            &["rehearsal"],
            limits,
        ),
        row(
            "C6",
            "every root file system is read-only",
            &[Source::CisDocker("5.13")],
            &["rehearsal"],
            read_only,
        ),
        row(
            "C7",
            "every published port is bound to a named address of the host",
            &[Source::CisDocker("5.14")],
            &["rehearsal"],
            published,
        ),
        row(
            "C8",
            "a service that fails is started again at most 5 times; or, where it comes back with the engine, within limits \
             of memory, processor time, processes and log",
            &[Source::CisDocker("5.15")],
            &["rehearsal"],
            restarts,
        ),
        row("C9", "seccomp is not switched off", &[Source::CisDocker("5.22")], &["rehearsal"], seccomp),
        row(
            "C10",
            "no process can gain privileges (no-new-privileges)",
            &[Source::CisDocker("5.26")],
            &["rehearsal"],
            no_new_privileges,
        ),
        row("C11", "no engine's socket is mounted", &[Source::CisDocker("5.32")], &[], engine_sockets),
        row(
            "C12",
            "every service names its networks; a network with a way out has one member, all others are internal",
            &[Source::CisDocker("5.30")],
            &["rehearsal"],
            networks,
        ),
        row(
            "C13",
            "secrets come as files, never in the environment",
            &[Source::Own],
            &["rehearsal"],
            secrets_as_files,
        ),
    ]
}

/// The only one that the Pod Security Standards allow to take back: with it a port below 1024 can be bound.
pub const ALLOWED_CAPABILITIES: &[&str] = &["NET_BIND_SERVICE", "CAP_NET_BIND_SERVICE"];
/// As often as CIS allows.
const RESTARTS: u32 = 5;
/// As CIS lists them.
const SYSTEM_FOLDERS: &[&str] = &[
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/sys",
    "/usr",
    "/root",
    "/run",
    "/var/run",
    "/var/lib/docker",
];
const ENGINE_SOCKETS: &[&str] =
    &["docker.sock", "containerd.sock", "podman.sock", "crio.sock", "docker_engine"];

const NONE: &str = "Compose service";

fn projects(tree: &Tree, none: &str, judge: impl Fn(&mut Inspection, &Project)) -> Verdict {
    let composed = tree.composed();
    let mut look = Inspection::default();
    look.broken(&composed.broken);
    composed.projects.iter().for_each(|project| judge(&mut look, project));
    look.verdict(none)
}

fn services(tree: &Tree, judge: impl Fn(&mut Inspection, &str, &Node)) -> Verdict {
    projects(tree, NONE, |look, project| {
        for (name, service) in project.services() {
            look.saw();
            judge(look, name, service);
        }
    })
}

/// The text at a key, variables settled; empty when it is not there.
fn value(service: &Node, key: &str) -> String {
    service.text_at(key).map(settled).unwrap_or_default()
}

fn values(service: &Node, key: &str) -> Vec<String> {
    service.get(key).map_or_else(Vec::new, |list| list.texts().into_iter().map(settled).collect())
}

fn is_true(text: &str) -> bool {
    ["true", "yes", "on", "True", "TRUE"].contains(&text)
}

fn capabilities(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        let dropped = values(service, "cap_drop");
        if !dropped.iter().any(|capability| capability.eq_ignore_ascii_case("all")) {
            look.find(&service.place, format!("{name} keeps capabilities"), "give it cap_drop: [ALL]");
        }
        for added in values(service, "cap_add") {
            if !ALLOWED_CAPABILITIES.contains(&added.to_uppercase().as_str()) {
                look.find(
                    service.get("cap_add").map_or(&service.place, |list| &list.place),
                    format!("{name} takes {added} back"),
                    "do without it, or have a service of its own do what needs it",
                );
            }
        }
    })
}

fn privileged(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        if let Some(flag) =
            service.get("privileged").filter(|flag| is_true(&settled(flag.text().unwrap_or_default())))
        {
            look.find(&flag.place, format!("{name} is privileged"), "leave `privileged` out");
        }
    })
}

/// What a service mounts from the host: each source with its place.
fn host_mounts(service: &Node) -> impl Iterator<Item = (&Node, String)> {
    let mounts = service.get("volumes").map_or(&[][..], Node::items).iter();
    mounts.filter_map(|mount| {
        let source = match mount.text() {
            // With no place in the container it is that place, and the volume is an anonymous one.
            Some(short) => settled(short).split_once(':')?.0.to_owned(),
            None if mount.text_at("type") == Some("bind") => value(mount, "source"),
            None => return None,
        };
        // Others are names of volumes.
        let is_path = source.starts_with(['/', '.', '~']) || mount.text().is_none();
        is_path.then_some((mount, source))
    })
}

/// Folders that named volumes stand for.
fn devices(project: &Project) -> Vec<(&Node, String)> {
    let volumes = project.whole.get("volumes").map_or(&[][..], Node::entries).iter();
    let options = volumes.filter_map(|volume| volume.value.get("driver_opts"));
    options.filter_map(|options| Some((options.get("device")?, value(options, "device")))).collect()
}

fn is_system(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty()
        || SYSTEM_FOLDERS.iter().any(|folder| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

fn host_folders(tree: &Tree) -> Verdict {
    const REMEDY: &str = "mount a named volume, or a folder that holds only what the service needs";
    projects(tree, NONE, |look, project| {
        for (name, service) in project.services() {
            look.saw();
            for (mount, source) in host_mounts(service) {
                let folder = mount.place.file.rsplit_once('/').map_or("", |(folder, _)| folder);
                if source.starts_with('/') && is_system(&source) || source.starts_with('~') {
                    look.find(&mount.place, format!("{name} sees {source} of the host"), REMEDY);
                } else if source.starts_with('.') && joined(folder, &source).starts_with("..") {
                    look.find(&mount.place, format!("{name} sees {source}, outside the repository"), REMEDY);
                }
            }
        }
        for (device, path) in
            devices(project).into_iter().filter(|(_, path)| path.starts_with('/') && is_system(path))
        {
            look.find(&device.place, format!("a volume is {path} of the host"), REMEDY);
        }
    })
}

fn namespaces(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        for key in ["network_mode", "pid", "ipc", "uts", "userns_mode"] {
            if value(service, key) == "host" {
                look.find(
                    service.get(key).map_or(&service.place, |found| &found.place),
                    format!("{name} shares the host's {}", key.trim_end_matches("_mode")),
                    format!("leave `{key}` out"),
                );
            }
        }
    })
}

/// What is limited, the key of a service that limits it, and the key among `deploy.resources.limits`.
const LIMITS: [(&str, &str, &str); 3] = [
    ("memory", "mem_limit", "memory"),
    ("processor time", "cpus", "cpus"),
    ("processes", "pids_limit", "pids"),
];

fn limits(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        for (what, short, long) in LIMITS {
            let limit = limit(service, short, long);
            if !limit.is_some_and(is_above_0) {
                look.find(
                    limit.map_or(&service.place, |limit| &limit.place),
                    format!("{name} has no limit of {what}"),
                    format!("give it {short}, above 0"),
                );
            }
        }
    })
}

fn limit<'a>(service: &'a Node, short: &str, long: &str) -> Option<&'a Node> {
    service.get(short).or(service.at(&["deploy", "resources", "limits", long]))
}

fn is_above_0(limit: &Node) -> bool {
    let text = limit.text().map(settled).unwrap_or_default();
    let number: String =
        text.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    text.starts_with(GIVEN) || number.parse::<f64>().is_ok_and(|number| number > 0.0)
}

/// Whether the engine removes old lines: only some of its drivers do, and only when they are given both.
fn is_rotated(service: &Node) -> bool {
    let given = |option: &str| service.at(&["logging", "options", option]).is_some_and(is_above_0);
    match service.at(&["logging", "driver"]).and_then(Node::text).map(settled).as_deref() {
        None | Some("json-file") => given("max-size") && given("max-file"),
        // Its own defaults rotate, or nothing is kept on this host.
        Some(_) => true,
    }
}

fn read_only(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        if !is_true(&value(service, "read_only")) {
            look.find(
                service.get("read_only").map_or(&service.place, |found| &found.place),
                format!("{name} can change its own programs"),
                "give it read_only: true, and a tmpfs or a volume where it writes",
            );
        }
    })
}

fn published(tree: &Tree) -> Verdict {
    projects(tree, "published port in Compose", |look, project| {
        for (name, service) in project.services() {
            for port in service.get("ports").map_or(&[][..], Node::items) {
                look.saw();
                let address = match port.text() {
                    Some(short) => short_address(&settled(short)),
                    None => value(port, "host_ip"),
                };
                if ["", "0.0.0.0", "::", "[::]", "*"].contains(&address.as_str()) {
                    look.find(
                        &port.place,
                        format!("a port of {name} is open on every address of the host"),
                        "give it a host_ip: 127.0.0.1, or the address of one interface",
                    );
                }
            }
        }
    })
}

/// `ADDRESS:HOST:CONTAINER`, where the address may be one of IPv6 in brackets.
fn short_address(port: &str) -> String {
    if let Some((address, _)) = port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.to_owned();
    }
    let parts: Vec<&str> = port.split(':').collect();
    if parts.len() < 3 { String::new() } else { parts[..parts.len() - 2].join(":") }
}

/// The engine knows a bound of restarts for `on-failure` alone, which stays down after a clean restart of the engine
/// (moby#46465). The others pause up to a minute before each start, and a loop takes no more of the host than its limits.
fn restarts(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        let policy = value(service, "restart");
        let attempts = service.at(&["deploy", "restart_policy", "max_attempts"]);
        let swarm =
            service.at(&["deploy", "restart_policy", "condition"]).and_then(Node::text).unwrap_or("none");
        let count = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
        let bounded = |count: Option<u32>| count.is_some_and(|count| count <= RESTARTS);
        let place = service.get("restart").map_or(&service.place, |found| &found.place);
        if let "always" | "unless-stopped" = policy.as_str() {
            let mut open: Vec<&str> = LIMITS
                .into_iter()
                .filter(|(_, short, long)| !limit(service, short, long).is_some_and(is_above_0))
                .map(|(what, ..)| what)
                .collect();
            open.extend((!is_rotated(service)).then_some("log"));
            if !open.is_empty() {
                look.find(
                    place,
                    format!(
                        "{name} is started again without end, and nothing limits its {}",
                        open.join(", ")
                    ),
                    "give it mem_limit, cpus, pids_limit, and logging with max-size and max-file",
                );
            }
        }
        let good = match policy.split_once(':') {
            Some(("on-failure", attempts)) => bounded(count(Some(attempts))),
            Some(_) => false,
            None => ["", "no", "false", "always", "unless-stopped"].contains(&policy.as_str()),
        };
        if !good || swarm != "none" && !bounded(count(attempts.and_then(Node::text))) {
            look.find(
                place,
                format!("{name} is started again without end"),
                format!(
                    "give it restart: always where it comes back with the engine, on-failure:{RESTARTS} or \"no\" \
                     elsewhere"
                ),
            );
        }
    })
}

fn seccomp(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        for option in values(service, "security_opt") {
            if option.replace('=', ":").starts_with("seccomp:unconfined") {
                look.find(
                    service.get("security_opt").map_or(&service.place, |found| &found.place),
                    format!("{name} may call everything in the kernel"),
                    "leave seccomp:unconfined out: the engine's own profile then holds",
                );
            }
        }
    })
}

fn no_new_privileges(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        let options = values(service, "security_opt");
        let set = |option: &String| {
            ["no-new-privileges", "no-new-privileges:true"].contains(&option.replace('=', ":").as_str())
        };
        if !options.iter().any(set) {
            look.find(
                &service.place,
                format!("a setuid file would give {name} privileges"),
                "give it security_opt: [no-new-privileges:true]",
            );
        }
    })
}

fn engine_sockets(tree: &Tree) -> Verdict {
    services(tree, |look, name, service| {
        for (mount, source) in host_mounts(service) {
            let file = source.rsplit('/').next().unwrap_or_default();
            // Who sees the folder sees the socket.
            let folder = ["/run", "/var/run", "/run/docker", "/run/containerd", "/run/podman", "/"];
            if ENGINE_SOCKETS.contains(&file)
                || folder.contains(&source.trim_end_matches('/')) && !source.is_empty()
            {
                look.find(
                    &mount.place,
                    format!("{name} commands the engine, and with it the host, through {source}"),
                    "leave the mount out",
                );
            }
        }
    })
}

fn networks(tree: &Tree) -> Verdict {
    projects(tree, NONE, |look, project| {
        let mut members: Vec<(String, &str)> = Vec::new();
        for (name, service) in project.services() {
            look.saw();
            let mode = value(service, "network_mode");
            let named: Vec<&str> = match service.get("networks") {
                Some(list) if list.entries().is_empty() => list.texts(),
                Some(map) => map.entries().iter().map(|entry| entry.key.as_str()).collect(),
                None => vec![],
            };
            if mode == "bridge"
                || mode == "default"
                || mode.is_empty() && named.is_empty()
                || named.contains(&"default")
            {
                look.find(
                    service.get("network_mode").map_or(&service.place, |found| &found.place),
                    format!("{name} is on a network that every other service may be on too"),
                    "name the networks that it needs, one for each pair of services that may talk",
                );
            }
            members.extend(named.into_iter().map(|network| (network.to_owned(), name)));
        }
        for entry in project.whole.get("networks").map_or(&[][..], Node::entries) {
            let on: Vec<&str> =
                members.iter().filter(|(network, _)| *network == entry.key).map(|(_, name)| *name).collect();
            if !is_true(&value(&entry.value, "internal")) && on.len() > 1 {
                look.find(
                    &entry.place,
                    format!("{} leads outside and joins {}", entry.key, on.join(", ")),
                    "make it internal: true, and give each service that needs a way out a network of its own",
                );
            }
        }
    })
}

fn secrets_as_files(tree: &Tree) -> Verdict {
    const REMEDY: &str = "give the service the secret as a file, and NAME_FILE with its path";
    projects(tree, NONE, |look, project| {
        for (name, service) in project.services() {
            look.saw();
            for (place, variable, value) in environment(service) {
                if names_secret(&variable) || assigned_secret(&format!("{variable}={value}")).is_some() {
                    look.find(
                        &place,
                        format!("{name} gets the secret {variable} in its environment"),
                        REMEDY,
                    );
                }
            }
            if let Some(file) = service.get("env_file") {
                look.find(
                    &file.place,
                    format!("nobody can tell what {name} gets in its environment"),
                    REMEDY,
                );
            }
        }
        for entry in project.whole.get("secrets").map_or(&[][..], Node::entries) {
            if let Some(variable) = entry.value.get("environment") {
                look.find(&variable.place, format!("{} is taken from the environment", entry.key), REMEDY);
            }
        }
    })
}

/// Variables of a service, as a mapping or as a list has them.
fn environment(service: &Node) -> Vec<(super::row::Place, String, String)> {
    let Some(environment) = service.get("environment") else { return Vec::new() };
    match &environment.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| {
                (entry.place.clone(), entry.key.clone(), entry.value.text().unwrap_or_default().to_owned())
            })
            .collect(),
        _ => environment
            .items()
            .iter()
            .filter_map(|item| {
                let text = item.text()?;
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                Some((item.place.clone(), name.to_owned(), value.to_owned()))
            })
            .collect(),
    }
}
