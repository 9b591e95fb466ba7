//! A service that exits at once is restarted, with longer and longer pauses.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::judged;
use super::stack::{Stack, now};
use foundation::interrupt::Interrupt;

/// Long enough for the engine's pauses to double eight times.
const WATCHED: Duration = Duration::from_secs(30);
/// The pause before the first restart. Each further pause is twice as long, up to a minute.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// # Errors
/// The container was never restarted, or too often.
pub fn check(stack: &Stack, interrupt: &Interrupt) -> Result<Vec<String>> {
    let topology = stack.topology();
    let unit = stack.worker(&topology)?;
    let (name, like) = (unit.name(), stack.inspect(unit)?);
    // The image and policy of a real service, with a command that always fails.
    let policy = &like["HostConfig"]["RestartPolicy"];
    let restart = match (policy["Name"].as_str(), policy["MaximumRetryCount"].as_u64()) {
        (Some(name), Some(0) | None) => name.to_owned(),
        (Some(name), Some(count)) => format!("{name}:{count}"),
        (None, _) => bail!("the engine reports no restart policy for {name}"),
    };
    let image = like["Config"]["Image"].as_str().context("the engine reports no image")?;
    let container = format!("{}-crash-loop", stack.seen.project.name);
    let project = format!("com.docker.compose.project={}", stack.seen.project.name);
    // The labels let `down --remove-orphans` find it when this program is killed.
    let labels =
        [project.as_str(), "com.docker.compose.service=crash-loop", "com.docker.compose.oneoff=False"];
    let mut argv = vec!["run", "--detach", "--name", &container, "--restart", &restart, "--network", "none"];
    argv.extend(labels.iter().flat_map(|label| ["--label", *label]));
    argv.extend(["--entrypoint", "node", image, "-e", "process.exit(1)"]);
    let since = now()?;
    let started = stack.engine.ask(&argv)?;
    if !started.success {
        bail!("{container}: {}", started.stderr.trim());
    }
    let begun = Instant::now();
    while begun.elapsed() < WATCHED && !interrupt.raised() {
        thread::sleep(Duration::from_millis(100));
    }
    let events = stack.events(&container, "{{.Action}} {{.TimeNano}}", &since)?;
    let removed = stack.engine.ask(&["rm", "--force", &container])?;
    if !removed.success {
        bail!("{container} cannot be removed: {}", removed.stderr.trim());
    }
    let starts: Vec<u64> =
        events.lines().filter_map(|line| line.strip_prefix("start ")?.trim().parse().ok()).collect();
    judged(
        &unbounded(&starts),
        vec![format!(
            "with restart: {restart} a container that fails at once was started {} times in {} s",
            starts.len(),
            WATCHED.as_secs()
        )],
    )
}

/// Problems with these start times, in nanoseconds since the epoch. Pure.
fn unbounded(starts: &[u64]) -> Vec<String> {
    if starts.len() < 2 {
        return vec!["it was not restarted".to_owned()];
    }
    let between = starts.windows(2).map(|pair| Duration::from_nanos(pair[1].saturating_sub(pair[0])));
    let pauses = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(*pause * 2));
    let short = between.zip(pauses).enumerate().filter(|(_, (found, wanted))| found < wanted);
    let told = short.map(|(at, (found, wanted))| {
        format!("restart {} came {found:?} after the start before it; expected {wanted:?} at least", at + 1)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_that_do_not_grow_are_found() {
        let at = |milliseconds: &[u64]| -> Vec<u64> {
            milliseconds.iter().map(|ms| 1_700_000_000_000_000_000 + ms * 1_000_000).collect()
        };
        let engine = [0, 300, 700, 1300, 2300, 4100, 7500, 14_100, 27_100];
        assert_eq!(unbounded(&at(&engine)), [""; 0]);
        assert_eq!(unbounded(&at(&[0])), ["it was not restarted"]);
        assert_eq!(unbounded(&[]), ["it was not restarted"]);
        let flat = unbounded(&at(&[0, 300, 600, 900, 1200]));
        assert_eq!(flat.len(), 2, "{flat:?}");
        assert!(
            flat[0].starts_with("restart 3 came 300ms after the start before it; expected 400ms"),
            "{flat:?}"
        );
    }
}
