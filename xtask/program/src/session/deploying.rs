//! A deploy on this machine: a release is checked and installed, and then rolled out by its own program.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use minisign::PublicKey;
use semver::Version;
use vocabulary::model::environment::{EngineKind, Environment, Tier};
use vocabulary::problem::{Problem, listing};

use super::deployer::{self, Ended};
use super::opened::{Opened, deployed_before};
use super::prerequisites;
use super::running;
use super::secret_changes;
use super::settings::Settings;
use super::{dry_run, host};
use crate::context::Context;
use crate::deployment::history::{self, Change, Entry, Outcome};
use crate::deployment::metrics;
use crate::deployment::releases::{self, Installed};
use crate::deployment::{Deployed, STATE, contracted};
use crate::engines::Intent;
use crate::engines::compose::{self, preflight};
use crate::engines::process::{certificate, ports};
use crate::engines::roll::running::{AllRunning, Running};
use crate::engines::roll::{WATCH, WATCH_OF_PROVEN};
use crate::engines::{engine, record_in, running as running_in};
use crate::tools::Toolbox;
use foundation::clock::{millis, now_ms, utc};
use foundation::exit::{self, Reported, ReportedAs, refused};
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::processes::host_name;
use foundation::program_name::{PROGRAM, TYPED, command_line};
use foundation::stdout;
use judges::site;
use runner::plan::lock::user_name;
use runner::plan::report::{self, Report, Status};
use runner::plan::show::Show;
use shipping::release::description::Release;
use shipping::release::judge::{self, Trust, Verdict};
use shipping::release::signing;
use shipping::release::sums::{self, Sums};

/// Who asked for a change, when another program of ours calls this one.
#[derive(Debug, clap::Args)]
pub struct By {
    /// The command that somebody typed
    #[arg(long, value_name = "COMMAND", hide = true)]
    typed: Option<String>,
    /// Who typed it, and where
    #[arg(long, value_name = "USER@HOST", hide = true)]
    typed_by: Option<String>,
}

impl By {
    /// The command as typed.
    pub fn command(&self) -> String {
        self.typed.clone().unwrap_or_else(command_line)
    }

    /// `USER@HOST`
    pub fn who(&self) -> String {
        self.typed_by.clone().unwrap_or_else(|| format!("{}@{}", user_name(), host_name()))
    }

    /// How another program of ours is told.
    pub fn words(&self) -> [String; 4] {
        [TYPED.to_owned(), self.command(), "--typed-by".to_owned(), self.who()]
    }
}

/// How a release is rolled out.
#[derive(Debug, clap::Args)]
pub struct How {
    #[arg(long, value_name = "SECONDS", env = "FLOWSHIP_WATCH", help = watch_help())]
    watch: Option<u64>,
    /// Only show the steps
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    by: By,
    /// Why another release did not stay, when this one takes its place again
    #[arg(long, value_name = "WHY", hide = true)]
    instead: Option<String>,
}

fn watch_help() -> String {
    format!(
        "Seconds to watch the new replicas before the deploy counts as done [default: {}; for a rollback {}, because its \
         release has served before]",
        watch(Change::Deploy).as_secs(),
        watch(Change::Rollback).as_secs()
    )
}

fn watch(change: Change) -> Duration {
    if change == Change::Rollback { WATCH_OF_PROVEN } else { WATCH }
}

impl How {
    pub fn wanted(&self, change: Change) -> Wanted {
        Wanted {
            change,
            watch: self.watch.map_or_else(|| watch(change), Duration::from_secs),
            dry_run: self.dry_run,
            command: self.by.command(),
            instead: self.instead.clone(),
            by: self.by.who(),
        }
    }
}

/// Which releases are trusted.
#[derive(Debug, clap::Args)]
pub struct Demands {
    /// A public key of the releases: a minisign file, or its line that begins with RW; several, with commas between
    #[arg(long, value_name = "KEY", env = "FLOWSHIP_PUBLIC_KEY", value_delimiter = ',')]
    public_key: Vec<String>,
    /// Deploy an unsigned release; refused in production
    #[arg(long)]
    unsigned: bool,
    /// Allow an older version than the running one
    #[arg(long)]
    allow_downgrade: bool,
    /// Where this release ran, as another program of ours has found out
    #[arg(long, value_name = "ENV", hide = true)]
    ran_in: Option<String>,
}

