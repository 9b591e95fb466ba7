//! Our own judgement on a built image: user, privileges, secrets, size, tools. Pure.

use serde_json::Value;
use vocabulary::model::ImageLimits;
use vocabulary::problem::{Place, Problem};

use super::content::{self, Kind, Tree};
use foundation::files;
use judges::checks::container_secrets::{SECRET_FILES, assigned_secret};
use judges::checks::container_user;

/// Programs that serve an intruder: shells, interpreters, downloaders, compilers, package managers, ways to another
/// user or another host. An image holds only those that its limits name.
const TOOLS: &[&str] = &[
    // Shells.
    "sh", "bash", "dash", "ash", "zsh", "busybox", // Interpreters.
    "perl", "python", "python2", "python3", "ruby", "lua", "tclsh", "awk", "gawk", "mawk",
    // Ways to other hosts.
    "curl", "wget", "ftp", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "scp", "rsync",
    // Compilers and debuggers.
    "gcc", "cc", "g++", "clang", "make", "ld", "as", "gdb", "strace", // Package managers.
    "apt", "apt-get", "dpkg", "apk", "yum", "dnf", "rpm", "pip", "pip3", "npm", "npx", "yarn", "corepack",
    // Ways to other users.
    "su", "sudo", "mount", "umount", "passwd", "chsh", "newgrp", "nsenter", "unshare", "chroot",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    User,
    Privileges,
    Writable,
    Secrets,
    Size,
    Tools,
}

impl Rule {
    pub const ALL: [Self; 6] =
        [Self::User, Self::Privileges, Self::Writable, Self::Secrets, Self::Size, Self::Tools];

    /// What it asks for, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::User => "runs as a numeric user other than root",
            Self::Privileges => "no setuid, setgid or capable files",
            Self::Writable => "nothing that everybody may change",
            Self::Secrets => "no secrets in variables, history or files",
            Self::Size => "within its size limit",
            Self::Tools => "only the allowed tools",
        }
    }
}

/// Every finding, in the order of the rules.
pub fn judge(config: &Value, tree: &Tree, limits: &ImageLimits) -> Vec<(Rule, Problem)> {
    [
        user(config),
        privileges(tree),
        writable(tree),
        secrets(config, tree),
        size(tree, limits),
        tools(tree, limits),
    ]
    .concat()
}

fn finding(rule: Rule, place: impl Into<Place>, what: impl Into<String>, remedy: &str) -> (Rule, Problem) {
    (rule, Problem::new(place, what).remedy(remedy))
}

fn user(config: &Value) -> Vec<(Rule, Problem)> {
    let user = config["config"]["User"].as_str().unwrap_or_default();
    let Some(problem) = container_user::problem(user) else { return Vec::new() };
    vec![finding(
        Rule::User,
        format!("USER {user}"),
        problem,
        "end the target with USER and a number, such as USER 1000:1000",
    )]
}

fn privileges(tree: &Tree) -> Vec<(Rule, Problem)> {
    tree.iter()
        .filter(|(_, node)| matches!(node.kind, Kind::File { .. }))
        .filter_map(|(path, node)| {
            let what = match node.mode & 0o6000 {
                0o4000 => "is setuid",
                0o2000 => "is setgid",
                0o6000 => "is setuid and setgid",
                _ if node.attributes.contains_key("security.capability") => "has capabilities",
                _ => return None,
            };
            Some(finding(
                Rule::Privileges,
                format!("/{path}"),
                what,
                "leave it out, or run `chmod a-s` on it where it is created",
            ))
        })
        .collect()
}

fn writable(tree: &Tree) -> Vec<(Rule, Problem)> {
    tree.iter()
        .filter(|(_, node)| match node.kind {
            Kind::File { .. } => node.mode & 0o002 != 0,
            // The sticky bit keeps what others made.
            Kind::Folder => node.mode & 0o1002 == 0o002,
            _ => false,
        })
        .map(|(path, node)| {
            let what = format!("is writable for everyone (mode {:04o})", node.mode);
            finding(
                Rule::Writable,
                format!("/{path}"),
                what,
                "`chmod o-w` it, or give a folder the sticky bit",
            )
        })
        .collect()
}

