//! The Rust tests under cargo-llvm-cov: those that are quick, so that no slow test runs twice in CI. Acts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use judges::checks::coverage::Language;
use runner::plan::perform::OUTPUT_FILE;

/// Builds with instruments, runs the tests; gives the report.
///
/// # Errors
/// A program is missing, or a test fails.
pub fn measure(context: &Context, wanted: &Language) -> Result<PathBuf> {
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::CargoLlvmCov, Tool::LlvmTools, Tool::Cargo], progress::on_stderr().as_ref())?;
    let folder = context.state().join("coverage");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let report = folder.join("rust.lcov");
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let program = toolbox.path(Program::CargoLlvmCov)?;
    let mut arguments = ["llvm-cov", "--workspace", "--lib", "--bins"].map(str::to_owned).to_vec();
    arguments.extend(wanted.tests.iter().map(|test| format!("--test={test}")));
    // Tests kill processes, and what those had not finished to write cannot be read.
    arguments.extend(["--failure-mode=all", "--lcov", "--output-path"].map(str::to_owned));
    arguments.push(report.display().to_string());
    arguments.push("--".to_owned());
    arguments.extend(wanted.skip.iter().map(|test| format!("--skip={test}")));
    let done = duct::cmd(program, arguments)
        .dir(&context.root)
        .env("LLVM_COV", toolbox.path(Program::LlvmCov)?)
        .env("LLVM_PROFDATA", toolbox.path(Program::LlvmProfdata)?)
        .env("CARGO_INCREMENTAL", "0")
        // Tests run this program too, and what they measure is no figure of this tree.
        .env_remove(OUTPUT_FILE)
        .stdin_null()
        .stdout_to_stderr()
        .unchecked()
        .run()
        .context("cargo-llvm-cov cannot be run")?;
    if !done.status.success() {
        bail!("the tests do not pass under coverage ({}): see `cargo xtask ci tests`", done.status);
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use judges::checks::coverage::Thresholds;
    use judges::thresholds;

    #[test]
    fn every_test_that_is_skipped_is_there() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let wanted: Thresholds = thresholds::read(repository, "ops/ci/coverage.toml", "thresholds").unwrap();
        let sources: String = walkdir::WalkDir::new(repository.join("xtask"))
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
            .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
            .collect();
        for test in wanted.rust.unwrap().skip {
            assert_eq!(sources.matches(&format!("fn {test}() {{")).count(), 1, "{test}");
        }
    }
}
