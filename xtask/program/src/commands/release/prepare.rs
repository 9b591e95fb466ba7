//! `cargo xtask release prepare`: enters the version and its notes in the tree, for a commit that is then released.

use anyhow::Result;

use super::notes::day;
use super::survey::{Survey, Wished};
use crate::context::Context;
use crate::session::dry_run;
use foundation::clock::now_ms;
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::action::{Action, Exec, Write};
use runner::plan::runner::Runner;
use runner::plan::step::{OnFailure, Plan, Step};
use shipping::release::{changelog, declared, problems, version};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release prepare
  cargo xtask release prepare --bump minor --dry-run

It changes only Cargo.toml, Cargo.lock and CHANGELOG.md. Review the changes with `git diff`, then commit and \
push.")]
pub struct Options {
    #[command(flatten)]
    wished: Wished,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// # Errors
/// Refused when the version is not known; reported when it is not greater than the last, or there are no notes.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let survey = Survey::make(context, &options.wished.read()?)?;
    let version = match &survey.decision {
        Ok(decision) => decision.version.clone(),
        Err(problem) => return Err(refused(format!("{}; {}", problem.seen, problem.remedy))),
    };
    if let Some(problem) = problems::greater(&version, survey.last.as_ref().map(|last| &last.version)) {
        return Err(refused(format!("{}; {}", problem.seen, problem.remedy)));
    }
    if survey.notes.is_empty() {
        eprintln!(
            "error: {}: nothing under Unreleased, and no commit adds anything; describe there what changes for users",
            changelog::FILE
        );
        return Err(Reported.into());
    }
    let plan = plan(context, &survey, &version)?;
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let runner = Runner { jobs: 1, ..Runner::without_native(context.target(), Interrupt::listen()?) };
    let report = runner.run(&plan)?;
    if context.json {
        stdout::json(&report)?;
    } else if report.steps.iter().all(|step| step.status.is_good()) {
        eprintln!(
            "{version} is prepared; now run: git commit --all --message 'Release {version}', then push"
        );
    }
    report.into_result()
}

fn plan(context: &Context, survey: &Survey, version: &semver::Version) -> Result<Plan> {
    let mut steps = Vec::new();
    if !survey.entered {
        let text = changelog::released(&survey.changelog, version, &day(now_ms() / 1000), &survey.notes);
        steps.push(write(context, "changelog", changelog::FILE, text.map_err(refused)?));
    }
    if survey.declared != *version {
        let before = files::text(&context.path(declared::FILE), files::TEXT)?;
        let text = declared::written(&before, version).map_err(refused)?;
        steps.push(write(context, "version", declared::FILE, text));
        steps.push(Step {
            needs: vec!["version".into()],
            ..Step::new(
                "lock",
                "update Cargo.lock",
                Action::Exec(Exec {
                    program: "cargo".into(),
                    args: ["update", "--workspace", "--offline"].map(Into::into).into(),
                    cwd: Some(context.root.clone()),
                    ..Exec::default()
                }),
            )
        });
    }
    Ok(Plan {
        intent: format!("enter {}", version::tag(version)),
        target: "prepare".into(),
        steps,
        on_failure: OnFailure::Keep,
    })
}

fn write(context: &Context, id: &str, file: &str, contents: String) -> Step {
    Step::new(
        id,
        format!("write {file}"),
        Action::Write(Write { path: context.path(file), contents: contents.into(), mode: 0o644 }),
    )
}
