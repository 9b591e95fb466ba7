//! What Prometheus and Alertmanager read in each environment, judged by promtool and amtool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use artifacts::alert_rules::{added, area};
use artifacts::monitoring::notifications::INHIBITIONS;
use program::alert_receivers::{Channel, Notification, ROUTING_KEY, Receivers};
use program::open_pages::resolve;
use serde_json::{Value, json};
use tempfile::TempDir;
use vocabulary::model::Severity;
use vocabulary::model::environment::Environment;

use crate::containers::{program, repository};
use crate::free_ports;

/// The files of an environment's monitoring.
fn rendered(environment: &Environment) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let made = artifacts::render(&platform::platform(), environment).unwrap();
    for artifact in made.iter().filter(|artifact| artifact.path.contains("/monitoring/")) {
        let (_, name) = artifact.path.split_once("/monitoring/").unwrap();
        let to = tree.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let here = tree.path().display().to_string();
        fs::write(to, artifact.contents.replace("/etc/monitoring", &here)).unwrap();
    }
    tree
}

fn environments() -> Vec<Environment> {
    judges::site::load_all(repository(), &judges::site::known(&platform::platform())).unwrap()
}

/// With every channel that there is.
fn contacted() -> Environment {
    let mut environment = environments().into_iter().find(|one| one.name == "production").unwrap();
    let contacts = environment.contacts.as_mut().unwrap();
    contacts.mail_server = Some("mail.example.com:587".into());
    contacts.heartbeat_url = Some("https://heartbeat.example.com/flowship".into());
    contacts.quiet_hours = Some("22:00-07:00".into());
    environment
}

fn judge(name: &str) -> Command {
    static PROMETHEUS: LazyLock<PathBuf> = LazyLock::new(|| program("prometheus"));
    Command::new(PROMETHEUS.with_file_name(name))
}

fn promtool(tree: &Path) -> Output {
    judge("promtool").args(["check", "config"]).arg(tree.join("prometheus.yml")).output().unwrap()
}

fn amtool(tree: &Path, words: &[&str], last: &[&str]) -> Output {
    let file = tree.join("alertmanager.yml");
    let mut command = judge("amtool");
    command.args(words);
    if words[0] == "config" {
        command.arg("--config.file");
    }
    command.arg(file).args(last).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn promtool_and_amtool_accept_what_is_rendered_for_every_environment() {
    for environment in environments().iter().chain([&contacted()]) {
        let tree = rendered(environment);
        for output in [promtool(tree.path()), amtool(tree.path(), &["check-config"], &[])] {
            assert!(output.status.success(), "{}: {}", environment.name, text(&output));
        }
    }
    // They would have noticed.
    let tree = rendered(&contacted());
    for (file, from, to) in [
        ("prometheus.yml", "rule_files:", "rule_filez:"),
        ("alertmanager.yml", "receiver: critical", "receiver: x"),
    ] {
        let path = tree.path().join(file);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from), "{good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
    }
    for output in [promtool(tree.path()), amtool(tree.path(), &["check-config"], &[])] {
        assert!(!output.status.success(), "{}", text(&output));
    }
}

#[test]
fn each_alert_goes_where_its_severity_says() {
    let tree = rendered(&contacted());
    for (labels, receiver) in [
        (&["alertname=PostgresDown", "severity=critical"][..], "critical"),
        (&["alertname=NotificationsFail", "severity=warning"], "warning"),
        (&["alertname=CostOfATask", "severity=business"], "business"),
        (&["alertname=Watchdog", "severity=heartbeat"], "heartbeat"),
        // A fault of the rules is told to somebody.
        (&["alertname=Forgotten"], "warning"),
    ] {
        let expected = format!("--verify.receivers={receiver}");
        let last = [&[expected.as_str()], labels].concat();
        let output = amtool(tree.path(), &["config", "routes", "test"], &last);
        assert!(output.status.success(), "{labels:?}: {}", text(&output));
    }
}

