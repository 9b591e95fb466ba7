//! The smoke check that only a deployed environment has: the task of the end-to-end check again, sent as a client sends it,
//! through the edge and over TLS. The other checks ask a replica itself.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};
use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, SmokeStep};

use super::deployed::State;
use super::edge_client;
use super::smoke_report::{Check, Status};
use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::certificate;
use crate::engines::process::instance::edge_address;
use foundation::files;

/// Between two looks at the task.
const LOOK: Duration = Duration::from_millis(50);

/// Runs it where the environment was deployed; none when no check of the platform submits a task.
///
/// # Errors
/// What runs there cannot be observed.
pub fn check(context: &Context, deployed: &Deployed) -> Result<Option<Check>> {
    let begun = Instant::now();
    let platform = context.platform;
    let steps = platform.smoke.checks.iter().flat_map(|check| &check.steps);
    let mut tasks = steps.filter_map(|step| match step {
        SmokeStep::TaskThroughApi { workflow, input, .. } => Some((*workflow, *input)),
        _ => None,
    });
    let Some(task) = tasks.next() else { return Ok(None) };
    let state = State::of(context, deployed)?;
    let secrets = deployed.folder().join("secrets");
    let port = state.edge_port(platform).context("the edge does not run");
    let result = port.and_then(|port| run(platform, &state.environment, &secrets, port, task));
    let (status, error) = match result {
        Ok(()) => (Status::Passed, None),
        Err(error) => (Status::Failed, Some(format!("{error:#}"))),
    };
    Ok(Some(Check {
        name: platform.edge.https.service.to_string(),
        status,
        duration_ms: begun.elapsed().as_secs_f64() * 1000.0,
        error,
        detail: Value::Null,
    }))
}

fn run(
    platform: &Platform,
    environment: &Environment,
    secrets: &Path,
    port: u16,
    (workflow, input): (&str, &str),
) -> Result<()> {
    let begun = Instant::now();
    let agent =
        edge_client::at(&secrets.join(platform.edge.certificate.0), &edge_address(environment), port)?;
    let key = files::text(&secrets.join(platform.workers.api_key.0), files::TEXT)?;
    let bearer = format!("Bearer {}", key.trim());
    let base = format!("https://{}:{port}", certificate::domain(environment));
    let url = format!("{base}/api/v1/workflows/{workflow}/tasks");
    let request = agent.post(&url).header("authorization", &bearer).content_type("application/json");
    let answer = request.send(format!("{{\"input\":{input}}}"));
    let accepted = read(answer.with_context(|| url.clone())?, 202).with_context(|| url.clone())?;
    let url = format!("{base}{}", accepted["location"].as_str().context("the answer has no location")?);
    let limit = Duration::from_millis(platform.smoke.check_limit_ms.into());
    loop {
        let task = look(&agent, &url, &bearer)?;
        match task["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed") => bail!("{url}: the task failed: {}", task["last_error"]),
            status => ensure!(
                begun.elapsed() < limit,
                "{url}: the task is {} after {} s",
                status.unwrap_or("unknown"),
                limit.as_secs()
            ),
        }
        thread::sleep(LOOK);
    }
}

fn look(agent: &Agent, url: &str, bearer: &str) -> Result<Value> {
    let answer = agent.get(url).header("authorization", bearer).call();
    read(answer.with_context(|| url.to_owned())?, 200).with_context(|| url.to_owned())
}

fn read(mut answer: Response<Body>, expected: u16) -> Result<Value> {
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string()?;
    ensure!(
        status == expected,
        "status {status}; expected {expected}: {}",
        body.lines().next().unwrap_or_default()
    );
    Ok(serde_json::from_str(&body)?)
}