/// What somebody asked to roll out, and how.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub change: Change,
    /// How long the result is watched.
    pub watch: Duration,
    pub dry_run: bool,
    /// The command as typed.
    pub command: String,
    /// Why another release did not stay, when this one takes its place again.
    pub instead: Option<String>,
    /// Who typed it: `USER@HOST`.
    pub by: String,
}

impl Wanted {
    /// How another program of ours is called for it. What was typed comes last: it is not part of what is to be done.
    pub fn words(&self) -> Vec<String> {
        let mut words = ["--change", self.change.name(), "--watch", &self.watch.as_secs().to_string()]
            .map(str::to_owned)
            .to_vec();
        words.extend(self.dry_run.then(|| "--dry-run".to_owned()));
        words.extend(self.instead.iter().map(|why| format!("--instead={why}")));
        words.extend(self.typed());
        words
    }

    /// The release before takes its place again, because another one did not stay for this reason.
    fn back(&self, why: String) -> Self {
        let change = Change::Rollback;
        Self { change, watch: self.watch.min(watch(change)), instead: Some(why), ..self.clone() }
    }

    /// What was typed, and by whom.
    pub fn typed(&self) -> [String; 4] {
        [TYPED.to_owned(), self.command.clone(), "--typed-by".to_owned(), self.by.clone()]
    }
}

impl Demands {
    /// The keys that were given on this machine, as words for a host: their files may be here only.
    ///
    /// # Errors
    /// Refused when one is no key.
    pub fn given_keys(&self) -> Result<Vec<String>> {
        if self.public_key.is_empty() || self.unsigned {
            return Ok(Vec::new());
        }
        Ok(trusting(&signing::trusted(&[], &self.public_key)?))
    }

    /// The same for another program of ours. Keys are told themselves: their files may be on this machine only. `ran_in` is where
    /// this release ran, if that was found out.
    pub fn words(&self, keys: Option<&[PublicKey]>, ran_in: Option<&str>) -> Vec<String> {
        let mut words = keys.map_or_else(|| vec!["--unsigned".to_owned()], trusting);
        words.extend(self.allow_downgrade.then(|| "--allow-downgrade".to_owned()));
        words.extend(ran_in.map(|from| format!("--ran-in={from}")));
        words
    }
}

fn trusting(keys: &[PublicKey]) -> Vec<String> {
    let lines: Vec<_> = keys.iter().map(PublicKey::to_base64).collect();
    vec!["--public-key".to_owned(), lines.join(",")]
}

/// Checks a release, installs it and rolls it out: here when the text of the environment's file is given, otherwise where its
/// file in the tree says.
///
/// # Errors
/// Refused when the environment is wrong; reported when the release does not run.
pub fn deliver(
    context: &Context,
    deployed: &Deployed,
    site: Option<Vec<u8>>,
    source: &Path,
    demands: &Demands,
    wanted: &Wanted,
) -> Result<()> {
    let (bytes, host) = match site {
        Some(bytes) => (bytes, None),
        None => (site::named(&context.root, &deployed.name)?.bytes, host::of(context, &deployed.name)),
    };
    let environment = environment(context, deployed, &bytes)?;
    if let Some(host) = host {
        return host::deliver(context, &environment, &bytes, &host, source, demands, wanted);
    }
    deployed_before(&deployed.folder(), &environment)?;
    let verdict = preflight(context, deployed, &environment, source, demands)?;
    if wanted.dry_run {
        // In a place of its own, so that nothing changes where the environment lives.
        let folder = files::temporary::folder("flowship-dry-run-")?;
        let installed = releases::install(folder.path(), source, &verdict)?;
        let site = folder.path().join(".site");
        files::write::whole(&site, 0o600, &bytes)?;
        return roll(context, deployed, &installed, &site, wanted);
    }
    let installed = releases::install(&deployed.releases(), source, &verdict)?;
    Show::on_stderr().say(&format!("installed {} in {}", installed.id, installed.folder.display()));
    let site = deployed.propose(&bytes)?;
    roll(context, deployed, &installed, &site, wanted)
}

