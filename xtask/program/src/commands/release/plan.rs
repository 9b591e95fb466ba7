//! `cargo xtask release plan`: what the next release would be, and everything that stands in its way. Changes nothing.

use anyhow::Result;
use serde::Serialize;
use vocabulary::problem::Problem;

use super::Place;
use super::remote_state::RemoteState;
use super::survey::{Survey, Wished};

use crate::context::Context;
use crate::generated;
use foundation::exit::{Reported, refused};
use foundation::interrupt::Interrupt;
use foundation::stdout;
use shipping::forge::repository::Repository;
use shipping::release::changelog;
use shipping::release::conventional::Reading;
use shipping::release::decide::counted;
use shipping::release::history::short;
use shipping::release::problems::{self, Ci, obstacle};
use shipping::release::{description, ledger, manifest, provenance, signing, sums, version};
use vocabulary::model::Architecture;

#[derive(Debug, clap::Args)]
#[group(id = "planned")]
#[command(after_help = "\
Examples:
  cargo xtask release plan
  cargo xtask release plan --bump minor
  cargo xtask release plan --version 1.2.0-rc.1 --json

It changes nothing. Exit code 0 when there is no problem, 1 when there is one; it lists all of them.")]
pub struct Options {
    #[command(flatten)]
    wished: Wished,
    #[command(flatten)]
    place: Place,
}

/// The whole plan, as `--json` prints it.
#[derive(Serialize)]
struct Plan {
    version: Option<semver::Version>,
    why: Option<String>,
    tag: Option<String>,
    commit: String,
    subject: String,
    branch: Option<String>,
    last: Option<semver::Version>,
    commits: usize,
    #[serde(flatten)]
    reading: Reading,
    notes: String,
    /// Files that are built, and published; the images, where they are packaged, are more.
    builds: Vec<String>,
    builds_of_others: Vec<String>,
    ci: Ci,
    problems: Vec<Problem>,
}

/// # Errors
/// Reported when something stands in the way of the release; refused when the tree cannot be one.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let plan = make(context, options)?;
    if context.json {
        stdout::json(&plan)?;
    } else {
        stdout::text(&text(&plan))?;
    }
    if plan.problems.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

fn make(context: &Context, options: &Options) -> Result<Plan> {
    let survey = Survey::make(context, &options.wished.read()?)?;
    let repository = Repository { root: &context.root };
    let standing = RemoteState::observe(context, &options.place, &survey.head.commit, &Interrupt::listen()?)?;
    let known = repository.tags(None)?;
    let version = survey.decision.as_ref().ok().map(|decision| decision.version.clone());

    let mut problems: Vec<_> = survey.decision.as_ref().err().cloned().into_iter().collect();
    problems.extend(problems::shallow(repository.is_shallow()?, &options.place.remote));
    problems.extend(problems::dirty(&repository.dirty()?));
    problems.extend(problems::branch(
        survey.head.branch.as_deref(),
        options.place.branch(context),
        &standing.pushed,
    ));
    problems.extend(standing.problems(
        version.as_ref(),
        &known,
        &options.place,
        options.place.branch(context),
    ));
    problems.extend(problems::ci(&standing.ci, &survey.head.commit, context.platform.release.required_check));
    if let Some(version) = &version {
        let here = known.iter().find(|tag| tag.version == *version).map(|tag| tag.commit.as_str());
        problems.extend(problems::tag(version, &survey.head.commit, here, standing.refs.tag(version)));
        problems.extend(problems::greater(version, survey.last.as_ref().map(|last| &last.version)));
        problems.extend(unprepared(&survey, version));
    }
    if survey.notes.is_empty() {
        problems.push(obstacle(
            "changelog",
            format!("{} has nothing under Unreleased, and no commit adds a note", changelog::FILE),
            "describe there what changes for users",
        ));
    }
    problems.extend(problems::generated(&stale(context)?));

    Ok(Plan {
        tag: version.as_ref().map(version::tag),
        why: survey.decision.as_ref().ok().map(|decision| decision.why.clone()),
        commit: survey.head.commit,
        subject: survey.head.subject,
        branch: survey.head.branch,
        last: survey.last.map(|last| last.version),
        commits: survey.commits.len(),
        reading: survey.reading,
        notes: survey.notes.text(),
        version: version.clone(),
        builds: version.as_ref().map(files).unwrap_or_default(),
        builds_of_others: version
            .as_ref()
            .map(|version| files_of_others(&context.platform.release.architectures, version))
            .unwrap_or_default(),
        ci: standing.ci,
        problems,
    })
}

