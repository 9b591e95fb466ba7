//! `cargo xtask release package`: a release's files, made of the commit that is checked out.

mod acts;
mod inputs;
mod steps;

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::FOLDER;
use super::carry_out::carry_out;
use crate::context::Context;
use crate::exit::refused;
use crate::plan::show::Show;
use crate::release::manifest;
use crate::session::dry_run;
use crate::stdout;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release package --images all --key release.key --operators FOLDER\n  cargo xtask \
                        release package --images none --key release.key --password-file password\n  cargo xtask release package \
                        --images none --unsigned     to try it\n\nThe files go to target/release-artifacts, all of them at once \
                        when all are made. A rerun after a failure goes on where that one ended.\nExit code 0 when the release is \
                        there, 1 when it is not, 2 when it cannot be begun."
)]
pub struct Options {
    /// Which of our container images become part of it, as OCI archives; `all` needs an engine and built images
    #[arg(long, value_enum)]
    images: Images,
    /// The folder with the operator's program for other machines, as `release operator` makes it there: flowship-TARGET
    #[arg(long, value_name = "FOLDER")]
    operators: Option<PathBuf>,
    /// The minisign secret key; readable by you alone
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_KEY", required_unless_present = "unsigned")]
    key: Option<PathBuf>,
    /// The file with the key's password, when it has one; readable by you alone
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Sign nothing, whatever key is given: `release verify` refuses what comes of it, until `release sign` has signed it
    #[arg(long)]
    unsigned: bool,
    /// Who builds, as provenance names it: a URI
    #[arg(long, value_name = "URI", default_value = "urn:flowship:builder:workstation")]
    builder: String,
    /// Show the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The ledger of evidence, instead of the records of this checkout: for building a release again
    #[arg(long, value_name = "FILE", hide = true)]
    evidence: Option<PathBuf>,
    /// The folder with the archives of the images, instead of the engine: for building a release again
    #[arg(long, value_name = "FOLDER", hide = true)]
    image_archives: Option<PathBuf>,
    /// The operator's binary, instead of building it: for tests
    #[arg(long, value_name = "FILE", hide = true)]
    operator_binary: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Images {
    All,
    None,
}

/// # Errors
/// Refused when something is missing before it is begun, all of it at once; reported when a step failed.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let inputs = inputs::observe(context, options)?;
    let plan = steps::plan(context, &inputs)?;
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let show = Show::on_stderr();
    if options.unsigned {
        show.say("UNSIGNED: nobody can tell who made this release; `cargo xtask release sign` signs it");
    }
    for target in inputs.without() {
        show.say(&format!(
            "without the operator's program for {target}: `cargo xtask release operator` makes it there; give --operators"
        ));
    }
    if inputs.evidence.is_none() {
        let ledger = inputs::ledger(context, &inputs.commit)?;
        if ledger.records.is_empty() {
            show.say(
                "NO EVIDENCE: no gate has passed on this commit here, and `release publish` refuses such a release; run \
                 `cargo xtask ci` in a tree without changes first",
            );
        } else if !ledger.is_whole() {
            show.say(&format!("evidence: {}", ledger.summary()));
        }
    }
    let acts = acts::Acts { context, inputs: &inputs };
    carry_out(context, &plan, show, &|call| acts.perform(call))?;
    let folder = context.path(FOLDER);
    let manifest =
        manifest::read(&folder)?.map_err(|problem| refused(format!("{}: {problem}", folder.display())))?;
    if context.json {
        return stdout::json(&manifest);
    }
    stdout::text(&manifest.table(&folder))
}