/// The environment of this text: `deploy` rolls out to it.
///
/// # Errors
/// Refused when the text is wrong, or nothing deploys to it.
fn environment(context: &Context, deployed: &Deployed, bytes: &[u8]) -> Result<Environment> {
    let environment = deployed.judged(context.platform, bytes.to_vec())?;
    let place = format!("{}/{}.toml", site::FOLDER, deployed.name);
    if environment.tier == Tier::Development {
        return Err(refused(format!(
            "{place}: tier = \"development\"; expected staging or production; `{PROGRAM} dev {}` runs a development \
             environment from this tree",
            deployed.name
        )));
    }
    if environment.engine == EngineKind::Kubernetes {
        return Err(refused(format!(
            "{place}: engine = \"{}\"; deploys to this engine do not work yet; expected \"process\" or \"compose\"",
            environment.engine
        )));
    }
    Ok(environment)
}

/// Judges the files of a release, wherever they are to run: the verdict, the keys that it rests on, and every problem.
///
/// # Errors
/// There is no key to trust, or a file cannot be read.
pub fn judged(
    context: &Context,
    environment: &Environment,
    source: &Path,
    demands: &Demands,
) -> Result<(Verdict, Option<Vec<PublicKey>>, Vec<Problem>)> {
    let keys = if demands.unsigned {
        None
    } else {
        Some(signing::trusted(&context.platform.release.public_keys, &demands.public_key)?)
    };
    let mut problems = Vec::new();
    if keys.is_none() && environment.tier == Tier::Production {
        problems.push(Problem::new("signature", "--unsigned in production").expected("a signed release"));
    }
    let verdict = judge::release(source, None, &Trust { keys: keys.clone(), installed: None }, &utc)?;
    for check in &verdict.checks {
        problems.extend(check.problems.iter().map(|problem| Problem::new(check.what, problem.as_str())));
    }
    Ok((verdict, keys, problems))
}

/// Shows why nothing is done; nothing when there is no problem.
///
/// # Errors
/// Reported when there is one.
pub fn refuse(context: &Context, name: &str, problems: &[Problem]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    if context.json {
        stdout::json(&serde_json::json!({ "problems": problems }))?;
    }
    eprintln!("error: nothing was changed in {name}:\n{}", listing(problems));
    Err(Reported.into())
}

/// Judges the files of a release and everything else that must hold on this machine before anything is touched.
///
/// # Errors
/// Reported with every problem at once when one holds.
fn preflight(
    context: &Context,
    deployed: &Deployed,
    environment: &Environment,
    source: &Path,
    demands: &Demands,
) -> Result<Verdict> {
    let (verdict, _, mut problems) = judged(context, environment, source, demands)?;
    let entries = history::read(&deployed.folder())?;
    if let Some(current) = history::current(&entries) {
        let current = Installed::at(&deployed.releases(), current);
        // Its own files repair it.
        if releases::name_of(&verdict).as_ref() != Some(&current.id) {
            problems.extend(current.problems().into_iter().map(|problem| {
                problem.remedy(
                    "a failed deploy would go back to this release: deploy it again from its files first",
                )
            }));
        }
        if let (Ok(before), Some(manifest)) = (current.release(), &verdict.manifest)
            && !demands.allow_downgrade
        {
            problems.extend(downgrade(&before.version, &manifest.release.version, &deployed.name));
        }
    }
    problems.extend(prerequisites::unproven(context.platform, environment, &verdict));
    if environment.promotes_from != demands.ran_in {
        problems.extend(prerequisites::never_ran(context, &deployed.state, environment, &verdict)?);
    }
    let release = verdict.manifest.as_ref().map(|manifest| &manifest.release);
    let (unable, images) = unable(context, deployed, environment, release)?;
    problems.extend(unable);
    if let Some(images) = images {
        problems.extend(disk(&images, source, &verdict.files)?);
    }
    let id = releases::name_of(&verdict);
    if id.is_none_or(|id| !Installed::at(&deployed.releases(), &id).problems().is_empty()) {
        problems.extend(disk(&deployed.state, source, &verdict.files)?);
    }
    refuse(context, &deployed.name, &problems)?;
    Ok(verdict)
}

