//! `cargo xtask release operator`: the operator's program for this machine, for a release that is packaged on another.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::carry_out::carry_out;
use super::operator_build;
use vocabulary::model::ReleasePolicy;

use crate::context::Context;
use crate::session::dry_run;
use foundation::digest;
use foundation::files;
use foundation::stdout;
use runner::plan::action::{Action, Native};
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::show::Show;
use runner::plan::step::{OnFailure, Plan, Step};
use shipping::release::bundle;
use shipping::release::commit::{checked_out, still};
use shipping::release::program::{self, Program};

/// Names the lock, the journal and the logs.
const TARGET: &str = "release-operator";
const BUILD: &str = "build";
const PLACE: &str = "place";

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
enum Operator {
    Place { file: PathBuf },
}

impl Native for Operator {}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release operator
  cargo xtask release operator --json

It writes the program to target/release-operators/flowship-TARGET, and the commit and tools that built it to \
a file beside it. Copy the files from all machines into one folder, and pass that to `cargo xtask release \
package --operators FOLDER`.")]
pub struct Options {
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

/// What `release package --operators` looks for.
pub fn file_name(target: &str) -> String {
    format!("{}-{target}", bundle::OPERATOR)
}

/// # Errors
/// Refused when the tree is not a commit; reported when it cannot be built.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let architecture = operator_build::own_architecture()?;
    let commit = checked_out(&context.root)?;
    let file = context.path(ReleasePolicy::OPERATORS).join(file_name(architecture.target()));
    let built = operator_build::built(&context.root, architecture);
    let plan = Plan {
        intent: format!("build the operator's program of {}", commit.id),
        target: TARGET.to_owned(),
        steps: vec![
            operator_build::step(BUILD, &context.root, architecture, commit.time)?,
            Step {
                needs: vec![BUILD.into()],
                ..Step::new(
                    PLACE,
                    format!("move it to {}", ReleasePolicy::OPERATORS),
                    Action::Native(Operator::Place { file: file.clone() }),
                )
            },
        ],
        on_failure: OnFailure::Keep,
    };
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let native = |action: &Operator, _: &StepContext| {
        let Operator::Place { file } = action;
        still(&context.root, &commit)?;
        let mut from = files::open_within(&built, files::ARCHIVE)?;
        files::write::with(file, 0o755, |to| Ok(io::copy(&mut from, to)?))?;
        let told = Program {
            target: architecture.target().to_owned(),
            commit: commit.id.clone(),
            sha256: digest::of_file(file)?.sha256,
            tools: operator_build::tools(&context.root),
        };
        program::write(file, &told)?;
        Ok(Outputs::new())
    };
    carry_out(context, &plan, Show::on_stderr(), &native)?;
    let told = program::read(&file)?;
    if context.json {
        return stdout::json(&json!({ "file": file, "program": told }));
    }
    stdout::text(&format!("{}  {}\n", told.sha256, file.display()))
}
