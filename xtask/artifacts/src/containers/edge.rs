//! `ops/edge/haproxy.cfg`: how the edge terminates TLS, routes and asks for health.

use vocabulary::formats::compose::Text;
pub use vocabulary::formats::haproxy::Place;
use vocabulary::formats::haproxy::{
    Acl, Authority, Backend, Bind, Check, Configuration, Ending, Frontend, Rule, Server, Setting, Tls as Ssl,
};
use vocabulary::model::environment::{Acme, EdgeSettings, Environment, Tier, Tls, TlsProfile};
use vocabulary::model::topology::{Scope, Topology, Unit as Container};
use vocabulary::model::{EdgePolicy, Fact, Platform, PortRef, Service, Unit, Value};
use vocabulary::problem::Problem;

use super::edge_rules;
use super::resolve::address;
use crate::artifact::{Artifact, Committed, Made, banner, judged};

pub const FAMILY: Committed = Committed {
    name: "edge",
    what: "ops/edge: the configuration of HAProxy",
    source: file!(),
    make: generate,
};

/// Mozilla's guideline for TLS on servers, version 5.7 (<https://ssl-config.mozilla.org/guidelines/5.7.json>). Of TLS 1.2, we
/// leave out the ciphers with DHE: their parameters would be a file of their own, and every client that has them has
/// elliptic curves too.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
                       ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// The same in both profiles.
const CIPHER_SUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
const CURVES: &str = "X25519:prime256v1:secp384r1";
/// What HAProxy keeps free in a buffer to rewrite the head of a request.
const REWRITTEN_BYTES: u32 = 1024;

fn generate(platform: &Platform) -> Made {
    let environment = Scope::Production.environment();
    Ok(vec![configured(platform, &platform.units(&environment), &environment.edge)?])
}

/// The configuration where these units run; it reads from variables where they are.
///
/// # Errors
/// What the edge or the workers lack.
pub fn configured(
    platform: &Platform,
    units: &[Unit<'_>],
    settings: &EdgeSettings,
) -> Result<Artifact, Vec<Problem>> {
    placed(platform, units, settings, None, &|unit| {
        let [host, port, check_port] = place_variables(unit);
        Some(Place::Variables { host, port, check_port })
    })
}

/// Who certifies the edge, and as what.
#[derive(Debug, Clone, Copy)]
pub struct Certified<'a> {
    by: &'a Acme,
    domain: &'a str,
    /// What the authority's own server is trusted by, where the edge finds it.
    trusted: Option<&'a str>,
}

impl<'a> Certified<'a> {
    /// Where the environment fetches its certificate from an ACME authority.
    #[must_use]
    pub fn of(environment: &'a Environment, trusted: Option<&'a str>) -> Option<Self> {
        match &environment.tls {
            Tls::Acme(by) => Some(Self { by, domain: &environment.domain, trusted }),
            Tls::SelfSigned | Tls::Files { .. } => None,
        }
    }
}

