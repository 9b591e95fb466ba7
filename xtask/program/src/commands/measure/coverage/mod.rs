//! `cargo xtask measure coverage`: the lines that tests run, in each room and in all.

mod javascript;
mod rust;
mod show;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use super::figures;
use crate::context::Context;
use foundation::exit::{Reported, refused};
use foundation::stdout;
use judges::checks::coverage::{self, Judgement, Recorded, Thresholds, lcov};
use judges::thresholds;

const THRESHOLDS: &str = "ops/ci/coverage.toml";
const RECORDED: &str = "ops/ci/recorded/coverage.toml";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The Rust figures come from the unit tests and the integration tests that ops/ci/coverage.toml lists, run \
with cargo-llvm-cov. The JavaScript figures come from all tests: `npm test` writes the report.

Examples:
  cargo xtask measure coverage rust
  cargo xtask measure coverage javascript
  cargo xtask measure coverage rust --record    record the figures for later runs")]
pub struct Options {
    /// The language of the sources
    language: Language,
    /// Check this lcov report [default: for rust, run the tests; for javascript, that of the last `npm test`]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the figures to ops/ci/recorded/; later runs may not fall far below them
    #[arg(long)]
    record: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Javascript,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
        }
    }
}

/// # Errors
/// Reported when something is not covered enough or the report tells nothing; refused when the thresholds are wrong.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let name = options.language.name();
    let thresholds: Thresholds = thresholds::read(&context.root, THRESHOLDS, "what coverage is wanted")?;
    let mut recorded: Recorded = thresholds::recorded(&context.root, RECORDED)?;
    let wanted = match options.language {
        Language::Rust => thresholds.rust.as_ref(),
        Language::Javascript => thresholds.javascript.as_ref(),
    };
    let wanted = wanted.ok_or_else(|| {
        refused(format!("{THRESHOLDS}: nothing is wanted of {name}; expected a table [{name}]"))
    })?;
    let report = match (&options.report, options.language) {
        (Some(report), _) => report.clone(),
        (None, Language::Rust) => rust::measure(context, wanted)?,
        (None, Language::Javascript) => javascript::report(context),
    };
    let base = match options.language {
        Language::Rust => "",
        Language::Javascript => javascript::FOLDER,
    };
    let expected = match options.language {
        Language::Rust => Vec::new(),
        Language::Javascript => javascript::sources(&context.root, wanted)?,
    };
    let files = lcov::read(&text(&report, options.language)?, &context.root.display().to_string(), base)
        .map_err(|problem| anyhow::anyhow!("{}:{problem}", report.display()))?;
    // What is recorded has to reach its floors, and may fall below what was recorded before.
    let before = if options.record { None } else { recorded.0.get(name) };
    let judgement =
        coverage::judge(&files, &expected, wanted, thresholds.drop, &before.cloned().unwrap_or_default());
    tell(context, options.language, &judgement)?;
    if !judgement.good() {
        eprintln!("{}", show::problems(name, THRESHOLDS, &judgement));
        return Err(Reported.into());
    }
    let overall = judgement.rows.first().map_or(0.0, |row| row.measured);
    figures::leave([(format!("coverage_{name}").as_str(), overall)])?;
    if options.record {
        recorded.0.insert(name.to_owned(), judgement.figures());
        let command = "cargo xtask measure coverage LANGUAGE --record";
        thresholds::record(&context.root, RECORDED, command, &recorded)?;
        eprintln!("{RECORDED} is written; commit it");
    }
    Ok(())
}

fn text(report: &Path, language: Language) -> Result<String> {
    fs::read_to_string(report).map_err(|error| {
        let remedy = match language {
            Language::Rust => "`cargo xtask measure coverage rust` without --report makes one",
            Language::Javascript => "the tests write it: run `cargo xtask ci node`",
        };
        anyhow::anyhow!("{}: {error}; expected an lcov report: {remedy}", report.display())
    })
}

fn tell(context: &Context, language: Language, judgement: &Judgement) -> Result<()> {
    if context.json {
        let good = judgement.good();
        let Judgement { rows, problems } = judgement;
        return stdout::json(&json!({
            "language": language.name(), "good": good, "rooms": rows, "problems": problems,
        }));
    }
    stdout::text(&show::table(judgement))
}
