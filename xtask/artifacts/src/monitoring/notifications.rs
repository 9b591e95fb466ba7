//! What Alertmanager reads: who is told of which alert, from the contacts of the environment.
//!
//! A channel that fails is not replaced by another one: Alertmanager tries it again, and goes on to nothing else. So what wakes
//! somebody goes through every channel that there is, at once; and each channel's failures are an alert of their own.

use std::collections::BTreeMap;

use vocabulary::formats::yaml::{Yaml, write};
use vocabulary::model::environment::{Contacts, Environment};
use vocabulary::model::{Monitoring, SecretRef, Severity};

use super::Places;
use crate::alert_rules::AREA;
use crate::artifact::banner;

/// Its file.
pub const FILE: &str = "alertmanager.yml";

/// How long the route of each severity waits for more alerts before it tells, before it tells again of the same group, and
/// before it repeats what still fires.
const TIMES: [(Severity, [&str; 3]); 4] = [
    // Every 15 s: it looks at each interval of the group, and repeats at the first look after the last one. What is outside
    // notices a minute of silence.
    (Severity::Heartbeat, ["0s", "5s", "14s"]),
    (Severity::Critical, ["10s", "1m", "4h"]),
    (Severity::Warning, ["1m", "10m", "24h"]),
    (Severity::Business, ["5m", "1h", "24h"]),
];
/// What a page, a message and a mail are about, in one line.
const TITLE: &str = r#"[{{ .Status | toUpper }}{{ if .Alerts.Firing }}:{{ len .Alerts.Firing }}{{ end }}] {{ $some := .Alerts.Resolved }}{{ if .Alerts.Firing }}{{ $some = .Alerts.Firing }}{{ end }}{{ with index $some 0 }}{{ .Labels.alertname }}{{ end }}{{ if gt (len $some) 1 }} and others{{ end }} in {{ .CommonLabels.environment }}: {{ with index $some 0 }}{{ .Annotations.summary }}{{ end }}"#;
/// A line for each alert; a page has all of them in its details anyway.
const TEXT: &str = r#"{{ range .Alerts.Firing }}FIRING {{ .Labels.alertname }} {{ .Labels.instance }}: {{ .Annotations.summary }} {{ .Annotations.impact }} {{ .Annotations.runbook }}{{ "\n" }}{{ end }}{{ range .Alerts.Resolved }}RESOLVED {{ .Labels.alertname }} {{ .Labels.instance }}: {{ .Annotations.summary }}{{ "\n" }}{{ end }}"#;
/// How long the first message of a group waits for more alerts.
#[must_use]
pub fn wait(severity: Severity) -> &'static str {
    times(severity)[0]
}

/// How long a group waits until it tells of what has changed.
#[must_use]
pub fn again(severity: Severity) -> &'static str {
    times(severity)[1]
}

fn times(severity: Severity) -> [&'static str; 3] {
    TIMES.into_iter().find(|(of, _)| *of == severity).map_or([""; 3], |(_, times)| times)
}

/// What is not told in quiet hours.
const MUTED: [Severity; 2] = [Severity::Warning, Severity::Business];
/// The name of the hours in which nothing but what is critical is told.
const QUIET: &str = "quiet-hours";

