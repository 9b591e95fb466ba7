//! Carries a plan about images out, and explains a failure that we know.

use std::fs;

use anyhow::Result;

use crate::context::Context;
use crate::images::failure;
use foundation::interrupt::Interrupt;
use runner::plan::action::Native;
use runner::plan::perform::Perform;
use runner::plan::report::Report;
use runner::plan::runner::Runner;
use runner::plan::step::Plan;

/// # Errors
/// The plan cannot be begun. A step that fails is told in the report.
pub fn carry_out<N: Native>(
    context: &Context,
    plan: &Plan<N>,
    jobs: usize,
    native: &Perform<'_, N>,
) -> Result<Report> {
    let runner =
        Runner { jobs, keep_going: true, ..Runner::new(context.target(), Interrupt::listen()?, native) };
    let report = runner.run(plan)?;
    let mut told = Vec::new();
    for step in report.steps.iter().filter(|step| step.error.is_some()) {
        let log = step.log.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let text = format!("{log}\n{}", step.error.as_deref().unwrap_or_default());
        if let Some(remedy) = failure::explain(&text).filter(|remedy| !told.contains(remedy)) {
            runner.show.say(remedy);
            told.push(remedy);
        }
    }
    Ok(report)
}
