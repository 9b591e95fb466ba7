//! Carries a plan about images out, and explains a failure that we know.

use std::fs;

use anyhow::Result;

use crate::context::Context;
use crate::images::failure;
use foundation::called::command_line;
use foundation::interrupt::Interrupt;
use runner::plan::mask::Outputs;
use runner::plan::perform::{Call, Hands, NoHands};
use runner::plan::report::Report;
use runner::plan::runner::Runner;
use runner::plan::show::Show;
use runner::plan::step::Plan;

/// Milliseconds from TERM to KILL: a build client tells the engine to stop.
const GRACE_MS: u64 = 10_000;

/// # Errors
/// The plan cannot be begun. A step that fails is told in the report.
pub fn carry_out(
    context: &Context,
    plan: &Plan,
    jobs: usize,
    native: &(dyn Fn(&Call<'_>, &Show) -> Result<Outputs> + Sync),
) -> Result<Report> {
    let show = Show::on_stderr();
    let runner = Runner {
        state: context.state(),
        command: command_line(),
        jobs,
        keep_going: true,
        grace_ms: GRACE_MS,
        interrupt: Interrupt::listen()?,
        show: show.clone(),
        hands: Hands { native: &|call| native(call, &show), ..NoHands::hands() },
    };
    let report = runner.run(plan)?;
    let mut told = Vec::new();
    for step in report.steps.iter().filter(|step| step.error.is_some()) {
        let log = step.log.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let text = format!("{log}\n{}", step.error.as_deref().unwrap_or_default());
        if let Some(remedy) = failure::explain(&text).filter(|remedy| !told.contains(remedy)) {
            show.say(remedy);
            told.push(remedy);
        }
    }
    Ok(report)
}
