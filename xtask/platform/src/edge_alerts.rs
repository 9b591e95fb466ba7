//! Alerts about what clients see of the platform.

use vocabulary::model::expression::{Expression, Selector};
use vocabulary::model::{Alert, Check, Fault, MetricRef, Samples, Severity, TestKind};

use super::edge::{
    HAPROXY_BACKEND_ACTIVE_SERVERS, HAPROXY_FRONTEND_CURRENT_SESSIONS, HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
    HAPROXY_FRONTEND_LIMIT_SESSIONS,
};
use super::objectives::Objective;
use super::otel_collector::{
    TLS_CERTIFICATE_BEGINS_SECONDS, TLS_CERTIFICATE_ENDS_SECONDS, TLS_HANDSHAKE_SUCCEEDS,
};
use super::rule_tests::{fire, level, levels, rates, rising, test};
use super::{LOGS, OWNER, STATUS, node_red};

/// The front end of the API: others answer probes and scrapes, which would hide its errors.
const API: &str = "https";

const AVAILABILITY: Objective = Objective {
    names: ["EdgeErrorBudgetFastBurn", "EdgeErrorBudgetBurn", "EdgeErrorBudgetSlowBurn"],
    budget: 0.001,
    failed: || responses().is("code", "5xx"),
    all: responses,
    metric: HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
    succeeds: ["proxy=\"https\",code=\"2xx\",instance=\"a\"", "proxy=\"https\",code=\"2xx\",instance=\"b\""],
    fails: ["proxy=\"https\",code=\"5xx\",instance=\"a\"", "proxy=\"https\",code=\"5xx\",instance=\"b\""],
    others: &[
        "proxy=\"operations\",code=\"2xx\",instance=\"a\"",
        "proxy=\"operations\",code=\"5xx\",instance=\"a\"",
    ],
    fault: Fault::Stopped(node_red::ID),
    owner: OWNER,
    meanings: [
        "So many responses are server errors that the error budget of 30 days (0.1 %) is used up in two days.",
        "So many responses are server errors that the error budget of 30 days (0.1 %) is used up in five days.",
        "For three days so many responses were server errors that the error budget of 30 days (0.1 %) will be used up.",
    ],
    impact: "Clients get 5xx instead of an answer; tasks that they send are not accepted.",
    checks,
    remedy: "If it began with the last deploy, run `flowship rollback ENV`. Otherwise find the replica that fails: its \
             /readyz names the check, its log the cause.",
};

fn responses() -> Selector {
    HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL.series().is("proxy", API)
}

fn checks() -> Vec<Check> {
    vec![
        STATUS,
        Check { command: "flowship history ENV", look_for: "a deploy just before the errors began" },
        LOGS,
    ]
}

pub fn alerts() -> Vec<Alert> {
    [AVAILABILITY.alerts(), others(), tls()].concat()
}

fn others() -> Vec<Alert> {
    let share = |minutes| {
        let failed = responses().is("code", "5xx").increase(minutes).sum(&[]);
        (failed.clone() / responses().increase(minutes).sum(&[])).above(0.5).and(failed.at_least(5.0))
    };
    vec![
        Alert {
            name: "EdgeMostlyFails",
            severity: Severity::Critical,
            expression: share(30),
            for_minutes: 0,
            owner: OWNER,
            meaning: "Of the few requests of the last half hour, most were answered with a server error.",
            impact: "The platform is as good as down, though too few ask for a burn rate to show it.",
            checks: checks(),
            remedy: "As for EdgeErrorBudgetFastBurn.",
            fault: Fault::Stopped(node_red::ID),
            tests: [
                rates(
                    5,
                    0,
                    "",
                    &[
                        rising(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"https\",code=\"5xx\",instance=\"a\"",
                            [0.0, 0.5, 0.5],
                        ),
                        rising(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"https\",code=\"5xx\",instance=\"b\"",
                            [0.0, 0.5, 0.5],
                        ),
                        rising(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"https\",code=\"2xx\",instance=\"a\"",
                            [1.0, 1.0, 0.9],
                        ),
                        // Probes and scrapes hide nothing.
                        rising(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"operations\",code=\"2xx\",instance=\"a\"",
                            [8.0; 3],
                        ),
                        rising(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"operations\",code=\"5xx\",instance=\"a\"",
                            [3.0; 3],
                        ),
                    ],
                ),
                vec![
                    test(
                        TestKind::Firing,
                        "one request in two minutes, and nine of ten fail",
                        vec![
                            (
                                HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                                "proxy=\"https\",code=\"5xx\",instance=\"a\"",
                                Samples::rising(3.0, 0.45, 40),
                            ),
                            (
                                HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                                "proxy=\"https\",code=\"2xx\",instance=\"a\"",
                                Samples::rising(100.0, 0.05, 40),
                            ),
                        ],
                        vec![fire(39, &[""])],
                    ),
                    test(
                        TestKind::Silent,
                        "four failures, and nothing else",
                        vec![(
                            HAPROXY_FRONTEND_HTTP_RESPONSES_TOTAL,
                            "proxy=\"https\",code=\"5xx\",instance=\"a\"",
                            Samples::rising(0.0, 1.0, 5).then(&Samples::level(4.0, 40)),
                        )],
                        vec![fire(5, &[]), fire(31, &[]), fire(44, &[])],
                    ),
                ],
            ]
            .concat(),
        },
        Alert {
            name: "NoReplicaBehindTheEdge",
            severity: Severity::Critical,
            expression: HAPROXY_BACKEND_ACTIVE_SERVERS.series().is("proxy", "replicas").now().equals(0.0),
            for_minutes: 1,
            owner: OWNER,
            meaning: "The edge has no replica that takes requests.",
            impact: "Each request is answered with 503.",
            checks: checks(),
            remedy: "Start what is down (`flowship start ENV`), or roll back. If a dependency is down, the replicas \
                     are ready again when it is back.",
            fault: Fault::Stopped(node_red::ID),
            tests: levels(
                1,
                "proxy=\"replicas\",instance=\"edge:8404\"",
                &[
                    level(
                        HAPROXY_BACKEND_ACTIVE_SERVERS,
                        "proxy=\"replicas\",instance=\"edge:8404\"",
                        [2.0, 1.0, 0.0],
                    ),
                    // Those that count clients have no servers at all.
                    level(
                        HAPROXY_BACKEND_ACTIVE_SERVERS,
                        "proxy=\"requests_of_clients\",instance=\"edge:8404\"",
                        [0.0, 0.0, 0.0],
                    ),
                ],
            ),
        },
        Alert {
            name: "EdgeNearItsConnections",
            severity: Severity::Warning,
            expression: (HAPROXY_FRONTEND_CURRENT_SESSIONS.series().now()
                / HAPROXY_FRONTEND_LIMIT_SESSIONS.series())
            .above(0.8),
            for_minutes: 5,
            owner: OWNER,
            meaning: "The edge has more than 80 % of the connections that it may have.",
            impact: "When it has all, new clients wait.",
            checks: vec![LOGS],
            remedy: "See in the log of the edge who has them. Deny an attacker's networks (`edge.deny` of the \
                     environment), or raise `sizes.edge`.",
            fault: Fault::Connections { percent: 95 },
            tests: levels(
                5,
                "proxy=\"https\",instance=\"edge:8404\"",
                &[
                    level(
                        HAPROXY_FRONTEND_CURRENT_SESSIONS,
                        "proxy=\"https\",instance=\"edge:8404\"",
                        [100.0, 800.0, 801.0],
                    ),
                    level(
                        HAPROXY_FRONTEND_LIMIT_SESSIONS,
                        "proxy=\"https\",instance=\"edge:8404\"",
                        [1000.0; 3],
                    ),
                ],
            ),
        },
    ]
}

