//! Carries out a plan that builds parts of a release.

use anyhow::Result;

use crate::context::Context;
use foundation::exit::Reported;
use foundation::interrupt::Interrupt;
use runner::plan::action::Native;
use runner::plan::perform::Perform;
use runner::plan::report::Outcome;
use runner::plan::runner::Runner;
use runner::plan::show::Show;
use runner::plan::step::Plan;

/// # Errors
/// The plan cannot be begun; reported when a step failed.
pub fn carry_out<N: Native>(
    context: &Context,
    plan: &Plan<N>,
    show: Show,
    native: &Perform<'_, N>,
) -> Result<()> {
    let runner = Runner { show, ..Runner::new(context.target(), Interrupt::listen()?, native) };
    let report = runner.run(plan)?;
    match report.outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed => Err(Reported.into()),
        Outcome::Interrupted(_) => report.into_result(),
    }
}
