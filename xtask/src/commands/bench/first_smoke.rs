//! From nothing running to a proven platform, beside the least that a Node-RED can do: answer one request.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::sample::{Figure, figure, times};
use crate::commands::dev::opened::{Opened, Wish};
use crate::commands::dev::{DEFAULT, running};
use crate::commands::smoke;
use crate::context::Context;
use crate::plan::interrupt::Interrupt;
use crate::plan::report::Outcome;
use crate::plan::show::{Look, Show};
use crate::tools::{NpmProject, Program, progress};

const LIMIT: Duration = Duration::from_secs(30);

pub fn measure(context: &Context, runs: usize, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let name = format!("bench-{}", std::process::id());
    let show = Show::to(Look::Plain, Box::new(std::io::sink()));
    let wish = Wish { environment: DEFAULT, target: &name, any_ports: true, inspect: None, engine: None };
    let opened = Opened::open(context, &wish, None)?;
    let progress = progress::on_stderr();
    opened
        .toolbox
        .ensure(&crate::commands::dev::programs::tools(opened.program_names())?, progress.as_ref())?;
    opened.toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
    let down = || running::bring_down(context, &name, &show, &interrupt.heeded());
    let up = || -> Result<()> {
        let report = running::bring_up(context, &opened, &opened.plan(false, false), &show, interrupt)?;
        if report.outcome != Outcome::Done {
            let errors: Vec<_> = report.steps.iter().filter_map(|step| step.error.as_deref()).collect();
            bail!("the platform does not come up: {}", errors.join("; "));
        }
        smoke::prove(context, &opened, interrupt)
    };
    let clear = || fs::remove_dir_all(opened.instance.folder.join("data"));
    let measured = (|| {
        let mut first = Vec::new();
        let mut again = Vec::new();
        // One round that is not counted, as for every other figure.
        for round in 0..=runs {
            for times in [&mut first, &mut again] {
                let begun = Instant::now();
                up()?;
                if round > 0 {
                    times.push(begun.elapsed());
                }
                down()?;
            }
            clear()?;
        }
        Ok::<_, anyhow::Error>((first, again))
    })();
    let ended = down();
    fs::remove_dir_all(&opened.instance.folder)?;
    let (first, again) = measured?;
    ended?;
    let bare = figure("bare Node-RED to its first 200", &bare_node_red(&opened, runs)?, None);
    let first = figure("dev to five passed checks, empty data", &first, Some(&bare));
    let again = figure("dev to five passed checks, data there", &again, Some(&bare));
    Ok(vec![bare, first, again])
}

/// The same Node-RED with one flow that answers, and nothing else.
fn bare_node_red(opened: &Opened, runs: usize) -> Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let flow = r#"[{"id":"t","type":"tab","label":"t"},
        {"id":"i","type":"http in","z":"t","url":"/x","method":"get","x":100,"y":100,"wires":[["r"]]},
        {"id":"r","type":"http response","z":"t","x":300,"y":100,"wires":[]}]"#;
    fs::write(folder.path().join("flows.json"), flow)?;
    let node = opened.toolbox.invocation(Program::Node)?;
    let script = opened.instance.root.join("flows/node_modules/node-red/red.js");
    times(runs, &mut || {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut child = Command::new(&node.program)
            .arg(&script)
            .args(["--userDir".as_ref(), folder.path().as_os_str()])
            .args(["--port", &port.to_string(), "flows.json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting Node-RED")?;
        let answered = first_answer(&mut child, &format!("http://127.0.0.1:{port}/x"));
        child.kill()?;
        child.wait()?;
        answered
    })
}

fn first_answer(child: &mut Child, url: &str) -> Result<()> {
    let give_up = Instant::now() + LIMIT;
    while Instant::now() < give_up {
        if ureq::get(url).call().is_ok_and(|answer| answer.status() == 200) {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("bare Node-RED ended: {status}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("bare Node-RED did not answer within {} s", LIMIT.as_secs())
}
