//! HAProxy with the configuration of the edge: what it refuses, and how it serves at the limits.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::containers::edge::{configured, place_variables};
use serde_json::Value;
use vocabulary::model::EdgePolicy;
use vocabulary::model::topology::Scope;

const CONFIGURATION: &str = "ops/edge/haproxy.cfg";
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds that an answer may take, and that a WebSocket may be silent, in these tests.
const IDLE: u16 = 2;
const TUNNEL: u32 = 6;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn xtask(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("--root").arg(repository()).args(arguments).output().unwrap()
}

#[test]
fn what_haproxy_refuses_is_shown_with_its_version() {
    let good = xtask(&["check", "edge", "--json"]);
    let found: Value = serde_json::from_slice(&good.stdout).unwrap_or_else(|_| panic!("{good:?}"));
    assert!(good.status.success(), "{good:?}");
    let versions: Vec<&str> =
        found["versions"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(matches!(versions[..], [old, new] if old != new && new.starts_with("3.")), "{versions:?}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("planted.cfg");
    let text = fs::read_to_string(repository().join(CONFIGURATION)).unwrap();
    fs::write(&file, text.replace("balance leastconn", "balance leastcon")).unwrap();
    let bad = xtask(&["check", "edge", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&bad.stderr);
    assert_eq!(bad.status.code(), Some(1), "{said}");
    for version in versions {
        let line = said.lines().find(|line| line.contains(&format!("planted.cfg: HAProxy {version}: ")));
        assert!(line.is_some_and(|line| line.contains("leastcon")), "{said}");
    }
}

/// HAProxy as environments have it, with short limits, in front of a replica that does as its path says.
struct Edge {
    child: Child,
    port: u16,
    /// Lets a stream of events go on.
    next: Sender<()>,
    _folder: tempfile::TempDir,
}

impl Edge {
    fn start() -> Self {
        let mut platform = platform::platform();
        platform.draining.limit_seconds = IDLE;
        platform.edge.tunnel_limit_seconds = TUNNEL;
        let environment = Scope::Production.environment();
        let units = platform.units(&environment);
        let text = configured(&platform, &units).unwrap().contents;
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("edge.pem");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"])
            .arg("-keyout")
            .arg(&pem)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::OpenOptions::new().append(true).open(&pem).unwrap().write_all(&made.stdout).unwrap();
        fs::write(folder.path().join("haproxy.cfg"), text).unwrap();
        fs::write(folder.path().join(EdgePolicy::SERVER_STATES), EdgePolicy::NO_SERVER_STATES).unwrap();
        let (next, goes_on) = channel();
        let replica = replica(goes_on);
        let [http, https, stats] = free();
        let mut command = haproxy();
        command.args(["-db", "-f", "haproxy.cfg", "-C"]).arg(folder.path());
        command.env("EDGE_TLS_PEM_FILE", &pem).env("FLOWSHIP_ENVIRONMENT", "test");
        for (name, port) in [("HTTP", http), ("HTTPS", https), ("STATS", stats)] {
            command.env(format!("EDGE_{name}_HOST"), "127.0.0.1");
            command.env(format!("EDGE_{name}_PORT"), port.to_string());
        }
        for unit in units.iter().filter(|unit| platform.is_worker(unit)) {
            let [host, port, check_port] = place_variables(unit);
            command
                .env(host, "127.0.0.1")
                .env(port, replica.to_string())
                .env(check_port, replica.to_string());
        }
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", https)).is_err() {
            assert!(Instant::now() < until, "HAProxy does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, port: https, next, _folder: folder }
    }

    /// A connection through TLS on which this was asked.
    fn ask(&self, path: &str, headers: &str) -> Client {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", self.port)])
            .args(["-alpn", "http/1.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let (send, parts) = channel();
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut part) {
                if send.send(String::from_utf8_lossy(&part[..read]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let mut client = Client { stdin: child.stdin.take().unwrap(), child, parts, seen: String::new() };
        client.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
        client
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    child: Child,
    stdin: ChildStdin,
    parts: Receiver<String>,
    /// What has come and was not looked at.
    seen: String,
}

impl Client {
    fn say(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn hears(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.seen.find(text) {
                self.seen.drain(..place + text.len());
                return;
            }
            let rest = until.saturating_duration_since(Instant::now());
            let part = self.parts.recv_timeout(rest);
            self.seen += &part.unwrap_or_else(|error| panic!("{error}; no {text:?} in {:?}", self.seen));
        }
    }

    /// How long nothing came until the connection was closed.
    #[track_caller]
    fn is_closed_after(&self) -> Duration {
        let since = Instant::now();
        match self.parts.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Disconnected) => since.elapsed(),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn haproxy() -> Command {
    let output = xtask(&["doctor", "--install", "haproxy", "--json"]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let found = findings.as_array().unwrap().iter().find(|one| one["program"] == "haproxy").unwrap();
    let path = Path::new(found["path"].as_str().unwrap_or_else(|| panic!("{found}")));
    let usr = path.ancestors().nth(2).unwrap();
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", usr.join(format!("lib/{}-linux-gnu", std::env::consts::ARCH)));
    command
}

fn free<const COUNT: usize>() -> [u16; COUNT] {
    let held = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// Answers by its path; whoever asks for its health gets 200.
fn replica(goes_on: Receiver<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let goes_on = std::sync::Arc::new(std::sync::Mutex::new(goes_on));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let goes_on = std::sync::Arc::clone(&goes_on);
            // Who has left needs no answer.
            thread::spawn(move || answer(&stream, &goes_on));
        }
    });
    port
}

fn answer(mut stream: &TcpStream, goes_on: &std::sync::Mutex<Receiver<()>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    match request.split_whitespace().nth(1).unwrap_or_default() {
        "/api/socket" => {
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )?;
            let mut part = [0; 64];
            loop {
                let read = reader.read(&mut part)?;
                if read == 0 {
                    return Ok(());
                }
                stream.write_all(&part[..read])?;
            }
        }
        "/api/events" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
            for event in ["one", "two"] {
                stream.write_all(format!("data: {event}\n\n").as_bytes())?;
                let _ = goes_on.lock().unwrap().recv();
            }
            Ok(())
        }
        path => {
            if let Some(milliseconds) = path.strip_prefix("/api/after/") {
                thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")
        }
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                       dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Silent for longer than an answer may take it stays open, up to its own limit.
#[test]
fn a_websocket_may_be_silent_up_to_its_limit_and_not_longer() {
    let edge = Edge::start();
    let mut client = edge.ask("/api/socket", UPGRADE);
    client.hears("101 Switching Protocols");
    client.hears("\r\n\r\n");
    for word in ["early", "later"] {
        client.say(word);
        client.hears(word);
        thread::sleep(Duration::from_secs(u64::from(IDLE) + 1));
    }
    client.say("last");
    client.hears("last");
    let silent = client.is_closed_after();
    let limit = Duration::from_secs(TUNNEL.into());
    assert!(silent > limit - Duration::from_millis(500) && silent < limit * 2, "{silent:?}");
}

#[test]
fn an_answer_may_take_as_long_as_a_drain_and_not_longer() {
    let edge = Edge::start();
    let limit = u32::from(IDLE) * 1000;
    let mut late = edge.ask(&format!("/api/after/{}", limit * 3), "");
    let mut in_time = edge.ask(&format!("/api/after/{}", limit / 2), "");
    in_time.hears("HTTP/1.1 200 OK");
    in_time.hears("done");
    late.hears("HTTP/1.1 504 ");
}

/// The second is sent only after the first has come.
#[test]
fn events_pass_one_by_one() {
    let edge = Edge::start();
    let mut client = edge.ask("/api/events", "Accept: text/event-stream\r\n");
    client.hears("text/event-stream");
    client.hears("data: one\n\n");
    edge.next.send(()).unwrap();
    client.hears("data: two\n\n");
}