fn secrets(config: &Value, tree: &Tree) -> Vec<(Rule, Problem)> {
    let remedy = "pass secrets as files when the container runs, and to a build with RUN --mount=type=secret";
    let mut findings = Vec::new();
    let variables = config["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for variable in variables {
        if let Some(name) = assigned_secret(variable) {
            findings.push(finding(Rule::Secrets, format!("ENV {name}"), "looks like a secret", remedy));
        }
    }
    let history = config["history"].as_array().into_iter().flatten();
    for (index, step) in history.enumerate() {
        let text = step["created_by"].as_str().unwrap_or_default();
        // An ENV line of the history is in the variables too.
        let is_env = text.trim_start_matches("/bin/sh -c #(nop)").trim_start().starts_with("ENV ");
        let found = text.split(['|', ' ', '\t', '&', ';', '"', '\'']).find_map(assigned_secret);
        if let Some(name) = found.filter(|_| !is_env) {
            findings.push(finding(
                Rule::Secrets,
                format!("history, line {}", index + 1),
                format!("gives {name} a value"),
                remedy,
            ));
        }
    }
    for (path, node) in tree {
        let name = path.rsplit('/').next().unwrap_or(path);
        if matches!(node.kind, Kind::File { size, .. } if size > 0) && SECRET_FILES.contains(&name) {
            findings.push(finding(
                Rule::Secrets,
                format!("/{path}"),
                "is a file in which secrets are kept",
                remedy,
            ));
        }
    }
    findings
}

fn size(tree: &Tree, limits: &ImageLimits) -> Vec<(Rule, Problem)> {
    let bytes = content::bytes(tree);
    let limit = limits.mebibytes * 1024 * 1024;
    if bytes <= limit {
        return Vec::new();
    }
    let mut folders = std::collections::BTreeMap::<String, u64>::new();
    for (path, node) in tree {
        if let Kind::File { size, .. } = node.kind {
            *folders.entry(path.split('/').take(3).collect::<Vec<_>>().join("/")).or_default() += size;
        }
    }
    let mut folders: Vec<_> = folders.into_iter().collect();
    folders.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let most: Vec<_> =
        folders.iter().take(3).map(|(path, size)| format!("/{path} {}", files::size(*size))).collect();
    vec![finding(
        Rule::Size,
        "size",
        format!(
            "{}; at most {}; most is in {}",
            files::size(bytes),
            files::size(limits.mebibytes << 20),
            most.join(", ")
        ),
        "leave out what does not run, or raise the limit in xtask/platform/src/images.rs",
    )]
}

