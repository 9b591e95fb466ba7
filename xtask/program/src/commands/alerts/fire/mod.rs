//! `cargo xtask alerts fire`: a platform of its own with real Prometheus and Alertmanager, whose receivers are here. The real
//! fault of each alert is caused, and what arrives is judged: at whom, when, and whether the end was told too.

mod faults;
mod load;
mod speed;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use artifacts::alert_rules;
use artifacts::monitoring::{notifications, scraping};
use runner::plan::register;
use runner::plan::service::ServiceName;
use runner::plan::show::Show;
use runner::supervisor::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vocabulary::model::environment::{Contacts, Tier};
use vocabulary::model::{Alert, Fault, MetricRef, Monitoring, PortRef, Severity};

use crate::alert_receivers::{Channel, Notification, ROUTING_KEY, Receivers};
use crate::context::Context;
use crate::engines::process::instance::ADDRESS;
use crate::session::opened::{OpenOptions, Opened};
use crate::session::{private, running};
use faults::Ground;
use foundation::clock::{now_ms, seconds};
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::interrupt::Interrupt;
use foundation::nearest::closest_hint;
use foundation::stdout;
use load::Load;

/// Seconds between two evaluations; twice that is what an alert may be late.
const INTERVAL: Duration = Duration::from_secs(scraping::EVALUATION_SECONDS.unsigned_abs());
/// How long a fault may take until it shows in the metrics, whatever the speed.
const SHOWS: Duration = Duration::from_secs(90);
/// What may be late on a machine that does something else besides.
const SLACK: Duration = Duration::from_secs(2);
/// How long nothing is heard until a dead man's switch pages.
const SILENCE: Duration = Duration::from_secs(60);
/// Within which it must page.
const DEAD: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(200);
/// Of the workers: one can take over what another one had.
const REPLICAS: u32 = 2;
const ON_CALL: &str = "oncall@example.com";

#[derive(Debug, clap::Args)]
pub struct FireOptions {
    /// Only these alerts
    #[arg(value_name = "ALERT")]
    alerts: Vec<String>,
    /// Divide every `for`, window and interval of the rules and of Alertmanager by this; thresholds stay as they are
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=30))]
    speed: u32,
    /// For the alert that always fires, do not stop Prometheus and Alertmanager themselves at the end, which takes four minutes
    #[arg(long)]
    no_dead_man: bool,
}

/// How it went for one alert. Milliseconds of the drill's time, not multiplied by its speed.
#[derive(Debug, Clone, Serialize)]
struct Row {
    alert: &'static str,
    fault: String,
    /// Nothing else is proven.
    fired: bool,
    told: BTreeSet<Channel>,
    /// From the fault until the expression held.
    held_after_ms: Option<u64>,
    /// From then until every receiver was told.
    told_after_ms: Option<u64>,
    /// How long that may take: `for`, two intervals, and the time that Alertmanager waits for more alerts of the group.
    limit_ms: u64,
    /// From the end of the fault until every receiver was told of the end.
    ended_after_ms: Option<u64>,
    problem: Option<String>,
    not_caused: Option<&'static str>,
    #[serde(skip)]
    began_ms: u64,
    #[serde(skip)]
    undone_ms: u64,
}

#[derive(Debug, Serialize)]
struct DeadMan {
    service: String,
    noticed_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    alerts: Vec<Active>,
    #[serde(default)]
    result: Vec<Sample>,
}

/// One series of a query: the time and the value.
#[derive(Deserialize)]
struct Sample {
    value: (f64, String),
}

/// An alert as Prometheus has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    labels: Labels,
    active_at: String,
}

#[derive(Deserialize)]
struct Labels {
    alertname: String,
}

