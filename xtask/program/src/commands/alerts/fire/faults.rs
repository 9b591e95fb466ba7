//! Causes a fault on the drill's platform, and undoes it. Acts.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use artifacts::monitoring::scraping;
use runner::plan::service::ServiceName;
use runner::plan::show::Show;
use runner::supervisor::Client;
use rustix::net;
use rustix::process::Signal;
use serde_json::Value;
use tiny_http::{Header, Response, Server};
use vocabulary::model::{DiskState, Fault, SecretKind, SecretRef, ServiceId, VolumeRef};

use super::Prometheus;
use super::load::Load;
use crate::alert_receivers::Receivers;
use crate::context::Context;
use crate::deployment::metrics::DEPLOYS;
use crate::engines::process::certificate;
use crate::engines::roll::edge_socket::EdgeSocket;
use crate::load_test::model::Model;
use crate::load_test::packages::Packages;
use crate::load_test::target::Target;
use crate::session::opened::Opened;
use crate::session::{secret_audit, smoke};
use crate::tools::Program;
use foundation::files::{self, temporary};
use foundation::interrupt::Interrupt;
use foundation::processes::{signal_group, signal_process};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a service may take to be back.
const BACK: Duration = Duration::from_secs(60);
/// How long a counter may take to rise: Prometheus repeats what fires once a minute.
const RISES: Duration = Duration::from_secs(90);
/// How long the model takes for a task that is to be taken over: less than it may.
const TASK_MS: u32 = 5_000;
/// In the tree.
const FLOWS: &str = "flows";
/// What a replica runs first.
const LAUNCHER: &str = "flows/runtime/main.js";
/// How long a deploy looks at what it has rolled out.
const WATCH: Duration = Duration::from_secs(3);
/// As many tasks as a busy workflow has.
const BUSY: u16 = 150;
/// How old a secret is that should have been replaced.
const AGE: Duration = Duration::from_secs(400 * 86_400);

/// The platform under drill.
pub struct Ground<'a> {
    pub context: &'a Context,
    pub interrupt: &'a Interrupt,
    pub show: &'a Show,
    pub opened: &'a Opened,
    pub client: &'a Client,
    pub receivers: &'a Receivers,
    pub load: &'a Load,
    pub prometheus: &'a Prometheus,
    /// Between two scrapes.
    pub interval: Duration,
}

type Step<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

fn leave(file: &Path, text: &str, caused: &mut Caused<'_>) -> Result<()> {
    fs::write(file, text)?;
    let file = file.to_owned();
    caused.0.push(Box::new(move || Ok(fs::remove_file(file)?)));
    Ok(())
}

/// What was done, to be undone, also when the drill ends early.
#[derive(Default)]
pub struct Caused<'a>(Vec<Step<'a>>);

impl Caused<'_> {
    /// # Errors
    /// Something cannot be undone.
    pub fn undo(mut self) -> Result<()> {
        self.all()
    }

    fn all(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(step) = self.0.pop() {
            result = result.and(step());
        }
        result
    }
}

impl Drop for Caused<'_> {
    fn drop(&mut self) {
        // The platform goes down then anyway.
        let _ = self.all();
    }
}