fn tools(tree: &Tree, limits: &ImageLimits) -> Vec<(Rule, Problem)> {
    const FOLDERS: &[&str] = &["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"];
    tree.iter()
        .filter_map(|(path, node)| {
            let (folder, name) = path.rsplit_once('/')?;
            let program = matches!(node.kind, Kind::File { .. } | Kind::Link(_)) && FOLDERS.contains(&folder);
            // `python3.11`, `x86_64-linux-gnu-gcc-12`: the same tools under other names.
            let stem = name
                .trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
            let known = |tool: &&&str| **tool == name || (!stem.is_empty() && **tool == stem);
            let tool = TOOLS.iter().find(known).filter(|_| program)?;
            let allowed = limits.tools.contains(&name) || limits.tools.contains(tool);
            (!allowed).then(|| {
                let remedy =
                    "leave it out, or name it in xtask/platform/src/images.rs if the image needs it to run";
                finding(Rule::Tools, format!("/{path}"), "is a tool that serves an intruder", remedy)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::content::Node;
    use super::*;

    fn limits() -> ImageLimits {
        ImageLimits { target: "x", mebibytes: 1, tools: vec!["sh"] }
    }

    fn node(kind: Kind, mode: u32) -> Node {
        Node { kind, mode, uid: 0, gid: 0, attributes: Default::default() }
    }

    fn file(size: u64) -> Kind {
        Kind::File { size, sha256: String::new() }
    }

    fn good_config() -> Value {
        serde_json::json!({
            "config": { "User": "1000:1000", "Env": ["PATH=/bin", "POSTGRES_PASSWORD_FILE=/run/secrets/p", "NPM_CONFIG_CACHE=/x"] },
            "history": [{ "created_by": "RUN |1 NODE=x /bin/sh -c npm ci # buildkit" }]
        })
    }

    #[test]
    fn a_good_image_has_no_finding() {
        let tree: Tree = [
            ("bin/sh".to_owned(), node(file(1), 0o755)),
            ("tmp".to_owned(), node(Kind::Folder, 0o1777)),
            ("usr/share/curl".to_owned(), node(file(1), 0o644)),
        ]
        .into();
        assert_eq!(judge(&good_config(), &tree, &limits()), []);
    }

    #[test]
    fn each_planted_fault_is_found() {
        let capable =
            Node { attributes: [("security.capability".to_owned(), vec![1])].into(), ..node(file(1), 0o755) };
        for (path, planted, rule) in [
            ("usr/bin/pw", node(file(1), 0o4755), Rule::Privileges),
            ("usr/bin/pg", node(file(1), 0o2755), Rule::Privileges),
            ("usr/bin/ping", capable, Rule::Privileges),
            ("opt/x", node(file(1), 0o666), Rule::Writable),
            ("opt", node(Kind::Folder, 0o777), Rule::Writable),
            ("home/node/.npmrc", node(file(9), 0o600), Rule::Secrets),
            ("big", node(file(2 << 20), 0o644), Rule::Size),
            ("usr/bin/curl", node(file(1), 0o755), Rule::Tools),
            ("usr/bin/python3.11", node(file(1), 0o755), Rule::Tools),
            ("usr/local/bin/npx", node(Kind::Link("../npx".into()), 0o777), Rule::Tools),
        ] {
            let found = judge(&good_config(), &[(path.to_owned(), planted)].into(), &limits());
            assert_eq!(
                found.iter().map(|finding| finding.0).collect::<Vec<_>>(),
                [rule],
                "{path}: {found:?}"
            );
        }
    }

    #[test]
    fn root_and_other_users_are_distinguished() {
        for (user, good) in [
            ("", false),
            ("root", false),
            ("0", false),
            ("0:1000", false),
            ("node", false),
            ("1000", true),
            ("99:99", true),
        ] {
            let config = serde_json::json!({ "config": { "User": user } });
            assert_eq!(judge(&config, &Tree::new(), &limits()).is_empty(), good, "{user:?}");
        }
    }

    #[test]
    fn secrets_are_seen_in_variables_and_history() {
        for (env, created_by, expected) in [
            ("DB_PASSWORD=hunter2", "", "ENV DB_PASSWORD"),
            ("DATABASE_URL=postgres://u:p@host/db", "", "ENV DATABASE_URL"),
            ("A=1", "RUN |1 NPM_AUTH_TOKEN=abc /bin/sh -c npm ci", "history, line 1"),
            ("A=1", "RUN /bin/sh -c export API_KEY=abc && x", "history, line 1"),
        ] {
            let config = serde_json::json!({
                "config": { "User": "1", "Env": [env] }, "history": [{ "created_by": created_by }]
            });
            let found = judge(&config, &Tree::new(), &limits());
            assert_eq!(found.len(), 1, "{env} {created_by}: {found:?}");
            assert_eq!(found[0].1.place.subject, expected);
            assert!(!format!("{found:?}").contains("hunter2"), "the value is not shown");
        }
    }
}
