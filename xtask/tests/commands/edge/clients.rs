//! Whose request it is: the address of the client, who is served, and what the edge adds to requests, answers and its log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vocabulary::model::environment::EdgeSettings;

use super::{Edge, PATIENCE, Setup, VERSIONS};

const HOP: [u8; 4] = [127, 0, 0, 5];
const STRANGER: [u8; 4] = [127, 0, 0, 9];

fn edge(program: &'static str, settings: EdgeSettings) -> Edge {
    Edge::with(&Setup { program, settings, tls: false, ..Setup::default() })
}

fn hops() -> Vec<String> {
    ["127.0.0.5", "127.0.0.6/31"].map(str::to_owned).into()
}

/// The client that the replica was told of, by both headers.
fn client(edge: &Edge, from: [u8; 4], headers: &str) -> [String; 2] {
    let answer = edge.get(from, "/api/x", headers);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let [head] = &edge.reached()[..] else { panic!("one request") };
    let all = |name: &str| {
        let lines = head.lines().filter_map(|line| line.strip_prefix(name));
        lines.collect::<Vec<_>>().join(" and ")
    };
    [all("x-forwarded-for: "), all("forwarded: ")]
}

#[test]
fn only_trusted_proxies_say_who_the_client_is() {
    for program in VERSIONS {
        let edge = edge(program, EdgeSettings { trusted_proxies: hops(), ..EdgeSettings::default() });
        for (from, headers, expected) in [
            (STRANGER, "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n", "127.0.0.9"),
            (HOP, "", "127.0.0.5"),
            (HOP, "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n", "8.8.8.8"),
            (HOP, "X-Forwarded-For: 9.9.9.9, 8.8.8.8, 127.0.0.6\r\n", "8.8.8.8"),
            (HOP, "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-For: 127.0.0.7\r\n", "8.8.8.8"),
            (HOP, "X-Forwarded-For: 9.9.9.9, 8.8.8.8:1234\r\n", "8.8.8.8"),
            (HOP, "X-Forwarded-For: 9.9.9.9, nonsense\r\n", "127.0.0.5"),
            (HOP, "X-Forwarded-For: 9.9.9.9, nonsense, 127.0.0.6\r\n", "127.0.0.6"),
            (HOP, "X-Forwarded-For: 9.9.9.9, 2001:db8::1\r\n", "2001:db8::1"),
            (HOP, "Forwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n", "127.0.0.5"),
        ] {
            let quoted =
                if expected.contains(':') { format!("\"[{expected}]\"") } else { expected.to_owned() };
            let found = client(&edge, from, headers);
            let wanted = [expected.to_owned(), format!("for={quoted};proto=https")];
            assert_eq!(found, wanted, "{program}: {headers:?}");
        }
    }
}

#[test]
fn without_trusted_proxies_nobody_says_so() {
    let edge = edge("haproxy", EdgeSettings::default());
    assert_eq!(client(&edge, HOP, "X-Forwarded-For: 9.9.9.9\r\n")[0], "127.0.0.5");
}

#[test]
fn internal_headers_do_not_come_from_outside() {
    for program in VERSIONS {
        let edge = edge(program, EdgeSettings { trusted_proxies: hops(), ..EdgeSettings::default() });
        for from in [STRANGER, HOP] {
            edge.get(
                from,
                "/api/x",
                "Flowship-Queue: a\r\nFLOWSHIP-PROOF: b\r\nflowship_queue: c\r\nX-Forwarded-Host: evil\r\n\
                 X-Forwarded-Proto: http\r\nX-Real-IP: 1.1.1.1\r\nX-Kept: yes\r\n",
            );
            let head = edge.reached().concat();
            assert!(head.contains("x-kept: yes") && head.contains("x-forwarded-proto: https"), "{head}");
            for gone in ["flowship", "evil", "x-real-ip", "proto: http\r"] {
                assert!(!head.contains(gone), "{program}: {gone}: {head}");
            }
        }
    }
}

