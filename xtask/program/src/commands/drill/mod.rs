//! `cargo xtask drill`: deploys under load on a platform of its own, again and again, and counts what is lost.

mod draw;
mod fault;
mod release;
mod report;
mod requests;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::context::Context;
use crate::deployment::history::{self, Change, Entry, Outcome};
use crate::load_test::client::Client;
use crate::load_test::load::Seen;
use crate::load_test::model::Model;
use crate::load_test::packages::Packages;
use crate::load_test::phase::phase;
use crate::load_test::target::{Ended, Kill, Target};
use draw::{Draw, draw, moment};
use foundation::clock::millis;
use foundation::exit::Reported;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use release::Release;
use report::{Deploy, Findings, attribute, compare};
use requests::{Rates, submit};
use runner::plan::show::Show;

/// The first requests find code that V8 has not compiled yet: their answers are not timed.
const WARM_UP: Duration = Duration::from_secs(3);

/// Seconds for which the load goes on before the first deploy, as many as there are deploys: what answers are like without.
const WITHOUT_DEPLOYS: RangeInclusive<u32> = 5..=60;

/// How long tasks may take to end once nothing more is put in.
const SETTLE: Duration = Duration::from_secs(90);

/// How long the load goes on around a kill of all workers.
const CONTROL: Duration = Duration::from_millis(500);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask drill deploy
  cargo xtask drill deploy --count 200 --watch 6
  cargo xtask drill deploy --count 4 --json | jq .problems

It packages releases from this checkout, including uncommitted changes: two that work, and several broken ones. \
A quarter of the deploys use a broken release, and a quarter are killed halfway and run again; from the 14th on, some are both.
Ctrl-C ends it with the result so far. \
Exit code 0 when every deploy ended as expected and nothing was lost, 1 otherwise, 2 when the drill cannot run here.")]
pub struct Options {
    /// What to test
    #[arg(value_enum)]
    what: What,
    /// Number of deploys
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=400))]
    rate: u32,
    /// Tasks a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    tasks: u32,
    /// Seconds for which each deploy is watched; above 5, the drill also uses a release that becomes unhealthy later
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
    watch: u64,
    /// Keep logs and history, as after a failure
    #[arg(long)]
    keep: bool,
    /// Kill all workers instead of each deploy: to see that losses are noticed
    #[arg(long, hide = true)]
    without_drain: bool,
}

/// What can be drilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Deploys on the process engine
    Deploy,
}

/// # Errors
/// Reported when something was lost; otherwise when the drill cannot be carried out.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let What::Deploy = options.what;
    let interrupt = Interrupt::listen()?;
    let show = Show::on_stderr();
    let folder = temporary::folder("flowship-drill-")?;
    let watch = Duration::from_secs(options.watch);
    show.say("packaging releases of this checkout");
    let packages = Packages::begin(context, folder.path())?;
    let model = Model::start(context, folder.path())?;
    let target = Target::begin(context, &interrupt, "drill", &packages, &model, watch)?;
    let mut drill = Drill { options, watch, show: &show, interrupt: &interrupt, target: &target, packages };
    let found = drill.carry_out();
    let failed = found.as_ref().map_or(true, |findings| !findings.problems.is_empty());
    target.end(failed || options.keep, &show)?;
    let findings = found?;
    if context.json {
        stdout::json(&findings)?;
    } else {
        stdout::text(&findings.table())?;
    }
    if findings.problems.is_empty() {
        return Ok(());
    }
    eprintln!("error: {}", findings.problems.join("\n"));
    Err(Reported.into())
}

struct Drill<'a> {
    options: &'a Options,
    watch: Duration,
    show: &'a Show,
    interrupt: &'a Interrupt,
    target: &'a Target<'a>,
    packages: Packages,
}

