//! Deploys of good releases under load: what clients notice of ours, beside kamal-proxy, which switches between replicas of
//! the same release on the same machine a minute later. Acts.

mod flows;
mod long_lived;
mod peer;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Options;
use super::sample::{Figure, Unit, figure, once};
use crate::context::Context;
use crate::load_test::client::Client;
use crate::load_test::load::Load;
use crate::load_test::model::Model;
use crate::load_test::packages::Packages;
use crate::load_test::phase::{Phase, phase};
use crate::load_test::target::Target;
use crate::tools::{Tool, Toolbox, progress};
use foundation::exit::refused;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;
use long_lived::LongLived;
use peer::Peer;
use runner::plan::show::Show;

/// Requests a second.
const RATE: u32 = 200;

/// How long each side is asked without deploys before its first one; what comes before that finds code that V8 has not
/// compiled yet.
const QUIET: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(3);

/// How long each deploy of ours is watched. Nothing is broken here, and the peer watches nothing.
const WATCH: Duration = Duration::from_secs(1);

pub fn measure(context: &Context, options: &Options, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let longest = u32::from(context.platform.draining.limit_seconds).saturating_sub(flows::SPARE_SECONDS + 1);
    if options.slow > longest {
        return Err(refused(format!(
            "--slow {}: expected at most {longest} s: the edge waits no longer",
            options.slow
        )));
    }
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
    let before = load();
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Node, Tool::KamalProxy], progress::on_stderr().as_ref())?;
    let folder = temporary::folder("flowship-bench-")?;
    eprintln!("  packaging releases of this checkout");
    let mut packages = Packages::begin(context, folder.path())?;
    packages.change(&|tree| flows::add(tree, context.platform, options.slow))?;
    let releases = [
        packages.get("one", &|_| Ok(()))?,
        packages.get("other", &|tree| flows::revise(tree, context.platform, options.slow))?,
    ];
    let model = Model::start(context, folder.path())?;
    let target = Target::begin(context, interrupt, "bench", &packages, &model, WATCH)?;
    let bench = Bench { context, toolbox: &toolbox, options, interrupt, target: &target };
    let found = bench.sides(&packages, &releases, folder.path());
    target.end(found.is_err(), &Show::on_stderr())?;
    let figures = found?;
    eprintln!("  load of the machine before and after: {before}; {}", load());
    Ok(figures)
}

struct Bench<'a> {
    context: &'a Context,
    toolbox: &'a Toolbox,
    options: &'a Options,
    interrupt: &'a Interrupt,
    target: &'a Target<'a>,
}

/// What the clients of one side have seen.
struct Side {
    name: &'static str,
    requests: usize,
    failed: usize,
    without: Phase,
    with: Phase,
    deploys: Vec<Duration>,
    long_lived: long_lived::Seen,
}

impl Bench<'_> {
    fn sides(
        &self,
        packages: &Packages,
        releases: &[std::path::PathBuf],
        folder: &Path,
    ) -> Result<Vec<Figure>> {
        let deploy = |number: usize| -> Result<()> {
            let ended = self.target.deploy(packages, &releases[number % releases.len()], None)?;
            if ended.code != Some(0) {
                bail!("deploy {number} failed:\n{}", ended.said);
            }
            Ok(())
        };
        eprintln!("  deploying the first release");
        deploy(0)?;
        let ours = self.under_load("ours", &self.target.client()?, &mut |number| deploy(number + 1))?;
        self.target.end_workers()?;
        let mut peer =
            Peer::start(self.context, self.toolbox, self.interrupt, self.target, self.options.slow, folder)?;
        let client = self.target.client_at(peer.port)?;
        let theirs = self.under_load("kamal-proxy", &client, &mut |_| peer.deploy())?;
        Ok([figures(&theirs, None), figures(&ours, Some(&theirs))].concat())
    }

    fn under_load(
        &self,
        name: &'static str,
        client: &Client,
        deploy: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Side> {
        let platform = self.context.platform;
        eprintln!("  {name}: {RATE} requests a second");
        let echo = flows::path(platform, flows::ECHO);
        let mut load = Load::begin();
        load.ask(client, RATE, move |client| {
            client.post::<Value>(&echo, &json!({ "text": "The quick brown fox." })).map(|_| None)
        })?;
        let clients = LongLived::start(self.context, self.toolbox, client)?;
        self.pause(WARM_UP + QUIET)?;
        let begin = load.elapsed();
        let mut deploys = Vec::new();
        for number in 0..self.options.deploys as usize {
            let begun = Instant::now();
            deploy(number).with_context(|| format!("{name}, deploy {}", number + 1))?;
            deploys.push(begun.elapsed());
            eprintln!(
                "  {name}: deploy {} of {}, {:.1} s",
                number + 1,
                self.options.deploys,
                begun.elapsed().as_secs_f64()
            );
        }
        let end = load.elapsed();
        let seen = load.end();
        let long_lived = clients.end()?;
        for failure in seen.failures.iter().take(5) {
            eprintln!("  {name}: failed after {} ms: {}", failure.due_ms, failure.what);
        }
        eprintln!("  {name}: {}", long_lived.words());
        Ok(Side {
            name,
            requests: seen.answers.len() + seen.failures.len(),
            failed: seen.failures.len(),
            without: phase(&seen, WARM_UP, begin),
            with: phase(&seen, begin, end),
            deploys,
            long_lived,
        })
    }

    fn pause(&self, duration: Duration) -> Result<()> {
        let ends = Instant::now() + duration;
        while Instant::now() < ends {
            if self.interrupt.raised() {
                bail!("interrupted");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Those of one side, each beside the peer's where that can be a ratio.
fn figures(side: &Side, peer: Option<&Side>) -> Vec<Figure> {
    let name = side.name;
    let count = |what: &str, value: usize| {
        #[allow(clippy::cast_precision_loss, reason = "requests of a run")]
        once(format!("{name}: {what}"), Unit::Count, value as f64, None)
    };
    let milliseconds = |what: &str, of: fn(&Side) -> f64| {
        let one =
            |side: &Side| once(format!("{}: {what}", side.name), Unit::Seconds, of(side) / 1000.0, None);
        let beside = peer.map(one).filter(|figure| figure.median > 0.0);
        once(format!("{name}: {what}"), Unit::Seconds, of(side) / 1000.0, beside.as_ref())
    };
    let clients = &side.long_lived;
    vec![
        figure(&format!("{name}: a deploy"), &side.deploys, None),
        count("requests", side.requests),
        count("requests that failed", side.failed),
        milliseconds("without deploys, longest gap between answers", |side| side.without.gap_ms),
        milliseconds("without deploys, p99", |side| side.without.p99_ms),
        milliseconds("with deploys, longest gap between answers", |side| side.with.gap_ms),
        milliseconds("with deploys, p50", |side| side.with.p50_ms),
        milliseconds("with deploys, p99", |side| side.with.p99_ms),
        milliseconds("with deploys, slowest answer", |side| side.with.longest_ms),
        count("WebSockets told to connect again (1001, 1012)", clients.socket.told()),
        count("WebSockets cut or refused", clients.socket.closings() - clients.socket.told()),
        count("WebSocket messages without an answer", clients.socket.unanswered),
        milliseconds("longest time without a WebSocket", |side| side.long_lived.socket.longest_without_ms),
        count("slow requests", clients.slow.sent),
        count("slow requests that failed", clients.slow.failed()),
    ]
}
