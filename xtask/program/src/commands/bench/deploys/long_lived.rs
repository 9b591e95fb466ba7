//! The clients that stay: one with a WebSocket, and one that waits for slow answers.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::flows;
use crate::context::Context;
use crate::load_test::client::Client;
use crate::tools::{Program, Toolbox};

/// It says in its head what it does.
const SCRIPT: &str = "test/long-lived.js";

/// Close codes of RFC 6455 and of its registry that tell a client to connect again: going away, service restart.
const TOLD: [&str; 2] = ["1001", "1012"];

#[derive(Debug, Deserialize)]
pub struct Seen {
    pub socket: Socket,
    pub slow: Slow,
}

#[derive(Debug, Deserialize)]
pub struct Socket {
    connections: usize,
    sent: usize,
    answered: usize,
    pub unanswered: usize,
    /// How many were closed with a code, or `cut`, or `refused`.
    closed: BTreeMap<String, usize>,
    pub longest_without_ms: f64,
}

#[derive(Debug, Deserialize)]
pub struct Slow {
    pub sent: usize,
    /// By status or error.
    failed: BTreeMap<String, usize>,
    longest_ms: f64,
}

impl Socket {
    pub fn told(&self) -> usize {
        TOLD.iter().filter_map(|code| self.closed.get(*code)).sum()
    }

    pub fn closings(&self) -> usize {
        self.closed.values().sum()
    }
}

impl Slow {
    pub fn failed(&self) -> usize {
        self.failed.values().sum()
    }
}

impl Seen {
    pub fn words(&self) -> String {
        let listed = |counts: &BTreeMap<String, usize>| {
            let all: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        let Self { socket, slow } = self;
        format!(
            "{} WebSockets, {} messages, {} answered; closed: {}. {} slow requests, the longest {:.1} s; failed: {}",
            socket.connections,
            socket.sent,
            socket.answered,
            listed(&socket.closed),
            slow.sent,
            slow.longest_ms / 1000.0,
            listed(&slow.failed)
        )
    }
}

/// It is killed with this value, unless it was ended.
pub struct LongLived(Option<Child>);

impl Drop for LongLived {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl LongLived {
    /// Begins with clients of where that client asks.
    ///
    /// # Errors
    /// Node.js cannot be started.
    pub fn start(context: &Context, toolbox: &Toolbox, client: &Client) -> Result<Self> {
        let settings = json!({
            "base": client.base,
            "socket": flows::path(context.platform, flows::SOCKET),
            "slow": flows::path(context.platform, flows::SLOW),
        });
        let child = Command::new(toolbox.path(Program::Node)?)
            .args([SCRIPT, &settings.to_string()])
            .current_dir(context.path("flows"))
            .env("NODE_EXTRA_CA_CERTS", &client.certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the clients")?;
        Ok(Self(Some(child)))
    }

    /// Waits until what they have begun has ended.
    ///
    /// # Errors
    /// They failed themselves.
    pub fn end(mut self) -> Result<Seen> {
        let child = self.0.take().context("it is ended once")?;
        // Its stdin ends with this.
        let done = child.wait_with_output()?;
        if !done.status.success() {
            bail!("the clients ended with {}", done.status);
        }
        serde_json::from_slice(&done.stdout)
            .with_context(|| format!("the clients said {}", String::from_utf8_lossy(&done.stdout)))
    }
}