/// Why this machine cannot run a release on the engine of its environment, and where the engine keeps images, if it does.
///
/// # Errors
/// The tools' folder, or what was recorded of the environment, cannot be read.
pub fn unable(
    context: &Context,
    deployed: &Deployed,
    environment: &Environment,
    release: Option<&Release>,
) -> Result<(Vec<Problem>, Option<PathBuf>)> {
    let (platform, folder) = (context.platform, deployed.folder());
    let file = format!("{}/{}.toml", site::FOLDER, environment.name);
    let running = record_in(&folder)?.map(|record| record.ports).unwrap_or_default();
    let sockets = engine(environment.engine)?.sockets(platform, environment);
    let taken = ports::unavailable(&file, &sockets, &running).into_iter();
    let mut problems: Vec<_> = taken.map(|problem| Problem::new("ports", problem)).collect();
    if environment.engine != EngineKind::Compose {
        return Ok((problems, None));
    }
    let (of_engine, images) = preflight::unable(&Toolbox::open(context)?, platform, environment, &folder);
    problems.extend(of_engine);
    problems
        .extend(release.iter().flat_map(|release| compose::deployed::lacks(platform, environment, release)));
    Ok((problems, images))
}

fn downgrade(before: &str, after: &str, name: &str) -> Option<Problem> {
    let [before, after] = [before, after].map(|text| Version::parse(text).ok());
    let (before, after) = (before?, after?);
    (after < before).then(|| {
        Problem::new("version", format!("{after} is older than {before}, the running version"))
            .expected("a later release")
            .remedy(format!("go back with `{PROGRAM} rollback {name}`, or pass --allow-downgrade"))
    })
}

fn disk(state: &Path, source: &Path, sums: &Sums) -> Result<Option<Problem>> {
    let there = state.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let facts = rustix::fs::statvfs(there).with_context(|| there.display().to_string())?;
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    Ok(no_room(&there.display().to_string(), free, releases::size(source, sums)))
}

/// Bytes that are free in a place, and that a release takes.
pub fn no_room(place: &str, free: u64, needed: u64) -> Option<Problem> {
    (free < needed).then(|| {
        Problem::new(
            place,
            format!("{} are free, the release needs {}", files::size(free), files::size(needed)),
        )
        .remedy(format!("free some space; `{PROGRAM} releases prune ENV` removes old releases"))
    })
}

/// Has an installed release rolled out by its own program, and shows how that ended.
///
/// # Errors
/// Refused when it lacks a contract migration that was run; reported when it did not go well and what ran before runs again; as the plan says otherwise.
pub fn roll(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    site: &Path,
    wanted: &Wanted,
) -> Result<()> {
    contracted::refuse_without(deployed, installed)?;
    // An older release would take both lines for the value, and would let a revoked one in again.
    let unfinished = secret_changes::unfinished(deployed)?;
    if !unfinished.is_empty() {
        return Err(refused(format!(
            "{name} was not touched: {}; run `{PROGRAM} secrets rotate {name} --all` first",
            unfinished.join("; "),
            name = deployed.name
        )));
    }
    if wanted.dry_run {
        let argv = deployer::command(deployed, installed, site, wanted);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).args(context.json.then_some("--json")).env(STATE, &deployed.state);
        let status = command.status().with_context(|| format!("cannot start {}", argv[0]))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return if code == 0 { Ok(()) } else { Err(ReportedAs(code).into()) };
    }
    let ended = deployer::run(deployed, installed, site, wanted)?;
    if context.json {
        stdout::json(&ended)?;
    } else if let Some(entry) = &ended.entry {
        stdout::text(&paragraph(deployed, entry))?;
    }
    ended.into_result()
}

/// Rolls the release of this program out, and leaves how that ended for [`roll`].
///
/// # Errors
/// That cannot be written; with `dry_run`, when there is no plan.
pub fn carry_out(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    site: &Path,
    wanted: &Wanted,
) -> Result<()> {
    if wanted.dry_run {
        let place = Context::deployed(installed.tree(), deployed.state.clone(), context);
        let settings = Settings::of(place.platform, deployed, installed, site, wanted.change)?;
        settings.why.iter().for_each(|why| Show::on_stderr().say(&format!("warning: {why}")));
        let opened = opened(&place, settings.environment, installed, wanted)?;
        let there = deployed.releases().join(&installed.id);
        return dry_run::show_elsewhere(context, &opened.plan(), &installed.folder, &there);
    }
    let ended = match act(context, deployed, installed, site, wanted) {
        Ok((entry, report)) => {
            let fails = entry.result == Outcome::Failed && wanted.instead.is_none();
            let stays = if fails { go_back(deployed, &entry, wanted) } else { Ok(()) };
            // Not before: nobody is to be told of what the release before puts right.
            let written = history::read(&deployed.folder())
                .and_then(|entries| metrics::write_deploys(&deployed.folder(), &deployed.name, &entries));
            written.err().iter().for_each(|error| warn("metrics", error));
            stays?;
            let code = report.clone().into_result().err().as_ref().map_or(0, exit::code);
            Ended {
                report: Some(serde_json::to_value(&report)?),
                // What was typed is not what runs.
                code: if code == 0 && wanted.instead.is_some() { 1 } else { code },
                error: None,
                entry: Some(entry),
            }
        }
        Err(error) => {
            Ended { code: exit::code(&error), error: Some(format!("{error:#}")), entry: None, report: None }
        }
    };
    deployer::leave(deployed, &ended)
}

