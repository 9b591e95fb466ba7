//! Starts the database a minute late: production must still come up, and nothing that needs the database may start
//! before it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use vocabulary::model::ServiceId;

use super::judged;
use super::stack::{Stack, words};
use crate::engines::compose::lower::up;
use crate::engines::compose::project::Project;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;

/// Seconds.
const LATE: u64 = 60;

/// Recreates production, so it runs after all other checks.
///
/// # Errors
/// Production did not come up, a service did not wait, or the smoke checks fail afterwards.
pub fn check(stack: &Stack, interrupt: &Interrupt) -> Result<Vec<String>> {
    let topology = stack.topology();
    let (id, roles) = (stack.platform.database.port.service, stack.platform);
    let (database, waiting): (Vec<_>, Vec<_>) = topology
        .units
        .iter()
        .filter(|unit| [id, roles.database.migrations, roles.workers.service()].contains(&unit.service.id))
        .partition(|unit| unit.service.id == id);
    let database = *database.first().context("there is no database")?;
    let original = stack.inspect(database)?;
    let mut project = stack.seen.project.clone();
    let late = project.env_file.with_file_name("late.yaml");
    fs::write(&late, held_back(id, &original["Config"]["Entrypoint"]).to_string())?;
    project.files.push(late.clone());
    let mut said = temporary::file()?.into_file();
    run(&words(&project.down(true)), &project, &said)?.wait()?;
    let begun = Instant::now();
    let mut starting = run(&words(&up(&project, &["--remove-orphans"], None)), &project, &said)?;
    let mut problems = Vec::new();
    let mut healthy_after = None;
    let ended = loop {
        if let Some(ended) = starting.try_wait()? {
            break ended;
        }
        if interrupt.raised() {
            kill_process_group(Pid::from_child(&starting), Signal::TERM)?;
            break starting.wait()?;
        }
        // A container that does not exist yet is not healthy.
        let state = |unit| stack.inspect(unit).map_or(Value::Null, |found| found["State"].clone());
        // Ask the dependents first: one that starts right after the database is healthy has waited.
        let began: Vec<String> = waiting
            .iter()
            .filter(|unit| !matches!(state(unit)["Status"].as_str(), None | Some("created")))
            .map(|unit| unit.name())
            .collect();
        if healthy_after.is_none() && state(database)["Health"]["Status"] == "healthy" {
            healthy_after = Some(begun.elapsed());
        }
        if healthy_after.is_none() {
            problems.extend(began.iter().map(|name| format!("{name} started before {id} was healthy")));
        }
        thread::sleep(Duration::from_millis(250));
    };
    fs::remove_file(&late)?;
    problems.sort();
    problems.dedup();
    if !ended.success() {
        let mut text = String::new();
        said.rewind()?;
        said.read_to_string(&mut text)?;
        problems.push(format!("production did not come up with {id} {LATE} s late: {}", text.trim()));
        return judged(&problems, vec![]);
    }
    let Some(after) = healthy_after else { bail!("{id} was never seen healthy") };
    if after < Duration::from_secs(LATE) {
        problems.push(format!("{id} was healthy after {after:?}: it was not late"));
    }
    let mut told = vec![format!(
        "{id} was healthy after {:.0} s, and production {:.0} s after that; {} units waited",
        after.as_secs_f64(),
        begun.elapsed().saturating_sub(after).as_secs_f64(),
        waiting.len()
    )];
    told.extend(stack.smoke(interrupt)?);
    judged(&problems, told)
}

/// An additional Compose file in which a service sleeps before it runs its image's entrypoint. Pure.
fn held_back(service: ServiceId, entrypoint: &Value) -> Value {
    let mut argv = vec![json!("sh"), json!("-c"), json!(format!("sleep {LATE}; exec \"$$0\" \"$$@\""))];
    argv.extend(entrypoint.as_array().cloned().unwrap_or_default());
    json!({ "services": { service.0: { "entrypoint": argv } } })
}

/// In its own process group, so that a shell and the program that it starts end together.
fn run(argv: &[String], project: &Project, said: &File) -> Result<Child> {
    Command::new(&argv[0])
        .args(&argv[1..])
        .current_dir(&project.folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.try_clone()?)
        .spawn()
        .with_context(|| argv[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_still_does_what_its_image_does() {
        let file = held_back(ServiceId("postgres"), &json!(["entry.sh"]));
        let argv = &file["services"]["postgres"]["entrypoint"];
        assert_eq!(*argv, json!(["sh", "-c", "sleep 60; exec \"$$0\" \"$$@\"", "entry.sh"]));
        assert_eq!(
            held_back(ServiceId("postgres"), &Value::Null)["services"]["postgres"]["entrypoint"][3],
            Value::Null
        );
    }
}
