//! What `cargo xtask` costs over the program that it runs.

use anyhow::Result;
use duct::cmd;

use super::sample::{Figure, figure, times};
use crate::context::Context;
use foundation::interrupt::Interrupt;

pub fn measure(context: &Context, runs: usize, _interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let program = std::env::current_exe()?;
    let bare = times(runs, &mut || {
        cmd!(&program, "--version").dir(&context.root).stdout_null().run()?;
        Ok(())
    })?;
    let through_cargo = times(runs, &mut || {
        cmd!("cargo", "xtask", "--version").dir(&context.root).stdout_null().stderr_null().run()?;
        Ok(())
    })?;
    let bare = figure("the bare program, --version", &bare, None);
    let through_cargo = figure("cargo xtask --version, nothing to build", &through_cargo, Some(&bare));
    Ok(vec![bare, through_cargo])
}