impl<'a> Ground<'a> {
    /// # Errors
    /// It cannot be caused here; nothing of it remains.
    pub fn cause(&'a self, fault: Fault) -> Result<Caused<'a>> {
        let mut caused = Caused::default();
        match fault {
            Fault::Nothing => {}
            Fault::Stopped(service) => self.stop(service, &mut caused)?,
            Fault::Killed { service, times } => {
                for _ in 0..times {
                    self.kill(service)?;
                }
            }
            Fault::Stutters { service, milliseconds } => self.stutter(service, milliseconds, &mut caused)?,
            Fault::Unreadable { volume, file } => self.spoil(volume, file, &mut caused)?,
            Fault::NotScraped(service) => self.take_from_targets(service, &mut caused)?,
            Fault::OldLogLine => {
                let line = "{\"time\":\"2001-01-01T00:00:00Z\",\"level\":\"info\"}\n";
                leave(&self.opened.instance.logs().join("fire-drill.log"), line, &mut caused)?;
            }
            Fault::UnreadableMetrics => self.leave_metrics("not { a metric\n", &mut caused)?,
            Fault::SmokeWithout(service) => {
                // Once all is well again, it is run once more.
                caused.0.push(Box::new(|| self.smoke(true)));
                self.stop(service, &mut caused)?;
                self.smoke(false)?;
            }
            Fault::ModelAnswers(status) => self.answer_for_the_model(status, None, &mut caused)?,
            Fault::ModelAsksToWait { seconds, tasks } => {
                self.answer_for_the_model(429, Some(seconds), &mut caused)?;
                self.load.submit(tasks);
            }
            Fault::Frozen(service) => {
                // What failed meanwhile stays so until somebody has it run again.
                caused.0.push(Box::new(|| self.load.retry_failed()));
                self.freeze(service, &mut caused)?;
            }
            Fault::TakenOver { tasks, seconds } => {
                self.load.submit_slow(tasks, TASK_MS);
                let mut frozen = Caused::default();
                self.freeze(self.opened.platform.workers.service(), &mut frozen)?;
                thread::sleep(Duration::from_secs(seconds.into()));
                frozen.undo()?;
            }
            Fault::Drained { tasks, seconds } => self.drain(tasks, seconds, &mut caused)?,
            Fault::MoreNodes(nodes) => self.add_nodes(nodes, &mut caused)?,
            Fault::NoTasks => {
                self.await_scrape();
                self.load.submit(BUSY);
                self.load.pause(true);
                caused.0.push(Box::new(|| {
                    self.load.pause(false);
                    Ok(())
                }));
            }
            Fault::Deadlocks(pairs) => {
                self.await_scrape();
                self.deadlock(pairs)?;
            }
            Fault::ForgottenTransaction { .. } => self.open_sessions(1, "BEGIN; SELECT 1", &mut caused)?,
            Fault::ReceiverFrozen { password, mebibytes } => {
                self.freeze_receiver(password, mebibytes, &mut caused)?;
            }
            Fault::SeriesMeet(metric) => {
                let series = ["a", "b"].map(|value| format!("{metric}{{severity=\"{value}\"}} 1e9\n"));
                self.leave_metrics(&series.concat(), &mut caused)?;
            }
            Fault::SecretOld(secret) => {
                let file = fs::File::options().write(true).open(self.opened.instance.secret(secret))?;
                let written = file.metadata()?.modified()?;
                file.set_modified(written - AGE)?;
                caused.0.push(Box::new(move || {
                    file.set_modified(written)?;
                    secret_audit::export(self.opened)
                }));
                secret_audit::export(self.opened)?;
            }
            Fault::SecretMissing(secret) => {
                let file = self.opened.instance.secret(secret);
                let away = file.with_extension("away");
                fs::rename(&file, &away)?;
                caused.0.push(Box::new(move || Ok(fs::rename(away, file)?)));
            }
            Fault::StoppedUntil { service, counts } => {
                let before = self.prometheus.sum(counts);
                let mut stopped = Caused::default();
                self.stop(service, &mut stopped)?;
                let give_up = Instant::now() + RISES;
                while self.prometheus.sum(counts) <= before {
                    if Instant::now() >= give_up {
                        bail!("{counts} did not rise within {} s", RISES.as_secs());
                    }
                    thread::sleep(LOOK);
                }
                stopped.undo()?;
            }
            Fault::Sessions { sessions, sql } => self.open_sessions(sessions, sql, &mut caused)?,
            Fault::Connections { percent } => self.connect(percent, &mut caused)?,
            Fault::Disk(state) => mount(state, &mut caused)?,
            Fault::BrokenRelease => self.deploy_broken(false, &mut caused)?,
            Fault::NoWayBack => self.deploy_broken(true, &mut caused)?,
            Fault::CertificateOld => self.serve_old_certificate(&mut caused)?,
            Fault::KilledForMemory => {
                self.await_scrape();
                exhaust_memory(&mut caused)?;
            }
            Fault::PagingFails(service) => {
                self.receivers.fail_pagerduty(true);
                caused.0.push(Box::new(|| {
                    self.receivers.fail_pagerduty(false);
                    Ok(())
                }));
                self.stop(service, &mut caused)?;
            }
            Fault::NotCaused(why) => bail!("{why}"),
        }
        Ok(caused)
    }

    /// A counter only counts what rises between two scrapes.
    fn await_scrape(&self) {
        thread::sleep(self.interval * 3 / 2);
    }

    fn names(&self, service: ServiceId) -> Vec<ServiceName> {
        let units = self.opened.units();
        let of_service = units.iter().filter(|unit| unit.service.id == service);
        of_service.map(|unit| unit.name().as_str().into()).collect()
    }

    fn stop(&'a self, service: ServiceId, caused: &mut Caused<'a>) -> Result<()> {
        let names = self.names(service);
        if names.is_empty() {
            bail!("no {service} runs on the drill's platform");
        }
        for name in names {
            let spec = self.client.spec(&name)?;
            self.client.stop(&name)?;
            caused.0.push(Box::new(move || {
                self.client.start(&spec)?;
                self.client.wait_healthy(&name, BACK, &|| false).map(|_| ())
            }));
        }
        Ok(())
    }

    fn pid(&self, name: &ServiceName) -> Result<Option<u32>> {
        let (services, _) = self.client.status()?;
        Ok(services.into_iter().find(|status| status.name == *name).and_then(|status| status.pid))
    }

    /// Kills it, and waits until it was seen to have started again.
    fn kill(&self, service: ServiceId) -> Result<()> {
        for name in self.names(service) {
            let before = self.pid(&name)?.with_context(|| format!("{name} does not run"))?;
            signal_group(before, Signal::KILL);
            let give_up = Instant::now() + BACK;
            while self.pid(&name)?.is_none_or(|pid| pid == before) {
                if Instant::now() >= give_up {
                    bail!("{name} did not start again within {} s", BACK.as_secs());
                }
                thread::sleep(LOOK);
            }
            self.client.wait_healthy(&name, BACK, &|| false)?;
            self.await_scrape();
        }
        Ok(())
    }

    fn freeze(&self, service: ServiceId, caused: &mut Caused<'a>) -> Result<()> {
        let name = self.names(service).into_iter().next().with_context(|| format!("no {service} runs"))?;
        let family = family(self.pid(&name)?.with_context(|| format!("{name} does not run"))?);
        let signal = move |signal| {
            for process in &family {
                signal_process(*process, signal);
            }
        };
        signal(Signal::STOP);
        caused.0.push(Box::new(move || {
            signal(Signal::CONT);
            Ok(())
        }));
        Ok(())
    }

    fn stutter(&'a self, service: ServiceId, milliseconds: u16, caused: &mut Caused<'a>) -> Result<()> {
        let name = self.names(service).into_iter().next().with_context(|| format!("no {service} runs"))?;
        let pid = self.pid(&name)?.with_context(|| format!("{name} does not run"))?;
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let stutters = thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                let family = family(pid);
                for process in &family {
                    signal_process(*process, Signal::STOP);
                }
                thread::sleep(Duration::from_millis(milliseconds.into()));
                for process in &family {
                    signal_process(*process, Signal::CONT);
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        caused.0.push(Box::new(move || {
            ends.store(true, Ordering::SeqCst);
            stutters.join().map_err(|_| anyhow!("the thread that freezes {name} ended early"))
        }));
        Ok(())
    }

    fn spoil(&'a self, volume: VolumeRef, file: &str, caused: &mut Caused<'a>) -> Result<()> {
        let (name, folder) = self.folder(volume)?;
        let path = folder.join(file);
        let good = fs::read(&path).with_context(|| path.display().to_string())?;
        let reload = move || -> Result<()> {
            let pid = self.pid(&name)?.with_context(|| format!("{name} does not run"))?;
            signal_process(pid, Signal::HUP);
            Ok(())
        };
        // YAML, with a key that the service does not know.
        fs::write(&path, [&good[..], b"\nfire_drill: true\n"].concat())?;
        reload()?;
        caused.0.push(Box::new(move || {
            fs::write(&path, good)?;
            reload()
        }));
        Ok(())
    }

    /// The service that has the volume, and the folder.
    fn folder(&self, volume: VolumeRef) -> Result<(ServiceName, PathBuf)> {
        let units = self.opened.units();
        let unit = units.iter().find(|unit| unit.service.id == volume.service);
        let unit = unit.with_context(|| format!("no {} runs", volume.service))?;
        Ok((unit.name().as_str().into(), self.opened.resolver(&units).folder(unit, volume)))
    }

    fn take_from_targets(&self, service: ServiceId, caused: &mut Caused<'a>) -> Result<()> {
        let monitoring = self.opened.platform.monitoring.context("nothing scrapes")?;
        let (_, folder) = self.folder(monitoring.scraper_configuration)?;
        for file in fs::read_dir(folder.join(scraping::TARGETS))? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with(&format!("{service}.")) {
                let good = fs::read(file.path())?;
                fs::remove_file(file.path())?;
                caused.0.push(Box::new(move || Ok(fs::write(file.path(), good)?)));
            }
        }
        Ok(())
    }

    fn smoke(&self, passes: bool) -> Result<()> {
        let platform = self.opened.platform;
        let report = smoke::target(self.opened)?.ask(platform, smoke::limit(platform), &|| false)?;
        if report.passed() != passes {
            bail!(
                "the smoke checks {}",
                if passes { "still fail" } else { "pass although a service is stopped" }
            );
        }
        Ok(())
    }

    fn answer_for_the_model(&'a self, status: u16, wait: Option<u16>, caused: &mut Caused<'a>) -> Result<()> {
        let stand_in = self.opened.platform.llm.stand_in;
        let port = self.opened.instance.port(stand_in, &self.opened.units());
        let port = port.context("the stand-in for the model has no port")?;
        // What failed meanwhile stays so until somebody has it run again.
        caused.0.push(Box::new(|| self.load.retry_failed()));
        self.stop(stand_in.service, caused)?;
        let server =
            Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|error| anyhow!("port {port}: {error}"))?;
        let server = Arc::new(server);
        let answers = Arc::clone(&server);
        let thread = thread::spawn(move || {
            for request in answers.incoming_requests() {
                let body = r#"{"error":{"message":"fire drill","type":"error","code":null}}"#;
                let mut answer = Response::from_string(body).with_status_code(status);
                if let Some(Ok(header)) =
                    wait.map(|seconds| Header::from_bytes(*b"Retry-After", seconds.to_string()))
                {
                    answer.add_header(header);
                }
                // A client that leaves is its own affair.
                let _ = request.respond(answer);
            }
        });
        caused.0.push(Box::new(move || {
            server.unblock();
            drop(server);
            thread.join().map_err(|_| anyhow!("the model's place was left early"))
        }));
        Ok(())
    }