/// A channel that fails is not replaced by another one, so that what wakes somebody goes through all of them.
#[test]
fn what_is_critical_goes_through_every_channel() {
    let kinds = |environment: &Environment, name: &str| {
        let tree = rendered(environment);
        let file = fs::read_to_string(tree.path().join("alertmanager.yml")).unwrap();
        let (_, receivers) = file.split_once("\nreceivers:").unwrap();
        let named =
            |one: &&str| one.starts_with(&format!("name: {name}\n")) || *one == format!("name: {name}");
        let receiver = receivers.trim_end().split("\n  - ").find(named).unwrap().to_owned();
        let mut kinds: Vec<_> =
            receiver.lines().filter_map(|line| line.trim().strip_suffix(':').map(str::to_owned)).collect();
        kinds.retain(|kind| kind.is_empty() || kind.ends_with("_configs"));
        kinds.sort();
        kinds
    };
    let all = contacted();
    assert_eq!(kinds(&all, "critical"), ["email_configs", "pagerduty_configs", "slack_configs"]);
    assert_eq!(kinds(&all, "warning"), ["email_configs", "slack_configs"]);
    assert_eq!(kinds(&all, "business"), ["email_configs"]);
    assert_eq!(kinds(&all, "heartbeat"), ["webhook_configs"]);
    // Who has no contacts tells nobody.
    let nobody = Environment { contacts: None, ..all };
    assert_eq!(kinds(&nobody, "critical"), [""; 0]);
}