/// What a TLS handshake shows.
fn tls() -> Vec<Alert> {
    vec![
        Alert {
            name: "EdgeRefusesTls",
            severity: Severity::Critical,
            expression: TLS_HANDSHAKE_SUCCEEDS.series().now().equals(0.0),
            for_minutes: 3,
            owner: OWNER,
            meaning: "No TLS handshake with the edge has succeeded for three minutes.",
            impact: "No client reaches the platform.",
            checks: vec![STATUS, LOGS],
            remedy: "Start the edge (`flowship start ENV`). If it runs, its log says what is wrong with the certificate.",
            fault: Fault::Stopped(super::edge::ID),
            tests: levels(
                3,
                "instance=\"a\"",
                &[level(TLS_HANDSHAKE_SUCCEEDS, "instance=\"a\"", [1.0, 1.0, 0.0])],
            ),
        },
        certificate_ends(),
    ]
}

/// HAProxy renews over ACME when a twelfth of the certificate's life is left (`acme_will_expire` in its `src/acme.c`), so at a
/// twentieth it has failed for days.
fn certificate_ends() -> Alert {
    const INSTANCE: &str = "instance=\"a\"";
    let (ends, begins) =
        (|| TLS_CERTIFICATE_ENDS_SECONDS.series().now(), TLS_CERTIFICATE_BEGINS_SECONDS.series());
    // 1,000 minutes of life, of which 100 are left when a test begins.
    let certificate = |ends: Samples, begins: Samples| -> Vec<(MetricRef, &'static str, Samples)> {
        vec![
            (TLS_CERTIFICATE_ENDS_SECONDS, INSTANCE, ends),
            (TLS_CERTIFICATE_BEGINS_SECONDS, INSTANCE, begins),
        ]
    };
    let old = |minutes| (Samples::level(6_000.0, minutes), Samples::level(-54_000.0, minutes));
    let (first, second) = (old(120), old(54));
    let renewed = (Samples::level(64_000.0, 60), Samples::level(4_000.0, 60));
    Alert {
        name: "CertificateEnds",
        severity: Severity::Critical,
        expression: ((ends() - Expression::Time) / (ends() - begins.now())).below(0.05),
        for_minutes: 5,
        owner: OWNER,
        meaning: "The certificate that the edge presents has less than a twentieth of its life left: 4.5 days of 90.",
        impact: "When it ends, no client connects any more. It should have been replaced long ago.",
        checks: vec![
            Check {
                command: "flowship secrets audit ENV",
                look_for: "when the certificate in the file ends, if it is from a file",
            },
            LOGS,
        ],
        remedy: "Over ACME, the edge's log says why the authority refuses. From a file, run `flowship secrets rotate ENV \
                 edge-tls-pem`. If the file is new and the alert stays, the edge still presents the old one: deploy again.",
        fault: Fault::CertificateOld,
        tests: vec![
            test(
                TestKind::Firing,
                "it has ended",
                certificate(first.0.clone(), first.1.clone()),
                vec![fire(119, &[INSTANCE])],
            ),
            test(
                TestKind::Boundary,
                "five minutes after less than a twentieth is left, not before",
                certificate(first.0, first.1),
                vec![fire(50, &[]), fire(55, &[]), fire(56, &[INSTANCE])],
            ),
            test(
                TestKind::Silent,
                "it is replaced in time",
                certificate(second.0.then(&renewed.0), second.1.then(&renewed.1)),
                [53, 54, 56, 60, 110].map(|minute| fire(minute, &[])).to_vec(),
            ),
        ],
    }
}
