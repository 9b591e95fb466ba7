//! What Alertmanager reads: who is told of which alert, from the contacts of the environment.
//!
//! A channel that fails is not replaced by another one: Alertmanager tries it again, and goes on to nothing else. So what wakes
//! somebody goes through every channel that there is, at once; and each channel's failures are an alert of their own.

use vocabulary::formats::yaml::{Yaml, write};
use vocabulary::model::environment::{Contacts, Environment};
use vocabulary::model::{Monitoring, SecretRef, Severity};

use super::Places;
use crate::artifact::banner;

/// Its file.
pub const FILE: &str = "alertmanager.yml";

/// How long the route of each severity waits for more alerts before it tells, before it tells again of the same group, and
/// before it repeats what still fires.
const TIMES: [(Severity, [&str; 3]); 4] = [
    // What is outside notices within two minutes that it has heard nothing.
    (Severity::Heartbeat, ["0s", "30s", "30s"]),
    (Severity::Critical, ["10s", "1m", "4h"]),
    (Severity::Warning, ["1m", "10m", "24h"]),
    (Severity::Business, ["5m", "1h", "24h"]),
];
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
            ("description", Yaml::text("{{ .GroupLabels.alertname }} in {{ .CommonLabels.environment }}: {{ .CommonAnnotations.summary }}")),
            resolved.clone(),
        ];
        ("pagerduty_configs", Yaml::mapping(page))
    });
    let mail = contacts.mail_server.as_ref().map(|server| {
        let mail = [
            ("to", Yaml::text(&contacts.email)),
            ("from", Yaml::text(&contacts.email)),
            ("smarthost", Yaml::text(server)),
            ("auth_username", Yaml::text(&contacts.email)),
            ("auth_password_file", file(monitoring.mail_password)),
            resolved.clone(),
        ];
        ("email_configs", Yaml::mapping(mail))
    });
    let chat = contacts.slack_channel.as_ref().map(|channel| {
        let chat = [
            ("api_url_file", file(monitoring.chat_webhook)),
            ("channel", Yaml::text(channel)),
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

/// The secrets of the channels to people, with the setting by which an environment has the channel, where it has it.
#[must_use]
pub fn channels(
    environment: &Environment,
    monitoring: &Monitoring,
) -> [(SecretRef, Option<&'static str>); 3] {
    let contacts = environment.contacts.as_ref();
    let has = |setting, is_set: fn(&Contacts) -> bool| contacts.is_some_and(is_set).then_some(setting);
    [
        (monitoring.paging_key, has("contacts.pagerduty_service", |one| one.pagerduty_service.is_some())),
        (monitoring.chat_webhook, has("contacts.slack_channel", |one| one.slack_channel.is_some())),
        (monitoring.mail_password, has("contacts.mail_server", |one| one.mail_server.is_some())),
    ]
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
        if quiet && matches!(severity, Severity::Warning | Severity::Business) {
            route.push(("mute_time_intervals".to_owned(), texts([QUIET])));
        }
        Yaml::Mapping(route)
    });
    Yaml::mapping([
        ("receiver", Yaml::text(Severity::Warning.name())),
        // One page for one problem, however many replicas have it; another problem is another page.
        ("group_by", texts(["environment", "alertname"])),
        ("routes", Yaml::Sequence(routes.collect())),
    ])
}

fn of(severity: Severity) -> String {
    format!("severity=\"{}\"", severity.name())
}

fn inhibitions() -> Vec<Yaml> {
    vec![
        // The same problem, at its worse.
        Yaml::mapping([
            ("source_matchers", texts([&of(Severity::Critical)])),
            ("target_matchers", texts([&of(Severity::Warning)])),
            ("equal", texts(["environment", "alertname", "instance"])),
        ]),
        // What else is said of a target that nobody can scrape is old.
        Yaml::mapping([
            ("source_matchers", texts(["alertname=\"TargetDown\""])),
            ("target_matchers", texts(["alertname!=\"TargetDown\"", "instance!=\"\""])),
            ("equal", texts(["environment", "instance"])),
        ]),
    ]
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
