//! How long it takes to know that every generated file is what the platform says.

use anyhow::Result;

use super::sample::{Figure, figure, times};
use crate::context::Context;
use crate::generated;
use foundation::interrupt::Interrupt;

pub fn measure(context: &Context, runs: usize, _interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let check = times(runs, &mut || {
        let platform = context.platform;
        let _ = platform.validate();
        let artifacts = generated::artifacts(platform, &[])?;
        let observed = generated::observe(&context.root, &artifacts)?;
        let _ = generated::compare(&artifacts, &observed, true);
        Ok(())
    })?;
    Ok(vec![figure("generate --check, in process", &check, None)])
}
