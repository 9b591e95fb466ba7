//! What goes on meanwhile: two tasks a second, as any client sends them, and what operators do with their queue. Acts.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use ureq::Agent;
use vocabulary::model::SmokeStep;

use crate::engines::process::certificate;
use crate::session::edge_client;
use crate::session::opened::Opened;

const PAUSE: Duration = Duration::from_millis(500);

/// It ends with this value.
pub struct Load {
    client: Arc<Client>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    input: Value,
}

struct Client {
    agent: Agent,
    tasks: String,
    queue: String,
    key: String,
    body: String,
    pauses: AtomicBool,
}

impl Load {
    /// # Errors
    /// The platform takes no tasks.
    pub fn begin(opened: &Opened) -> Result<Self> {
        let platform = opened.platform;
        let mut steps = platform.smoke.checks.iter().flat_map(|check| &check.steps);
        let task = steps.find_map(|step| match step {
            SmokeStep::TaskThroughApi { workflow, input, .. } => Some((*workflow, *input)),
            _ => None,
        });
        let (workflow, input) = task.context("no smoke check sends a task")?;
        let port = opened.instance.port(platform.edge.https, &opened.units());
        let port = port.context("the edge has no port")?;
        let api = format!("https://{}:{port}/api/v1", certificate::domain(&opened.environment));
        let key = std::fs::read_to_string(opened.instance.secret(platform.workers.api_key))?;
        let input: Value = serde_json::from_str(input).unwrap_or_else(|_| json!({ "text": input }));
        let client = Arc::new(Client {
            agent: edge_client::at((Ipv4Addr::LOCALHOST, port).into()),
            tasks: format!("{api}/workflows/{workflow}/tasks"),
            queue: format!("{api}/queues/{}", platform.queue.task),
            key: format!("Bearer {}", key.trim()),
            body: json!({ "input": input }).to_string(),
            pauses: AtomicBool::new(false),
        });
        let ends = Arc::new(AtomicBool::new(false));
        let (sends, ended) = (Arc::clone(&client), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                if !sends.pauses.load(Ordering::SeqCst) {
                    sends.submit(&sends.body);
                }
                thread::sleep(PAUSE);
            }
        });
        Ok(Self { client, ends, thread: Some(thread), input })
    }

    /// So many tasks more.
    pub fn submit(&self, tasks: u16) {
        (0..tasks).for_each(|_| self.client.submit(&self.client.body));
    }

    /// So many tasks more, whose model takes so long to answer.
    pub fn submit_slow(&self, tasks: u16, milliseconds: u32) {
        let mut input = self.input.clone();
        for text in input.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            if let Value::String(text) = text {
                text.push_str(&format!(" answer after {milliseconds} ms"));
            }
        }
        let body = json!({ "input": input }).to_string();
        (0..tasks).for_each(|_| self.client.submit(&body));
    }

    /// Sends none until it is told otherwise.
    pub fn pause(&self, pauses: bool) {
        self.client.pauses.store(pauses, Ordering::SeqCst);
    }

    /// Has the tasks that failed run again, as their runbook asks for once the cause is gone.
    ///
    /// # Errors
    /// It is refused.
    pub fn retry_failed(&self) -> Result<()> {
        self.client.operate("retry-failed", &json!({}))
    }

    /// Has no task taken from the queue.
    ///
    /// # Errors
    /// It is refused.
    pub fn drain(&self) -> Result<()> {
        self.client.operate("drain", &json!({ "wait_seconds": 0 }))
    }

    /// What has them taken again.
    pub fn resumes(&self) -> impl FnOnce() -> Result<()> + Send + 'static {
        let client = Arc::clone(&self.client);
        move || client.operate("drain", &json!({ "resume": true }))
    }
}

impl Client {
    /// What is refused while something is wrong is refused.
    fn submit(&self, body: &str) {
        let request = self.agent.post(&self.tasks).header("authorization", &self.key);
        let _ = request.content_type("application/json").send(body);
    }

    fn operate(&self, operation: &str, body: &Value) -> Result<()> {
        let url = format!("{}/{operation}", self.queue);
        let request = self.agent.post(&url).header("authorization", &self.key);
        let answer = request.content_type("application/json").send(body.to_string())?;
        anyhow::ensure!(answer.status() == 200, "{url} answers {}", answer.status());
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
