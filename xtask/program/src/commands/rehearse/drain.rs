//! Stops a replica while it serves a request and while other requests come in through the edge.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::edge::{QUEUES, agent, status};
use super::judged;
use super::stack::Stack;

/// How long the client takes for the second half of its request, in seconds: longer than the drain's delay, so that the
/// replica has received its stop signal and no longer listens.
const SLOW: u32 = 3;

/// # Errors
/// A request was lost, or the replica did not exit cleanly.
pub fn check(stack: &Stack) -> Result<Vec<String>> {
    let topology = stack.topology();
    let platform = stack.platform;
    let replica = stack.worker(&topology)?;
    let port = stack.port(platform.workers.flows);
    let address = stack.bound(&topology, replica, port).context("the replica is not bound to one address")?;
    let container = stack.seen.project.container(&replica.name());
    let pid = stack.inspect(topology.first(platform.edge.service())?)?["State"]["Pid"].to_string();
    let key = fs::read_to_string(stack.secrets.join(platform.workers.api_key.0))?;
    // From the edge's network namespace, directly to this replica. The key is passed in the environment, which only root
    // can read.
    let script = format!(
        "exec 3<>/dev/tcp/{address}/{}; body='{{\"input\":{{\"text\":\"slow\"}}}}'; \
         printf 'POST /api/v1/workflows/describe-text/tasks HTTP/1.1\\r\\nHost: replica\\r\\nConnection: close\\r\\n\
         Content-Type: application/json\\r\\nAuthorization: Bearer %s\\r\\nContent-Length: %s\\r\\n\\r\\n%s' \"$KEY\" \
         \"${{#body}}\" \"${{body:0:10}}\" >&3; echo sent; sleep {SLOW}; printf %s \"${{body:10}}\" >&3; head -n 1 <&3",
        port.number
    );
    let mut client = Command::new("nsenter")
        .args(["--target", &pid, "--net", "bash", "-c", &script])
        .env("KEY", key.trim())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut output = std::io::BufReader::new(client.stdout.take().context("no output")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line)?;
    if line.trim() != "sent" {
        let _ = client.wait();
        bail!("the request could not be started");
    }
    let ended = AtomicBool::new(false);
    let agent = agent(stack)?;
    let url = format!("{}{QUEUES}", stack.public(platform.edge.https));
    let (stopped, took, others) = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (mut good, mut bad) = (0_u32, Vec::new());
            while !ended.load(Ordering::SeqCst) {
                match status(&agent, &url, Some(key.trim())) {
                    Ok(200) => good += 1,
                    Ok(other) => bad.push(other.to_string()),
                    Err(error) => bad.push(format!("{error:#}")),
                }
                thread::sleep(Duration::from_millis(10));
            }
            (good, bad)
        });
        let begun = Instant::now();
        let stopped = stack.engine.ask(&["stop", &container]);
        let took = begun.elapsed();
        ended.store(true, Ordering::SeqCst);
        (stopped, took, others.join().expect("asking does not panic"))
    });
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut output, &mut answer)?;
    client.wait()?;
    let code = stack.inspect(replica)?["State"]["ExitCode"].to_string();
    let started = stack.engine.ask(&["start", &container])?;
    stack.await_healthy(&container)?;
    let mut problems = Vec::new();
    let mut expect = |good: bool, problem: String| {
        if !good {
            problems.push(problem);
        }
    };
    expect(stopped.as_ref().is_ok_and(|answer| answer.success), format!("docker stop failed: {stopped:?}"));
    expect(started.success, started.stderr.clone());
    expect(answer.contains(" 202 "), format!("the request in flight got {:?} instead of 202", answer.trim()));
    expect(code == "0", format!("{container} exited with code {code}"));
    let grace =
        Duration::from_secs(platform.stop_limit_seconds(replica.service, topology.scope.tier()).into());
    expect(took < grace, format!("{container} took {took:?} of its {grace:?}: it was killed"));
    let (good, bad) = others;
    expect(
        bad.is_empty(),
        format!(
            "{} of {} requests through the edge failed: {}",
            bad.len(),
            good as usize + bad.len(),
            bad.join(", ")
        ),
    );
    expect(good > 0, "no request came through the edge while it stopped".to_owned());
    judged(
        &problems,
        vec![format!(
            "{}: the request in flight got {}, {good} others through the edge were answered, it ended with {code} after \
             {:.1} s",
            replica.name(),
            answer.trim(),
            took.as_secs_f64()
        )],
    )
}
