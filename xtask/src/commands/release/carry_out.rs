//! Carries out a plan that builds parts of a release.

use anyhow::Result;

use crate::context::Context;
use foundation::called::command_line;
use foundation::exit::Reported;
use foundation::interrupt::Interrupt;
use runner::plan::mask::Outputs;
use runner::plan::perform::{Call, Hands, NoHands};
use runner::plan::report::Outcome;
use runner::plan::runner::{Runner, cores};
use runner::plan::show::Show;
use runner::plan::step::Plan;

/// What a build may take to end when it is told to, milliseconds.
const GRACE_MS: u64 = 10_000;

/// # Errors
/// The plan cannot be begun; reported when a step failed.
pub fn carry_out(
    context: &Context,
    plan: &Plan,
    show: Show,
    native: &(dyn Fn(&Call<'_>) -> Result<Outputs> + Sync),
) -> Result<()> {
    let runner = Runner {
        state: context.state(),
        command: command_line(),
        jobs: cores(),
        keep_going: false,
        grace_ms: GRACE_MS,
        interrupt: Interrupt::listen()?,
        show,
        hands: Hands { native, ..NoHands::hands() },
    };
    let report = runner.run(plan)?;
    match report.outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed => Err(Reported.into()),
        Outcome::Interrupted(_) => report.into_result(),
    }
}
