//! HAProxy configurations as values, in what versions 2.6 and 3.x both read. What the place decides (addresses,
//! paths) stays a reference to an environment variable ([`Word::Variable`]), so that one file serves every engine.

mod rules;

use std::collections::BTreeSet;

pub use rules::{Acl, Addresses, ConnectionRule, Counted, Rule, Table};

/// One configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    pub global: Vec<Setting>,
    pub defaults: Vec<Setting>,
    pub tables: Vec<Table>,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
    /// From version 3.2 on.
    pub acme: Option<Authority>,
}

/// An ACME authority, which is asked for certificates by the challenge HTTP-01.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub directory: String,
    pub contact: String,
    /// Made when it is missing.
    pub account_key: &'static str,
}

impl Authority {
    const NAME: &str = "authority";
    /// What the challenges are answered from.
    const ANSWERS: &str = "virt@acme";
    /// For the account and the certificates; 2048 bits. An account with an elliptic curve's key is refused for ever where a
    /// coordinate begins with a zero byte, which one key in 128 has: HAProxy leaves that byte out (`bn2base64url` in
    /// `src/jws.c` up to 3.5-dev5), but RFC 7518, section 6.2.1.2, asks for it. A signature takes 0.3 ms; with HAProxy's default
    /// curve P-384, 0.9 ms.
    const KEYS: &str = "RSA";

    fn lines(&self) -> Vec<String> {
        vec![
            format!("directory {}", plain(&self.directory)),
            format!("contact {}", plain(&self.contact)),
            format!("account-key {}", self.account_key),
            "challenge HTTP-01".to_owned(),
            format!("keytype {}", Self::KEYS),
            format!("map {}", Self::ANSWERS),
        ]
    }
}

/// One line that has no type of its own: a keyword and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub words: Vec<Word>,
    /// A comment line above it; empty for none.
    pub why: &'static str,
}

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Quoted where it needs to be.
    Plain(String),
    /// The value of this environment variable.
    Variable(&'static str),
    /// The values of two, as `address:port`.
    Socket { host: &'static str, port: &'static str },
}

/// Where requests come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontend {
    pub name: &'static str,
    pub about: &'static str,
    pub bind: Bind,
    /// Those that its rules name.
    pub addresses: Vec<Addresses>,
    /// In order, before TLS.
    pub connections: Vec<ConnectionRule>,
    /// In order; the first that ends a request ends it.
    pub rules: Vec<Rule>,
    pub otherwise: Ending,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub host: &'static str,
    pub port: &'static str,
    pub tls: Option<Tls>,
}

/// TLS on a listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The variable with the path of a PEM file: the certificate with its chain, and its key.
    pub pem: &'static str,
    /// In the order of preference.
    pub protocols: Vec<&'static str>,
    /// The name for which it is fetched from the [`Authority`].
    pub fetched_for: Option<String>,
}

/// What becomes of a request that no rule has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Backend(BackendRef),
    Deny(u16),
    RedirectToHttps,
}

/// A handle on a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendRef(&'static str);

/// Servers that answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub name: &'static str,
    pub about: &'static str,
    pub settings: Vec<Setting>,
    pub check: Check,
    pub servers: Vec<Server>,
}

/// How the servers' health is asked for: a GET that must answer 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub path: &'static str,
    pub every_ms: u32,
    /// Failures in a row until a server gets nothing more.
    pub failures: u16,
    /// Successes in a row until it is served again.
    pub successes: u16,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    pub place: Place,
}

/// Where a server is, and the port on which it is asked for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The names of variables: one file serves wherever they run.
    Variables { host: String, port: String, check_port: String },
    /// In the file itself: a place that changes is a reload, and no restart.
    Fixed { host: String, port: u16, check_port: u16 },
}

impl Setting {
    /// From words that need no variable.
    #[must_use]
    pub fn of(words: &[&str]) -> Self {
        Setting { words: words.iter().map(|word| Word::Plain((*word).to_owned())).collect(), why: "" }
    }

    #[must_use]
    pub fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }
}

impl Backend {
    #[must_use]
    pub fn handle(&self) -> BackendRef {
        BackendRef(self.name)
    }
}