impl Drill<'_> {
    fn carry_out(&mut self) -> Result<Findings> {
        let drawn = draw(self.options.count as usize, self.watch);
        // Nothing is compiled or compressed while answers are timed.
        let mut current = Release::First;
        let first = current.get(&mut self.packages)?;
        let mut releases = Vec::new();
        for one in &drawn {
            let wanted = Release::after(current, *one);
            releases.push(wanted.get(&mut self.packages)?);
            if one.fault.is_none() {
                current = wanted;
            }
        }
        self.show.say("deploying the first release");
        let ended = self.target.deploy(&self.packages, &first, None)?;
        if ended.code != Some(0) {
            bail!("the first release could not be deployed:\n{}", ended.said);
        }
        let mut usual = ended.took;
        let client = self.target.client()?;
        let known = submit(&client)?;
        let rates = Rates { requests: self.options.rate, tasks: self.options.tasks };
        let load = requests::begin(&client, &known, rates)?;
        let quiet = self.options.count.clamp(*WITHOUT_DEPLOYS.start(), *WITHOUT_DEPLOYS.end());
        self.pause(WARM_UP + Duration::from_secs(quiet.into()))?;
        let begin = load.elapsed();
        let mut deploys = Vec::new();
        for (index, (one, release)) in drawn.into_iter().zip(releases).enumerate() {
            let began_ms = millis(load.elapsed());
            let ended = if self.options.without_drain {
                self.killed_instead(one, began_ms)
            } else {
                // With and without the deployer, for releases that work and for broken ones.
                let deployer = (index / 4 + index / 16) % 2 == 0;
                let kill = Kill { after: usual.mul_f64(moment(index / 4)), deployer };
                self.deploy(one, &release, kill, began_ms)
            };
            // What was found until then is not lost.
            if ended.is_err() && self.interrupt.raised() {
                break;
            }
            let deploy = ended?;
            if one == (Draw { fault: None, killed: false }) && deploy.problem.is_none() {
                usual = Duration::from_millis(deploy.took_ms);
            }
            self.show.say(&format!(
                "{} of {}: {}, {:.1} s{}",
                index + 1,
                self.options.count,
                one.words(),
                Duration::from_millis(deploy.took_ms).as_secs_f64(),
                deploy.problem.as_ref().map_or(String::new(), |problem| format!(": {problem}"))
            ));
            deploys.push(deploy);
        }
        let interrupted = self.interrupt.raised();
        let goes_on = !self.options.without_drain && !interrupted;
        let rolled_back = goes_on.then(|| self.roll_back(&mut deploys)).transpose()?;
        let end = load.elapsed();
        let seen = load.end();
        let tasks = self.settled(&client, &seen)?;
        attribute(&mut deploys, &seen.failures);
        let mut findings = Findings {
            rates,
            deploys,
            requests: seen.answers.len() + seen.failures.len(),
            failed: seen.failures.len(),
            failures: seen.failures.iter().take(report::TOLD).cloned().collect(),
            tasks,
            without_deploys: phase(&seen, WARM_UP, begin),
            with_deploys: phase(&seen, begin, end),
            rollback_ms: rolled_back,
            failed_without_drain: None,
            problems: Vec::new(),
        };
        if interrupted {
            let ended = findings.deploys.len();
            findings.problems.push(format!("interrupted after {ended} of {} deploys", self.options.count));
        }
        if goes_on {
            findings.failed_without_drain = Some(self.control(&client, &known, rates)?);
        }
        findings.judge();
        Ok(findings)
    }

    fn deploy(&self, one: Draw, release: &Path, kill: Kill, began_ms: u64) -> Result<Deploy> {
        let before = self.current()?;
        let killed = if one.killed {
            let ended = self.target.deploy(&self.packages, release, Some(kill))?;
            ended.code.is_none().then_some(millis(kill.after))
        } else {
            None
        };
        let ended = self.target.deploy(&self.packages, release, None)?;
        let problem =
            if one.fault.is_some() { self.is_back(&ended, &before)? } else { self.is_there(&ended)? };
        Ok(Deploy {
            draw: one,
            began_ms,
            took_ms: millis(ended.took),
            failed: 0,
            undoing_ms: ended.undoing_ms,
            killed_ms: killed,
            problem,
        })
    }

    fn current(&self) -> Result<String> {
        let entries = self.target.history()?;
        Ok(history::current(&entries).unwrap_or_default().to_owned())
    }

    /// What is wrong with a deploy that had to go well.
    fn is_there(&self, ended: &Ended) -> Result<Option<String>> {
        if ended.code != Some(0) {
            return Ok(Some(format!("exit code {:?}; expected 0: {}", ended.code, last(&ended.said))));
        }
        self.target.serves(&self.current()?)
    }

    /// What is wrong with a deploy that had to be rolled back.
    fn is_back(&self, ended: &Ended, before: &str) -> Result<Option<String>> {
        if ended.code != Some(1) {
            return Ok(Some(format!("exit code {:?}; expected 1: {}", ended.code, last(&ended.said))));
        }
        let entries = self.target.history()?;
        let last_entry = entries.last();
        let result = last_entry.map(|entry| entry.result);
        // What a killed deploy did, the one after it cannot undo: the release before is then rolled out again.
        let again = |entry: &Entry| entry.change == Change::Rollback && entry.why.is_some();
        if result != Some(Outcome::RolledBack) && !last_entry.is_some_and(again) {
            let words = result.map_or("nothing", Outcome::words);
            return Ok(Some(format!(
                "the history says {words}; expected rolled back: {}",
                last(&ended.said)
            )));
        }
        self.target.serves(before)
    }

    /// Goes back to what ran before, and says in how many milliseconds.
    fn roll_back(&self, deploys: &mut [Deploy]) -> Result<u64> {
        let ended = self.target.roll_back(&self.packages)?;
        if let (Some(problem), Some(deploy)) = (self.is_there(&ended)?, deploys.last_mut()) {
            deploy.problem.get_or_insert_with(|| format!("the rollback after it: {problem}"));
        }
        Ok(millis(ended.took))
    }

    fn killed_instead(&self, draw: Draw, began_ms: u64) -> Result<Deploy> {
        let begun = Instant::now();
        self.target.kill_workers()?;
        let took_ms = millis(begun.elapsed());
        Ok(Deploy { draw, began_ms, took_ms, failed: 0, undoing_ms: None, killed_ms: None, problem: None })
    }

    /// How many requests fail when the workers are killed.
    fn control(&self, client: &Client, known: &str, rates: Rates) -> Result<usize> {
        let load = requests::begin(client, known, rates)?;
        self.pause(CONTROL)?;
        self.target.kill_workers()?;
        self.pause(CONTROL)?;
        Ok(load.end().failures.len())
    }

    /// Waits until every task that was accepted has ended, after an interrupt too.
    fn settled(&self, client: &Client, seen: &Seen) -> Result<report::Tasks> {
        let give_up = Instant::now() + SETTLE;
        loop {
            // One was put in before the load.
            let tasks = compare(seen, &client.tasks()?, 1);
            if tasks.lost == 0 || Instant::now() >= give_up {
                return Ok(tasks);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn pause(&self, duration: Duration) -> Result<()> {
        let ends = Instant::now() + duration;
        while Instant::now() < ends {
            if self.interrupt.raised() {
                bail!("interrupted");
            }
            std::thread::sleep(LOOK.min(ends.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }
}

/// The end of what a program said.
fn last(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}
