//! One HTTP request, with a time limit that a stop can cut short.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use ureq::config::Config;
use ureq::http::{self, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::mask::Resolved;
use foundation::files;

/// A body longer than this many bytes is an error.
const LONGEST_BODY: u64 = 1024 * 1024;

/// A request, every word known.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub url: Resolved,
    pub bearer: Option<Resolved>,
    pub headers: BTreeMap<String, Resolved>,
    pub body: Option<Resolved>,
    /// Only a server that proves itself with a certificate of this PEM file is asked.
    pub trusts: Option<PathBuf>,
}

impl Request {
    /// Asks for what is at an address, without a token.
    pub fn get(url: Resolved) -> Self {
        Self {
            method: "GET".to_owned(),
            url,
            bearer: None,
            headers: BTreeMap::new(),
            body: None,
            trusts: None,
        }
    }
}

/// Only servers with a certificate of this PEM file are believed. Keys in it are left alone.
///
/// # Errors
/// The file cannot be read.
pub fn trusting(certificates: &Path) -> Result<TlsConfig> {
    let pem = files::read(certificates, files::TEXT)?.bytes;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(root) = item.with_context(|| certificates.display().to_string())? {
            roots.push(root);
        }
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).build())
}

/// Every name leads to this address.
#[derive(Debug)]
pub struct Only(pub SocketAddr);

impl Resolver for Only {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.0);
        Ok(found)
    }
}

/// What came back. Redirects are answers, not followed.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Request {
    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    /// When the request cannot be made, no answer comes before `deadline`, or `stop` holds first.
    pub fn send(&self, deadline: Instant, stop: &dyn Fn() -> bool) -> Result<Response> {
        let (sender, answered) = channel();
        let request = self.clone();
        std::thread::Builder::new().name("http".into()).spawn(move || {
            let limit = deadline.saturating_duration_since(Instant::now());
            let _ = sender.send(request.exchange(limit.max(Duration::from_millis(1))));
        })?;
        loop {
            match answered.recv_timeout(Duration::from_millis(30)) {
                Ok(answer) => return answer.with_context(|| format!("{} {}", self.method, self.url)),
                Err(RecvTimeoutError::Disconnected) => bail!("{} {}: no answer", self.method, self.url),
                Err(RecvTimeoutError::Timeout) if stop() => bail!("{} {}: stopped", self.method, self.url),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn exchange(&self, limit: Duration) -> Result<Response> {
        let uri: http::Uri = self.url.expose().parse().map_err(|error| anyhow!("not a URL: {error}"))?;
        let local = uri.host().is_some_and(|host| {
            host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "::1"
        });
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        let config = match &self.trusts {
            Some(certificates) => config.tls_config(trusting(certificates)?),
            None => config,
        };
        // What runs on this machine is not behind a proxy.
        let agent = if local { config.proxy(None) } else { config }.build().new_agent();
        let mut request = http::Request::builder().method(self.method.as_str()).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {}", bearer.expose()));
        }
        let answer = match &self.body {
            Some(body) => agent.run(request.body(body.expose().to_owned())?),
            None => agent.run(request.body(())?),
        };
        let late = |error| match error {
            ureq::Error::Timeout(_) => anyhow!("no answer within {:.1} s", limit.as_secs_f64()),
            other => other.into(),
        };
        let mut answer = answer.map_err(late)?;
        let body = answer.body_mut().with_config().limit(LONGEST_BODY).lossy_utf8(true);
        let body = body.read_to_string().map_err(late)?;
        Ok(Response { status: answer.status().as_u16(), body })
    }
}
