//! The smoke check that only a deployed environment has: the task of the end-to-end check again, sent as a client sends it,
//! through the edge and over TLS. The other checks ask a replica itself.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
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
use runner::plan::mask::Mask;

/// Between two looks at the task.
const LOOK: Duration = Duration::from_millis(50);

/// Runs it where the environment was deployed; none when no check of the platform submits a task. It fails when it has not
/// passed until then.
///
/// # Errors
/// What runs there cannot be observed, or `stop` holds.
pub fn check(
    context: &Context,
    deployed: &Deployed,
    until: Instant,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Check>> {
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
    let until = until.min(begun + Duration::from_millis(platform.smoke.check_limit_ms.into()));
    let port = state.edge_port(platform).context("the edge does not run");
    let mask = Mask::default();
    let result = match port {
        Ok(port) => {
            let mask = mask.clone();
            let run = move || run(platform, &state.environment, (&secrets, &mask), port, task, until);
            apart(until, stop, run)?
        }
        Err(error) => Err(error),
    };
    let (status, error) = match result {
        Ok(()) => (Status::Passed, None),
        Err(error) => (Status::Failed, Some(mask.hide(&format!("{error:#}")).into_owned())),
    };
    Ok(Some(Check {
        name: platform.edge.https.service.to_string(),
        status,
        duration_ms: begun.elapsed().as_secs_f64() * 1000.0,
        error,
        detail: Value::Null,
    }))
}

/// In a thread of its own, which ends with the program: neither a stop nor the limit waits for an answer.
fn apart(
    until: Instant,
    stop: &dyn Fn() -> bool,
    run: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<Result<()>> {
    let (sender, ended) = channel();
    thread::Builder::new().name("edge".into()).spawn(move || sender.send(run()))?;
    loop {
        match ended.recv_timeout(LOOK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => bail!("a bug in this program: the check panicked"),
            Err(RecvTimeoutError::Timeout) if stop() => bail!("stopped"),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= until + LOOK => {
                return Ok(Err(anyhow!("no answer in time")));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn run(
    platform: &Platform,
    environment: &Environment,
    (secrets, mask): (&Path, &Mask),
    port: u16,
    (workflow, input): (&str, &str),
    until: Instant,
) -> Result<()> {
    let at = SocketAddr::new(edge_address(environment).parse()?, port);
    let domain = certificate::domain(environment);
    certificate::is_served(&secrets.join(platform.edge.certificate.0), at, domain, until)?;
    let agent = edge_client::at(at);
    let key = mask.read_file(&secrets.join(platform.workers.api_key.0))?;
    let bearer = format!("Bearer {}", key.expose().trim());
    let base = format!("https://{domain}:{port}");
    let url = format!("{base}/api/v1/workflows/{workflow}/tasks");
    let request = agent.post(&url).header("authorization", &bearer).content_type("application/json");
    let answer = request.send(format!("{{\"input\":{input}}}"));
    let accepted = read(answer.with_context(|| url.clone())?, 202).with_context(|| url.clone())?;
    let url = format!("{base}{}", accepted["location"].as_str().context("the answer has no location")?);
    loop {
        let task = look(&agent, &url, &bearer)?;
        match task["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed") => bail!("{url}: the task failed: {}", task["last_error"]),
            status => ensure!(
                Instant::now() < until,
                "{url}: the task is still {} at the end of the time limit",
                status.unwrap_or("unknown")
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