/// # Errors
/// Reported when an alert does not reach its receivers in time; refused when there is no such alert.
pub fn run(context: &Context, options: &FireOptions) -> Result<()> {
    let all: Vec<&'static Alert> = super::alerts(context).map(|(_, alert)| alert).collect();
    for name in &options.alerts {
        if !all.iter().any(|alert| alert.name == *name) {
            return Err(refused(format!(
                "there is no alert {name}{}; `cargo xtask alerts list` lists them",
                closest_hint(name, all.iter().map(|alert| alert.name))
            )));
        }
    }
    let is_wanted = |alert: &&'static Alert| {
        options.alerts.is_empty() || options.alerts.iter().any(|name| name == alert.name)
    };
    let wanted: Vec<_> = all.into_iter().filter(is_wanted).collect();
    let monitoring = context.platform.monitoring.context("the platform has no monitoring")?;
    let group = context.platform.service(monitoring.scraper.service).and_then(|service| service.group);
    let with: Vec<String> = group.into_iter().map(|group| group.0.to_owned()).collect();
    let interrupt = Interrupt::listen()?;
    let show = Show::on_stderr();
    let receivers = Receivers::start()?;
    let name = register::own("fire");
    let mut opened = Opened::open(
        context,
        &OpenOptions {
            with: &with,
            replicas: Some(REPLICAS),
            tier: Some(Tier::Staging),
            ..OpenOptions::private(&name)
        },
        None,
    )?;
    opened.environment.contacts = Some(Contacts {
        on_call: "the drill".to_owned(),
        email: ON_CALL.to_owned(),
        slack_channel: Some("#fire-drill".to_owned()),
        pagerduty_service: Some("fire-drill".to_owned()),
        pagerduty_url: Some(receivers.pagerduty_url()),
        mail_server: Some(receivers.smarthost()),
        heartbeat_url: Some(receivers.heartbeat_url()),
        quiet_hours: None,
    });
    give_secrets(&opened, monitoring, &receivers)?;
    let mut drill = Drill {
        options,
        show: &show,
        interrupt: &interrupt,
        receivers: &receivers,
        rows: vec![],
        dead: vec![],
    };
    let up = &mut |opened: &Opened| {
        let client = running::client(context, &opened.target)?;
        drill.carry_out(context, opened, &client, monitoring, &wanted)
    };
    private::run_opened(context, &opened, &show, &interrupt, up)?;
    drill.print(context)
}

/// What a site provides; each is for the receivers here.
fn give_secrets(opened: &Opened, monitoring: Monitoring, receivers: &Receivers) -> Result<()> {
    let folder = opened.instance.secrets();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (secret, text) in [
        (monitoring.paging_key, ROUTING_KEY.to_owned()),
        (monitoring.chat_webhook, receivers.slack_url()),
        (monitoring.mail_password, "a password".to_owned()),
    ] {
        foundation::files::write::whole(&opened.instance.secret(secret), 0o600, &text)?;
    }
    Ok(())
}

struct Drill<'a> {
    options: &'a FireOptions,
    show: &'a Show,
    interrupt: &'a Interrupt,
    receivers: &'a Receivers,
    rows: Vec<Row>,
    dead: Vec<DeadMan>,
}

