//! Requests that two programs could understand in two ways, byte by byte, at both versions of HAProxy. `hostile` says what
//! Node-RED makes of the same bytes.

use super::{Edge, Setup, VERSIONS};
use crate::hostile::{AtEdge, CASES};

#[test]
fn what_two_programs_could_understand_differently_is_refused_or_made_unambiguous() {
    for program in VERSIONS {
        let edge = Edge::with(&Setup { program, tls: false, ..Setup::default() });
        for case in CASES {
            let answer = edge.send([127, 0, 0, 1], &case.bytes("/api/x"));
            let reached = edge.reached();
            let told = format!("{program}: {case:?}: {answer:?}, reached {reached:#?}");
            match case.edge {
                AtEdge::Refused(statuses) => {
                    let is_one = |status: &u16| answer.starts_with(&format!("HTTP/1.1 {status} "));
                    // What it has not read resets the connection, sometimes before the answer is there.
                    assert!(answer.is_empty() || statuses.iter().any(is_one), "{told}");
                    assert!(reached.is_empty(), "{told}");
                }
                AtEdge::Passed { with, without } => {
                    assert!(answer.starts_with("HTTP/1.1 200 ") && reached.len() == 1, "{told}");
                    assert!(with.iter().all(|part| reached[0].contains(part)), "{told}");
                    assert!(!without.iter().any(|part| reached[0].to_lowercase().contains(part)), "{told}");
                    // Nothing is left over that could begin another request.
                    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{told}");
                }
                AtEdge::RefusedOrPassed => {
                    let refused = answer.starts_with("HTTP/1.1 400 ") && reached.is_empty();
                    assert!(refused || reached.len() == 1, "{told}");
                }
            }
        }
    }
}

#[test]
fn paths_in_their_simplest_form_pass_and_others_do_not() {
    for program in VERSIONS {
        let edge = Edge::with(&Setup { program, tls: false, ..Setup::default() });
        for (status, paths) in [
            (
                400,
                &[
                    "/api/a;b",
                    "/api/a\\b",
                    "/api/%2e%2e/admin",
                    "//api/",
                    "/api/..",
                    "/api/../admin",
                    "/api/./a",
                ][..],
            ),
            (200, &["/api/a.b", "/api/.a", "/api/a..", "/api/...", "/api/a?b=%2e%2e/;"]),
            (404, &["/", "/admin", "/apis", "/API/a", "/metrics"]),
        ] {
            for path in paths {
                let answer = edge.get([127, 0, 0, 1], path, "");
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{program}: {path}: {answer}");
            }
        }
    }
}
