//! A platform for one run: on free ports and in its own folder, always removed afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::opened::{OpenOptions, Opened};
use super::running;
use crate::context::Context;
use crate::engines::process::instance::LOGS;
use foundation::files::remove;
use foundation::interrupt::Interrupt;
use runner::plan::register;
use runner::plan::report::Outcome;
use runner::plan::show::Show;

/// The folder of the logs of the last private platform that failed, below the state folder.
pub const FAILED: &str = "smoke-failed";

/// Runs `work` while such a platform is up. Its name starts with `purpose`; `replicas` is the number of workers, unless
/// the environment sets it; `with` are optional parts of the platform.
///
/// # Errors
/// When the platform does not come up or go down, or as `work` says.
pub fn run(
    context: &Context,
    purpose: &str,
    replicas: Option<u32>,
    with: &[String],
    show: &Show,
    interrupt: &Interrupt,
    work: &mut dyn FnMut(&Opened) -> Result<()>,
) -> Result<()> {
    let name = register::own(purpose);
    let opened = Opened::open(context, &OpenOptions { replicas, with, ..OpenOptions::private(&name) }, None)?;
    run_opened(context, &opened, show, interrupt, work)
}

/// The same with one that was opened for it, as [`OpenOptions::private`].
///
/// # Errors
/// As [`run`].
pub fn run_opened(
    context: &Context,
    opened: &Opened,
    show: &Show,
    interrupt: &Interrupt,
    work: &mut dyn FnMut(&Opened) -> Result<()>,
) -> Result<()> {
    let plan = opened.plan();
    let worked = running::bring_up(context, opened, &plan, show, interrupt).and_then(|report| {
        if report.outcome != Outcome::Done {
            return report.into_result();
        }
        work(opened)
    });
    let down = running::bring_down(context, &opened.target, show, &interrupt.heeded());
    if down.is_ok() {
        if worked.is_err() {
            let kept = keep_logs(context, &opened.instance.folder)?;
            show.say(&format!("its logs are kept in {}", kept.display()));
        }
        remove(&opened.instance.folder)?;
    }
    worked.and(down)
}

/// Those of the last run that failed; they hold no secrets.
fn keep_logs(context: &Context, folder: &Path) -> Result<PathBuf> {
    let kept = context.state().join(FAILED);
    remove(&kept)?;
    fs::create_dir_all(&kept)?;
    for logs in [LOGS, "log"] {
        if folder.join(logs).exists() {
            fs::rename(folder.join(logs), kept.join(logs))?;
        }
    }
    Ok(kept)
}