/// The whole configuration.
#[must_use]
pub fn configuration(environment: &Environment, monitoring: &Monitoring, places: &dyn Places) -> String {
    let nobody = Contacts::default();
    let contacts = environment.contacts.as_ref().unwrap_or(&nobody);
    let file = |secret: SecretRef| Yaml::text(places.secret(secret));
    let resolved = ("send_resolved", Yaml::Boolean(true));
    let page = contacts.pagerduty_service.as_ref().map(|service| {
        let page = [
            ("routing_key_file", file(monitoring.paging_key)),
            ("client", Yaml::text(service)),
            ("description", Yaml::text(TITLE)),
            resolved.clone(),
        ];
        let at = contacts.pagerduty_url.as_ref().map(|url| ("url", Yaml::text(url)));
        (
            "pagerduty_configs",
            Yaml::Mapping(page.into_iter().chain(at).map(|(key, value)| (key.to_owned(), value)).collect()),
        )
    });
    let mail = contacts.mail_server.as_ref().map(|server| {
        let mail = [
            ("to", Yaml::text(&contacts.email)),
            ("from", Yaml::text(&contacts.email)),
            ("smarthost", Yaml::text(server)),
            ("auth_username", Yaml::text(&contacts.email)),
            ("auth_password_file", file(monitoring.mail_password)),
            // A relay on the machine itself has no certificate.
            ("require_tls", Yaml::Boolean(!is_here(server))),
            ("headers", Yaml::mapping([("Subject", Yaml::text(TITLE))])),
            ("html", Yaml::text("")),
            ("text", Yaml::text(TEXT)),
            resolved.clone(),
        ];
        ("email_configs", Yaml::mapping(mail))
    });
    let chat = contacts.slack_channel.as_ref().map(|channel| {
        let chat = [
            ("api_url_file", file(monitoring.chat_webhook)),
            ("channel", Yaml::text(channel)),
            ("title", Yaml::text(TITLE)),
            ("text", Yaml::text(TEXT)),
            resolved.clone(),
        ];
        ("slack_configs", Yaml::mapping(chat))
    });
    let beat = contacts.heartbeat_url.as_ref().map(|url| {
        (
            "webhook_configs",
            Yaml::mapping([("url", Yaml::text(url)), ("send_resolved", Yaml::Boolean(false))]),
        )
    });
    let receivers = [
        (Severity::Critical, vec![page, mail.clone(), chat.clone()]),
        (Severity::Warning, vec![mail.clone(), chat]),
        (Severity::Business, vec![mail]),
        (Severity::Heartbeat, vec![beat]),
    ];
    let receivers = receivers.into_iter().map(|(severity, channels)| {
        let channels = channels.into_iter().flatten();
        let channels = channels.map(|(kind, one)| (kind.to_owned(), Yaml::Sequence(vec![one])));
        Yaml::Mapping(
            std::iter::once(("name".to_owned(), Yaml::text(severity.name()))).chain(channels).collect(),
        )
    });
    let quiet = contacts.quiet_hours.as_deref().map(quiet_hours);
    let mut document = vec![("route".to_owned(), route(quiet.is_some()))];
    document.push(("inhibit_rules".to_owned(), Yaml::Sequence(inhibitions())));
    document.extend(quiet.map(|quiet| ("time_intervals".to_owned(), Yaml::Sequence(vec![quiet]))));
    document.push(("receivers".to_owned(), Yaml::Sequence(receivers.collect())));
    write(&banner(file!()), &Yaml::Mapping(document))
}

/// Whether a `host:port` is this machine.
fn is_here(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    ["localhost", "::1", "[::1]"].contains(&host) || host.starts_with("127.")
}

fn texts<const N: usize>(texts: [&str; N]) -> Yaml {
    Yaml::Sequence(texts.map(Yaml::text).into())
}

/// What has no severity is a fault of the rules: it is told like a warning rather than to nobody.
fn route(quiet: bool) -> Yaml {
    let routes = TIMES.iter().map(|(severity, [wait, again, repeat])| {
        let name = severity.name();
        let mut route = vec![
            ("receiver".to_owned(), Yaml::text(name)),
            ("matchers".to_owned(), texts([&of(*severity)])),
            ("group_wait".to_owned(), Yaml::text(*wait)),
            ("group_interval".to_owned(), Yaml::text(*again)),
            ("repeat_interval".to_owned(), Yaml::text(*repeat)),
        ];
        if quiet && MUTED.contains(severity) {
            route.push(("mute_time_intervals".to_owned(), texts([QUIET])));
        }
        if *severity == Severity::Critical {
            // However much goes wrong at once, somebody is woken once for each area and not for each alert.
            route.push(("group_by".to_owned(), texts(["environment", AREA])));
        }
        Yaml::Mapping(route)
    });
    Yaml::mapping([
        ("receiver", Yaml::text(Severity::Warning.name())),
        // One message for one problem, however many replicas have it.
        ("group_by", texts(["environment", "alertname"])),
        ("routes", Yaml::Sequence(routes.collect())),
    ])
}

fn of(severity: Severity) -> String {
    format!("severity=\"{}\"", severity.name())
}

