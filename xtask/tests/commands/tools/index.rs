//! A package index on a free port of this machine, which can stop in the middle of a file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Serves the wheels of one folder.
pub struct Index {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    wheels: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Paths asked for, in order.
    asked: Vec<String>,
    /// Answers with this in their path stop halfway; the number is how many more do.
    hold: Option<(String, usize)>,
    holding: usize,
}

impl Index {
    pub fn serve(wheels: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/simple", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { wheels, state: Mutex::default(), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                // A client that is killed breaks its connection: that is what the tests are about.
                std::thread::spawn(move || stream.and_then(|stream| shared.answer(stream)));
            }
        });
        Self { url, shared }
    }

    /// The next `times` answers whose path contains `part` stop halfway.
    pub fn hold(&self, part: &str, times: usize) {
        self.shared.state.lock().unwrap().hold = Some((part.to_owned(), times));
    }

    pub fn await_holding(&self) {
        let state = self.shared.state.lock().unwrap();
        let limit = Duration::from_secs(60);
        let (state, _) =
            self.shared.changed.wait_timeout_while(state, limit, |state| state.holding == 0).unwrap();
        assert!(state.holding > 0, "nobody asked for the held file; asked: {:?}", state.asked);
    }

    pub fn release(&self) {
        self.shared.state.lock().unwrap().holding = 0;
        self.shared.changed.notify_all();
    }

    /// How often a path with `part` was asked for.
    pub fn asked(&self, part: &str) -> usize {
        self.shared.state.lock().unwrap().asked.iter().filter(|path| path.contains(part)).count()
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        request.read_line(&mut first)?;
        let mut header = String::new();
        while request.read_line(&mut header)? > 2 {
            header.clear();
        }
        let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let held = self.note(&path);
        let body = match path.strip_prefix("/files/") {
            Some(name) => std::fs::read(self.wheels.join(name)),
            None => self.page(path.trim_start_matches("/simple/").trim_end_matches('/')),
        };
        let Ok(body) = body else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        };
        let kind = if path.starts_with("/files/") { "application/octet-stream" } else { "text/html" };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        let (half, rest) = body.split_at(body.len() / 2);
        stream.write_all(half)?;
        if held {
            self.wait_for_release();
        }
        stream.write_all(rest)
    }

    fn note(&self, path: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        state.asked.push(path.to_owned());
        match &mut state.hold {
            Some((part, times)) if *times > 0 && path.contains(part.as_str()) => {
                *times -= 1;
                state.holding += 1;
                self.changed.notify_all();
                true
            }
            _ => false,
        }
    }

    fn wait_for_release(&self) {
        let state = self.state.lock().unwrap();
        let _released = self.changed.wait_while(state, |state| state.holding > 0).unwrap();
    }

    fn page(&self, project: &str) -> std::io::Result<Vec<u8>> {
        let prefix = format!("{}-", project.replace('-', "_"));
        let mut page = "<!DOCTYPE html><html><body>\n".to_owned();
        for file in std::fs::read_dir(&self.wheels)? {
            let name = file?.file_name().into_string().unwrap();
            if name.starts_with(&prefix) {
                page.push_str(&format!("<a href=\"/files/{name}\">{name}</a>\n"));
            }
        }
        Ok((page + "</body></html>\n").into_bytes())
    }
}