/// The configuration where these units run, which is where `place` says; what has no place is not served.
///
/// # Errors
/// As [`configured`].
pub fn placed(
    platform: &Platform,
    units: &[Unit<'_>],
    settings: &EdgeSettings,
    certified: Option<Certified<'_>>,
    place: &dyn Fn(&Unit<'_>) -> Option<Place>,
) -> Result<Artifact, Vec<Problem>> {
    let edge = platform.edge_service()?;
    let path = match edge.shape()?.configuration.as_slice() {
        [only] => only.source,
        _ => {
            return Err(Problem::new(
                format!("service {}", edge.id),
                "it is the edge and reads another number of files",
            )
            .expected("exactly one configuration file")
            .into());
        }
    };
    let served = units.iter().filter(|unit| platform.is_worker(unit));
    let servers = served.filter_map(|unit| Some(Server { name: unit.name(), place: place(unit)? })).collect();
    let configuration = configuration(platform, edge, settings, certified, servers)?;
    judged(path, configuration.validate())?;
    let mut header = banner("xtask/artifacts/src/containers/edge.rs and xtask/platform/src/edge.rs");
    header.push(
        "Addresses and paths come from the environment, so that one file serves every engine.".to_owned(),
    );
    header.push(
        "Only the API is routed: the editor, /metrics, /smoke and the health checks are not reachable."
            .to_owned(),
    );
    Ok(Artifact::file(path, configuration.write(&header)))
}

fn configuration(
    platform: &Platform,
    edge: &Service,
    settings: &EdgeSettings,
    certified: Option<Certified<'_>>,
    servers: Vec<Server>,
) -> Result<Configuration, Problem> {
    let policy = &platform.edge;
    let (_, path) = platform.worker_service()?.health_over_http()?;
    let backend = Backend {
        name: EdgePolicy::BACKEND,
        about: "A stopping replica first fails its health check, then finishes its requests.",
        settings: vec![Setting::of(&["balance", "leastconn"])],
        check: Check {
            path,
            every_ms: policy.check_every_ms,
            failures: policy.check_failures,
            successes: policy.check_successes,
        },
        servers,
    };
    Ok(Configuration {
        global: [global(platform, edge, settings.tls_profile), certified.map_or_else(Vec::new, acme)]
            .concat(),
        defaults: [defaults(platform, &log(edge)?), edge_rules::refusals(policy)].concat(),
        tables: edge_rules::tables(policy),
        frontends: vec![
            redirecting(platform, edge, settings, certified)?,
            api(platform, edge, &backend, settings, certified)?,
            operations(platform, edge)?,
        ],
        backends: vec![backend],
        acme: certified.map(|certified| Authority {
            directory: certified.by.directory().to_owned(),
            contact: certified.by.acme_contact.clone(),
            account_key: EdgePolicy::ACME_ACCOUNT,
        }),
    })
}

fn global(platform: &Platform, edge: &Service, profile: TlsProfile) -> Vec<Setting> {
    let policy = &platform.edge;
    let stop_limit = platform.stop_limit_seconds(edge, Tier::Production);
    let hard_stop = format!("{}s", stop_limit.saturating_sub(1));
    let general = vec![
        Setting::of(&["log", "stdout", "format", "raw", "local0", "info"]),
        Setting::of(&[
            "stats",
            "socket",
            &format!("unix@{}", EdgePolicy::RUNTIME_SOCKET),
            "mode",
            "600",
            "level",
            "admin",
            "expose-fd",
            "listeners",
        ])
        .because("in the folder that it works in, for its operator alone"),
        Setting::of(&["server-state-file", EdgePolicy::SERVER_STATES]),
        Setting::of(&["maxconn", &policy.max_connections.to_string()]),
        Setting::of(&["hard-stop-after", &hard_stop]).because("before the engine would kill it"),
        Setting::of(&["tune.bufsize", &(policy.head_limit_bytes + REWRITTEN_BYTES).to_string()])
            .because("the head of a request, and what is rewritten of it"),
        Setting::of(&["tune.maxrewrite", &REWRITTEN_BYTES.to_string()]),
        Setting::of(&["tune.http.maxhdr", &policy.max_headers.to_string()]),
        Setting::of(&["tune.h2.max-concurrent-streams", &policy.max_streams.to_string()]),
    ];
    [general, tls(profile)].concat()
}

/// What HAProxy needs to ask an ACME authority. It looks names up itself, and does not notice that a host has no IPv6.
fn acme(certified: Certified<'_>) -> Vec<Setting> {
    let trusted = certified.trusted.map(|file| Setting::of(&["httpclient.ssl.ca-file", file]));
    [
        Setting::of(&["expose-experimental-directives"]).because("ACME is one of them in version 3.2"),
        Setting::of(&["httpclient.resolvers.prefer", "ipv4"]),
    ]
    .into_iter()
    .chain(trusted)
    .collect()
}

/// In our order of ciphers: the guideline leaves it to the client, since all of them are sound, but testssl.sh 3.0 calls that
/// HIGH. Without tickets: whoever finds out their key could read what was recorded before.
fn tls(profile: TlsProfile) -> Vec<Setting> {
    let lowest = match profile {
        TlsProfile::Intermediate => "TLSv1.2",
        TlsProfile::Modern => "TLSv1.3",
    };
    let older = Setting::of(&["ssl-default-bind-ciphers", CIPHERS]);
    let options = ["ssl-min-ver", lowest, "no-tls-tickets"];
    [Setting::of(&[&["ssl-default-bind-options"][..], &options].concat())]
        .into_iter()
        .chain((profile == TlsProfile::Intermediate).then_some(older))
        .chain([
            Setting::of(&["ssl-default-bind-ciphersuites", CIPHER_SUITES]),
            Setting::of(&["ssl-default-bind-curves", CURVES]),
        ])
        .collect()
}

fn defaults(platform: &Platform, log: &str) -> Vec<Setting> {
    let policy = &platform.edge;
    let head = format!("{}s", policy.head_limit_seconds);
    let idle = format!("{}s", platform.draining.limit_seconds);
    let tunnel = format!("{}s", policy.tunnel_limit_seconds);
    vec![
        Setting::of(&["mode", "http"]),
        Setting::of(&["log", "global"]),
        Setting::of(&["option", "dontlognull"]),
        Setting::of(&["log-format", log]),
        Setting::of(&["timeout", "connect", "5s"]),
        Setting::of(&["timeout", "check", "2s"])
            .because("a replica that is only slow is not down: without this, the answer has the time between two checks"),
        Setting::of(&["timeout", "http-request", &head])
            .because("only for the head: wait-for-body limits what comes after it"),
        Setting::of(&[".if", "version_atleast(3.0)"]),
        Setting::of(&["timeout", "client-hs", &head])
            .because("for the TLS handshake; older versions know no limit but that of a silent client"),
        Setting::of(&[".endif"]),
        Setting::of(&["timeout", "http-keep-alive", &head]),
        Setting::of(&["timeout", "queue", &head]),
        Setting::of(&["timeout", "client", &idle]),
        Setting::of(&["timeout", "server", &idle]).because("as long as a replica that leaves waits for its answers"),
        Setting::of(&["timeout", "tunnel", &tunnel]).because("a WebSocket may be silent for long"),
        Setting::of(&["timeout", "client-fin", "5s"]),
        Setting::of(&["option", "idle-close-on-response"])
            .because("after a reload, a connection that a client may just be using is closed by an answer"),
        Setting::of(&["option", "http-restrict-req-hdr-names", "delete"])
            .because("flowship_queue could be read as flowship-queue"),
        Setting::of(&["option", "http-no-delay"]).because("an event must not wait for the next one"),
        Setting::of(&["load-server-state-from-file", "global"])
            .because("a server that was taken out stays out after a reload"),
        Setting::of(&["retry-on", "conn-failure"])
            .because("only what no replica has received: a repeated POST would create a second task"),
        Setting::of(&["retries", "2"]),
        Setting::of(&["option", "redispatch", "1"]),
    ]
}

/// One JSON object per request, with the five labels of every log line; those that are not known are empty.
fn log(edge: &Service) -> Result<String, Problem> {
    let environment = edge.variable(&Value::Fact(Fact::Environment))?;
    Ok(format!(
        "{{\"time\":\"%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),concat(),bytes(1,3)]Z\",\"level\":\"info\",\"message\":\"request\",\
         \"workflow_id\":\"%{{-M}}[var(txn.{}),json(utf8s)]\",\"node_id\":\"\",\
         \"task_id\":\"%{{-M}}[var(txn.{}),json(utf8s)]\",\"component\":\"{}\",\
         \"environment\":\"%[env({environment})]\",\
         \"client\":\"%[src]\",\"method\":\"%HM\",\"path\":\"%[capture.req.uri,json(utf8s)]\",\"status\":%ST,\"bytes\":%B,\
         \"duration_ms\":%Ta,\"server\":\"%s\",\"ended\":\"%ts\"}}",
        edge_rules::WORKFLOW,
        edge_rules::TASK,
        edge.id
    ))
}

fn redirecting(
    platform: &Platform,
    edge: &Service,
    settings: &EdgeSettings,
    certified: Option<Certified<'_>>,
) -> Result<Frontend, Problem> {
    let policy = &platform.edge;
    let challenges = certified.map(|_| Rule::AnswerChallenges);
    Ok(Frontend {
        name: "http",
        about: match certified {
            Some(_) => "Plain HTTP serves nothing but redirects, and what the ACME authority asks for.",
            None => "Plain HTTP serves nothing but redirects.",
        },
        bind: bind(edge, policy.http, None)?,
        addresses: edge_rules::addresses(settings),
        connections: edge_rules::connections(policy, settings),
        rules: edge_rules::clients(policy, settings).into_iter().chain(challenges).collect(),
        otherwise: Ending::RedirectToHttps,
    })
}

fn api(
    platform: &Platform,
    edge: &Service,
    backend: &Backend,
    settings: &EdgeSettings,
    certified: Option<Certified<'_>>,
) -> Result<Frontend, Problem> {
    let policy = &platform.edge;
    let tls = Ssl {
        pem: edge.secret_variable(policy.certificate)?,
        protocols: vec!["h2", "http/1.1"],
        fetched_for: certified.map(|certified| certified.domain.to_owned()),
    };
    let rules = [
        edge_rules::clients(policy, settings),
        edge_rules::sound_requests(policy, &platform.operations),
        edge_rules::request_headers(),
        edge_rules::response_headers(policy),
    ];
    Ok(Frontend {
        name: "https",
        about: "The API of the replicas, and nothing else.",
        bind: bind(edge, policy.https, Some(tls))?,
        addresses: edge_rules::addresses(settings),
        connections: edge_rules::connections(policy, settings),
        rules: rules.concat(),
        otherwise: Ending::Backend(backend.handle()),
    })
}

fn operations(platform: &Platform, edge: &Service) -> Result<Frontend, Problem> {
    let (port, health) = edge.health_over_http()?;
    let scrape = platform.scrape(port).ok_or_else(|| {
        Problem::new(format!("service {}", edge.id), format!("its metrics are not read on {port}"))
            .expected("an edge that scrapes the port that answers for its health")
    })?;
    Ok(Frontend {
        name: "operations",
        about: "For Prometheus and for the engine's health check, on an address of their own.",
        bind: bind(edge, port, None)?,
        addresses: vec![],
        connections: vec![],
        rules: vec![
            Rule::Metrics { when: Acl::Path(scrape.path) },
            Rule::Answer { status: 200, when: Acl::Path(health) },
        ],
        otherwise: Ending::Deny(404),
    })
}

/// The variables by which the edge finds a unit that it serves: the host, the port, and the port of its health.
pub fn place_variables(unit: &Unit<'_>) -> [String; 3] {
    ["HOST", "PORT", "READY_PORT"].map(|what| format!("{}_{what}", unit.variable()))
}

/// All of these with their values; nothing where the unit is not the edge.
pub fn places(topology: &Topology<'_>, edge: &Container<'_>) -> Vec<(String, Text)> {
    let platform = topology.platform;
    // Where releases are rolled out, they are in the configuration, which is read again while the edge runs.
    if !platform.is_edge(edge) || topology.deployed {
        return vec![];
    }
    let flows = platform.workers.flows;
    let served = topology.units.iter().filter(|unit| unit.service.id == flows.service);
    let of_one = |unit: &Container<'_>| {
        let number = |port: u16| Text::literal(port.to_string());
        let [port, check_port] = ports(platform, unit)?.map(number);
        let host = address(topology, unit, topology.between(edge, unit)?)?;
        Some(place_variables(unit).into_iter().zip([host, port, check_port]))
    };
    served.filter_map(of_one).flatten().collect()
}

/// The ports of a worker for requests and for its health.
fn ports(platform: &Platform, worker: &Unit<'_>) -> Option<[u16; 2]> {
    let (ready, _) = worker.service.health_over_http().ok()?;
    Some([platform.port(platform.workers.flows)?.number, platform.port(ready)?.number])
}

/// The configuration in an environment that releases are rolled out to, where one of the containers is an edge; the prefix is
/// the first two numbers of their addresses.
///
/// # Errors
/// As [`configured`].
pub fn deployed(
    topology: &Topology<'_>,
    prefix: &str,
    certified: Option<Certified<'_>>,
) -> Result<Option<Artifact>, Vec<Problem>> {
    let platform = topology.platform;
    let Some(edge) = topology.units.iter().find(|unit| platform.is_edge(unit)) else { return Ok(None) };
    let place = |worker: &Unit<'_>| {
        let [port, check_port] = ports(platform, worker)?;
        let tail = topology.address(&worker.name(), topology.between(edge, worker)?)?;
        Some(Place::Fixed { host: format!("{prefix}.{tail}"), port, check_port })
    };
    let units: Vec<_> = topology.units.iter().map(|container| container.unit).collect();
    placed(platform, &units, &topology.edge, certified, &place).map(Some)
}

fn bind(edge: &Service, port: PortRef, tls: Option<Ssl>) -> Result<Bind, Problem> {
    Ok(Bind {
        host: edge.variable(&Value::BindAddress(port))?,
        port: edge.variable(&Value::BindPort(port))?,
        tls,
    })
}