    /// A program that connects to the database as `user`.
    fn client_of_database(&self, program: Program, user: &str, password: SecretRef) -> Result<Command> {
        let port = self.opened.instance.port(self.opened.platform.database.port, &self.opened.units());
        let port = port.context("the database has no port")?;
        let password = fs::read_to_string(self.opened.instance.secret(password))?;
        let mut command = Command::new(self.opened.toolbox.path(program)?);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", user]);
        command.env("PGPASSWORD", password.trim());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    fn psql(&self) -> Result<Command> {
        let database = &self.opened.platform.database;
        let mut command = self.client_of_database(Program::Psql, database.user, database.password)?;
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database.name]);
        Ok(command)
    }

    fn freeze_receiver(&'a self, password: SecretRef, mebibytes: u16, caused: &mut Caused<'a>) -> Result<()> {
        const SLOT: &str = "--slot=fire_drill";
        let secret = self.opened.platform.secrets.iter().find(|secret| secret.name == password);
        let Some(SecretKind::DatabasePassword { role }) = secret.map(|secret| secret.kind) else {
            bail!("{password} is the password of no role of the database");
        };
        let receiver = move |argument: &str| -> Result<Command> {
            let mut command = self.client_of_database(Program::PgReceivewal, role, password)?;
            command.args([SLOT, argument]);
            Ok(command)
        };
        let succeeds = |mut command: Command, what: &str| -> Result<()> {
            ensure!(command.status()?.success(), "{what} failed");
            Ok(())
        };
        succeeds(receiver("--create-slot")?, "pg_receivewal --create-slot")?;
        caused.0.push(Box::new(move || succeeds(receiver("--drop-slot")?, "pg_receivewal --drop-slot")));
        let folder = temporary::folder("flowship-fire-wal-")?;
        let mut receives = receiver("--no-loop")?;
        // In a group of its own: the kernel may send SIGHUP to a group with a process that stands still.
        receives.arg("-D").arg(folder.path()).process_group(0);
        let mut child = receives.spawn().context("pg_receivewal")?;
        let pid = child.id();
        let received = folder.path().to_owned();
        caused.0.push(Box::new(move || {
            child.kill()?;
            child.wait()?;
            Ok(folder.close()?)
        }));
        let give_up = Instant::now() + BACK;
        while fs::read_dir(&received)?.next().is_none() {
            if Instant::now() >= give_up {
                bail!("no WAL was received within {} s", BACK.as_secs());
            }
            thread::sleep(LOOK);
        }
        signal_process(pid, Signal::STOP);
        let mut writes = self.psql()?;
        writes.args([
            "-c",
            &format!(
                "SELECT pg_logical_emit_message(false, 'fire drill', repeat('x', 1048576)) FROM generate_series(1, {mebibytes})"
            ),
        ]);
        succeeds(writes, "writing WAL")
    }

    /// One transaction of each pair is ended by the database.
    fn deadlock(&self, pairs: u8) -> Result<()> {
        let mut sessions = Vec::new();
        for pair in 0..pairs {
            for [first, second] in [[1, 2], [2, 1]] {
                let lock = |number: i32| format!("SELECT pg_advisory_xact_lock({pair}, {number});");
                let sql = format!("BEGIN; {} SELECT pg_sleep(1); {} COMMIT;", lock(first), lock(second));
                sessions.push(self.psql()?.args(["-c", &sql]).spawn().context("psql")?);
            }
        }
        sessions.into_iter().try_for_each(|mut session| Ok(session.wait().map(drop)?))
    }

    fn add_nodes(&'a self, nodes: &str, caused: &mut Caused<'a>) -> Result<()> {
        let folder = temporary::folder("flowship-fire-flows-")?;
        let flows = self.opened.instance.root.join(FLOWS);
        for entry in fs::read_dir(&flows)? {
            let entry = entry?;
            symlink(entry.path(), folder.path().join(entry.file_name()))?;
        }
        let file = folder.path().join("flows.json");
        let all: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let more: Value = serde_json::from_str(nodes)?;
        fs::remove_file(&file)?;
        let both = [all, more].into_iter().filter_map(|nodes| nodes.as_array().cloned()).flatten();
        fs::write(&file, Value::Array(both.collect()).to_string())?;
        let names = self.names(self.opened.platform.workers.service());
        let name = names.last().context("no replica runs")?.clone();
        let usual = self.client.spec(&name)?;
        let mut changed = usual.clone();
        changed.env.insert("FLOWS_DIR".to_owned(), folder.path().display().to_string().into());
        let replace = move |spec| -> Result<()> {
            self.client.stop(&name)?;
            self.client.start(&spec)?;
            self.client.wait_healthy(&name, BACK, &|| false).map(|_| ())
        };
        replace(changed)?;
        caused.0.push(Box::new(move || {
            replace(usual)?;
            Ok(folder.close()?)
        }));
        Ok(())
    }

    /// The environment is gone when it returns; what its deploys have left as metrics stays until it is undone.
    fn deploy_broken(&'a self, loses_release: bool, caused: &mut Caused<'a>) -> Result<()> {
        let folder = temporary::folder("flowship-fire-deploy-")?;
        let mut packages = Packages::begin(self.context, folder.path())?;
        let model = Model::start(self.context, folder.path())?;
        let target = Target::begin(self.context, self.interrupt, "fire-deploy", &packages, &model, WATCH)?;
        let metrics = self.opened.instance.metrics();
        target.leave_metrics_in(&metrics)?;
        caused.0.push(Box::new(move || {
            fs::remove_file(metrics.join(DEPLOYS))?;
            // The deploy has left its own.
            secret_audit::export(self.opened)
        }));
        // The first replica of a release that can have one replaces another one, which is then missed.
        let breaks = if loses_release {
            let socket = folder.path().join("only-one");
            format!("require('node:net').createServer().listen('{}').unref();", socket.display())
        } else {
            "throw new Error('broken by the drill');".to_owned()
        };
        let crash = |tree: &Path| -> Result<()> {
            let file = tree.join(LAUNCHER);
            let text = fs::read_to_string(&file)?;
            Ok(fs::write(file, format!("{breaks}\n{text}"))?)
        };
        let mut deploy = || -> Result<()> {
            let good = packages.get("first", &|_| Ok(()))?;
            let broken = packages.get("broken", &crash)?;
            let deploy = |release: &Path, expected| -> Result<()> {
                let ended = target.deploy(&packages, release, None)?;
                ensure!(ended.code == Some(expected), "a deploy ended with {:?}: {}", ended.code, ended.said);
                Ok(())
            };
            deploy(&good, 0)?;
            self.await_scrape();
            if !loses_release {
                return deploy(&broken, 1);
            }
            let ended = AtomicBool::new(false);
            thread::scope(|scope| {
                let loses = scope.spawn(|| target.lose_release(&|| ended.load(Ordering::SeqCst)));
                let deployed = deploy(&broken, 1);
                ended.store(true, Ordering::SeqCst);
                let lost =
                    loses.join().map_err(|_| anyhow!("the thread that removes a release ended early"))?;
                deployed.and(lost)
            })
        };
        let deployed = deploy().inspect(|()| self.await_scrape());
        target.end(false, self.show)?;
        deployed
    }

    fn serve_old_certificate(&'a self, caused: &mut Caused<'a>) -> Result<()> {
        let platform = self.opened.platform;
        let units = self.opened.units();
        let edge = units.iter().find(|unit| platform.is_edge(unit)).context("no edge runs")?;
        let folder = self.opened.instance.volume(edge, platform.edge.folder);
        let file = self.opened.instance.secret(platform.edge.certificate);
        let before = fs::read(&file)?;
        let serve = move |pem: &[u8]| -> Result<()> {
            files::write::whole(&file, 0o600, pem)?;
            EdgeSocket { folder: folder.clone(), limit: BACK }.reload()
        };
        let old = certificate::old(certificate::domain(&self.opened.environment))?;
        serve(old.as_bytes())?;
        caused.0.push(Box::new(move || serve(&before)));
        Ok(())
    }

    fn drain(&'a self, tasks: u16, seconds: u16, caused: &mut Caused<'a>) -> Result<()> {
        self.load.drain()?;
        // Where the drill ends early, the platform goes down with its queue.
        let (ends, ended) = mpsc::channel::<()>();
        let resume = self.load.resumes();
        let resumes = thread::spawn(move || {
            // Ended early, or not.
            let _ = ended.recv_timeout(Duration::from_secs(seconds.into()));
            resume()
        });
        caused.0.push(Box::new(move || {
            drop(ends);
            resumes.join().map_err(|_| anyhow!("the thread that ends the draining ended early"))?
        }));
        self.load.submit(tasks);
        Ok(())
    }

    fn leave_metrics(&self, text: &str, caused: &mut Caused<'a>) -> Result<()> {
        leave(&self.opened.instance.metrics().join("fire-drill.prom"), text, caused)
    }

    /// Each is closed by the edge when it says nothing for too long, and opened again before.
    fn connect(&self, percent: u8, caused: &mut Caused<'a>) -> Result<()> {
        let policy = &self.opened.platform.edge;
        let port = self.opened.instance.port(policy.https, &self.opened.units());
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.context("the edge has no port")?);
        let wanted = policy.max_connections * u32::from(percent) / 100;
        // Each address is limited too, and those of before may still count.
        let of_address = policy.max_connections_of_address * 2 / 5;
        let open = move |number: u32| -> Result<OwnedFd> {
            let from = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + number / of_address);
            let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
            net::bind(&socket, &SocketAddrV4::new(from, 0))?;
            net::connect(&socket, &to)?;
            Ok(socket)
        };
        let mut sockets = (0..wanted).map(open).collect::<Result<Vec<_>>>().with_context(|| {
            format!("{wanted} connections at once; as many open files must be allowed: `ulimit -n`")
        })?;
        let again = Duration::from_secs(u64::from(policy.head_limit_seconds) / 5);
        let (ends, ended) = mpsc::channel::<()>();
        let holds = thread::spawn(move || {
            while ended.recv_timeout(again) == Err(mpsc::RecvTimeoutError::Timeout) {
                for (number, socket) in (0..).zip(&mut sockets) {
                    // One that is refused is missing until the next time.
                    if let Ok(next) = open(number) {
                        *socket = next;
                    }
                }
            }
        });
        caused.0.push(Box::new(move || {
            drop(ends);
            holds.join().map_err(|_| anyhow!("the thread that holds connections ended early"))
        }));
        Ok(())
    }

    fn open_sessions(&'a self, sessions: u16, sql: &str, caused: &mut Caused<'a>) -> Result<()> {
        for _ in 0..sessions {
            let mut child = self.psql()?.stdin(Stdio::piped()).spawn().context("psql")?;
            let mut input = child.stdin.take().context("psql takes no input")?;
            writeln!(input, "{sql};")?;
            caused.0.push(Box::new(move || {
                drop(input);
                child.wait()?;
                Ok(())
            }));
        }
        Ok(())
    }
}

