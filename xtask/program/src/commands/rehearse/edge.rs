//! The edge serves the API and nothing else, over TLS with this run's certificate. No other container publishes a port.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ureq::Agent;

use super::judged;
use super::stack::{Stack, is_public};
use crate::session::edge_client;

/// Paths that the edge must refuse, although the replicas would answer some of them.
const CLOSED: [&str; 7] = ["/", "/admin", "/metrics", "/smoke", "/readyz", "/reload", "/api/../metrics"];
pub const QUEUES: &str = "/api/v1/queues";

/// # Errors
/// Every deviation, one per line.
pub fn check(stack: &Stack) -> Result<Vec<String>> {
    let agent = agent(stack)?;
    let https = stack.public(stack.platform.edge.https);
    let key = fs::read_to_string(stack.secrets.join(stack.platform.workers.api_key.0))?;
    let mut problems = Vec::new();
    let mut expect = |what: &str, got: u16, wanted: &[u16]| {
        if !wanted.contains(&got) {
            problems.push(format!("{what} answered {got}; expected {wanted:?}"));
        }
    };
    expect("the API with its key", status(&agent, &format!("{https}{QUEUES}"), Some(key.trim()))?, &[200]);
    expect("the API without a key", status(&agent, &format!("{https}{QUEUES}"), None)?, &[401]);
    for path in CLOSED {
        expect(path, status(&agent, &format!("{https}{path}"), Some(key.trim()))?, &[400, 404]);
    }
    let http = stack.public(stack.platform.edge.http);
    expect("clear text", status(&agent, &format!("{http}{QUEUES}"), Some(key.trim()))?, &[308]);
    let stranger = Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().new_agent();
    if stranger.get(format!("{https}{QUEUES}")).call().is_ok() {
        problems.push("a client that does not know the certificate trusted it".to_owned());
    }
    let topology = stack.topology();
    for unit in &topology.units {
        let found = stack.inspect(unit)?;
        let bindings = found["HostConfig"]["PortBindings"].as_object().cloned().unwrap_or_default();
        let public = unit.service.ports.iter().filter(|port| is_public(port)).count();
        if bindings.len() != public {
            problems.push(format!("{} publishes {} ports; expected {public}", unit.name(), bindings.len()));
        }
    }
    judged(
        &problems,
        vec![format!("{https}{QUEUES} answers with this run's certificate, and nothing else does")],
    )
}

/// A client that trusts only this run's certificate.
pub fn agent(stack: &Stack) -> Result<Agent> {
    edge_client::trusting(&stack.secrets.join(stack.platform.edge.certificate.0))
}

/// # Errors
/// No answer came.
pub fn status(agent: &Agent, url: &str, key: Option<&str>) -> Result<u16> {
    let mut request = agent.get(url);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut answer = request.call().with_context(|| url.to_owned())?;
    // A body that was read lets the connection be used again.
    let _ = answer.body_mut().read_to_string();
    Ok(answer.status().as_u16())
}
