//! What is sent too much, too slowly or too often, and what others notice of it: nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use vocabulary::model::Platform;

use super::{Edge, Setup, VERSIONS};

const CLIENT: [u8; 4] = [127, 0, 0, 8];
const OTHER: [u8; 4] = [127, 0, 0, 9];
const SECONDS: u16 = 1;

fn limits(platform: &mut Platform) {
    let edge = &mut platform.edge;
    edge.max_requests_of_address = 20;
    edge.max_connections_of_address = 10;
    edge.max_new_connections_of_address = 60;
    edge.rate_seconds = 60;
    edge.head_limit_seconds = SECONDS;
    edge.body_limit_seconds = SECONDS;
    edge.max_streams = 5;
    edge.body_limit_bytes = 100_000;
}

fn edge(program: &'static str) -> Edge {
    Edge::with(&Setup { program, tls: false, change: limits, ..Setup::default() })
}

/// What the edge answers itself, as a problem (RFC 9457).
fn is_problem(answer: &str, status: u16, retry_after: Option<&str>) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{answer}");
    let found = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    assert_eq!(found, retry_after, "{answer}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
}

#[test]
fn who_asks_too_often_is_refused_and_others_are_not() {
    for program in VERSIONS {
        let edge = edge(program);
        let answers: Vec<_> = (0..25).map(|_| edge.get(CLIENT, "/api/x", "")).collect();
        let served = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 ")).count();
        assert_eq!(served, 20, "{program}: {answers:#?}");
        is_problem(&answers[24], 429, Some("60"));
        // Another address in a header is not another client.
        is_problem(&edge.get(CLIENT, "/api/x", "X-Forwarded-For: 9.9.9.9\r\n"), 429, Some("60"));
        assert!(edge.get(OTHER, "/api/x", "").starts_with("HTTP/1.1 200 "));
    }
}

fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let answer = stream.read(&mut [0]);
    !matches!(answer, Ok(0)) && answer.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn who_opens_too_many_connections_is_refused_and_others_are_not() {
    let change = |platform: &mut Platform| {
        limits(platform);
        platform.edge.head_limit_seconds = 60;
        platform.draining.limit_seconds = 60;
    };
    for program in VERSIONS {
        let edge = Edge::with(&Setup { program, tls: false, change, ..Setup::default() });
        let mut held: Vec<_> = (0..15).map(|_| edge.connect(CLIENT)).collect();
        let open = held.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count();
        assert_eq!(open, 10, "{program}");
        assert!(edge.get(OTHER, "/api/x", "").starts_with("HTTP/1.1 200 "), "{program}");
        drop(held);
        // At most ten at once, and yet too many.
        let refused = (0..70).filter(|_| edge.send(CLIENT, b"GET / HTTP/1.1\r\n\r\n").is_empty()).count();
        assert!((25..=70).contains(&refused), "{program}: {refused}");
        assert!(edge.get(OTHER, "/api/x", "").starts_with("HTTP/1.1 200 "), "{program}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    for program in VERSIONS {
        let edge = edge(program);
        let mut stream = edge.connect(CLIENT);
        stream
            .write_all(
                b"POST /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100001\r\n\r\n",
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        is_problem(&answer, 413, Some("60"));
        for headers in [format!("X-Long: {}\r\n", "x".repeat(16_000)), "X: 1\r\n".repeat(110)] {
            let answer = edge.get(CLIENT, "/api/x", &headers);
            assert!(answer.starts_with("HTTP/1.1 4"), "{program}: {answer:?}");
        }
        let long = "x".repeat(14_000);
        assert!(edge.get(CLIENT, "/api/x", &format!("X-Long: {long}\r\n")).starts_with("HTTP/1.1 200 "));
        assert!(edge.get(CLIENT, "/api/x", &"X: 1\r\n".repeat(80)).starts_with("HTTP/1.1 200 "));
        assert_eq!(edge.reached().len(), 2, "{program}");
    }
}

/// Announced or not: a chunk of the body has come before the edge decides.
#[test]
fn a_body_is_refused_that_its_operation_does_not_take() {
    let announced = |size: usize| format!("Content-Length: {size}\r\n\r\n{}", "x".repeat(size));
    let chunked = |size: usize| {
        format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size))
    };
    for program in VERSIONS {
        let edge = edge(program);
        for (operation, largest) in [
            ("GET /api/v1/queues", 0),
            ("GET /api/v1/tasks/t-1", 0),
            ("POST /api/v1/queues/tasks/drain", 4096),
            ("POST /api/v1/queues/tasks/retry-failed", 4096),
        ] {
            let send = |body: String| {
                let head = format!("{operation} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
                edge.send(CLIENT, format!("{head}{body}").as_bytes())
            };
            for body in [announced(largest + 1), chunked(largest + 1)] {
                is_problem(&send(body), 413, Some("60"));
            }
            assert!(send(announced(largest)).starts_with("HTTP/1.1 200 "), "{program}: {operation}");
        }
        // Others have the limit of all.
        let other =
            edge.send(CLIENT, format!("GET /api/x HTTP/1.1\r\nHost: a\r\n{}", announced(1)).as_bytes());
        assert!(other.starts_with("HTTP/1.1 200 "), "{program}: {other}");
    }
}

#[test]
fn who_sends_too_slowly_is_refused_and_reaches_no_replica() {
    for program in VERSIONS {
        let edge = edge(program);
        for begun in [
            "GET /api/x HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
            "POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n",
        ] {
            let mut stream = edge.connect(CLIENT);
            stream.write_all(begun.as_bytes()).unwrap();
            let since = Instant::now();
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut answer = String::new();
            while answer.is_empty() && since.elapsed() < Duration::from_secs(10) {
                let _ = stream.write_all(b"x");
                let mut part = [0; 4096];
                if let Ok(read) = stream.read(&mut part) {
                    answer += &String::from_utf8_lossy(&part[..read]);
                }
            }
            assert!(answer.starts_with("HTTP/1.1 408 "), "{program}: {begun:?}: {answer:?}");
            let limit = Duration::from_secs(SECONDS.into());
            assert!(since.elapsed() > limit / 2 && since.elapsed() < limit * 5, "{:?}", since.elapsed());
        }
        assert!(edge.reached().is_empty(), "{program}");
    }
}

#[test]
fn without_a_replica_clients_are_asked_to_come_back() {
    let edge = Edge::with(&Setup { tls: false, is_served: false, ..Setup::default() });
    is_problem(&edge.get(CLIENT, "/api/x", ""), 503, Some("1"));
}

/// In HTTP/2, written by hand: a client that keeps to the limits would not try.
#[test]
fn a_connection_has_no_more_streams_than_it_may() {
    for program in VERSIONS {
        let edge = edge(program);
        let mut stream = edge.connect(CLIENT);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        // GET over http: both are in HPACK's static table, as the names of path and authority.
        let path = b"/api/after/1000";
        let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend(path);
        head.extend(b"\x01\x01a");
        for number in 0..8_u8 {
            sent.extend([0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, number * 2 + 1]);
            sent.extend(&head);
        }
        stream.write_all(&sent).unwrap();
        let (mut refused, mut answered, mut told) = (0, 0, None);
        while refused + answered < 8 {
            let mut frame = [0; 9];
            stream.read_exact(&mut frame).unwrap();
            let mut payload = vec![0; usize::from(frame[1]) << 8 | usize::from(frame[2])];
            stream.read_exact(&mut payload).unwrap();
            match frame[3] {
                1 => answered += 1,
                // REFUSED_STREAM.
                3 if payload == [0, 0, 0, 7] => refused += 1,
                4 => {
                    told = told.or(payload.chunks(6).find(|one| one.starts_with(&[0, 3])).map(<[u8]>::to_vec))
                }
                _ => (),
            }
        }
        assert_eq!(told, Some(vec![0, 3, 0, 0, 0, 5]), "{program}");
        assert_eq!((refused, answered), (3, 5), "{program}");
    }
}

#[test]
fn a_handshake_that_is_too_slow_ends() {
    let change = |platform: &mut Platform| {
        platform.edge.head_limit_seconds = SECONDS;
        platform.draining.limit_seconds = 60;
    };
    let edge = Edge::with(&Setup { program: "haproxy-next", change, ..Setup::default() });
    let mut stream = edge.connect(CLIENT);
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let since = Instant::now();
    // The rest of the hello that it begins never comes.
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".iter().chain(std::iter::repeat(&0));
    while stream.write_all(&[*hello.next().unwrap()]).is_ok() && !matches!(stream.read(&mut [0]), Ok(0)) {
        assert!(since.elapsed() < Duration::from_secs(15), "it goes on");
    }
    assert!(since.elapsed() >= Duration::from_secs(SECONDS.into()), "{:?}", since.elapsed());
}