/// What the release commit still has to say: its version, and its part of the changelog.
fn unprepared(survey: &Survey, version: &semver::Version) -> Option<Problem> {
    let mut missing = Vec::new();
    if survey.declared != *version {
        missing.push(format!("Cargo.toml declares {}", survey.declared));
    }
    if !survey.entered {
        missing.push(format!("{} has no section for it", changelog::FILE));
    }
    (!missing.is_empty()).then(|| {
        obstacle(
            "prepared",
            format!("{version} is not prepared: {}", missing.join(", ")),
            format!("cargo xtask release prepare --version {version}, then commit and push"),
        )
    })
}

fn files(version: &semver::Version) -> Vec<String> {
    let version = version.to_string();
    let made =
        [description::bundle, description::rust_sbom, description::npm_sbom].map(|name| name(&version));
    let statements = [ledger::FILE, manifest::FILE, provenance::FILE, sums::FILE, signing::FILE];
    made.into_iter().chain(statements.map(str::to_owned)).collect()
}

fn files_of_others(architectures: &[Architecture], version: &semver::Version) -> Vec<String> {
    let others = architectures.iter().skip(1);
    others.map(|other| description::operator(&version.to_string(), other.target())).collect()
}

fn stale(context: &Context) -> Result<Vec<String>> {
    let artifacts = generated::artifacts(context.platform, &[])?;
    let observed =
        generated::observe(&context.root, &artifacts).map_err(|problems| refused(problems.to_string()))?;
    let differences = generated::compare(&artifacts, &observed, true);
    Ok(differences.into_iter().map(|difference| difference.path).collect())
}

/// So many commits that say nothing are named; `--json` names all.
const NAMED: usize = 8;

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let version = plan.version.as_ref().map_or("<version>".to_owned(), ToString::to_string);
    match &plan.why {
        Some(why) => text.push_str(&format!("Flowship {version}: {why}\n\n")),
        None => text.push_str("The next release of Flowship: its version is not known yet\n\n"),
    }
    let mut row = |label: &str, value: &str| text.push_str(&format!("  {label:<10} {value}\n"));
    row("commit", &format!("{} {}", short(&plan.commit), plan.subject));
    row("branch", plan.branch.as_deref().unwrap_or("none is checked out"));
    let since = plan.last.as_ref().map_or("the beginning".to_owned(), ToString::to_string);
    let merges = plan.commits - plan.reading.types.values().sum::<usize>() - plan.reading.other.len();
    let merges = if merges == 0 { String::new() } else { format!(", {merges} merges") };
    row("since", &format!("{since}: {}{merges}", counted(&plan.reading)));
    row("ci", &ci(&plan.ci));

    for (index, other) in plan.reading.other.iter().take(NAMED).enumerate() {
        row(if index == 0 { "other" } else { "" }, other);
    }
    if plan.reading.other.len() > NAMED {
        row("", &format!("and {} more (--json has all)", plan.reading.other.len() - NAMED));
    }

    text.push_str("\nThe changelog gets\n\n");
    let notes = if plan.notes.is_empty() { "nothing" } else { &plan.notes };
    text.push_str(&indented(notes));
    let mut list = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n\n{}", indented(&lines.join("\n"))));
        }
    };
    list("`cargo xtask release package` builds", &plan.builds);
    list("and the programs that other machines have built (--operators)", &plan.builds_of_others);
    if let Some(tag) = &plan.tag {
        list("`cargo xtask release publish` tags", &[format!("{tag} at {}, annotated", short(&plan.commit))]);
    }
    list(
        "and publishes, in a GitHub release that is a draft until it is complete,",
        &["these files, and the images if they were packaged (--images all)".to_owned()],
    );
    match plan.problems.len() {
        0 => text.push_str("\nNo problems.\n"),
        1 => text.push_str("\n1 problem\n\n"),
        count => text.push_str(&format!("\n{count} problems\n\n")),
    }
    for problem in &plan.problems {
        text.push_str(&format!(
            "  ✗ {}\n    to do: {}\n",
            problem.seen.replace('\n', "\n    "),
            problem.remedy
        ));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect()
}

fn ci(ci: &Ci) -> String {
    match ci {
        Ci::Green => "passed".to_owned(),
        Ci::Red { conclusion } => conclusion.clone(),
        Ci::Running { status } => status.replace('_', " "),
        Ci::Unknown { .. } => "not known".to_owned(),
    }
}