impl Configuration {
    /// Everything that is wrong with it; empty means it can be written.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut names = BTreeSet::new();
        let tables = self.tables.iter().map(|one| one.name);
        let proxies =
            self.frontends.iter().map(|one| one.name).chain(self.backends.iter().map(|one| one.name));
        for name in proxies.chain(tables) {
            if !names.insert(name) {
                problems.push(format!("{name}: the name is taken twice"));
            }
        }
        for frontend in &self.frontends {
            problems.extend(self.missing(frontend));
            if let Ending::Backend(to) = &frontend.otherwise
                && !self.backends.iter().any(|backend| backend.name == to.0)
            {
                problems.push(format!("frontend {}: leads to {}, which no backend is", frontend.name, to.0));
            }
        }
        for backend in &self.backends {
            if backend.servers.is_empty() {
                problems.push(format!("backend {}: has no server", backend.name));
            }
            let check = &backend.check;
            if check.every_ms == 0 || check.failures == 0 || check.successes == 0 {
                problems.push(format!("backend {}: its health check needs numbers above 0", backend.name));
            }
        }
        problems
    }

    /// What the rules of a frontend name and nobody has.
    fn missing(&self, frontend: &Frontend) -> Vec<String> {
        let say = |what: String| format!("frontend {}: {what}", frontend.name);
        let tables: Vec<&str> = (frontend.connections.iter().filter_map(ConnectionRule::counts_in))
            .chain(frontend.rules.iter().filter_map(Rule::counts_in))
            .collect();
        let no_table = tables.iter().filter(|name| !self.tables.iter().any(|table| table.name == **name));
        let acls: Vec<&Acl> = (frontend.connections.iter().flat_map(ConnectionRule::acls))
            .chain(frontend.rules.iter().filter_map(Rule::acl))
            .collect();
        let counted = |what: Counted| {
            let used = self.tables.iter().filter(|table| tables.contains(&table.name));
            used.into_iter().any(|table| table.counts.contains(&what))
        };
        let uncounted = acls.iter().filter_map(|acl| acl.reads()).filter(|what| !counted(*what));
        let lists =
            acls.iter().filter_map(|acl| acl.list()).chain(frontend.rules.iter().filter_map(Rule::list));
        let known = |name: &str| frontend.addresses.iter().any(|list| list.name == name);
        no_table
            .map(|name| say(format!("counts in {name}, which no table is")))
            .chain(uncounted.map(|what| say(format!("limits {what:?} and does not count them"))))
            .chain(
                lists.filter(|name| !known(name)).map(|name| say(format!("names {name}, which no list is"))),
            )
            .collect()
    }

    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut out: String = header.iter().map(|line| format!("# {line}\n")).collect();
        section(&mut out, "", "global", self.global.iter().flat_map(setting));
        section(&mut out, "", "defaults", self.defaults.iter().flat_map(setting));
        for table in &self.tables {
            section(&mut out, table.about, &format!("backend {}", table.name), [table.line()]);
        }
        for frontend in &self.frontends {
            section(
                &mut out,
                frontend.about,
                &format!("frontend {}", frontend.name),
                frontend_lines(frontend),
            );
        }
        for backend in &self.backends {
            section(&mut out, backend.about, &format!("backend {}", backend.name), backend_lines(backend));
        }
        if let Some(authority) = &self.acme {
            section(&mut out, "", &format!("acme {}", Authority::NAME), authority.lines());
        }
        out
    }

    /// The environment variables that it reads.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<&str> {
        let settings = self
            .global
            .iter()
            .chain(&self.defaults)
            .chain(self.backends.iter().flat_map(|one| &one.settings));
        let in_settings = settings.flat_map(|setting| &setting.words).flat_map(|word| match word {
            Word::Plain(_) => vec![],
            Word::Variable(name) => vec![*name],
            Word::Socket { host, port } => vec![*host, *port],
        });
        let in_frontends = self.frontends.iter().flat_map(|frontend| {
            let tls = frontend.bind.tls.as_ref().map(|tls| tls.pem);
            [frontend.bind.host, frontend.bind.port].into_iter().chain(tls)
        });
        let servers = self.backends.iter().flat_map(|backend| &backend.servers);
        let in_servers = servers.flat_map(|server| match &server.place {
            Place::Variables { host, port, check_port } => vec![&**host, &**port, &**check_port],
            Place::Fixed { .. } => vec![],
        });
        in_settings.chain(in_frontends).chain(in_servers).collect()
    }
}

