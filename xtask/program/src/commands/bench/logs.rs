//! What keeping logs and metrics costs: tasks a second with and without it, and how fast a million lines get from the files
//! of the services into the log store. Acts.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Options;
use super::attacks::memory_mib;
use super::sample::{Figure, Unit, of, once};
use super::tasks::{Bench, Load};
use crate::context::Context;
use crate::engines::process::instance::ADDRESS;
use crate::session::{private, running};
use foundation::clock::{now_ms, utc};
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use runner::plan::show::{OutputStyle, Show};

/// Of the lines that the bench writes.
const COMPONENT: &str = "bench";
const LOOK: Duration = Duration::from_millis(250);
/// The store takes no more when it has taken nothing for so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn measure(context: &Context, options: &Options, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let Some(store) = context.platform.log_store else {
        return Err(refused("the platform has no log store; leave the figure `logs` out".to_owned()));
    };
    let group = context.platform.service(store.collector).and_then(|service| service.group);
    let with: Vec<String> = group.iter().map(|group| group.0.to_owned()).collect();
    let show = Show::to(OutputStyle::Plain, Box::new(std::io::sink()));
    let (mut submits, mut tasks, mut spent) = ([vec![], vec![]], [vec![], vec![]], [vec![], vec![]]);
    let mut figures = Vec::new();
    for round in 1..=options.runs() {
        for (at, with) in [&[][..], &with[..]].into_iter().enumerate() {
            let how = with.first().map_or("without".to_owned(), |part| format!("with {part}"));
            eprintln!("  round {round} of {}, {how}", options.runs());
            private::run(context, "bench", Some(1), with, &show, interrupt, &mut |opened| {
                let bench = Bench { context, opened, interrupt };
                let input = json!({ "question": "How long is a piece of string?" });
                let load = |seconds| Load {
                    what: how.clone(),
                    workflow: "answer-question",
                    input: input.clone(),
                    rate: 0.0,
                    seconds,
                    delay_seconds: 0.0,
                };
                bench.offer(&load(2))?;
                let processor = || Ok::<f64, anyhow::Error>(bench.processor()?.values().sum());
                let before = processor()?;
                let offered = bench.offer(&load(options.seconds))?;
                spent[at].push((processor()? - before) / f64::from(offered.stored.max(1)));
                submits[at].push(offered.submits_per_second);
                tasks[at].push(offered.tasks_per_second);
                if at == 1 && round == options.runs() {
                    figures = lines(&bench, options)?;
                }
                Ok(())
            })?;
        }
    }
    let part = with.join(", ");
    let mut all = Vec::new();
    for (what, unit, [without, with]) in [
        ("requests that submit tasks", Unit::PerSecond, &submits),
        ("tasks", Unit::PerSecond, &tasks),
        ("processor time per task, all services", Unit::Seconds, &spent),
    ] {
        let peer = of(&format!("{what}, without {part}"), unit, without, None);
        all.extend([of(&format!("{what}, with {part}"), unit, with, Some(&peer)), peer]);
    }
    all.extend(figures);
    Ok(all)
}

/// Writes the lines into a file beside those of the services, and waits until the store has each.
fn lines(bench: &Bench<'_>, options: &Options) -> Result<Vec<Figure>> {
    let count = u64::from(options.lines);
    let instance = &bench.opened.instance;
    let store = bench.context.platform.log_store.context("there is no log store")?;
    let port = instance.port(store.api, &bench.opened.units()).context("the log store has no port")?;
    let url = format!("http://{ADDRESS}:{port}/select/logsql/query");
    let agent = ureq::Agent::from(ureq::Agent::config_builder().proxy(None).build());
    let stored = |function: &str| -> Result<u64> {
        let query = format!("component:={COMPONENT} | stats {function} as lines");
        let text = agent.post(&url).send_form([("query", query)])?.body_mut().read_to_string()?;
        let found: Value = serde_json::from_str(text.trim()).with_context(|| text.clone())?;
        found["lines"].as_str().context("no number of lines")?.parse().context("the number of lines")
    };
    eprintln!("  {count} lines through the collector");
    let before = bench.processor()?;
    let begun = Instant::now();
    let bytes = write(&instance.log(COMPONENT), count)?;
    let written = begun.elapsed().as_secs_f64();
    let (mut seen, mut since) = (0, Instant::now());
    while seen < count {
        thread::sleep(LOOK);
        let now = stored("count()")?;
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE || bench.interrupt.raised() {
            bail!("{seen} of {count} lines are in the store after {:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let distinct = stored("count_uniq(seq)")?;
    if distinct != count {
        bail!("{distinct} different lines of {count} are in the store");
    }
    let after = bench.processor()?;
    let what = |what: String| format!("{count} lines of {} bytes: {what}", bytes / count);
    let rate = |seconds: f64| options.lines as f64 / seconds;
    let mut figures = vec![
        once(what("written to a file".into()), Unit::PerSecond, rate(written), None),
        once(what("until the last is in the store".into()), Unit::PerSecond, rate(seconds), None),
    ];
    let (services, _) = running::client(bench.context, &bench.opened.target)?.status()?;
    for service in [store.collector, store.api.service].map(|id| id.to_string()) {
        let pid = services.iter().find(|one| one.name.0 == service).and_then(|one| one.pid);
        let memory = memory_mib(pid.with_context(|| format!("{service} does not run"))?)?;
        let spent = after[&service] - before.get(&service).copied().unwrap_or_default();
        figures.extend([
            once(what(format!("most memory of {service}, MiB")), Unit::Count, memory.round(), None),
            once(what(format!("processor time of {service}")), Unit::Seconds, spent, None),
        ]);
    }
    Ok(figures)
}

/// As the supervisor writes them, but never into a second file; how many bytes.
fn write(path: &std::path::Path, count: u64) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut bytes = 0;
    let mut time = String::new();
    for seq in 1..=count {
        if seq % 100 == 1 {
            let now = now_ms();
            time = format!("{}.{:03}Z", utc(now / 1000).trim_end_matches('Z'), now % 1000);
        }
        let task = seq / 4;
        let line = format!(
            r#"{{"seq":{seq},"start":"{COMPONENT}.1","level":"info","time":"{time}","workflow_id":"answer-question","node_id":"worker-tasks","task_id":"0198c7a2-5f5e-7c41-9d33-{task:012x}","component":"{COMPONENT}","environment":"dev","queue":"tasks","attempt":1,"message":"the task is completed"}}"#
        ) + "\n";
        bytes += line.len() as u64;
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(bytes)
}
