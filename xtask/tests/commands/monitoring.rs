//! What Prometheus and Alertmanager read in each environment, judged by promtool and amtool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;
use vocabulary::model::environment::Environment;

use crate::containers::{program, repository};

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
