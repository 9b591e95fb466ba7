//! HAProxy with the configuration of the edge: what it refuses, and how it serves at the limits.

mod attacks;
mod clients;
mod refused;
mod tls;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::free_ports::free;
use artifacts::containers::edge::{configured, place_variables};
use serde_json::Value;
use vocabulary::model::environment::EdgeSettings;
use vocabulary::model::topology::Scope;
use vocabulary::model::{EdgePolicy, Platform};

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
    /// The heads of the requests that reached the replica.
    reached: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

/// How an edge differs from the one of every environment.
struct Setup {
    /// As `doctor` knows it.
    program: &'static str,
    settings: EdgeSettings,
    change: fn(&mut Platform),
    /// Without it, the same rules hold on a listener in clear text: for bytes that are sent as they are.
    tls: bool,
    is_served: bool,
    /// What of the configuration is something else.
    planted: Option<[&'static str; 2]>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            program: "haproxy",
            settings: EdgeSettings::default(),
            change: |_| (),
            tls: true,
            is_served: true,
            planted: None,
        }
    }
}

/// The oldest version that runs it, and a newer one.
const VERSIONS: [&str; 2] = ["haproxy", "haproxy-next"];

impl Edge {
    fn start() -> Self {
        Self::with(&Setup::default())
    }

    fn with(setup: &Setup) -> Self {
        let mut platform = platform::platform();
        platform.draining.limit_seconds = IDLE;
        platform.edge.tunnel_limit_seconds = TUNNEL;
        (setup.change)(&mut platform);
        let environment = Scope::Production.environment();
        let units = platform.units(&environment);
        let mut text = configured(&platform, &units, &setup.settings).unwrap().contents;
        if !setup.tls {
            let plain = text.replace(" ssl crt \"${EDGE_TLS_PEM_FILE}\" alpn h2,http/1.1", "");
            assert_ne!(plain, text);
            text = plain;
        }
        if let Some([from, to]) = setup.planted {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("edge.pem");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "crlDistributionPoints=URI:http://localhost/crl"])
            .arg("-keyout")
            .arg(&pem)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::OpenOptions::new().append(true).open(&pem).unwrap().write_all(&made.stdout).unwrap();
        fs::write(folder.path().join("haproxy.cfg"), text).unwrap();
        fs::write(folder.path().join(EdgePolicy::SERVER_STATES), EdgePolicy::NO_SERVER_STATES).unwrap();
        let (next, goes_on) = channel();
        let reached = Arc::default();
        let replica = if setup.is_served { replica(goes_on, Arc::clone(&reached)) } else { free::<1>()[0] };
        let [http, https, stats] = free();
        let mut command = haproxy(setup.program);
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
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdout(log).spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", https)).is_err() {
            assert!(Instant::now() < until, "HAProxy does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, port: https, next, reached, folder }
    }

    /// A connection in clear text from an address of this machine.
    fn connect(&self, from: [u8; 4]) -> TcpStream {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((from, 0))).unwrap();
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What comes back on a connection that the client has nothing more to say on; nothing when it is refused.
    fn send(&self, from: [u8; 4], bytes: &[u8]) -> String {
        let mut stream = self.connect(from);
        // Whoever is refused may not get everything sent.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The same of a request that asks for nothing after it.
    fn get(&self, from: [u8; 4], path: &str, headers: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        self.send(from, request.as_bytes())
    }

    /// What has reached the replica since this was asked last.
    fn reached(&self) -> Vec<String> {
        std::mem::take(&mut *self.reached.lock().unwrap())
    }

    /// The lines of its log so far.
    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap();
        text.lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
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

fn haproxy(program: &str) -> Command {
    let output = xtask(&["doctor", "--install", program, "--json"]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let found = findings.as_array().unwrap().iter().find(|one| one["program"] == program).unwrap();
    let path = Path::new(found["path"].as_str().unwrap_or_else(|| panic!("{found}")));
    let folder = path.ancestors().nth(3).unwrap();
    // One of a later suite comes with its own C library.
    if folder.join("start").exists() {
        return Command::new(folder.join("start"));
    }
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", folder.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
    command
}

/// Answers by its path; whoever asks for its health gets 200.
fn replica(goes_on: Receiver<()>, reached: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let goes_on = Arc::new(Mutex::new(goes_on));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (goes_on, reached) = (Arc::clone(&goes_on), Arc::clone(&reached));
            // Who has left needs no answer.
            thread::spawn(move || answer(&stream, &goes_on, &reached));
        }
    });
    port
}

fn answer(
    mut stream: &TcpStream,
    goes_on: &Mutex<Receiver<()>>,
    reached: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    // What is not read would reset the connection and the answer with it.
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    reader.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let mut body = String::new();
    while request.contains("transfer-encoding: chunked")
        && !body.ends_with("0\r\n\r\n")
        && reader.read_line(&mut body)? > 0
    {}
    if !request.starts_with("GET /readyz ") {
        reached.lock().unwrap().push(request.clone() + &body);
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
        "/api/page" => stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\nX-Frame-Options: SAMEORIGIN\r\n\
              Server: Stand-in\r\nX-Powered-By: Stand-in\r\n\r\npage",
        ),
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
