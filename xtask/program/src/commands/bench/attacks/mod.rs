//! What clients notice while others attack: of our edge, beside HAProxy as Debian configures it, in front of the same replicas
//! a minute later. Acts.

mod attacker;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Options;
use super::sample::{Figure, Unit, once};
use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, socket};
use crate::load_test::client::Client;
use crate::load_test::load::Load;
use crate::load_test::model::Model;
use crate::load_test::packages::Packages;
use crate::load_test::phase::{Phase, phase};
use crate::load_test::target::Target;
use crate::tools::{Program, Tool, Toolbox, progress};
use attacker::Attack;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;
use runner::plan::show::Show;

/// Requests a second of the legitimate client, all from one address.
const RATE: u32 = 50;
const ASKED: &str = "/api/v1/queues";
const WARM_UP: Duration = Duration::from_secs(5);
/// How long it is measured without attacks, and as long with them.
const MEASURED: Duration = Duration::from_secs(40);
/// Until all slow connections are there.
const GATHER: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(1);

/// As Debian's package has it, with TLS: no limits but its times.
const STOCK: &str =
    "defaults\n    mode http\n    timeout connect 5000\n    timeout client 50000\n    timeout server 50000\n";

pub fn measure(context: &Context, _: &Options, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    attacker::allow_open_files()?;
    let load = || fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
    let before = load();
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Node, Tool::Haproxy], progress::on_stderr().as_ref())?;
    let folder = temporary::folder("flowship-bench-")?;
    eprintln!("  packaging a release of this checkout");
    let mut packages = Packages::begin(context, folder.path())?;
    let release = packages.get("one", &|_| Ok(()))?;
    let model = Model::start(context, folder.path())?;
    let target = Target::begin(context, interrupt, "bench", &packages, &model, WATCH)?;
    let found = (|| {
        eprintln!("  deploying it");
        let ended = target.deploy(&packages, &release, None)?;
        if ended.code != Some(0) {
            bail!("the deploy failed:\n{}", ended.said);
        }
        let ours = side("ours", &target.client()?, target.edge_process()?, interrupt)?;
        let stock = Stock::start(context, &toolbox, &target, folder.path())?;
        let theirs = side("stock", &target.client_at(stock.port)?, stock.child.id(), interrupt)?;
        Ok([figures(&theirs), figures(&ours)].concat())
    })();
    target.end(found.is_err(), &Show::on_stderr())?;
    eprintln!("  load of the machine before and after: {before}; {}", load());
    found
}

/// What the clients of one side have seen.
struct Side {
    name: &'static str,
    quiet: Phase,
    attacked: Phase,
    failed: usize,
    attacks: Vec<(&'static str, usize)>,
    /// The most that the proxy ever had in memory, in MiB.
    memory_mib: f64,
}

fn side(name: &'static str, client: &Client, process: u32, interrupt: &Interrupt) -> Result<Side> {
    eprintln!("  {name}: {RATE} requests a second, without attacks");
    let mut load = Load::begin();
    load.ask(client, RATE, |client| client.get::<Value>(ASKED).map(|_| None))?;
    pause(WARM_UP + MEASURED, interrupt)?;
    let calm = load.elapsed();
    eprintln!("  {name}: attacked");
    let attack = Attack::begin(client, ASKED)?;
    pause(GATHER, interrupt)?;
    let begun = load.elapsed();
    pause(MEASURED, interrupt)?;
    let ends = load.elapsed();
    let attacks = attack.end();
    let seen = load.end();
    for failure in seen.failures.iter().take(5) {
        eprintln!("  {name}: failed after {} ms: {}", failure.due_ms, failure.what);
    }
    Ok(Side {
        name,
        quiet: phase(&seen, WARM_UP, calm),
        attacked: phase(&seen, begun, ends),
        failed: seen.failures.len(),
        attacks,
        memory_mib: memory_mib(process)?,
    })
}

fn pause(duration: Duration, interrupt: &Interrupt) -> Result<()> {
    let ends = Instant::now() + duration;
    while Instant::now() < ends {
        if interrupt.raised() {
            bail!("interrupted");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub(super) fn memory_mib(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.with_context(|| format!("{path} has no VmHWM"))? / 1024.0)
}

/// HAProxy as Debian configures it, in front of the replicas of the target.
struct Stock {
    child: Child,
    port: u16,
}

impl Drop for Stock {
    fn drop(&mut self) {
        // It has no state that needs a clean exit.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stock {
    fn start(context: &Context, toolbox: &Toolbox, target: &Target<'_>, folder: &Path) -> Result<Self> {
        let platform = context.platform;
        let (environment, instance) = target.instance()?;
        let certificate = instance.secret(platform.edge.certificate);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let units = platform.units(&environment);
        let workers = units.iter().filter(|unit| platform.is_worker(unit));
        let servers: String = workers
            .filter_map(|unit| {
                let flows = instance.ports.get(&socket(unit, platform.workers.flows.name))?;
                Some(format!("    server {} {ADDRESS}:{flows} check\n", unit.name()))
            })
            .collect();
        let text = format!(
            "{STOCK}\nfrontend https\n    bind {ADDRESS}:{port} ssl crt {} alpn h2,http/1.1\n    default_backend \
             replicas\n\nbackend replicas\n    balance roundrobin\n{servers}",
            certificate.display()
        );
        let file = folder.join("stock.cfg");
        fs::write(&file, text)?;
        let argv =
            toolbox.invocation(Program::Haproxy)?.argv(["-db".as_ref(), "-f".as_ref(), file.as_os_str()]);
        let child =
            Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let stock = Self { child: child.context("starting HAProxy")?, port };
        // As long as two of its health checks take.
        std::thread::sleep(Duration::from_secs(5));
        Ok(stock)
    }
}

/// The times under attack beside those without.
fn figures(side: &Side) -> Vec<Figure> {
    let called = |what: &str| format!("{}: {what}", side.name);
    #[allow(clippy::cast_precision_loss, reason = "requests of a run")]
    let count = |what: &str, value: usize| once(called(what), Unit::Count, value as f64, None);
    let time = |what: &str, ms: f64, beside| once(called(what), Unit::Seconds, ms / 1000.0, beside);
    let Side { quiet, attacked, .. } = side;
    let p50 = time("without attacks, p50", quiet.p50_ms, None);
    let p99 = time("without attacks, p99", quiet.p99_ms, None);
    let under_attack = [
        time("attacked, p50", attacked.p50_ms, Some(&p50)),
        time("attacked, p99", attacked.p99_ms, Some(&p99)),
        time("attacked, slowest answer", attacked.longest_ms, None),
        count("answers while it was attacked", attacked.answers),
        count("requests that failed", side.failed),
        once(called("most memory of the proxy, MiB"), Unit::Count, side.memory_mib.round(), None),
    ];
    let attacks = side.attacks.iter().map(|(what, value)| count(what, *value));
    [p50, p99].into_iter().chain(under_attack).chain(attacks).collect()
}