/// After a deploy of which more is left than could be undone, the release before takes its place again: its own program
/// takes the place of this process. Returns when there is none that is whole.
fn go_back(deployed: &Deployed, entry: &Entry, wanted: &Wanted) -> Result<()> {
    let Some(from) = entry.from.as_ref().filter(|from| **from != entry.to) else { return Ok(()) };
    let from = Installed::at(&deployed.releases(), from);
    if !from.problems().is_empty() {
        return Ok(());
    }
    let why = entry.why.clone().unwrap_or_default();
    Show::on_stderr().say(&format!("{} did not stay: rolling {} out again", entry.to, from.id));
    let back = wanted.back(why);
    let argv = deployer::command(deployed, &from, &deployed.newest()?, &back);
    let error = Command::new(&argv[0]).args(&argv[1..]).env(STATE, &deployed.state).exec();
    Err(error).with_context(|| format!("cannot start {}", argv[0]))
}

/// `place` is the tree of the release.
fn opened(
    place: &Context,
    environment: Environment,
    installed: &Installed,
    wanted: &Wanted,
) -> Result<Opened> {
    Opened::deployed(place, environment, &installed.identity()?, Intent::RollOut { watch: wanted.watch })
}

fn act(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    site: &Path,
    wanted: &Wanted,
) -> Result<(Entry, Report)> {
    let place = Context::deployed(installed.tree(), deployed.state.clone(), context);
    let Settings { environment, text, newer, why: other_settings } =
        Settings::of(place.platform, deployed, installed, site, wanted.change)?;
    let opened = opened(&place, environment, installed, wanted)?;
    let show = Show::on_stderr();
    other_settings.iter().for_each(|why| show.say(&format!("warning: {why}")));
    if let Some(moved) = &opened.moved {
        show.say(moved);
    }
    let doubt = certificate::doubt(&opened.environment, opened.instance.site_folder());
    doubt.iter().for_each(|doubt| show.say(&format!("warning: {doubt}")));
    let entries = history::read(&deployed.folder())?;
    let from = history::current(&entries).map(str::to_owned);
    let (who, host) = wanted.by.rsplit_once('@').unwrap_or((&wanted.by, ""));
    let begun = Instant::now();
    let interrupt = Interrupt::listen()?;
    let report = running::bring_up(&place, &opened, &opened.plan(), &show, &interrupt)?;
    let entry = Entry {
        at: utc(now_ms() / 1000),
        who: who.to_owned(),
        host: host.to_owned(),
        command: wanted.command.clone(),
        change: wanted.change,
        result: outcome(
            &report,
            || running_in(place.platform, &deployed.folder()),
            from.as_deref(),
            installed,
        ),
        from,
        to: installed.id.clone(),
        digest: installed.digest()?,
        migrations: Vec::new(),
        settings: other_settings,
        why: why(&report).or_else(|| wanted.instead.clone()),
        duration_ms: millis(begun.elapsed()),
    };
    history::append(&deployed.folder(), &entry)?;
    if entry.result == Outcome::Done {
        let kept = files::write::whole(&installed.settings(), 0o644, &text)
            .and_then(|()| deployed.keep(&text, newer.as_deref()))
            .and_then(|()| deployed.starts_with(&installed.program()));
        kept.err().iter().for_each(|error| warn("settings", error));
    }
    Ok((entry, report))
}

