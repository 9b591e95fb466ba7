//! HAProxy configurations as values, in what versions 2.6 and 3.x both read. What the place decides (addresses,
//! paths) stays a reference to an environment variable ([`Word::Variable`]), so that one file serves every engine.

use std::collections::BTreeSet;

/// One configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    pub global: Vec<Setting>,
    pub defaults: Vec<Setting>,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
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
    /// Requests are counted for each address that they come from, over this many seconds; 0 for not at all.
    pub counts_seconds: u16,
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
}

/// Something that is done to a request or its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    Deny {
        status: u16,
        when: Acl,
    },
    Answer {
        status: u16,
        when: Acl,
    },
    /// Metrics for Prometheus.
    Metrics {
        when: Acl,
    },
    RemoveRequestHeader(&'static str),
    SetRequestHeader {
        name: &'static str,
        format: String,
    },
    SetResponseHeader {
        name: &'static str,
        format: String,
    },
    RemoveResponseHeader(&'static str),
}

/// What a rule depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acl {
    Path(&'static str),
    PathBegins(&'static str),
    PathBeginsNot(&'static str),
    /// The path, decoded and in its simplest form, differs from the path as it was sent: two programs could
    /// understand it in two ways.
    PathIsAmbiguous,
    /// The body is announced, or has begun, to be larger than so many bytes.
    BodyAbove(u32),
    /// The address has sent more requests in the time over which they are counted.
    RequestsAbove(u32),
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
        for name in self.frontends.iter().map(|one| one.name).chain(self.backends.iter().map(|one| one.name))
        {
            if !names.insert(name) {
                problems.push(format!("{name}: the name is taken twice"));
            }
        }
        for frontend in &self.frontends {
            let counted = |rule: &Rule| matches!(rule, Rule::Deny { when: Acl::RequestsAbove(_), .. });
            if frontend.counts_seconds == 0 && frontend.rules.iter().any(counted) {
                problems.push(format!("frontend {}: limits requests and does not count them", frontend.name));
            }
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

    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut out: String = header.iter().map(|line| format!("# {line}\n")).collect();
        section(&mut out, "", "global", self.global.iter().flat_map(setting));
        section(&mut out, "", "defaults", self.defaults.iter().flat_map(setting));
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
    let tls = bind.tls.as_ref().map_or(String::new(), |tls| {
        format!(" ssl crt \"${{{}}}\" alpn {}", tls.pem, tls.protocols.join(","))
    });
    let mut lines = vec![format!("bind {}{tls}", socket(bind.host, bind.port))];
    if frontend.counts_seconds > 0 {
        // Room for 100,000 addresses, about 10 MB.
        let seconds = frontend.counts_seconds;
        lines.push(format!(
            "stick-table type ipv6 size 100k expire {}s store http_req_rate({seconds}s)",
            seconds * 2
        ));
        lines.push("http-request track-sc0 src".to_owned());
    }
    lines.extend(frontend.rules.iter().map(rule));
    lines.push(match &frontend.otherwise {
        Ending::Backend(to) => format!("default_backend {}", to.0),
        Ending::Deny(status) => format!("http-request deny deny_status {status}"),
        Ending::RedirectToHttps => "http-request redirect scheme https code 308".to_owned(),
    });
    lines
}

fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Deny { status, when } => {
            format!("http-request deny deny_status {status} if {}", condition(when))
        }
        Rule::Answer { status, when } => {
            format!("http-request return status {status} if {}", condition(when))
        }
        Rule::Metrics { when } => {
            format!("http-request use-service prometheus-exporter if {}", condition(when))
        }
        Rule::RemoveRequestHeader(name) => format!("http-request del-header {name}"),
        Rule::SetRequestHeader { name, format } => {
            format!("http-request set-header {name} {}", plain(format))
        }
        Rule::SetResponseHeader { name, format } => {
            format!("http-response set-header {name} {}", plain(format))
        }
        Rule::RemoveResponseHeader(name) => format!("http-response del-header {name}"),
    }
}

fn condition(condition: &Acl) -> String {
    match condition {
        Acl::Path(path) => format!("{{ path {path} }}"),
        Acl::PathBegins(path) => format!("{{ path_beg {path} }}"),
        Acl::PathBeginsNot(path) => format!("!{{ path_beg {path} }}"),
        Acl::PathIsAmbiguous => "{ path -m sub // /./ /../ % \\ ; }".to_owned(),
        Acl::BodyAbove(bytes) => format!("{{ req.body_size gt {bytes} }}"),
        Acl::RequestsAbove(count) => format!("{{ sc_http_req_rate(0) gt {count} }}"),
    }
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
        Acl, Backend, BackendRef, Bind, Check, Configuration, Ending, Frontend, Place, Rule, Server, Setting,
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
            counts_seconds: 10,
            rules: vec![Rule::Deny { status: 404, when: Acl::PathBeginsNot("/api/") }],
            otherwise: Ending::Backend(backend.handle()),
        };
        Configuration {
            global: vec![Setting::of(&["log-format", "it's \"so\""])],
            defaults: vec![],
            frontends: vec![frontend],
            backends: vec![backend],
        }
    }

    #[test]
    fn writes_sections() {
        assert_eq!(
            configuration().write(&["head".to_owned()]),
            "# head\n\nglobal\n    log-format 'it'\\''s \"so\"'\n\ndefaults\n\n# the way in\nfrontend https\n    bind \
             \"${H}:${P}\"\n    stick-table type ipv6 size 100k expire 20s store http_req_rate(10s)\n    http-request track-sc0 src\n    \
             http-request deny deny_status 404 if !{ path_beg /api/ }\n    default_backend app\n\n\
             backend app\n    # the least busy\n    balance leastconn\n    option httpchk\n    http-check send meth GET uri \
             /readyz\n    http-check expect status 200\n    default-server check inter 200ms fall 3 rise 2\n    server a \
             \"${A}:${A_PORT}\" port \"${A_READY}\"\n    server b 127.0.0.1:1880 port 1881\n"
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
        uncounted.frontends[0].counts_seconds = 0;
        uncounted.frontends[0].rules.push(Rule::Deny { status: 429, when: Acl::RequestsAbove(1) });
        for (configuration, expected) in [
            (lost, "leads to nowhere"),
            (empty, "has no server"),
            (twice, "the name is taken twice"),
            (unasked, "numbers above 0"),
            (uncounted, "does not count them"),
        ] {
            let problems = configuration.validate().join("\n");
            assert!(problems.contains(expected), "{problems}");
        }
        assert!(configuration().validate().is_empty());
    }
}
