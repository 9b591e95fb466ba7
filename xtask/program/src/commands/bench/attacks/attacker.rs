//! Attackers, at many addresses of this machine. Acts.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::load_test::client::Client;

const SLOW: usize = 5_000;
const SLOW_BODIES: usize = 100;
/// Addresses that they come from. All connections together are fewer than our edge accepts from so many.
const ADDRESSES: usize = 250;
const LIMIT: Duration = Duration::from_secs(5);
/// Between two bursts of streams, and two requests that are too large.
const PACE: Duration = Duration::from_millis(20);
/// Between two connections of the flood.
const FLOOD: Duration = Duration::from_millis(5);
/// How much nicer they are than the measurement and the services.
const NICER: i32 = 5;
const STREAMS_AT_ONCE: u32 = 100;
const STREAMS_OF_CONNECTION: u32 = 5_000;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// What one of them does, and counts.
type Kind = fn(&Attacker, &AtomicUsize);

/// All of them, by what they count.
const KINDS: [(&str, Kind); 5] = [
    ("slow connections at once", Attacker::slow_connections),
    ("connections of the flood", Attacker::flood),
    ("oversize bodies and headers", Attacker::oversize),
    ("streams opened and reset", Attacker::many_streams),
    ("slow bodies at once", Attacker::slow_bodies),
];