/// Real Alertmanager with the configuration of an environment, which waits less, and its receivers; both end with it.
struct Delivery {
    receivers: Receivers,
    alertmanager: Child,
    url: String,
    _tree: TempDir,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let _ = self.alertmanager.kill();
        let _ = self.alertmanager.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Delivery {
    fn begin() -> Self {
        Self::with(|configuration| configuration)
    }

    fn with(change: impl Fn(String) -> String) -> Self {
        let receivers = Receivers::start().unwrap();
        let mut environment = contacted();
        let contacts = environment.contacts.as_mut().unwrap();
        contacts.pagerduty_url = Some(receivers.pagerduty_url());
        contacts.mail_server = Some(receivers.smarthost());
        contacts.heartbeat_url = Some(receivers.heartbeat_url());
        contacts.quiet_hours = None;
        let tree = rendered(&environment);
        for (secret, text) in [
            ("pagerduty-routing-key", ROUTING_KEY.to_owned()),
            ("slack-webhook-url", receivers.slack_url()),
            ("smtp-password", "a password".to_owned()),
        ] {
            fs::write(tree.path().join(secret), text).unwrap();
        }
        let file = tree.path().join("alertmanager.yml");
        let configuration = fs::read_to_string(&file).unwrap();
        let waits = ["group_wait: \"10s\"", "group_interval: \"1m\""];
        assert!(waits.iter().all(|wait| configuration.contains(wait)), "{configuration}");
        let configuration = configuration
            .replace("/run/secrets", &tree.path().display().to_string())
            .replace(waits[0], "group_wait: 1s")
            .replace(waits[1], "group_interval: 1s");
        fs::write(&file, change(configuration)).unwrap();
        let [port] = free_ports::free();
        let alertmanager = Command::new(program("alertmanager"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", tree.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(tree.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}/api/v2");
        let delivery = Self { receivers, alertmanager, url, _tree: tree };
        delivery.until("Alertmanager answers", || delivery.get("/status").map(|_| ()));
        delivery
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let log = || fs::read_to_string(self._tree.path().join("log")).unwrap_or_default();
            assert!(
                Instant::now() < give_up,
                "waited in vain: {what}: {:#?}\n{}",
                self.receivers.titles(),
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut got = ureq::get(format!("{}{path}", self.url)).call().ok()?;
        serde_json::from_str(&got.body_mut().read_to_string().ok()?).ok()
    }

    /// Alerts with these labels fire, or have ended.
    fn post(&self, labels: &[Value], ended: bool) {
        let alert = |labels: &Value| {
            let mut alert = json!({ "labels": labels, "annotations": { "summary": "it is so" } });
            if ended {
                alert["startsAt"] = "2026-01-01T00:00:00Z".into();
                alert["endsAt"] = "2026-01-01T00:00:01Z".into();
            }
            alert
        };
        let body = Value::Array(labels.iter().map(alert).collect()).to_string();
        ureq::post(format!("{}/alerts", self.url)).content_type("application/json").send(body).unwrap();
    }

    fn heard(&self, channel: Channel, resolved: bool, alert: &str) -> bool {
        let is =
            |one: &Notification| one.channel == channel && one.resolved == resolved && one.alert == alert;
        self.receivers.notifications().iter().any(is)
    }
}

/// Alerts of the platform that wake somebody, with the labels that their rules give them, each for so many instances.
fn critical(instances: usize) -> Vec<Value> {
    let platform = platform::platform();
    let of = |service: &vocabulary::model::Service| {
        let area = area(&platform, service.id);
        let alerts = service.alerts.iter().filter(|alert| alert.severity == Severity::Critical);
        let labels = alerts.flat_map(|alert| {
            (0..instances).map(move |at| {
                let mut labels =
                    json!({ "alertname": alert.name, "environment": "production", "instance": format!("i-{at}") });
                for (name, value) in added(alert, area) {
                    labels[name] = value.into();
                }
                labels
            })
        });
        labels.collect::<Vec<_>>()
    };
    // What says that nobody can scrape an instance would keep the rest from being told.
    platform.services.iter().flat_map(of).filter(|labels| labels["alertname"] != "TargetDown").collect()
}

#[test]
fn five_hundred_alerts_at_once_wake_somebody_five_times_at_most() {
    let alerts = critical(25);
    assert!(alerts.len() >= 500, "{}", alerts.len());
    let names: std::collections::BTreeSet<&str> =
        alerts.iter().map(|labels| labels["alertname"].as_str().unwrap()).collect();
    let delivery = Delivery::begin();
    delivery.post(&alerts, false);
    for name in &names {
        delivery.until(&format!("{name} is on a page"), || {
            delivery.heard(Channel::PagerDuty, false, name).then_some(())
        });
    }
    assert!((1..=5).contains(&delivery.receivers.pages()), "{:#?}", delivery.receivers.titles());
    for name in &names {
        delivery.until("every alert is told to the others too", || {
            [Channel::Slack, Channel::Mail].iter().all(|to| delivery.heard(*to, false, name)).then_some(())
        });
    }
    delivery.post(&alerts, true);
    delivery.until("every page is closed", || delivery.receivers.open_incidents().is_empty().then_some(()));
    assert!(delivery.receivers.pages() <= 5, "{:#?}", delivery.receivers.titles());

    // A page for each alert would be too many, and is noticed.
    let control = Delivery::with(|configuration| configuration.replace("- area", "- alertname"));
    control.post(&alerts, false);
    control.until("more pages", || (control.receivers.pages() > 5).then_some(()));
}

#[test]
fn what_pagerduty_refuses_has_been_told_through_the_other_channels() {
    let delivery = Delivery::begin();
    delivery.receivers.fail_pagerduty(true);
    let labels = json!({ "alertname": "PostgresDown", "severity": "critical", "area": "postgres", "environment": "production" });
    delivery.post(std::slice::from_ref(&labels), false);
    delivery.until("Slack and e-mail have it", || {
        [Channel::Slack, Channel::Mail]
            .iter()
            .all(|to| delivery.heard(*to, false, "PostgresDown"))
            .then_some(())
    });
    assert_eq!(delivery.receivers.pages(), 0);
    delivery.receivers.fail_pagerduty(false);
    delivery.until("it is paged as soon as that works", || (delivery.receivers.pages() == 1).then_some(()));
    let title = "[FIRING:1] PostgresDown in production: it is so".to_owned();
    for channel in [Channel::PagerDuty, Channel::Slack, Channel::Mail] {
        let titles = delivery.receivers.titles();
        assert!(titles.contains(&(channel, title.clone())), "{channel:?}: {titles:#?}");
    }
}

#[test]
fn a_page_whose_alert_ended_in_silence_is_shown_and_can_be_ended() {
    let delivery = Delivery::begin();
    let alert = |name: &str, area: &str| json!({ "alertname": name, "severity": "critical", "area": area, "environment": "production" });
    let silenced = alert("PostgresDown", "postgres-exporter");
    delivery.post(&[silenced.clone(), alert("NoReplicaReady", "node-red")], false);
    delivery.until("two pages", || (delivery.receivers.open_incidents().len() == 2).then_some(()));
    let matcher = json!({ "name": "alertname", "value": "PostgresDown", "isRegex": false, "isEqual": true });
    let silence = json!({
        "matchers": [matcher], "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "a person", "comment": "known",
    });
    let url = format!("{}/silences", delivery.url);
    ureq::post(url).content_type("application/json").send(silence.to_string()).unwrap();
    let fires = |what: &str| {
        let alerts = delivery.get(what).unwrap();
        alerts.as_array().unwrap().len()
    };
    delivery.until("it is silenced", || (fires("/alerts?silenced=false") == 1).then_some(()));

    let tree = tempfile::tempdir().unwrap();
    for folder in ["ops/environments", ".flowship/production"] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
    }
    let file = "ops/environments/production.toml";
    fs::copy(repository().join(file), tree.path().join(file)).unwrap();
    let port: u16 = delivery.url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    let record =
        json!({ "environment": "production", "engine": "process", "ports": { "alertmanager.web": port } });
    fs::write(tree.path().join(".flowship/production/instance.json"), record.to_string()).unwrap();
    let list = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(tree.path()).args(["alerts", "list", "production"]).args(words);
        command.output().unwrap()
    };
    let found = || -> Value {
        let output = list(&["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    assert_eq!(found()["may_be_open"], json!([]), "it fires");
    let shown = text(&list(&[]));
    assert!(shown.contains("no: silenced") && shown.contains("NoReplicaReady"), "{shown}");

    delivery.post(&[silenced], true);
    delivery.until("it has ended", || (fires("/alerts") == 1 && fires("/alerts/groups") == 1).then_some(()));
    // As the issue says: nobody tells PagerDuty.
    assert_eq!(delivery.receivers.open_incidents().len(), 2);
    assert_eq!(found()["may_be_open"], json!(["postgres-exporter"]));
    assert!(text(&list(&[])).contains("postgres-exporter: PagerDuty may still have its page open"));
    let refused = list(&["--resolve"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("secrets/pagerduty-routing-key"), "{}", text(&refused));

    let events = delivery.receivers.pagerduty_url();
    resolve(&events, ROUTING_KEY, "production", "postgres-exporter").unwrap();
    assert_eq!(delivery.receivers.open_incidents().len(), 1, "the other one stays open");
    resolve(&events, ROUTING_KEY, "production", "postgres-exporter").unwrap();
    delivery.receivers.fail_pagerduty(true);
    assert!(resolve(&events, ROUTING_KEY, "production", "node-red").unwrap_err().to_string().contains("500"));
}

#[test]
fn each_inhibition_keeps_one_alert_and_no_other_from_being_told() {
    let alert = |name: &str, severity: &str, instance: &str| json!({ "alertname": name, "severity": severity, "instance": instance, "environment": "production" });
    let delivery = Delivery::begin();
    delivery.post(
        &[
            alert("TargetDown", "critical", "one"),
            alert("Slow", "warning", "one"),
            alert("Slow", "warning", "two"),
            alert("Full", "critical", "three"),
            alert("Full", "warning", "three"),
            alert("Full", "warning", "four"),
        ],
        false,
    );
    let expected = [
        "Full critical three false",
        "Full warning four false",
        "Full warning three true",
        "Slow warning one true",
        "Slow warning two false",
        "TargetDown critical one false",
    ];
    assert_eq!(INHIBITIONS.len(), 2, "each has its alert above");
    delivery.until("two alerts are inhibited", || {
        let found = delivery.get("/alerts")?;
        let alerts = found.as_array()?.iter().map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            let inhibited = alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
            format!("{} {} {} {inhibited}", label("alertname"), label("severity"), label("instance"))
        });
        let mut alerts: Vec<_> = alerts.collect();
        alerts.sort();
        (alerts == expected).then_some(())
    });
}

#[test]
fn route_says_who_would_be_told_and_what_would_prevent_it() {
    let route = |labels: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--root")
            .arg(repository())
            .args(["alerts", "route", "production"])
            .args(labels)
            .output()
            .unwrap()
    };
    let critical = route(&["alertname=PostgresDown"]);
    assert!(critical.status.success(), "{}", text(&critical));
    for part in
        ["receiver critical: PagerDuty flowship-production, Slack #flowship-alerts", "area=postgres-exporter"]
    {
        assert!(text(&critical).contains(part), "{part}: {}", text(&critical));
    }
    let warning = text(&route(&["severity=warning", "alertname=SqlSlow", "instance=node-red-a"]));
    for part in [
        "receiver warning: Slack #flowship-alerts",
        "severity=\"critical\" fires for environment=\"production\", alertname=\"SqlSlow\", instance=\"node-red-a\"",
        "alertname=\"TargetDown\" fires for environment=\"production\", instance=\"node-red-a\"",
    ] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    assert!(!text(&route(&["alertname=TargetDown", "instance=a"])).contains("not while"));
    let refused = route(&["severity"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("expected LABEL=VALUE"), "{}", text(&refused));
}

#[test]
fn a_drill_of_an_alert_that_there_is_not_begins_with_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let refused =
        command.arg("--root").arg(repository()).args(["alerts", "fire", "PostgresDwn"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("did you mean PostgresDown?"), "{}", text(&refused));
}
