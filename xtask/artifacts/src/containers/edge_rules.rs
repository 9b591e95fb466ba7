//! Which connections and requests the edge refuses, what it does to headers, and what it answers instead of the replicas.

use serde_json::json;
use vocabulary::formats::haproxy::{Acl, Addresses, ConnectionRule, Counted, Rule, Setting, Table};
use vocabulary::model::environment::EdgeSettings;
use vocabulary::model::{EdgePolicy, Operation};

/// Variables of a request, for the log.
pub const WORKFLOW: &str = "workflow_id";
pub const TASK: &str = "task_id";

const REQUESTS: &str = "requests_of_clients";
const CONNECTIONS: &str = "connections_of_clients";
const ALLOWED: &str = "allowed";
const DENIED: &str = "denied";
const FORWARDERS: &str = "forwarders";
/// A replica that is busy or starts is soon there again.
const REPLICAS_BACK_SECONDS: u16 = 1;
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Two, because the address of a connection may be that of a load balancer, and the client of a request another one.
pub fn tables(policy: &EdgePolicy) -> Vec<Table> {
    let table = |name, about, counts| Table {
        name,
        about,
        clients: policy.max_addresses,
        seconds: policy.rate_seconds,
        counts,
    };
    vec![
        table(REQUESTS, "Counts requests of each client.", vec![Counted::Requests]),
        table(
            CONNECTIONS,
            "Counts connections of each address.",
            vec![Counted::Connections, Counted::NewConnections],
        ),
    ]
}

pub fn addresses(settings: &EdgeSettings) -> Vec<Addresses> {
    [(ALLOWED, &settings.allow), (DENIED, &settings.deny), (FORWARDERS, &settings.trusted_proxies)]
        .into_iter()
        .filter(|(_, networks)| !networks.is_empty())
        .map(|(name, networks)| Addresses { name, networks: networks.clone() })
        .collect()
}

/// Refused before TLS, which costs more than all that follows. A load balancer has the connections of many clients.
pub fn connections(policy: &EdgePolicy, settings: &EdgeSettings) -> Vec<ConnectionRule> {
    let no_forwarder = (!settings.trusted_proxies.is_empty()).then_some(Acl::ClientNotIn(FORWARDERS));
    let reject =
        |acl| ConnectionRule::Reject { when: [acl].into_iter().chain(no_forwarder.clone()).collect() };
    let denied = ConnectionRule::Reject { when: vec![Acl::ClientIn(DENIED)] };
    let not_allowed = reject(Acl::ClientNotIn(ALLOWED));
    (!settings.deny.is_empty())
        .then_some(denied)
        .into_iter()
        .chain((!settings.allow.is_empty()).then_some(not_allowed))
        .chain([
            ConnectionRule::Count { table: CONNECTIONS },
            reject(Acl::ConnectionsAbove(policy.max_connections_of_address)),
            reject(Acl::NewConnectionsAbove(policy.max_new_connections_of_address)),
        ])
        .collect()
}

/// Who the client is, and whether it is served and how often.
pub fn clients(policy: &EdgePolicy, settings: &EdgeSettings) -> Vec<Rule> {
    let deny = |status, when| Rule::Deny { status, when };
    let behind = !settings.trusted_proxies.is_empty();
    let believed = behind.then_some(Rule::BelieveForwarder { list: FORWARDERS });
    // Without a load balancer, their connections were refused already.
    let denied = (behind && !settings.deny.is_empty()).then(|| deny(403, Acl::ClientIn(DENIED)));
    let not_allowed = (behind && !settings.allow.is_empty()).then(|| deny(403, Acl::ClientNotIn(ALLOWED)));
    let counted =
        [Rule::Count { table: REQUESTS }, deny(429, Acl::RequestsAbove(policy.max_requests_of_address))];
    believed.into_iter().chain(denied).chain(not_allowed).chain(counted).collect()
}