/// What runs is as it is: nothing is undone for these.
fn warn(what: &str, error: &anyhow::Error) {
    Show::on_stderr().say(&format!("warning: the {what} of this deploy are not written: {error:#}"));
}

/// How it ended. When nobody can say what runs now, that is no success either.
fn outcome(
    report: &Report,
    running: impl FnOnce() -> Result<AllRunning>,
    from: Option<&str>,
    to: &Installed,
) -> Outcome {
    if report.outcome == report::Outcome::Done {
        return Outcome::Done;
    }
    // What an earlier run of the same deploy did before it was killed has no undo in this one.
    let stays = |(name, running): (&String, &Running)| {
        name != deployer::NAME && running.release.as_deref() == Some(&to.id) && !running.held
    };
    let is_new = from.is_some_and(|from| from != to.id);
    let left = is_new && running().map_or(true, |all| all.iter().any(stays));
    if left || report.steps.iter().any(|step| step.undone == Some(false)) {
        return Outcome::Failed;
    }
    Outcome::RolledBack
}

/// What went wrong, and where.
pub fn why(report: &Report) -> Option<String> {
    if report.outcome == report::Outcome::Done {
        return None;
    }
    let failed = report.steps.iter().find(|step| step.status == Status::Failed);
    Some(match failed {
        Some(step) => format!("{}: {}", step.title, step.error.as_deref().unwrap_or("failed")),
        None => report.outcome_words(),
    })
}

/// What happened, for people.
fn paragraph(deployed: &Deployed, entry: &Entry) -> String {
    let Entry { to, from, why, settings, duration_ms, .. } = entry;
    let settings = settings.as_ref().map_or_else(String::new, |why| format!("warning: {why}\n"));
    let name = &deployed.name;
    let seconds = Duration::from_millis(*duration_ms).as_secs_f64();
    let why = why.as_deref().unwrap_or_default();
    match (entry.result, from) {
        (Outcome::Done, _) if why.is_empty() => {
            format!("{name} runs {to} (took {seconds:.1} s)\n{settings}")
        }
        (Outcome::Done, _) => {
            format!("{name} runs {to} again (took {seconds:.1} s): the other release failed. Reason: {why}\n")
        }
        (Outcome::RolledBack, Some(from)) => {
            format!("{to} was rolled back after {seconds:.1} s; {name} still runs {from}. Reason: {why}\n")
        }
        (Outcome::RolledBack, None) => {
            format!(
                "{to} could not be deployed, and {name} has no previous release: no replica runs. Other services that \
                 have started, such as the database, keep running. Reason: {why}\n"
            )
        }
        (Outcome::Failed, _) => format!(
            "{to} failed, and not everything could be undone: check `{PROGRAM} status {name}`, then deploy again. \
             Reason: {why}\n"
        ),
    }
}

