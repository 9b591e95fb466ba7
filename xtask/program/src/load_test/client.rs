//! A client of the API, through the edge, as anybody's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::session::edge_client;
use runner::plan::mask::Resolved;

/// A key, and connections of its own.
pub struct Client {
    agent: Agent,
    /// `https://HOST:PORT`
    pub base: String,
    key: Resolved,
    /// What it trusts.
    pub certificate: PathBuf,
}

/// A task as the list shows it.
#[derive(Debug, Deserialize)]
pub struct Task {
    task_id: String,
    pub status: String,
    pub attempts: u32,
}

#[derive(Deserialize)]
struct Page {
    tasks: Vec<Task>,
    next: Option<String>,
}

impl Client {
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(base: String, key: Resolved, certificate: PathBuf) -> Result<Self> {
        Ok(Self { agent: edge_client::trusting(&certificate)?, base, key, certificate })
    }

    /// The same with other connections.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn again(&self) -> Result<Self> {
        Self::new(self.base.clone(), self.key.clone(), self.certificate.clone())
    }

    /// # Errors
    /// No answer, or another than 200.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.header("authorization", format!("Bearer {}", self.key.expose().trim())).call();
        read(answer.with_context(|| format!("GET {path}"))?, 200)
    }

    /// # Errors
    /// No answer, or another than 202.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.key.expose().trim()));
        let answer = request.content_type("application/json").send(body.to_string());
        read(answer.with_context(|| format!("POST {path}"))?, 202)
    }

    /// All tasks, by id.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn tasks(&self) -> Result<BTreeMap<String, Task>> {
        let mut all = BTreeMap::new();
        let mut path = "/api/v1/tasks?limit=200".to_owned();
        loop {
            let Page { tasks, next } = self.get(&path)?;
            all.extend(tasks.into_iter().map(|task| (task.task_id.clone(), task)));
            let Some(cursor) = next else { return Ok(all) };
            path = format!("/api/v1/tasks?limit=200&cursor={cursor}");
        }
    }
}

fn read<T: DeserializeOwned>(mut answer: Response<Body>, expected: u16) -> Result<T> {
    let status = answer.status().as_u16();
    // A body that was read lets the connection be used again.
    let body = answer.body_mut().read_to_string().context("its body")?;
    if status != expected {
        bail!("status {status}; expected {expected}: {}", body.lines().next().unwrap_or_default());
    }
    serde_json::from_str(&body).context("its body")
}
