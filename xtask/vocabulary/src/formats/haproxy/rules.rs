//! What a frontend does to connections, requests and responses: rules, what they depend on, and what they count.

use super::plain;

/// Addresses as networks in CIDR notation, known to rules by their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub name: &'static str,
    pub networks: Vec<String>,
}

/// Something counted for each client: an IPv4 address, or an IPv6 network of 64 bits, since one customer gets that much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub about: &'static str,
    /// Clients that are counted at once; the one that was seen longest ago makes room for another.
    pub clients: u32,
    /// The time over which rates are counted.
    pub seconds: u16,
    pub counts: Vec<Counted>,
}

/// What a table counts of each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Requests,
    Connections,
    NewConnections,
}

/// Something that is done to a connection before anything was read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionRule {
    /// From here on, it is counted in this table.
    Count { table: &'static str },
    /// It is closed without an answer.
    Reject { when: Vec<Acl> },
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
    /// What an ACME authority asks for, to see who has the name: RFC 8555, section 8.3.
    AnswerChallenges,
    /// Metrics for Prometheus.
    Metrics {
        when: Acl,
    },
    /// From here on, it is counted in this table.
    Count {
        table: &'static str,
    },
    /// Who is on this list has forwarded the request: the client is who it says it got it from.
    BelieveForwarder {
        list: &'static str,
    },
    /// The body, or as much of it as a buffer holds, is awaited for so long before the request goes on.
    AwaitBody {
        seconds: u16,
    },
    /// Keeps what follows this beginning in the path, up to the next `/`, for the log.
    KeepPathPart {
        variable: &'static str,
        after: &'static str,
    },
    RemoveRequestHeader(&'static str),
    RemoveRequestHeadersBeginning(&'static str),
    SetRequestHeader {
        name: &'static str,
        format: String,
    },
    /// The address of the client, by `X-Forwarded-For` and `Forwarded`.
    NameClient,
    /// On each response, also on those that HAProxy makes.
    SetResponseHeader {
        name: &'static str,
        format: String,
    },
    /// The same, where the response does not have it.
    DefaultResponseHeader {
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
    /// Two programs could understand the path in two ways: it is encoded, has parameters, or is not in its simplest form.
    PathIsAmbiguous,
    /// The target of an HTTP/1 request is something else than a path, such as a whole address.
    TargetIsNoPath,
    /// A version of HTTP/1 that does not exist.
    VersionIsUnknown,
    /// HTTP/1.0 knows no chunks: another program could see another end of the body.
    ChunkedInOldVersion,
    HostIsMissing,
    /// The client asks for another protocol than WebSocket on the same connection.
    UpgradeIsNoWebSocket,
    MethodIsNot(&'static [&'static str]),
    /// The body is announced, or has begun, to be larger than so many bytes.
    BodyAbove(u32),
    /// The same for requests with this method and a path that matches this regular expression.
    BodyOfOperationAbove {
        method: &'static str,
        path: String,
        bytes: u32,
    },
    /// The client has sent more requests in the time over which they are counted.
    RequestsAbove(u32),
    /// The client has more connections.
    ConnectionsAbove(u32),
    /// The client has opened more connections in the time over which they are counted.
    NewConnectionsAbove(u32),
    ClientIn(&'static str),
    ClientNotIn(&'static str),
}

/// How many forwarders in a row are believed.
const FORWARDERS: usize = 4;
/// Networks on one line; HAProxy reads 64 words of a line.
const NETWORKS: usize = 16;
/// Requests and connections are counted for this.
const CLIENT: &str = "src,ipmask(32,64)";

impl Addresses {
    pub(super) fn lines(&self) -> Vec<String> {
        self.networks
            .chunks(NETWORKS)
            .map(|some| format!("acl {} src {}", self.name, some.join(" ")))
            .collect()
    }
}

impl Table {
    pub(super) fn line(&self) -> String {
        let counts = self.counts.iter().map(|counted| match counted {
            Counted::Requests => format!("http_req_rate({}s)", self.seconds),
            Counted::Connections => "conn_cur".to_owned(),
            Counted::NewConnections => format!("conn_rate({}s)", self.seconds),
        });
        let (clients, kept) = (self.clients, self.seconds * 2);
        let counts = counts.collect::<Vec<_>>().join(",");
        format!("stick-table type ipv6 size {clients} expire {kept}s store {counts}")
    }
}

impl ConnectionRule {
    pub(super) fn line(&self) -> String {
        match self {
            Self::Count { table } => format!("tcp-request connection track-sc1 {CLIENT} table {table}"),
            Self::Reject { when } => {
                let all: Vec<_> = when.iter().map(condition).collect();
                format!("tcp-request connection reject if {}", all.join(" "))
            }
        }
    }

    pub(super) fn counts_in(&self) -> Option<&'static str> {
        match self {
            Self::Count { table } => Some(table),
            Self::Reject { .. } => None,
        }
    }

    pub(super) fn acls(&self) -> &[Acl] {
        match self {
            Self::Count { .. } => &[],
            Self::Reject { when } => when,
        }
    }
}

impl Rule {
    pub(super) fn lines(&self) -> Vec<String> {
        let line = match self {
            Self::Deny { status, when } => {
                format!("http-request deny deny_status {status} if {}", condition(when))
            }
            Self::Answer { status, when } => {
                format!("http-request return status {status} if {}", condition(when))
            }
            Self::AnswerChallenges => format!(
                "http-request return status 200 content-type text/plain lf-string \"%[path,field(-1,/)].%[path,field(-1,/),map({})]\" \
                 if {{ path_beg /.well-known/acme-challenge/ }}",
                super::Authority::ANSWERS
            ),
            Self::Metrics { when } => {
                format!("http-request use-service prometheus-exporter if {}", condition(when))
            }
            Self::Count { table } => format!("http-request track-sc0 {CLIENT} table {table}"),
            Self::BelieveForwarder { list } => return (1..=FORWARDERS).map(|at| believe(list, at)).collect(),
            Self::AwaitBody { seconds } => format!("http-request wait-for-body time {seconds}s"),
            Self::KeepPathPart { variable, after } => {
                let field = after.split('/').count();
                format!(
                    "http-request set-var(txn.{variable}) path,field({field},/) if {{ path_beg {after} }}"
                )
            }
            Self::RemoveRequestHeader(name) => format!("http-request del-header {name}"),
            Self::RemoveRequestHeadersBeginning(start) => format!("http-request del-header {start} -m beg"),
            Self::SetRequestHeader { name, format } => {
                format!("http-request set-header {name} {}", plain(format))
            }
            Self::NameClient => {
                return [
                    "http-request set-header x-forwarded-for %[src]",
                    "http-request set-header forwarded 'for=%[src];proto=https' if { src 0.0.0.0/0 }",
                    "http-request set-header forwarded 'for=\"[%[src]]\";proto=https' if !{ src 0.0.0.0/0 }",
                ]
                .map(str::to_owned)
                .into();
            }
            Self::SetResponseHeader { name, format } => {
                format!("http-after-response set-header {name} {}", plain(format))
            }
            Self::DefaultResponseHeader { name, format } => format!(
                "http-after-response set-header {name} {} unless {{ res.hdr({name}) -m found }}",
                plain(format)
            ),
            Self::RemoveResponseHeader(name) => format!("http-response del-header {name}"),
        };
        vec![line]
    }

    pub(super) fn counts_in(&self) -> Option<&'static str> {
        match self {
            Self::Count { table } => Some(table),
            _ => None,
        }
    }

    /// The list of addresses that it knows by name.
    pub(super) fn list(&self) -> Option<&'static str> {
        match self {
            Self::BelieveForwarder { list } => Some(list),
            Self::Deny { when, .. } | Self::Answer { when, .. } | Self::Metrics { when } => when.list(),
            _ => None,
        }
    }

    pub(super) fn acl(&self) -> Option<&Acl> {
        match self {
            Self::Deny { when, .. } | Self::Answer { when, .. } | Self::Metrics { when } => Some(when),
            _ => None,
        }
    }
}

impl Acl {
    pub(super) fn list(&self) -> Option<&'static str> {
        match self {
            Self::ClientIn(list) | Self::ClientNotIn(list) => Some(list),
            _ => None,
        }
    }

    /// What must have been counted for it.
    pub(super) fn reads(&self) -> Option<Counted> {
        match self {
            Self::RequestsAbove(_) => Some(Counted::Requests),
            Self::ConnectionsAbove(_) => Some(Counted::Connections),
            Self::NewConnectionsAbove(_) => Some(Counted::NewConnections),
            _ => None,
        }
    }
}

