//! What is asked for while the drill deploys.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::load_test::client::Client;
use crate::load_test::load::Load;

/// How long the model of a task takes: so that there are tasks under way whenever a replica drains.
const MODEL_MS: u32 = 500;

/// What is asked for, a second.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rates {
    pub requests: u32,
    pub tasks: u32,
}

/// What a POST of a task answers.
#[derive(Deserialize)]
struct Accepted {
    task_id: String,
}

/// Puts one task in.
///
/// # Errors
/// It was not accepted.
pub fn submit(client: &Client) -> Result<String> {
    let question = format!("How long is a piece of string? Answer after {MODEL_MS} ms.");
    let body = json!({ "input": { "question": question } });
    let accepted: Accepted = client.post("/api/v1/workflows/answer-question/tasks", &body)?;
    Ok(accepted.task_id)
}

/// Begins: tasks are put in, and `task`, one that is there, is read.
///
/// # Errors
/// The certificate of the edge cannot be read.
pub fn begin(client: &Client, task: &str, rates: Rates) -> Result<Load> {
    let mut load = Load::begin();
    let path = format!("/api/v1/tasks/{task}");
    load.ask(client, rates.requests, move |client| client.get::<Accepted>(&path).map(|_| None))?;
    load.ask(client, rates.tasks, |client| submit(client).map(Some))?;
    Ok(load)
}