fn section(out: &mut String, about: &str, title: &str, lines: impl IntoIterator<Item = String>) {
    out.push('\n');
    out.extend(about.lines().map(|line| format!("# {line}\n")));
    out.push_str(title);
    out.push('\n');
    out.extend(lines.into_iter().map(|line| format!("    {line}\n")));
}

fn setting(setting: &Setting) -> Vec<String> {
    let line = setting.words.iter().map(word).collect::<Vec<_>>().join(" ");
    let why = (!setting.why.is_empty()).then(|| format!("# {}", setting.why));
    why.into_iter().chain([line]).collect()
}

fn word(word: &Word) -> String {
    match word {
        Word::Plain(text) => plain(text),
        Word::Variable(name) => format!("\"${{{name}}}\""),
        Word::Socket { host, port } => socket(host, port),
    }
}

fn socket(host: &str, port: &str) -> String {
    format!("\"${{{host}}}:${{{port}}}\"")
}

/// Single quotes keep everything but themselves as it is.
fn plain(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:,+%=@()[]{}!<>".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn frontend_lines(frontend: &Frontend) -> Vec<String> {
    let bind = &frontend.bind;
    let mut lines = vec![format!("bind {}", socket(bind.host, bind.port))];
    if let Some(Tls { pem, protocols, fetched_for }) = &bind.tls {
        let certificate = format!("crt \"${{{pem}}}\"");
        lines[0] += " ssl";
        lines[0] += &fetched_for.as_ref().map_or_else(|| format!(" {certificate}"), |_| String::new());
        lines[0] += &format!(" alpn {}", protocols.join(","));
        lines.extend(
            fetched_for.as_ref().map(|name| {
                format!("ssl-f-use {certificate} acme {} domains {}", Authority::NAME, plain(name))
            }),
        );
    }
    lines.extend(frontend.addresses.iter().flat_map(Addresses::lines));
    lines.extend(frontend.connections.iter().map(ConnectionRule::line));
    lines.extend(frontend.rules.iter().flat_map(Rule::lines));
    lines.push(match &frontend.otherwise {
        Ending::Backend(to) => format!("default_backend {}", to.0),
        Ending::Deny(status) => format!("http-request deny deny_status {status}"),
        Ending::RedirectToHttps => "http-request redirect scheme https code 308".to_owned(),
    });
    lines
}

