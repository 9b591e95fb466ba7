//! `cargo xtask measure instructions`: what the hot paths cost, counted and not timed, so that a machine's load does not
//! matter.

mod callgrind;
mod show;
mod works;

use std::thread;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::figures;
use crate::context::Context;
use crate::tools::{Program, Toolbox};
use callgrind::Said;
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::nearest::hint;
use foundation::stdout;
use judges::checks::instructions::{self, Count, Judgement, Recorded, Thresholds};
use judges::thresholds;
use works::{WORKS, Work};

const THRESHOLDS: &str = "ops/ci/instructions.toml";
const RECORDED: &str = "ops/ci/recorded/instructions.toml";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It runs this program under Callgrind, without building it again. The counts do not depend on the machine's \
load.

Examples:
  cargo xtask measure instructions
  cargo xtask measure instructions flows --json
  cargo xtask measure instructions --slower 10    see the check fail
  cargo xtask measure instructions --record       after a new compiler, or a change that costs more on purpose")]
pub struct Options {
    /// Only these hot paths [default: all]
    #[arg(value_name = "NAME")]
    works: Vec<String>,
    /// Write the counts to ops/ci/recorded/, for this compiler
    #[arg(long, conflicts_with_all = ["works", "slower"])]
    record: bool,
    /// Do this much more work than is reported, to see the check fail
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    slower: u64,
}

/// What Callgrind runs.
#[derive(Debug, clap::Args)]
pub struct WorkOptions {
    name: String,
    rounds: u64,
}

/// # Errors
/// Reported when a hot path costs too much or cannot be compared; refused when one is unknown or the thresholds are
/// wrong.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let works = chosen(&options.works)?;
    let rounds = works.iter().map(|work| rounds(work, options.slower)).collect::<Result<Vec<_>>>()?;
    let thresholds: Thresholds =
        thresholds::read(&context.root, THRESHOLDS, "by how much a hot path may cost more")?;
    let mut recorded: Recorded = thresholds::recorded(&context.root, RECORDED)?;
    let valgrind = Toolbox::open(context)?.path(Program::Valgrind)?;
    let compiler = compiler(context)?;
    let counts: Vec<Count> = thread::scope(|scope| {
        let valgrind = &valgrind;
        let begin = |(work, rounds)| scope.spawn(move || callgrind::count(context, valgrind, work, rounds));
        let counts: Vec<_> = works.iter().copied().zip(rounds).map(begin).collect();
        counts.into_iter().map(|count| count.join().expect("counting does not panic")).collect::<Result<_>>()
    })?;
    let known: Vec<_> = WORKS.iter().map(|work| work.name).collect();
    let judgement = instructions::judge(&counts, &known, &compiler, thresholds.growth, &recorded);
    tell(context, &compiler, &judgement)?;
    if options.record && judgement.counted() {
        recorded.insert(compiler, judgement.figures());
        thresholds::record(&context.root, RECORDED, "cargo xtask measure instructions --record", &recorded)?;
        eprintln!("{RECORDED} is written; commit it");
        return Ok(());
    }
    if judgement.good() {
        let names: Vec<_> = judgement.rows.iter().map(|row| format!("instructions_{}", row.work)).collect();
        let values = judgement.rows.iter().map(|row| row.each);
        return figures::leave(names.iter().map(String::as_str).zip(values));
    }
    eprintln!("{}", show::problems(THRESHOLDS, &judgement));
    Err(Reported.into())
}

/// Does one work, so often, and says how much input a round has.
///
/// # Errors
/// Refused when it is unknown; otherwise as the work says.
pub fn work(context: &Context, options: &WorkOptions) -> Result<()> {
    let works = chosen(std::slice::from_ref(&options.name))?;
    let prepared = (works[0].prepare)(context)?;
    callgrind::counted_rounds(options.rounds, prepared.round.as_ref())?;
    stdout::json(&Said { units: prepared.units })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Work>> {
    let known = || WORKS.iter().map(|work| work.name);
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == *name)) {
        let hint = hint(unknown, known());
        let list = columns::list(WORKS.iter().map(|work| (work.name, work.what)));
        return Err(refused(format!(
            "no hot path is called {unknown}{hint}; expected one of\n{}",
            list.trim_end()
        )));
    }
    Ok(WORKS.iter().filter(|work| names.is_empty() || names.iter().any(|name| name == work.name)).collect())
}

/// The rounds of a work that does so many percent more than it is told to account for.
fn rounds(work: &Work, slower: u64) -> Result<u64> {
    let hundredths = work.rounds * (100 + slower);
    if hundredths.is_multiple_of(100) {
        return Ok(hundredths / 100);
    }
    Err(refused(format!(
        "--slower {slower}: {} is done in {} rounds and {slower} % of that is no whole number: expected a multiple of {}, \
         or other names",
        work.name,
        work.rounds,
        100 / work.rounds
    )))
}

/// What decides which instructions a program consists of.
fn compiler(context: &Context) -> Result<String> {
    let version = duct::cmd!("rustc", "--version").dir(&context.root).read().context("rustc --version")?;
    let number = version.split_whitespace().nth(1).unwrap_or("?");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(format!("rustc {number}, {}, {profile}", std::env::consts::ARCH))
}

fn tell(context: &Context, compiler: &str, judgement: &Judgement) -> Result<()> {
    if context.json {
        let Judgement { rows, problems } = judgement;
        return stdout::json(&json!({
            "compiler": compiler, "good": judgement.good(), "works": rows, "problems": problems,
        }));
    }
    stdout::text(&show::table(judgement))
}