#[test]
fn networks_are_allowed_and_denied() {
    let list = |networks: &[&str]| networks.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let settings = EdgeSettings {
        allow: list(&["127.0.1.0/24", "8.8.0.0/16"]),
        deny: list(&["127.0.1.128/25", "8.8.8.0/24"]),
        trusted_proxies: hops(),
        ..EdgeSettings::default()
    };
    for program in VERSIONS {
        let edge = edge(program, settings.clone());
        for (from, forwarded, expected) in [
            ([127, 0, 1, 1], None, "200"),
            ([127, 0, 1, 200], None, ""),
            ([127, 0, 2, 1], None, ""),
            (HOP, Some("8.8.4.4"), "200"),
            (HOP, Some("8.8.8.8"), "403"),
            (HOP, Some("9.9.9.9"), "403"),
            // Whoever is not a trusted proxy is judged by his own address.
            ([127, 0, 1, 1], Some("8.8.8.8"), "200"),
            ([127, 0, 1, 200], Some("8.8.4.4"), ""),
        ] {
            let header = forwarded.map(|one| format!("X-Forwarded-For: {one}\r\n")).unwrap_or_default();
            let answer = edge.get(from, "/api/x", &header);
            let status = answer.split(' ').nth(1).unwrap_or_default();
            assert_eq!(status, expected, "{program}: {from:?} {forwarded:?}: {answer}");
        }
    }
}

#[test]
fn every_answer_has_the_security_headers() {
    for program in VERSIONS {
        let edge = edge(program, EdgeSettings::default());
        // Of a replica, and of the edge itself.
        for path in ["/api/x", "/api/a;b", "/nothing"] {
            let answer = edge.get(STRANGER, path, "");
            for line in [
                "strict-transport-security: max-age=63072000\r\n",
                "x-content-type-options: nosniff\r\n",
                "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n",
                "x-frame-options: DENY\r\n",
                "referrer-policy: no-referrer\r\n",
                "cross-origin-resource-policy: same-origin\r\n",
                "cache-control: no-",
            ] {
                assert!(answer.contains(line), "{program}: {path}: no {line:?} in {answer}");
            }
        }
        let own = edge.get(STRANGER, "/api/page", "");
        assert!(own.contains("x-frame-options: SAMEORIGIN\r\n") && !own.contains("DENY"), "{own}");
        assert!(!own.contains("Stand-in"), "{own}");
    }
}

#[test]
fn the_log_names_client_workflow_and_task() {
    for program in VERSIONS {
        let edge = edge(program, EdgeSettings { trusted_proxies: hops(), ..EdgeSettings::default() });
        let asked = [
            (STRANGER, "/api/v1/workflows/describe/tasks", "", json!(["describe", "", "127.0.0.9", 200])),
            (HOP, "/api/v1/tasks/17?a=b", "X-Forwarded-For: 8.8.8.8\r\n", json!(["", "17", "8.8.8.8", 200])),
            (STRANGER, "/api/v1/workflows/a\"b/tasks", "", json!(["a\"b", "", "127.0.0.9", 200])),
            (STRANGER, "/api/v1/tasks/a;b", "", json!(["", "a;b", "127.0.0.9", 400])),
            (STRANGER, "/api/v1/queues", "", json!(["", "", "127.0.0.9", 200])),
        ];
        for (from, path, headers, _) in &asked {
            edge.get(*from, path, headers);
        }
        let words = |lines: &[Value]| {
            let mut words: Vec<_> = lines.iter().map(Value::to_string).collect();
            words.sort();
            words
        };
        let expected = asked.map(|(.., expected)| expected);
        // A line comes after its answer.
        let until = Instant::now() + PATIENCE;
        while edge.log().len() < expected.len() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let found: Vec<Value> = edge
            .log()
            .iter()
            .map(|line| {
                assert_eq!(
                    [&line["component"], &line["environment"], &line["node_id"]],
                    ["edge", "test", ""]
                );
                json!([line["workflow_id"], line["task_id"], line["client"], line["status"]])
            })
            .collect();
        assert_eq!(words(&found), words(&expected), "{program}");
    }
}