/// While an alert with the labels of the source fires, no alert with those of the target is told that has the same values of
/// `equal`.
pub struct Inhibition {
    /// Matchers, `label="value"` or `label!="value"`.
    pub source: &'static [&'static str],
    pub target: &'static [&'static str],
    pub equal: &'static [&'static str],
}

/// All of them.
pub const INHIBITIONS: [Inhibition; 2] = [
    // The same problem, at its worse.
    Inhibition {
        source: &["severity=\"critical\""],
        target: &["severity=\"warning\""],
        equal: &["environment", "alertname", "instance"],
    },
    // What else is said of a target that nobody can scrape is old.
    Inhibition {
        source: &["alertname=\"TargetDown\""],
        target: &["alertname!=\"TargetDown\"", "instance!=\"\""],
        equal: &["environment", "instance"],
    },
];

impl Inhibition {
    /// Whether it can keep an alert with these labels from being told.
    #[must_use]
    pub fn concerns(&self, labels: &BTreeMap<String, String>) -> bool {
        self.target.iter().all(|matcher| {
            let (name, value) = matcher.split_once('=').unwrap_or((matcher, ""));
            let not = name.ends_with('!');
            let found = labels.get(name.trim_end_matches('!')).map_or("", String::as_str);
            (found == value.trim_matches('"')) != not
        })
    }
}

fn inhibitions() -> Vec<Yaml> {
    let texts = |texts: &[&str]| Yaml::Sequence(texts.iter().map(|text| Yaml::text(*text)).collect());
    let rule = |one: &Inhibition| {
        Yaml::mapping([
            ("source_matchers", texts(one.source)),
            ("target_matchers", texts(one.target)),
            ("equal", texts(one.equal)),
        ])
    };
    INHIBITIONS.iter().map(rule).collect()
}

/// Whom a receiver tells, for people; nobody where the environment has no such contact.
#[must_use]
pub fn told(environment: &Environment, receiver: &str) -> Vec<String> {
    let nobody = Contacts::default();
    let contacts = environment.contacts.as_ref().unwrap_or(&nobody);
    let of = |severity: Severity| severity.name() == receiver;
    let page = contacts.pagerduty_service.as_ref().filter(|_| of(Severity::Critical));
    let mail = contacts.mail_server.as_ref().filter(|_| !of(Severity::Heartbeat)).map(|_| &contacts.email);
    let chat = contacts.slack_channel.as_ref();
    let chat = chat.filter(|_| of(Severity::Critical) || of(Severity::Warning));
    let beat = contacts.heartbeat_url.as_ref().filter(|_| of(Severity::Heartbeat));
    let channels = [("PagerDuty", page), ("e-mail", mail), ("Slack", chat), ("dead man's switch", beat)];
    channels.into_iter().filter_map(|(kind, to)| Some(format!("{kind} {}", to?))).collect()
}

/// The hours in which an alert with these labels is not told.
#[must_use]
pub fn quiet<'a>(environment: &'a Environment, labels: &BTreeMap<String, String>) -> Option<&'a str> {
    let severity = labels.get("severity").map(String::as_str);
    let kept = MUTED.iter().any(|muted| Some(muted.name()) == severity);
    environment.contacts.as_ref()?.quiet_hours.as_deref().filter(|_| kept)
}

/// `22:00-07:00`, in UTC; an interval of Alertmanager's ends at midnight.
fn quiet_hours(hours: &str) -> Yaml {
    let (start, end) = hours.split_once('-').unwrap_or((hours, hours));
    let times = |start: &str, end: &str| {
        Yaml::mapping([("start_time", Yaml::text(start)), ("end_time", Yaml::text(end))])
    };
    let times = if start < end {
        vec![times(start, end)]
    } else {
        let tonight = (start < "24:00").then(|| times(start, "24:00"));
        let morning = (end > "00:00").then(|| times("00:00", end));
        tonight.into_iter().chain(morning).collect()
    };
    let intervals = Yaml::Sequence(vec![Yaml::mapping([("times", Yaml::Sequence(times))])]);
    Yaml::mapping([("name", Yaml::text(QUIET)), ("time_intervals", intervals)])
}