/// Nothing that another program could understand in another way reaches a replica, and nothing before it is complete.
pub fn sound_requests(policy: &EdgePolicy, operations: &[Operation]) -> Vec<Rule> {
    let kept = [(WORKFLOW, policy.workflows), (TASK, policy.tasks)]
        .map(|(variable, after)| Rule::KeepPathPart { variable, after });
    let refused = [
        (400, Acl::TargetIsNoPath),
        (400, Acl::PathIsAmbiguous),
        (400, Acl::VersionIsUnknown),
        (400, Acl::ChunkedInOldVersion),
        (400, Acl::HostIsMissing),
        (400, Acl::UpgradeIsNoWebSocket),
        (405, Acl::MethodIsNot(METHODS)),
        (404, Acl::PathBeginsNot(policy.path)),
        (413, Acl::BodyAbove(policy.body_limit_bytes)),
    ]
    .map(|(status, when)| Rule::Deny { status, when });
    let body = Rule::AwaitBody { seconds: policy.body_limit_seconds };
    // After the body: by then its size is known, also where it was not announced, if it is smaller than a buffer.
    let of_operations =
        operations.iter().filter(|operation| operation.body_limit_bytes < policy.body_limit_bytes);
    let of_operations = of_operations.map(|operation| Rule::Deny {
        status: 413,
        when: Acl::BodyOfOperationAbove {
            method: operation.method,
            path: format!("^{}$", operation.path_with("[^/]+")),
            bytes: operation.body_limit_bytes,
        },
    });
    kept.into_iter().chain(refused).chain([body]).chain(of_operations).collect()
}

/// What a client says of itself is not what the replicas get.
pub fn request_headers() -> Vec<Rule> {
    vec![
        Rule::RemoveRequestHeadersBeginning("flowship-"),
        Rule::RemoveRequestHeadersBeginning("x-forwarded-"),
        Rule::RemoveRequestHeader("x-real-ip"),
        Rule::NameClient,
        Rule::SetRequestHeader { name: "x-forwarded-proto", format: "https".to_owned() },
    ]
}

/// For browsers that come upon the API: as OWASP's guideline for REST has it. Flows may say otherwise, except for the first two.
pub fn response_headers(policy: &EdgePolicy) -> Vec<Rule> {
    let strict = format!("max-age={}", policy.strict_transport_seconds);
    let always = [("strict-transport-security", strict), ("x-content-type-options", "nosniff".to_owned())]
        .map(|(name, format)| Rule::SetResponseHeader { name, format });
    let unless_said = [
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ]
    .map(|(name, format)| Rule::DefaultResponseHeader { name, format: format.to_owned() });
    let removed = ["x-powered-by", "server"].map(Rule::RemoveResponseHeader);
    always.into_iter().chain(unless_said).chain(removed).collect()
}

/// The bodies of what the edge answers itself, as those of the replicas (RFC 9457).
pub fn refusals(policy: &EdgePolicy) -> Vec<Setting> {
    let megabytes = f64::from(policy.body_limit_bytes) / f64::from(1 << 20);
    [
        (400, "Bad Request", "The request is malformed or ambiguous.".to_owned(), None),
        (403, "Forbidden", "Your address is not served here.".to_owned(), None),
        (404, "Not Found", format!("Everything here begins with {}.", policy.path), None),
        (405, "Method Not Allowed", format!("Use {}.", METHODS.join(", ")), None),
        (408, "Request Timeout", "The request did not arrive in time.".to_owned(), None),
        (
            413,
            "Content Too Large",
            format!("A body may have {megabytes} MiB at most, and less where the operation needs less."),
            Some(policy.rate_seconds),
        ),
        (
            429,
            "Too Many Requests",
            format!(
                "An address may send {} requests in {} s.",
                policy.max_requests_of_address, policy.rate_seconds
            ),
            Some(policy.rate_seconds),
        ),
        (502, "Bad Gateway", "The replica broke off its answer.".to_owned(), None),
        (503, "Service Unavailable", "No replica is ready.".to_owned(), Some(REPLICAS_BACK_SECONDS)),
        (504, "Gateway Timeout", "The answer did not come in time.".to_owned(), None),
    ]
    .map(|(status, title, detail, retry)| {
        let body =
            json!({ "type": "about:blank", "title": title, "status": status, "detail": detail }).to_string();
        let (status, retry) = (status.to_string(), retry.map(|seconds: u16| seconds.to_string()));
        let words =
            ["http-error", "status", &status, "content-type", "application/problem+json", "string", &body];
        let after = retry.iter().flat_map(|seconds| ["hdr", "retry-after", seconds]);
        Setting::of(&words.into_iter().chain(after).collect::<Vec<_>>())
    })
    .into()
}
