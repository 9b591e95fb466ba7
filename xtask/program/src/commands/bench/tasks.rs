//! What the queue and its workers do: tasks a second, what the platform adds to the model's time, and processor time by
//! service; beside the least that a worker on the same PostgreSQL does. Acts.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vocabulary::model::Lifetime;

use super::Options;
use super::sample::{Figure, Unit, once};
use vocabulary::model::Platform;

use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, socket};
use crate::session::opened::Opened;
use crate::session::{private, running};
use crate::tools::Program;
use foundation::interrupt::Interrupt;
use foundation::processes::processor_seconds;
use runner::plan::show::{OutputStyle, Show};

/// Offers the tasks; it says in its head what it does.
const LOAD: &str = "test/load.js";

/// Jobs of the bare worker, and how many it takes at once.
const BARE_JOBS: u32 = 4_000;
const BARE_BATCH: u32 = 64;

/// Tasks a second that are offered to each replica whose model takes its time: the goal.
const SLOW_RATE: f64 = 100.0;
const SLOW_SECONDS: f64 = 2.0;

/// How long results are waited for after the last task is offered.
const SETTLE_SECONDS: u32 = 12;

/// Requests of each kind while tasks wait.
const REQUESTS: u32 = 500;

#[derive(Deserialize)]
struct Bare {
    sends_per_second: f64,
    done_per_second: f64,
    processor_seconds: f64,
}

#[derive(Deserialize)]
pub(super) struct Offered {
    accepted: u32,
    pub(super) stored: u32,
    pub(super) submits_per_second: f64,
    pub(super) tasks_per_second: f64,
    overhead_p50: f64,
    overhead_p99: f64,
}

#[derive(Deserialize)]
struct Asked {
    per_second: f64,
    p50: f64,
    p99: f64,
}

#[derive(Deserialize)]
struct Queued {
    submits: Asked,
    tasks: Asked,
    queues: Asked,
}

/// What is offered, and for how long.
pub(super) struct Load {
    pub(super) what: String,
    pub(super) workflow: &'static str,
    pub(super) input: Value,
    /// Tasks a second; 0 for as many as are accepted.
    pub(super) rate: f64,
    pub(super) seconds: u32,
    /// Of the model.
    pub(super) delay_seconds: f64,
}

pub fn measure(context: &Context, options: &Options, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    eprintln!("  load of the machine before: {}", load.trim());
    let mut figures = Vec::new();
    let show = Show::to(OutputStyle::Plain, Box::new(std::io::sink()));
    let mut peer = None;
    for replicas in [1, 2] {
        eprintln!("  bringing up a platform with {replicas} of {}", context.platform.workers.service());
        private::run(context, "bench", Some(replicas), &[], &show, interrupt, &mut |opened| {
            let bench = Bench { context, opened, interrupt };
            let peer = match &peer {
                Some(peer) => peer,
                None => peer.insert(bench.bare(&mut figures)?),
            };
            bench.replicas(options, replicas, peer, &mut figures)
        })?;
    }
    Ok(figures)
}

/// A platform that runs for the figures, and is gone afterwards.
pub(super) struct Bench<'a> {
    pub(super) context: &'a Context,
    pub(super) opened: &'a Opened,
    pub(super) interrupt: &'a Interrupt,
}

