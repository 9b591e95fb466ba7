//! What goes on meanwhile: two tasks a second, as any client sends them. Acts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use ureq::Agent;
use vocabulary::model::SmokeStep;

use crate::engines::process::instance::ADDRESS;
use crate::session::opened::Opened;

const PAUSE: Duration = Duration::from_millis(500);
/// A client that waits longer gives up.
const LIMIT: Duration = Duration::from_secs(10);

/// It ends with this value.
pub struct Load {
    client: Arc<Client>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Client {
    agent: Agent,
    tasks: String,
    retry: String,
    key: String,
    body: String,
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
        let port = opened.instance.port(platform.workers.flows, &opened.units());
        let port = port.context("the workers have no port")?;
        let key = std::fs::read_to_string(opened.instance.secret(platform.workers.api_key))?;
        let input: Value = serde_json::from_str(input).unwrap_or_else(|_| json!({ "text": input }));
        let agent =
            Agent::config_builder().timeout_global(Some(LIMIT)).http_status_as_error(false).proxy(None);
        let client = Arc::new(Client {
            agent: agent.build().into(),
            tasks: format!("http://{ADDRESS}:{port}/api/v1/workflows/{workflow}/tasks"),
            retry: format!("http://{ADDRESS}:{port}/api/v1/queues/{}/retry-failed", platform.queue.task),
            key: format!("Bearer {}", key.trim()),
            body: json!({ "input": input }).to_string(),
        });
        let ends = Arc::new(AtomicBool::new(false));
        let (sends, ended) = (Arc::clone(&client), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                sends.submit();
                thread::sleep(PAUSE);
            }
        });
        Ok(Self { client, ends, thread: Some(thread) })
    }

    /// One task more.
    pub fn submit(&self) {
        self.client.submit();
    }

    /// Has the tasks that failed run again, as their runbook asks for once the cause is gone.
    ///
    /// # Errors
    /// It is refused.
    pub fn retry_failed(&self) -> Result<()> {
        let Client { agent, retry, key, .. } = &*self.client;
        let answer = agent.post(retry).header("authorization", key).send_empty()?;
        anyhow::ensure!(answer.status() == 200, "{retry} answers {}", answer.status());
        Ok(())
    }
}

impl Client {
    /// What is refused while something is wrong is refused.
    fn submit(&self) {
        let request = self.agent.post(&self.tasks).header("authorization", &self.key);
        let _ = request.content_type("application/json").send(&self.body);
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