/// The folder with the release's files that this names: a folder, or a file in it.
///
/// # Errors
/// Refused when there is none.
pub fn source(what: &Path) -> Result<PathBuf> {
    let folder = if what.is_file() {
        what.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    } else {
        what
    };
    let missing = match (what.exists(), folder.join(sums::FILE).is_file()) {
        (true, true) => return Ok(folder.to_owned()),
        (true, false) => format!("no {} there", sums::FILE),
        (false, _) => "no such folder or file".to_owned(),
    };
    Err(refused(format!(
        "{}: {missing}; expected the files of a release, as `cargo xtask release package` writes them",
        what.display()
    )))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::deployment::history::tests::entry;
    use runner::plan::mask::Outputs;
    use runner::plan::report::StepReport;

    fn report(outcome: report::Outcome, undone: Option<bool>) -> Report {
        let step = StepReport {
            id: "a.smoke".into(),
            title: "a passes its smoke".to_owned(),
            status: Status::Failed,
            started_ms: 0,
            duration_ms: 1,
            error: Some("no answer".to_owned()),
            log: None,
            outputs: Outputs::new(),
            undone,
        };
        Report {
            intent: "roll".to_owned(),
            target: "qa".to_owned(),
            outcome,
            duration_ms: 1,
            steps: vec![step],
        }
    }

    #[test]
    fn the_result_says_what_was_undone_and_why() {
        let to = Installed::at(Path::new("/state/qa/releases"), "2.0.0-b");
        for (came, undone, answers, from, expected) in [
            (report::Outcome::Done, None, true, "1.0.0-a", Outcome::Done),
            (report::Outcome::Done, None, false, "1.0.0-a", Outcome::Done),
            (report::Outcome::Failed, None, true, "1.0.0-a", Outcome::RolledBack),
            // The engine does not say what runs.
            (report::Outcome::Failed, None, false, "1.0.0-a", Outcome::Failed),
            (report::Outcome::Failed, None, false, "2.0.0-b", Outcome::RolledBack),
            (report::Outcome::Failed, Some(true), true, "1.0.0-a", Outcome::RolledBack),
            (report::Outcome::Failed, Some(false), true, "1.0.0-a", Outcome::Failed),
            (report::Outcome::Interrupted(15), Some(true), true, "1.0.0-a", Outcome::RolledBack),
        ] {
            let report = report(came, undone);
            let running = || if answers { Ok(AllRunning::new()) } else { bail!("it does not answer") };
            assert_eq!(
                outcome(&report, running, Some(from), &to),
                expected,
                "{came:?} {undone:?} {answers} {from}"
            );
            let why = why(&report);
            assert_eq!(why.is_none(), expected == Outcome::Done, "{why:?}");
            assert!(why.is_none_or(|why| why.contains("a passes its smoke: no answer")));
        }
    }

    #[test]
    fn the_last_line_says_what_runs_and_the_reason() {
        let deployed = Deployed { name: "qa".to_owned(), state: PathBuf::new() };
        let (from, why) = (Some("1.0.0-a".to_owned()), Some("no answer".to_owned()));
        for (result, from, why, parts) in [
            (Outcome::Done, &from, &None, &["qa runs 2.0.0-b (took 0.0 s)"][..]),
            (Outcome::Done, &from, &why, &["qa runs 2.0.0-b again", "Reason: no answer"]),
            (
                Outcome::RolledBack,
                &from,
                &why,
                &["2.0.0-b was rolled back", "qa still runs 1.0.0-a", "no answer"],
            ),
            (Outcome::RolledBack, &None, &why, &["could not be deployed", "no replica runs", "no answer"]),
            (Outcome::Failed, &from, &why, &["not everything could be undone", "status qa", "no answer"]),
        ] {
            let entry =
                Entry { from: from.clone(), why: why.clone(), ..entry(Change::Deploy, "2.0.0-b", result) };
            let line = paragraph(&deployed, &entry);
            assert!(parts.iter().all(|part| line.contains(part)) && line.ends_with('\n'), "{line}");
        }
    }

    #[test]
    fn what_served_before_is_watched_for_less_long() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            how: How,
        }
        let wanted = |words: &[&str], change| {
            let line: Line = clap::Parser::parse_from([&["flowship"], words].concat());
            line.how.wanted(change)
        };
        for (words, change, seconds, back) in [
            (&[][..], Change::Deploy, WATCH.as_secs(), WATCH_OF_PROVEN.as_secs()),
            (&[], Change::Promote, WATCH.as_secs(), WATCH_OF_PROVEN.as_secs()),
            (&[], Change::Rollback, WATCH_OF_PROVEN.as_secs(), WATCH_OF_PROVEN.as_secs()),
            (&["--watch", "1"], Change::Deploy, 1, 1),
            (&["--watch", "60"], Change::Rollback, 60, WATCH_OF_PROVEN.as_secs()),
        ] {
            let wanted = wanted(words, change);
            assert_eq!(wanted.watch.as_secs(), seconds, "{words:?} {change:?}");
            let undone = wanted.back("no answer".to_owned());
            assert_eq!(
                (undone.watch.as_secs(), undone.change),
                (back, Change::Rollback),
                "{words:?} {change:?}"
            );
        }
        assert!(WATCH_OF_PROVEN < WATCH);
    }

    #[test]
    fn an_older_version_and_a_full_disk_are_problems() {
        for (before, after, refused) in [
            ("1.2.0", "1.1.9", true),
            ("1.2.0", "1.2.0-rc.1", true),
            ("1.2.0", "1.2.0", false),
            ("x", "1.0.0", false),
        ] {
            assert_eq!(downgrade(before, after, "qa").is_some(), refused, "{before} {after}");
        }
        assert_eq!(no_room("/state", 10, 10), None);
        assert!(no_room("/state", 9, 10).is_some_and(|problem| problem.seen.contains("9 B")));
    }
}