/// The last address that a believed forwarder names is the client, unless it is such a forwarder itself. All that comes after an
/// address must be one too: what stands before something else, anybody may have written.
fn believe(list: &str, at: usize) -> String {
    let named = |at: usize| format!("{{ req.hdr_ip(x-forwarded-for,-{at}) -m found }}");
    let all: String = (1..at).map(|at| format!(" {}", named(at))).collect();
    format!("http-request set-src req.hdr_ip(x-forwarded-for,-{at}) if {list}{all}")
}

fn condition(condition: &Acl) -> String {
    match condition {
        Acl::Path(path) => format!("{{ path {path} }}"),
        Acl::PathBegins(path) => format!("{{ path_beg {path} }}"),
        Acl::PathBeginsNot(path) => format!("!{{ path_beg {path} }}"),
        Acl::PathIsAmbiguous => format!("{{ path -m reg {} }}", plain(r"//|/\.\.?(/|$)|[%\\;]")),
        Acl::TargetIsNoPath => "{ fc_http_major 1 } !{ url -m beg / }".to_owned(),
        Acl::VersionIsUnknown => "{ fc_http_major 1 } !{ req.ver 1.0 1.1 }".to_owned(),
        Acl::ChunkedInOldVersion => "{ req.ver 1.0 } { req.hdr_cnt(transfer-encoding) gt 0 }".to_owned(),
        Acl::HostIsMissing => "{ req.ver 1.1 } { req.hdr_cnt(host) eq 0 }".to_owned(),
        Acl::UpgradeIsNoWebSocket => {
            "{ req.hdr_cnt(upgrade) gt 0 } !{ req.hdr(upgrade) -i websocket }".to_owned()
        }
        Acl::MethodIsNot(methods) => format!("!{{ method {} }}", methods.join(" ")),
        Acl::BodyAbove(bytes) => format!("{{ req.body_size gt {bytes} }}"),
        Acl::BodyOfOperationAbove { method, path, bytes } => {
            format!("{{ method {method} }} {{ path -m reg {} }} {{ req.body_size gt {bytes} }}", plain(path))
        }
        Acl::RequestsAbove(count) => format!("{{ sc0_http_req_rate gt {count} }}"),
        Acl::ConnectionsAbove(count) => format!("{{ sc1_conn_cur gt {count} }}"),
        Acl::NewConnectionsAbove(count) => format!("{{ sc1_conn_rate gt {count} }}"),
        Acl::ClientIn(list) => (*list).to_owned(),
        Acl::ClientNotIn(list) => format!("!{list}"),
    }
}
