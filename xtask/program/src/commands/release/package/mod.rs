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
use crate::session::dry_run;
use foundation::exit::refused;
use foundation::stdout;
use runner::plan::show::Show;
use shipping::release::manifest;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release package --images all --key release.key --operators FOLDER
  cargo xtask release package --images none --key release.key --password-file password
  cargo xtask release package --images none --unsigned     for a trial

When all files are built, they are moved to target/release-artifacts together. After a failure, run the same \
command again: it continues.
Exit code 0 when the release is built, 1 when it failed, 2 when it cannot start.")]
pub struct Options {
    /// Which of our container images to include, as OCI archives; `all` needs an engine and built images
    #[arg(long, value_enum)]
    images: Images,
    /// The folder with programs for other machines, built there with `release operator`: flowship-TARGET
    #[arg(long, value_name = "FOLDER")]
    operators: Option<PathBuf>,
    /// The minisign secret key; only you may be able to read it
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_KEY", required_unless_present = "unsigned")]
    key: Option<PathBuf>,
    /// The file with the key's password, if it has one; only you may be able to read it
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Do not sign, even if a key is given; `release verify` refuses the release until you run `release sign`
    #[arg(long)]
    unsigned: bool,
    /// The builder's name in the provenance: a URI
    #[arg(long, value_name = "URI", default_value = "urn:flowship:builder:workstation")]
    builder: String,
    /// Only show the plan
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
        show.say("UNSIGNED: nothing proves who made this release; `cargo xtask release sign` signs it");
    }
    for target in inputs.without(&context.platform.release.architectures) {
        show.say(&format!(
            "the program for {target} is missing: build it there with `cargo xtask release operator`, and pass \
             --operators"
        ));
    }
    if inputs.evidence.is_none() {
        let ledger = inputs::ledger(context, &inputs.commit)?;
        if ledger.records.is_empty() {
            show.say(
                "NO EVIDENCE: no gate has passed on this commit here, so `release publish` will refuse this release; \
                 run `cargo xtask ci` in a tree without changes first",
            );
        } else if !ledger.is_whole() {
            show.say(&format!("evidence: {}", ledger.summary()));
        }
    }
    let acts = acts::Acts { context, inputs: &inputs };
    carry_out(context, &plan, show, &|action, step| acts.perform(action, step))?;
    let folder = context.path(FOLDER);
    let manifest =
        manifest::read(&folder)?.map_err(|problem| refused(format!("{}: {problem}", folder.display())))?;
    if context.json {
        return stdout::json(&manifest);
    }
    stdout::text(&manifest.table(&folder))
}