fn backend_lines(backend: &Backend) -> Vec<String> {
    let check = &backend.check;
    let mut lines: Vec<_> = backend.settings.iter().flat_map(setting).collect();
    lines.extend([
        "option httpchk".to_owned(),
        format!("http-check send meth GET uri {}", check.path),
        "http-check expect status 200".to_owned(),
        format!(
            "default-server check inter {}ms fall {} rise {}",
            check.every_ms, check.failures, check.successes
        ),
    ]);
    lines.extend(backend.servers.iter().map(|Server { name, place }| match place {
        Place::Variables { host, port, check_port } => {
            format!("server {name} {} port \"${{{check_port}}}\"", socket(host, port))
        }
        Place::Fixed { host, port, check_port } => format!("server {name} {host}:{port} port {check_port}"),
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::{
        Acl, Addresses, Backend, BackendRef, Bind, Check, Configuration, ConnectionRule, Counted, Ending,
        Frontend, Place, Rule, Server, Setting, Table,
    };

    fn configuration() -> Configuration {
        let backend = Backend {
            name: "app",
            about: "",
            settings: vec![Setting::of(&["balance", "leastconn"]).because("the least busy")],
            check: Check { path: "/readyz", every_ms: 200, failures: 3, successes: 2 },
            servers: vec![
                Server {
                    name: "a".to_owned(),
                    place: Place::Variables {
                        host: "A".to_owned(),
                        port: "A_PORT".to_owned(),
                        check_port: "A_READY".to_owned(),
                    },
                },
                Server {
                    name: "b".to_owned(),
                    place: Place::Fixed { host: "127.0.0.1".to_owned(), port: 1880, check_port: 1881 },
                },
            ],
        };
        let frontend = Frontend {
            name: "https",
            about: "the way in",
            bind: Bind { host: "H", port: "P", tls: None },
            addresses: vec![Addresses {
                name: "bad",
                networks: (0..17).map(|n| format!("10.0.{n}.0/24")).collect(),
            }],
            connections: vec![
                ConnectionRule::Count { table: "clients" },
                ConnectionRule::Reject { when: vec![Acl::ConnectionsAbove(9), Acl::ClientNotIn("bad")] },
            ],
            rules: vec![
                Rule::Deny { status: 404, when: Acl::PathBeginsNot("/api/") },
                Rule::Deny { status: 400, when: Acl::PathIsAmbiguous },
                Rule::KeepPathPart { variable: "task", after: "/api/tasks/" },
            ],
            otherwise: Ending::Backend(backend.handle()),
        };
        Configuration {
            global: vec![Setting::of(&["log-format", "it's \"so\""])],
            defaults: vec![],
            tables: vec![Table {
                name: "clients",
                about: "",
                clients: 100,
                seconds: 10,
                counts: vec![Counted::Connections, Counted::Requests],
            }],
            frontends: vec![frontend],
            backends: vec![backend],
            acme: None,
        }
    }

    #[test]
    fn writes_sections() {
        assert_eq!(
            configuration().write(&["head".to_owned()]),
            r##"# head

global
    log-format 'it'\''s "so"'

defaults

backend clients
    stick-table type ipv6 size 100 expire 20s store conn_cur,http_req_rate(10s)

# the way in
frontend https
    bind "${H}:${P}"
    acl bad src 10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 10.0.3.0/24 10.0.4.0/24 10.0.5.0/24 10.0.6.0/24 10.0.7.0/24 10.0.8.0/24 10.0.9.0/24 10.0.10.0/24 10.0.11.0/24 10.0.12.0/24 10.0.13.0/24 10.0.14.0/24 10.0.15.0/24
    acl bad src 10.0.16.0/24
    tcp-request connection track-sc1 src,ipmask(32,64) table clients
    tcp-request connection reject if { sc1_conn_cur gt 9 } !bad
    http-request deny deny_status 404 if !{ path_beg /api/ }
    http-request deny deny_status 400 if { path -m reg '//|/\.\.?(/|$)|[%\\;]' }
    http-request set-var(txn.task) path,field(4,/) if { path_beg /api/tasks/ }
    default_backend app

backend app
    # the least busy
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect status 200
    default-server check inter 200ms fall 3 rise 2
    server a "${A}:${A_PORT}" port "${A_READY}"
    server b 127.0.0.1:1880 port 1881
"##
        );
        assert_eq!(
            configuration().variables().into_iter().collect::<Vec<_>>(),
            ["A", "A_PORT", "A_READY", "H", "P"]
        );
    }

    #[test]
    fn finds_what_must_not_be_written() {
        let mut lost = configuration();
        lost.frontends[0].otherwise = Ending::Backend(BackendRef("nowhere"));
        let mut empty = configuration();
        empty.backends[0].servers.clear();
        let mut twice = configuration();
        twice.frontends[0].name = "app";
        let mut unasked = configuration();
        unasked.backends[0].check.every_ms = 0;
        let mut uncounted = configuration();
        uncounted.frontends[0].rules.push(Rule::Deny { status: 429, when: Acl::RequestsAbove(1) });
        uncounted.tables[0].counts.clear();
        let mut unknown = configuration();
        unknown.frontends[0].rules.push(Rule::BelieveForwarder { list: "hops" });
        unknown.frontends[0].rules.push(Rule::Count { table: "others" });
        for (configuration, expected) in [
            (lost, "leads to nowhere"),
            (empty, "has no server"),
            (twice, "the name is taken twice"),
            (unasked, "numbers above 0"),
            (uncounted, "limits Requests and does not count them"),
            (unknown.clone(), "names hops, which no list is"),
            (unknown, "counts in others, which no table is"),
        ] {
            let problems = configuration.validate().join("\n");
            assert!(problems.contains(expected), "{problems}");
        }
        assert!(configuration().validate().is_empty());
    }
}