impl Drill<'_> {
    fn carry_out(
        &mut self,
        context: &Context,
        opened: &Opened,
        client: &Client,
        monitoring: Monitoring,
        wanted: &[&'static Alert],
    ) -> Result<()> {
        hurry(opened, client, monitoring, self.options.speed)?;
        self.show.say(&format!(
            "time is {} times faster: every `for`, window and interval of the rules and of Alertmanager is divided by it; scrapes are 4 s apart at least",
            self.options.speed
        ));
        let port =
            opened.instance.port(monitoring.scraper, &opened.units()).context("the scraper has no port")?;
        let prometheus = Prometheus::at(port);
        {
            let load = Load::begin(opened)?;
            let ground = Ground {
                context,
                interrupt: self.interrupt,
                show: self.show,
                opened,
                client,
                receivers: self.receivers,
                load: &load,
                prometheus: &prometheus,
                interval: Duration::from_millis(speed::SCRAPE),
            };
            let mut groups: Vec<(Fault, Vec<&'static Alert>)> = Vec::new();
            for alert in wanted {
                match groups.iter_mut().find(|(fault, _)| *fault == alert.fault) {
                    Some((_, alerts)) => alerts.push(alert),
                    None => groups.push((alert.fault, vec![alert])),
                }
            }
            // What was not there while it was started again is scraped once more.
            self.pause(ground.interval * 3 / 2)?;
            // What is seen for longest first: its end comes while others are caused.
            groups.sort_by_key(|(_, alerts)| Reverse(alerts.iter().map(|alert| window(alert)).max()));
            for (fault, alerts) in &groups {
                if let Err(error) = self.fire(&ground, *fault, alerts) {
                    if self.interrupt.raised() {
                        self.show.say("interrupted: the result so far follows");
                        return Ok(());
                    }
                    return Err(error);
                }
            }
            self.await_ends(wanted)?;
        }
        let beats = wanted.iter().any(|alert| alert.severity == Severity::Heartbeat);
        if beats && !self.options.no_dead_man {
            for port in [monitoring.scraper, monitoring.notifier] {
                self.die(opened, client, port)?;
            }
        }
        Ok(())
    }

    fn limit(&self, alert: &Alert) -> Duration {
        // The group may be open already, for another alert.
        let waits =
            [notifications::wait, notifications::again].map(|time| speed::milliseconds(time(alert.severity)));
        let wait = waits.into_iter().flatten().max().unwrap_or_default();
        let held = Duration::from_secs(u64::from(alert.for_minutes) * 60);
        (held + INTERVAL * 2 + Duration::from_millis(wait)) / self.options.speed + SLACK
    }

    /// Causes one fault and looks at all alerts that it is to fire.
    fn fire(&mut self, ground: &Ground<'_>, fault: Fault, alerts: &[&'static Alert]) -> Result<()> {
        let mut rows: Vec<Row> = alerts.iter().map(|alert| self.row(alert)).collect();
        if let Fault::NotCaused(why) = fault {
            rows.iter_mut().for_each(|row| row.not_caused = Some(why));
            self.rows.extend(rows);
            return Ok(());
        }
        // Another fault may have fired one of them, or something is late at the beginning: it must have ended.
        let still = |all: &[Notification], active: &[Active]| {
            let is_active = |name| active.iter().any(|one| one.labels.alertname == name);
            alerts.iter().any(|alert| is_open(all, alert.name) || is_active(alert.name))
        };
        let give_up = Instant::now() + SHOWS * 4;
        while fault != Fault::Nothing
            && still(&self.receivers.notifications(), &ground.prometheus.alerts())
            && Instant::now() < give_up
        {
            self.pause(LOOK)?;
        }
        self.show.say(&format!("{}: {}", fault.words(), names(alerts)));
        let began = now_ms();
        rows.iter_mut().for_each(|row| row.began_ms = began);
        let caused = match ground.cause(fault) {
            Ok(caused) => caused,
            Err(error) => {
                rows.iter_mut()
                    .for_each(|row| row.problem = Some(format!("the fault could not be caused: {error:#}")));
                self.rows.extend(rows);
                return Ok(());
            }
        };
        let longest = alerts.iter().map(|alert| self.limit(alert)).max().unwrap_or_default();
        let longest_window = alerts.iter().map(|alert| window(alert)).max().unwrap_or_default();
        let real = Duration::from_secs(fault.shows_after().into());
        let give_up = Instant::now() + real + SHOWS + longest_window / self.options.speed + longest;
        loop {
            for active in ground.prometheus.alerts() {
                let row = rows.iter_mut().find(|row| row.alert == active.labels.alertname);
                if let (Some(row), Some(held)) = (row, milliseconds(&active.active_at))
                    && row.held_after_ms.is_none()
                    && (held >= began || fault == Fault::Nothing)
                {
                    row.held_after_ms = Some(held.saturating_sub(began));
                }
            }
            let all = self.receivers.notifications();
            for (row, alert) in rows.iter_mut().zip(alerts) {
                row.hear(&all, &expected(alert, fault));
            }
            if rows.iter().all(|row| row.fired) || Instant::now() >= give_up {
                break;
            }
            self.pause(LOOK)?;
        }
        caused.undo()?;
        for (row, alert) in rows.iter_mut().zip(alerts) {
            row.undone_ms = now_ms();
            row.judge(alert, fault);
        }
        for row in &rows {
            let said = row.problem.as_deref().unwrap_or("told");
            self.show.say(&format!("  {}: {said}", row.alert));
        }
        self.rows.extend(rows);
        Ok(())
    }

    fn row(&self, alert: &'static Alert) -> Row {
        Row {
            alert: alert.name,
            fault: alert.fault.words(),
            fired: false,
            told: BTreeSet::new(),
            held_after_ms: None,
            told_after_ms: None,
            limit_ms: u64::try_from(self.limit(alert).as_millis()).unwrap_or(u64::MAX),
            ended_after_ms: None,
            problem: None,
            not_caused: None,
            began_ms: 0,
            undone_ms: 0,
        }
    }

    /// Every alert that was told must be told to have ended, once its window has passed.
    fn await_ends(&mut self, wanted: &[&'static Alert]) -> Result<()> {
        self.show.say("waiting for the ends of the alerts");
        // Another fault may have kept it.
        let undone_last = self.rows.iter().map(|row| row.undone_ms).max().unwrap_or_default();
        for row in self.rows.iter_mut().filter(|row| row.fired) {
            let Some(alert) = wanted.iter().find(|alert| alert.name == row.alert) else { continue };
            if alert.severity == Severity::Heartbeat {
                continue;
            }
            let again = speed::milliseconds(notifications::again(alert.severity)).unwrap_or_default();
            let after = (window(alert) + Duration::from_millis(again)) / self.options.speed + SHOWS;
            let (undone, expected) = (row.undone_ms, expected(alert, Fault::Nothing));
            let ended = |all: &[Notification]| {
                let at = |channel: &Channel| {
                    let one = |one: &&Notification| {
                        one.channel == *channel
                            && one.resolved
                            && one.alert == alert.name
                            && one.at_ms >= row.began_ms
                    };
                    let told: Vec<u64> = all.iter().filter(one).map(|one| one.at_ms).collect();
                    // A later fault may have caused it again.
                    told.iter().find(|at| **at >= undone).or(told.last()).copied()
                };
                expected.iter().map(at).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
            };
            let passed = Duration::from_millis(now_ms().saturating_sub(undone_last));
            let give_up = Instant::now() + after.saturating_sub(passed);
            loop {
                if let Some(at) = ended(&self.receivers.notifications()) {
                    row.ended_after_ms = Some(at.saturating_sub(undone));
                    break;
                }
                if self.interrupt.raised() {
                    return Ok(());
                }
                if Instant::now() >= give_up {
                    let problem = format!("its end was not told within {} s", after.as_secs());
                    row.problem.get_or_insert(problem);
                    break;
                }
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Ends what watches, and waits until a dead man's switch would page.
    fn die(&mut self, opened: &Opened, client: &Client, port: PortRef) -> Result<()> {
        let units = opened.units();
        let unit = units.iter().find(|unit| unit.service.id == port.service).context("it does not run")?;
        let name: ServiceName = unit.name().as_str().into();
        self.show.say(&format!("stop {name}: does the dead man's switch notice?"));
        let begun = now_ms();
        let spec = client.spec(&name)?;
        client.stop(&name)?;
        let silence = u64::try_from(SILENCE.as_millis()).unwrap_or(u64::MAX);
        let noticed = loop {
            let all = self.receivers.notifications();
            let beats = all.iter().filter(|one| one.channel == Channel::Heartbeat);
            let last = beats.map(|one| one.at_ms).max().unwrap_or(0);
            if now_ms().saturating_sub(last) >= silence {
                break Some(now_ms().saturating_sub(begun));
            }
            if now_ms().saturating_sub(begun) > 2 * u64::try_from(DEAD.as_millis()).unwrap_or(u64::MAX) {
                break None;
            }
            self.pause(LOOK)?;
        };
        client.start(&spec)?;
        client.wait_healthy(&name, SHOWS, &|| false)?;
        let back = now_ms();
        self.receivers
            .wait(SHOWS, |all| all.iter().any(|one| one.channel == Channel::Heartbeat && one.at_ms >= back));
        self.dead.push(DeadMan { service: name.to_string(), noticed_after_ms: noticed });
        Ok(())
    }

    fn pause(&self, duration: Duration) -> Result<()> {
        if self.interrupt.raised() {
            bail!("interrupted");
        }
        thread::sleep(duration);
        Ok(())
    }

    fn print(&self, context: &Context) -> Result<()> {
        let late = |one: &&DeadMan| one.noticed_after_ms.is_none_or(|ms| u128::from(ms) > DEAD.as_millis());
        let failed = self.rows.iter().filter(|row| row.problem.is_some()).count()
            + self.dead.iter().filter(late).count();
        let proven = self.rows.iter().filter(|row| row.fired && row.problem.is_none()).count();
        let not_caused = self.rows.iter().filter(|row| row.not_caused.is_some()).count();
        if context.json {
            stdout::json(&json!({
                "speed": self.options.speed, "proven": proven, "failed": failed, "not_caused": not_caused,
                "alerts": self.rows, "dead_man": self.dead, "notifications": self.receivers.notifications(),
            }))?;
        } else {
            let head = ["alert", "fault", "told", "held after", "told after", "limit", "end told after"]
                .map(str::to_owned);
            let time = |ms: Option<u64>| {
                ms.map_or_else(|| "-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0))
            };
            let row = |row: &Row| {
                let told: Vec<_> = row.told.iter().map(|channel| format!("{channel:?}")).collect();
                [
                    row.alert.to_owned(),
                    row.fault.clone(),
                    if told.is_empty() { "-".to_owned() } else { told.join(" ") },
                    time(row.held_after_ms),
                    time(row.told_after_ms),
                    time(Some(row.limit_ms)),
                    time(row.ended_after_ms),
                ]
            };
            let rows: Vec<_> = std::iter::once(head).chain(self.rows.iter().map(row)).collect();
            stdout::text(&columns::table(&rows))?;
            for dead in &self.dead {
                stdout::text(&format!(
                    "{} is stopped: a dead man's switch notices after {}; limit {} s\n",
                    dead.service,
                    time(dead.noticed_after_ms),
                    DEAD.as_secs()
                ))?;
            }
            for row in &self.rows {
                if let Some(problem) = &row.problem {
                    stdout::text(&format!("failed: {}: {problem}\n", row.alert))?;
                }
            }
            stdout::text(&format!(
                "{proven} alerts proven, {failed} failed, {not_caused} not caused; time was {} times faster\n",
                self.options.speed
            ))?;
        }
        if self.interrupt.raised() || failed > 0 { Err(Reported.into()) } else { Ok(()) }
    }
}

impl Row {
    /// Notes who was told since the fault.
    fn hear(&mut self, all: &[Notification], expected: &BTreeSet<Channel>) {
        let heard =
            all.iter().filter(|one| one.alert == self.alert && !one.resolved && one.at_ms >= self.began_ms);
        self.told = heard.clone().map(|one| one.channel).collect();
        if !self.fired && self.told.is_superset(expected) {
            self.fired = true;
            let first =
                |channel: &Channel| heard.clone().find(|one| one.channel == *channel).map(|one| one.at_ms);
            let last = expected.iter().filter_map(first).max();
            let held = self.held_after_ms.map(|held| self.began_ms + held);
            self.told_after_ms = last.zip(held).map(|(last, held)| last.saturating_sub(held));
        }
    }

    fn judge(&mut self, alert: &Alert, fault: Fault) {
        let right = expected(alert, Fault::Nothing);
        let wrong: Vec<_> = self.told.difference(&right).map(|channel| format!("{channel:?}")).collect();
        let missing: Vec<_> =
            expected(alert, fault).difference(&self.told).map(|channel| format!("{channel:?}")).collect();
        self.problem = if !wrong.is_empty() {
            Some(format!("told through {}, which it must not be", wrong.join(", ")))
        } else if self.held_after_ms.is_none() && alert.severity != Severity::Heartbeat {
            Some("its expression never held".to_owned())
        } else if !missing.is_empty() {
            Some(format!("not told through {}", missing.join(", ")))
        } else if alert.severity != Severity::Heartbeat
            && self.told_after_ms.is_none_or(|ms| ms > self.limit_ms)
        {
            Some("told too late".to_owned())
        } else {
            None
        };
    }
}

/// The channels that an alert goes through; PagerDuty is none while it fails.
fn expected(alert: &Alert, fault: Fault) -> BTreeSet<Channel> {
    let mut channels: BTreeSet<_> = match alert.severity {
        Severity::Critical => [Channel::PagerDuty, Channel::Slack, Channel::Mail].into(),
        Severity::Warning => [Channel::Slack, Channel::Mail].into(),
        Severity::Business => [Channel::Mail].into(),
        Severity::Heartbeat => [Channel::Heartbeat].into(),
    };
    if matches!(fault, Fault::PagingFails(_)) {
        channels.remove(&Channel::PagerDuty);
    }
    channels
}

/// So long its expression still sees what has ended.
fn window(alert: &Alert) -> Duration {
    Duration::from_millis(speed::shortest_window(&alert.expression.to_string()))
}

/// Whether the last that was said of an alert is that it fires.
fn is_open(all: &[Notification], alert: &str) -> bool {
    all.iter().rev().find(|one| one.alert == alert).is_some_and(|one| !one.resolved)
}

fn names(alerts: &[&Alert]) -> String {
    alerts.iter().map(|alert| alert.name).collect::<Vec<_>>().join(", ")
}

/// Of a time as Prometheus writes it, with a fraction of a second.
fn milliseconds(time: &str) -> Option<u64> {
    let (whole, fraction) =
        time.strip_suffix('Z')?.split_once('.').unwrap_or((time.trim_end_matches('Z'), "0"));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(seconds(&format!("{whole}Z"))? * 1000 + fraction.parse::<u64>().ok()?)
}

/// What scrapes and evaluates the rules.
struct Prometheus {
    agent: ureq::Agent,
    api: String,
}

impl Prometheus {
    fn at(port: u16) -> Self {
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).proxy(None).build();
        Self { agent: agent.into(), api: format!("http://{ADDRESS}:{port}/api/v1") }
    }

    fn ask(&self, path: &str) -> Option<Data> {
        let mut answer = self.agent.get(format!("{}/{path}", self.api)).call().ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some(serde_json::from_str::<Answer>(&body).ok()?.data)
    }

    /// Pending and firing; none while it does not answer, which the alerts that do not come show.
    fn alerts(&self) -> Vec<Active> {
        self.ask("alerts").map_or_else(Vec::new, |data| data.alerts)
    }

    /// Of all series of a metric; 0 while it does not answer.
    fn sum(&self, metric: MetricRef) -> f64 {
        let series = self.ask(&format!("query?query={metric}")).map_or_else(Vec::new, |data| data.result);
        series.iter().filter_map(|sample| sample.value.1.parse::<f64>().ok()).sum()
    }
}

/// Puts faster copies of rules and configurations in the place of what the plan wrote, and starts their readers again.
fn hurry(opened: &Opened, client: &Client, monitoring: Monitoring, speed: u32) -> Result<()> {
    let rules = opened.instance.folder.join("fire-rules");
    fs::create_dir_all(&rules)?;
    for group in alert_rules::groups(opened.platform) {
        fs::write(rules.join(format!("{}.yaml", group.name)), speed::faster(&group.rules(), speed))?;
    }
    let units = opened.units();
    let usual = opened.instance.root.join(scraping::RULES).display().to_string();
    let faster = rules.join("*.yaml").display().to_string();
    for (port, folder, file) in [
        (monitoring.scraper, monitoring.scraper_configuration, scraping::FILE),
        (monitoring.notifier, monitoring.notifier_configuration, notifications::FILE),
    ] {
        let unit = units.iter().find(|unit| unit.service.id == port.service).context("it does not run")?;
        let path = opened.resolver(&units).folder(unit, folder).join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if port == monitoring.scraper && !text.contains(&usual) {
            bail!("{}: expected the rules {usual}", path.display());
        }
        fs::write(&path, speed::faster(&text, speed).replace(&usual, &faster))?;
        let name: ServiceName = unit.name().as_str().into();
        client.restart(&name)?;
        client.wait_healthy(&name, SHOWS, &|| false)?;
    }
    Ok(())
}
