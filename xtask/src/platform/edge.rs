//! The edge: HAProxy terminates TLS, limits, routes and drains.

use vocabulary::model::{
    Alert, Destination, Edge, Exposure, Health, Lifetime, Metric, MetricKind, MetricRef, Need, Port, PortRef,
    Protocol, Resources, Scrape, SecretUse, Service, ServiceId, Severity, Stop, Volume,
};

use super::{node_red, pins, secrets};

pub const ID: ServiceId = ServiceId("edge");
pub const HTTP: PortRef = PortRef { service: ID, name: "http" };
pub const HTTPS: PortRef = PortRef { service: ID, name: "https" };
pub const STATS: PortRef = PortRef { service: ID, name: "stats" };
pub const HAPROXY_SERVER_UP: MetricRef = MetricRef("haproxy_server_up");
pub const HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL: MetricRef =
    MetricRef("haproxy_frontend_http_responses_total");

pub fn service() -> Service {
    Service {
        id: ID,
        purpose: "HAProxy: TLS, ACME, limits, routing, draining",
        lifetime: Lifetime::LongRunning { replicas: vec![""] },
        image: pins::HAPROXY,
        ports: vec![
            Port {
                name: HTTP.name,
                number: 8080,
                protocol: Protocol::Http,
                exposure: Exposure::Public,
                purpose: "redirects to https and answers ACME challenges",
            },
            Port {
                name: HTTPS.name,
                number: 8443,
                protocol: Protocol::Https,
                exposure: Exposure::Public,
                purpose: "the API over TLS",
            },
            Port {
                name: STATS.name,
                number: 8404,
                protocol: Protocol::Http,
                exposure: Exposure::Internal,
                purpose: "/metrics and /healthz",
            },
        ],
        edges: vec![
            Edge { to: Destination::Port(node_red::FLOWS), need: Need::Run, why: "routes the API" },
            Edge {
                to: Destination::Port(node_red::READY),
                need: Need::Run,
                why: "asks each replica whether it takes requests",
            },
            Edge { to: Destination::Internet, need: Need::Run, why: "fetches certificates over ACME" },
        ],
        starts_after: vec![],
        variables: vec![],
        secrets: vec![SecretUse { secret: secrets::EDGE_TLS_PEM, variable: None }],
        health: Some(Health::Http { port: STATS, path: "/healthz" }),
        stop: Stop { signal: "SIGUSR1", grace_seconds: 35 },
        resources: Resources { memory_mib: 256, cpu_millis: 1000, pids: 64 },
        volumes: vec![Volume {
            name: "acme",
            purpose: "the ACME account and its certificates",
            precious: true,
        }],
        scrape: Some(Scrape { port: STATS, path: "/metrics", every_seconds: 15 }),
        metrics: vec![
            Metric {
                name: HAPROXY_SERVER_UP,
                kind: MetricKind::Gauge,
                help: "1 when the server passes its health check",
                labels: vec!["proxy", "server"],
                ours: false,
            },
            Metric {
                name: HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                kind: MetricKind::Counter,
                help: "Responses by status class",
                labels: vec!["proxy", "code"],
                ours: false,
            },
        ],
        alerts: vec![Alert {
            name: "EdgeErrors",
            severity: Severity::Critical,
            expression: "sum(rate(haproxy_frontend_http_responses_total{code=\"5xx\"}[5m])) > 0.05 * \
                         sum(rate(haproxy_frontend_http_responses_total[5m]))",
            reads: vec![HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL],
            for_minutes: 5,
            summary: "More than one answer in twenty is a server error.",
            remedy: "See which replica fails on /readyz; roll the last release back if it began with it.",
        }],
        process: None,
    }
}