/// A process and all that it has started.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {} (only root may mount a disk)", arguments.join(" "), said.trim());
    }
    Ok(())
}

/// Only the process in the group is killed; it ends by itself where there is no limit.
fn exhaust_memory(caused: &mut Caused<'_>) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    // Version 1 has a hierarchy for memory alone.
    let memory = root.join("memory");
    let (parent, limit) =
        if memory.exists() { (memory, "memory.limit_in_bytes") } else { (root.into(), "memory.max") };
    let group = parent.join(format!("flowship-fire-{}", std::process::id()));
    fs::create_dir(&group).with_context(|| format!("{}: only root may make one", group.display()))?;
    let removed = group.clone();
    caused.0.push(Box::new(move || Ok(fs::remove_dir(removed)?)));
    fs::write(group.join(limit), "33554432").context("control groups do not limit memory here")?;
    // Of a line without an end, `tail` keeps everything.
    let script = r#"echo $$ > "$0/cgroup.procs" && head -c 256M /dev/zero | tail > /dev/null"#;
    let status = Command::new("sh").args(["-c", script]).arg(&group).stderr(Stdio::null()).status()?;
    if status.success() {
        bail!("the kernel did not end a process that took more memory than {limit} allows");
    }
    Ok(())
}

fn mount<'a>(state: DiskState, caused: &mut Caused<'a>) -> Result<()> {
    let folder = temporary::folder("flowship-fire-disk-")?;
    let [image, at] = ["image", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&at)?;
    fs::File::create(&image)?.set_len(24 << 20)?;
    let [image, place] = [&image, &at].map(|path| path.display().to_string());
    command("mkfs.ext4", &["-q", "-F", "-N", "64", &image])?;
    command("mount", &["-o", "loop", &image, &place])?;
    caused.0.push(Box::new(move || {
        command("umount", &[&place])?;
        Ok(folder.close()?)
    }));
    match state {
        DiskState::Full => {
            fill(&at.join("full"));
            Ok(())
        }
        DiskState::NoInodes => {
            let mut number = 0;
            while fs::write(at.join(format!("file-{number}")), "").is_ok() {
                number += 1;
            }
            Ok(())
        }
        DiskState::ReadOnly => command("mount", &["-o", "remount,ro", &at.display().to_string()]),
    }
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    if let Ok(mut file) = fs::File::create(path) {
        while file.write_all(&[1; 1 << 16]).is_ok() {}
    }
}