/// Attacks that go on until they are ended.
pub struct Attack {
    attacker: Arc<Attacker>,
    threads: Vec<(&'static str, JoinHandle<usize>)>,
}

struct Attacker {
    port: u16,
    path: &'static str,
    host: String,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// As many open files as this process may have.
///
/// # Errors
/// The system refuses.
pub fn allow_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

impl Attack {
    /// All at once.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn begin(client: &Client, path: &'static str) -> Result<Self> {
        let place = client.base.trim_start_matches("https://");
        let (host, port) = place.rsplit_once(':').context("the client has no port")?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&client.certificate)? {
            roots.add(certificate?)?;
        }
        let config = |protocol: &[u8]| {
            let mut config =
                ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        let attacker = Arc::new(Attacker {
            port: port.parse()?,
            path,
            host: host.to_owned(),
            http1: config(b"http/1.1"),
            http2: config(b"h2"),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let begin = |(name, kind): (_, Kind)| {
            let attacker = Arc::clone(&attacker);
            let thread = thread::spawn(move || {
                // Others' machines do not slow ours down: they get what is left of its processors.
                let _ = getpriority_process(None).and_then(|own| setpriority_process(None, own + NICER));
                let count = AtomicUsize::new(0);
                kind(&attacker, &count);
                count.into_inner()
            });
            (name, thread)
        };
        let threads = KINDS.map(begin).into();
        Ok(Self { attacker, threads })
    }

    /// What they managed to do.
    pub fn end(self) -> Vec<(&'static str, usize)> {
        self.attacker.stop.store(true, Ordering::SeqCst);
        let end =
            |(name, thread): (_, JoinHandle<usize>)| (name, thread.join().expect("attacking does not panic"));
        self.threads.into_iter().map(end).collect()
    }
}

impl Attacker {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// From the next address.
    fn connect(&self) -> Result<TcpStream> {
        let number = self.next.fetch_add(1, Ordering::SeqCst) % ADDRESSES;
        let from = Ipv4Addr::new(127, 1, 0, u8::try_from(number + 1).unwrap_or(1));
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from((from, 0)))?;
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(stream)
    }

    fn over_tls(&self, config: &Arc<ClientConfig>) -> Result<Tls> {
        let name = ServerName::try_from(self.host.clone())?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, self.connect()?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    fn head(&self, method: &str, more: &str) -> String {
        let number = self.next.load(Ordering::SeqCst) % ADDRESSES;
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 10.0.0.{number}\r\n{more}",
            self.path, self.host
        )
    }

    /// Each begins a handshake and sends one byte of it a second; who is closed comes back.
    fn slow_connections(&self, count: &AtomicUsize) {
        // The length that it announces never comes.
        const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        let mut held: Vec<Option<(TcpStream, usize)>> = (0..SLOW).map(|_| None).collect();
        while self.goes_on() {
            for one in &mut held {
                if !self.goes_on() {
                    return;
                }
                let Some((stream, sent)) = one else {
                    *one = self.connect().ok().and_then(|stream| {
                        stream.set_nonblocking(true).ok()?;
                        Some((stream, 0))
                    });
                    continue;
                };
                let lives = match stream.read(&mut [0; 64]) {
                    Err(error) => error.kind() == ErrorKind::WouldBlock,
                    Ok(_) => false,
                };
                let byte = HELLO.get(*sent).copied().unwrap_or_default();
                *sent += 1;
                if !lives || stream.write(&[byte]).is_err() {
                    *one = None;
                }
            }
            count.fetch_max(held.iter().flatten().count(), Ordering::SeqCst);
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// A handshake for each request.
    fn flood(&self, count: &AtomicUsize) {
        while self.goes_on() {
            let request = self.head("GET", "Connection: close\r\n\r\n");
            let _ =
                self.over_tls(&self.http1).and_then(|mut stream| Ok(ask(&mut stream, request.as_bytes())?));
            count.fetch_add(1, Ordering::SeqCst);
            thread::sleep(FLOOD);
        }
    }

    fn oversize(&self, count: &AtomicUsize) {
        let headers = self.head("GET", &format!("X-Long: {}\r\n\r\n", "x".repeat(20_000)));
        let body = self.head("POST", "Content-Length: 100000000\r\n\r\n") + &"x".repeat(200_000);
        let chunks = self.head("POST", "Transfer-Encoding: chunked\r\n\r\n30d40\r\n") + &"x".repeat(200_000);
        for request in [headers, body, chunks].iter().cycle() {
            if !self.goes_on() {
                return;
            }
            let _ =
                self.over_tls(&self.http1).and_then(|mut stream| Ok(ask(&mut stream, request.as_bytes())?));
            count.fetch_add(1, Ordering::SeqCst);
            thread::sleep(PACE);
        }
    }

    /// In HTTP/2: each stream is reset as soon as it is opened, so that none counts as open.
    fn many_streams(&self, count: &AtomicUsize) {
        while self.goes_on() {
            let _ = self.over_tls(&self.http2).and_then(|mut stream| self.streams_of(&mut stream, count));
            thread::sleep(PACE);
        }
    }

    fn streams_of(&self, stream: &mut Tls, count: &AtomicUsize) -> Result<()> {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
        // GET over https, by HPACK's static table; the path and the host are literals.
        let mut head = vec![0x82, 0x87, 0x04, u8::try_from(self.path.len())?];
        head.extend(self.path.as_bytes());
        head.extend([0x01, u8::try_from(self.host.len())?]);
        head.extend(self.host.as_bytes());
        let mut number = 1_u32;
        while self.goes_on() && number < STREAMS_OF_CONNECTION * 2 {
            let mut burst = Vec::new();
            for _ in 0..STREAMS_AT_ONCE {
                burst.extend([0, 0, u8::try_from(head.len())?, 1, 5]);
                burst.extend(number.to_be_bytes());
                burst.extend(&head);
                burst.extend([0, 0, 4, 3, 0]);
                burst.extend(number.to_be_bytes());
                burst.extend([0, 0, 0, 8]);
                number += 2;
            }
            stream.write_all(&burst)?;
            count.fetch_add(STREAMS_AT_ONCE as usize, Ordering::SeqCst);
            thread::sleep(PACE);
        }
        Ok(())
    }

    /// A byte a second of a body that is announced.
    fn slow_bodies(&self, count: &AtomicUsize) {
        let mut held: Vec<Option<Tls>> = (0..SLOW_BODIES).map(|_| None).collect();
        let request = self.head("POST", "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n");
        while self.goes_on() {
            for one in &mut held {
                match one {
                    None => {
                        *one = self.over_tls(&self.http1).ok();
                        if let Some(stream) = one
                            && stream.write_all(request.as_bytes()).is_err()
                        {
                            *one = None;
                        }
                    }
                    Some(stream) => {
                        if stream.write_all(b" ").is_err() {
                            *one = None;
                        }
                    }
                }
            }
            count.fetch_max(held.iter().flatten().count(), Ordering::SeqCst);
            thread::sleep(Duration::from_secs(1));
        }
    }
}

fn ask(stream: &mut Tls, request: &[u8]) -> std::io::Result<()> {
    stream.write_all(request)?;
    stream.flush()?;
    stream.read(&mut [0; 4096]).map(|_| ())
}