impl Bench<'_> {
    /// The figures of the bare worker; the one that ours stand beside.
    fn bare(&self, figures: &mut Vec<Figure>) -> Result<Figure> {
        eprintln!("  a bare pg-boss worker, {BARE_JOBS} jobs");
        let one = |what: String, unit, value| once(format!("bare pg-boss worker: {what}"), unit, value, None);
        let mut peer = None;
        for batch in [1, BARE_BATCH] {
            let bare: Bare = self.load("bare", json!({ "count": BARE_JOBS, "batch": batch }))?;
            let how = if batch == 1 { "one by one".to_owned() } else { format!("{batch} at once") };
            let done = one(format!("jobs done, {how}"), Unit::PerSecond, bare.done_per_second);
            if peer.is_none() {
                figures.push(one("jobs sent".to_owned(), Unit::PerSecond, bare.sends_per_second));
            }
            figures.push(done.clone());
            figures.push(one(
                format!("its processor time per job, {how}"),
                Unit::Seconds,
                bare.processor_seconds,
            ));
            peer.get_or_insert(done);
        }
        peer.context("no bare worker was measured")
    }

    fn replicas(
        &self,
        options: &Options,
        replicas: u32,
        peer: &Figure,
        figures: &mut Vec<Figure>,
    ) -> Result<()> {
        let who = if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") };
        let question = |delay: f64| {
            let wait =
                if delay > 0.0 { format!(" Answer after {:.0} ms.", delay * 1000.0) } else { String::new() };
            json!({ "question": format!("How long is a piece of string?{wait}") })
        };
        let quick = |what: String, workflow, input| Load {
            what,
            workflow,
            input,
            rate: 0.0,
            seconds: options.seconds,
            delay_seconds: 0.0,
        };
        // Code that V8 has not compiled yet is not what is measured.
        self.offer(&Load { seconds: 2, ..quick("warming up".into(), "answer-question", question(0.0)) })?;
        let flood = quick(format!("{who}, model 0 s"), "answer-question", question(0.0));
        let found = self.figures(&flood, Some(peer), figures)?;
        let half = Load {
            what: format!("{who}, model 0 s, half of that load"),
            rate: (found.tasks_per_second / 2.0).max(1.0),
            ..flood
        };
        self.figures(&half, None, figures)?;
        if replicas == 1 {
            let text = json!({ "text": "The quick brown fox jumps over the lazy dog." });
            self.figures(
                &quick(format!("{who}, model 0 s and a tool"), "describe-text", text),
                Some(peer),
                figures,
            )?;
        }
        let slow = Load {
            what: format!("{who}, model {SLOW_SECONDS:.0} s"),
            workflow: "answer-question",
            input: question(SLOW_SECONDS),
            rate: SLOW_RATE * f64::from(replicas),
            seconds: options.seconds,
            delay_seconds: SLOW_SECONDS,
        };
        self.figures(&slow, None, figures)?;
        if replicas == 1 { self.queued(options.queued, &question(0.0), figures) } else { Ok(()) }
    }

    fn figures(&self, load: &Load, peer: Option<&Figure>, figures: &mut Vec<Figure>) -> Result<Offered> {
        let before = self.processor()?;
        let found = self.offer(load)?;
        let after = self.processor()?;
        let tasks = f64::from(found.stored);
        let one = |what: &str, unit, value, peer| once(format!("{}: {what}", load.what), unit, value, peer);
        figures.push(one("tasks", Unit::PerSecond, found.tasks_per_second, peer));
        if load.rate == 0.0 {
            figures.push(one("submitted meanwhile", Unit::PerSecond, found.submits_per_second, None));
        } else {
            figures.push(one("overhead, p50", Unit::Seconds, found.overhead_p50, None));
            figures.push(one("overhead, p99", Unit::Seconds, found.overhead_p99, None));
        }
        if found.stored < found.accepted {
            eprintln!("  {} of {} accepted tasks ended in time", found.stored, found.accepted);
        }
        let spent = |name: &String| after[name] - before.get(name).copied().unwrap_or_default();
        let stands_in = |name: &&String| {
            let units = self.opened.units();
            units.iter().any(|unit| unit.name() == **name && unit.service.lifetime == Lifetime::StandIn)
        };
        let processor = "processor time per task";
        for name in after.keys().filter(|name| spent(name) / tasks >= 5e-5) {
            figures.push(one(&format!("{processor}, {name}"), Unit::Seconds, spent(name) / tasks, None));
        }
        let all: f64 = after.keys().filter(|name| !stands_in(name)).map(spent).sum();
        figures.push(one(&format!("{processor}, all but the stand-in"), Unit::Seconds, all / tasks, None));
        Ok(found)
    }

    pub(super) fn offer(&self, load: &Load) -> Result<Offered> {
        eprintln!("  {}: {} s of tasks", load.what, load.seconds);
        self.load(
            "offer",
            json!({
                "workflow": load.workflow,
                "input": load.input,
                "rate": load.rate,
                "seconds": load.seconds,
                "settle_seconds": SETTLE_SECONDS,
                "delay_seconds": load.delay_seconds,
            }),
        )
    }

    fn queued(&self, count: u32, input: &Value, figures: &mut Vec<Figure>) -> Result<()> {
        eprintln!("  {count} tasks queued: {REQUESTS} requests of each kind");
        let wanted =
            json!({ "count": count, "requests": REQUESTS, "workflow": "answer-question", "input": input });
        let queued: Queued = self.load("queued", wanted)?;
        let one = |what: &str, unit, value| once(format!("{count} tasks queued: {what}"), unit, value, None);
        figures.push(one("submits", Unit::PerSecond, queued.submits.per_second));
        for (what, asked) in [
            ("POST .../tasks", &queued.submits),
            ("GET /api/v1/tasks/{id}", &queued.tasks),
            ("GET /api/v1/queues", &queued.queues),
        ] {
            figures.push(one(&format!("{what}, p50"), Unit::Seconds, asked.p50));
            figures.push(one(&format!("{what}, p99"), Unit::Seconds, asked.p99));
        }
        Ok(())
    }

    /// Runs the script in one of its modes.
    fn load<T: DeserializeOwned>(&self, mode: &str, mut settings: Value) -> Result<T> {
        if self.interrupt.raised() {
            bail!("interrupted");
        }
        let units = self.opened.units();
        let instance = &self.opened.instance;
        let Platform { workers, database, .. } = self.context.platform;
        let apis: Vec<_> = units
            .iter()
            .filter(|unit| self.context.platform.is_worker(unit))
            .map(|unit| format!("http://{ADDRESS}:{}", instance.ports[&socket(unit, workers.flows.name)]))
            .collect();
        settings["apis"] = json!(apis);
        settings["key_file"] = json!(instance.secret(workers.api_key));
        settings["postgres"] = json!({
            "host": ADDRESS,
            "port": instance.port(database.port, &units),
            "database": database.name,
            "user": database.user,
            "password_file": instance.secret(database.password),
        });
        let done = Command::new(self.opened.toolbox.path(Program::Node)?)
            .args([LOAD, mode, &settings.to_string()])
            .current_dir(self.context.path("flows"))
            .stdin(Stdio::null())
            .output()
            .context("starting the load")?;
        if !done.status.success() {
            bail!("the load {mode} failed: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        serde_json::from_slice(&done.stdout)
            .with_context(|| format!("the load {mode} said {}", String::from_utf8_lossy(&done.stdout)))
    }

    /// Processor seconds so far, by service and replica.
    pub(super) fn processor(&self) -> Result<BTreeMap<String, f64>> {
        let client = running::client(self.context, &self.opened.target)?;
        let (services, _) = client.status()?;
        let pids = services.into_iter().filter_map(|service| Some((service.name.0, service.pid?)));
        Ok(pids.filter_map(|(name, pid)| Some((name, processor_seconds(pid)?))).collect())
    }
}
