//! What fires in an environment, and the pages that PagerDuty may still have open although nothing of theirs fires. Acts.
//!
//! Alertmanager tells nobody of the end of an alert that is silenced when it ends
//! (<https://github.com/prometheus/alertmanager/issues/226>): its page stays open until somebody closes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use artifacts::alert_rules::{AREA, added, area};
use foundation::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::Agent;
use vocabulary::model::{Alert, Platform, Severity};

/// Where PagerDuty takes events: <https://developer.pagerduty.com/docs/send-alert-event>.
pub const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

const LIMIT: Duration = Duration::from_secs(10);

/// An alert as Alertmanager has it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Firing {
    pub labels: BTreeMap<String, String>,
    #[serde(rename(deserialize = "startsAt"))]
    pub since: String,
    pub status: Status,
}

/// Why somebody is told of it, or not.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all(deserialize = "camelCase"))]
pub struct Status {
    pub silenced_by: Vec<String>,
    pub inhibited_by: Vec<String>,
}

#[derive(Deserialize)]
struct Silence {
    matchers: Vec<Matcher>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Matcher {
    name: String,
    value: String,
    is_regex: bool,
    is_equal: bool,
}

/// What fires, and the areas whose page may be open without an alert.
pub struct Look {
    pub firing: Vec<Firing>,
    pub left_open: Vec<&'static str>,
}

fn agent() -> Agent {
    Agent::config_builder().timeout_global(Some(LIMIT)).http_status_as_error(false).build().into()
}

/// Asks the Alertmanager at this address, such as `http://127.0.0.1:9093`. It remembers silences for five days after their end.
///
/// # Errors
/// It does not answer, or not as Alertmanager does.
pub fn look(platform: &'static Platform, environment: &str, alertmanager: &str) -> Result<Look> {
    let firing: Vec<Firing> = get(alertmanager, "alerts")?;
    let silences: Vec<Silence> = get(alertmanager, "silences")?;
    let is = |one: &Firing, label: &str, value: &str| one.labels.get(label).is_some_and(|own| own == value);
    let mut left_open = BTreeSet::new();
    for (area, alert) in paging(platform) {
        let fires = |one: &Firing| is(one, AREA, area) && is(one, "severity", Severity::Critical.name());
        let mut labels = BTreeMap::from(added(alert, area));
        labels.extend([("alertname", alert.name.to_owned()), ("environment", environment.to_owned())]);
        let was_silenced =
            silences.iter().any(|one| one.matchers.iter().all(|matcher| matcher.may_match(&labels)));
        if was_silenced && !firing.iter().any(fires) {
            left_open.insert(area);
        }
    }
    Ok(Look { firing, left_open: left_open.into_iter().collect() })
}

/// The alerts that wake somebody, each with the area whose page it is on.
fn paging(platform: &'static Platform) -> impl Iterator<Item = (&'static str, &'static Alert)> {
    let of = |service: &'static vocabulary::model::Service| {
        let alerts = service.alerts.iter().filter(|alert| alert.severity == Severity::Critical);
        alerts.map(|alert| (area(platform, service.id), alert))
    };
    platform.services.iter().flat_map(of)
}

impl Matcher {
    /// Of a label that only a series says, and of an expression, nobody knows.
    fn may_match(&self, labels: &BTreeMap<&str, String>) -> bool {
        let Some(own) = labels.get(self.name.as_str()) else { return true };
        self.is_regex || (*own == self.value) == self.is_equal
    }
}

fn get<T: DeserializeOwned>(alertmanager: &str, what: &str) -> Result<T> {
    let url = format!("{alertmanager}/api/v2/{what}");
    let mut answer = agent().get(&url).call().with_context(|| url.clone())?;
    if answer.status() != 200 {
        bail!("{url} answers {}", answer.status());
    }
    let text = answer.body_mut().read_to_string()?;
    serde_json::from_str(&text).with_context(|| format!("{url}: expected what Alertmanager answers"))
}

/// Ends the page of an area. PagerDuty takes that for one that is not open, too.
///
/// # Errors
/// PagerDuty cannot be reached, or refuses it.
pub fn resolve(events: &str, routing_key: &str, environment: &str, area: &str) -> Result<()> {
    let event = json!({
        "routing_key": routing_key, "event_action": "resolve", "dedup_key": key(environment, area),
    });
    let mut answer = agent()
        .post(events)
        .content_type("application/json")
        .send(event.to_string())
        .with_context(|| events.to_owned())?;
    if answer.status() != 202 {
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        bail!("{events} answers {}: {said}", answer.status());
    }
    Ok(())
}

/// What PagerDuty joins the events of an area by: the digest of the key that Alertmanager has for the group.
fn key(environment: &str, area: &str) -> String {
    let critical = Severity::Critical.name();
    digest::sha256(format!(
        "{{}}/{{severity=\"{critical}\"}}:{{{AREA}=\"{area}\", environment=\"{environment}\"}}"
    ))
}
