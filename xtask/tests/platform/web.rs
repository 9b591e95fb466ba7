//! HTTP as a client, and a provider's endpoint as small as can be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const PATIENCE: Duration = Duration::from_secs(30);
/// The model takes a minute for what holds this.
pub const SLOW_PROMPT: &str = "what takes a minute?";
pub const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn get(url: &str) -> Option<Answer> {
    ask("GET", url, None, None)
}

/// None when nobody answers.
pub fn ask(method: &str, url: &str, bearer: Option<&str>, body: Option<&str>) -> Option<Answer> {
    ask_with(&agent(TlsConfig::default(), PATIENCE), method, url, bearer, body)
}

/// A client that trusts one certificate alone, in PEM.
pub fn trusting(pem: &str) -> Agent {
    patient(pem, PATIENCE)
}

/// A client that trusts every certificate.
pub fn unchecked() -> Agent {
    agent(TlsConfig::builder().disable_verification(true).build(), PATIENCE)
}

/// The same that waits so long for an answer.
pub fn patient(pem: &str, patience: Duration) -> Agent {
    let root = Certificate::from_pem(pem.as_bytes()).unwrap();
    agent(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(vec![root]))).build(), patience)
}

fn agent(tls: TlsConfig, patience: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .tls_config(tls)
        .timeout_global(Some(patience))
        .build()
        .into()
}

/// None when nobody answers.
pub fn ask_with(
    agent: &Agent,
    method: &str,
    url: &str,
    bearer: Option<&str>,
    body: Option<&str>,
) -> Option<Answer> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(key) = bearer {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let request =
        request.header("Content-Type", "application/json").body(body.unwrap_or_default().to_owned()).unwrap();
    let mut response = agent.run(request).ok()?;
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let body = response.body_mut().read_to_string().ok()?;
    Some(Answer { status: response.status().as_u16(), retry_after, body })
}

/// An OpenAI-compatible endpoint that answers whoever has its key; it ends with the test's process.
pub struct Provider {
    pub port: u16,
    answered: Arc<AtomicUsize>,
    /// How many slow prompts have come.
    slow: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Provider {
    pub fn serve(key: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answered = Arc::new(AtomicUsize::new(0));
        let hangs = Arc::new(AtomicBool::new(false));
        let slow = Arc::new(AtomicUsize::new(0));
        let (expected, count, hanging) = (format!("bearer {key}"), Arc::clone(&answered), Arc::clone(&hangs));
        let slow_count = Arc::clone(&slow);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if hanging.load(Ordering::SeqCst) {
                    held.push(stream);
                    continue;
                }
                let (expected, count, slow) = (expected.clone(), Arc::clone(&count), Arc::clone(&slow_count));
                // A client that leaves is its own affair.
                std::thread::spawn(move || complete(stream, &expected, &count, &slow));
            }
        });
        Self { port, answered, slow, hangs }
    }

    /// From now on nobody gets an answer.
    pub fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// How many slow prompts have come.
    pub fn slow(&self) -> usize {
        self.slow.load(Ordering::SeqCst)
    }

    /// How many requests had the key.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

fn complete(
    stream: TcpStream,
    expected: &str,
    answered: &AtomicUsize,
    slow: &AtomicUsize,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(&stream);
    let (mut length, mut given) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        match header.split_once(": ") {
            _ if header.is_empty() => break,
            Some(("content-length", value)) => length = value.parse().unwrap_or_default(),
            Some(("authorization", value)) => value.clone_into(&mut given),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if String::from_utf8_lossy(&body).contains(SLOW_PROMPT) {
        slow.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(MINUTE);
    }
    let answer = json!({
        "id": "one", "object": "chat.completion", "created": 1, "model": "the-real-one",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "ready" } }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6 },
    });
    let (status, answer) = if given == expected {
        answered.fetch_add(1, Ordering::SeqCst);
        ("200 OK", answer)
    } else {
        ("401 Unauthorized", json!({ "error": { "message": format!("no such key: {given}") } }))
    };
    let answer = answer.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}", answer.len());
    (&stream).write_all(format!("{head}\r\nConnection: close\r\n\r\n{answer}").as_bytes())
}
