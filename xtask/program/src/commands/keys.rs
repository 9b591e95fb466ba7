//! `keys`: the API keys of an environment's callers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::context::Context;
use crate::session::host;
use crate::session::operations::Target;
use foundation::clock::{now_ms, seconds, utc};
use foundation::columns;
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use foundation::stdout;

/// How long the platform may take to answer: its database may just be busy.
const PATIENCE: Duration = Duration::from_secs(15);

const SECONDS_OF_A_DAY: u64 = 86_400;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask keys create production web-shop --workflow describe-text --rate 600 --days 90
  cargo xtask keys create production web-shop > key    the key is shown once: keep it
  cargo xtask keys list production
  cargo xtask keys revoke production web-shop          refused from the next request on

To replace a key without an outage, create a second one, give it to the caller, and revoke the first.
Exit code 0; 1 when the platform does not answer; 2 when nothing runs there, or the platform refuses.")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Create a key, and print it
    Create {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// Whose key it is: lower-case letters, digits and dashes
        name: String,
        /// A workflow that it may call; repeat the option for several [default: all workflows, and the queues]
        #[arg(long = "workflow", value_name = "ID")]
        workflows: Vec<String>,
        /// How many requests it may make per minute, on all replicas together [default: no limit]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: Option<u32>,
        /// Days until it expires [default: never]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// List the keys, without the keys themselves
    List {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
    },
    /// Revoke a key
    Revoke {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: String,
        /// Whose key it is
        name: String,
    },
}

/// A key as the platform lists it.
#[derive(Debug, Serialize, Deserialize)]
struct Key {
    name: String,
    /// None: all.
    workflows: Option<Vec<String>>,
    requests_per_minute: Option<u32>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// The platform's own.
    built_in: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Created {
    name: String,
    key: String,
}

/// # Errors
/// Refused when no such environment runs here, or the platform refuses; otherwise when it does not answer.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let (What::Create { environment, .. } | What::List { environment } | What::Revoke { environment, .. }) =
        &options.what;
    if let Some(done) = host::forwarded(context, environment, &[]) {
        return done;
    }
    let target = Target::of(context, environment)?;
    let interrupt = Interrupt::listen()?;
    let ask = |method: &str, path: &str, body: Option<&Value>| {
        let answer = target.send(context.platform, method, path, body, PATIENCE, &|| interrupt.raised())?;
        read(answer.status, &answer.body)
    };
    match &options.what {
        What::Create { name, workflows, rate, days, .. } => {
            let created: Created =
                serde_json::from_value(ask("POST", "/keys", Some(&wanted(name, workflows, *rate, *days)))?)?;
            if context.json {
                return stdout::json(&created);
            }
            eprintln!("the key of {name}; it is stored as a hash and cannot be shown again:");
            stdout::text(&format!("{}\n", created.key))
        }
        What::List { .. } => {
            let keys: Vec<Key> = serde_json::from_value(ask("GET", "/keys", None)?["keys"].take())?;
            if context.json {
                return stdout::json(&keys);
            }
            stdout::text(&table(&keys, now_ms() / 1000))
        }
        What::Revoke { name, .. } => {
            ask("DELETE", &format!("/keys/{name}"), None)?;
            if context.json {
                return stdout::json(&json!({ "name": name, "revoked": true }));
            }
            stdout::text(&format!("revoked {name}\n"))
        }
    }
}

fn wanted(name: &str, workflows: &[String], rate: Option<u32>, days: Option<u32>) -> Value {
    let mut body = json!({ "name": name });
    if !workflows.is_empty() {
        body["workflows"] = json!(workflows);
    }
    if let Some(rate) = rate {
        body["requests_per_minute"] = rate.into();
    }
    if let Some(days) = days {
        body["expires_at"] = utc(now_ms() / 1000 + u64::from(days) * SECONDS_OF_A_DAY).into();
    }
    body
}

/// The answer of a request that was carried out.
///
/// # Errors
/// Refused with what the platform says, when it is the request that is wrong.
fn read(status: u16, body: &str) -> Result<Value> {
    let parsed: Value = serde_json::from_str(body)
        .with_context(|| format!("the platform answered {status} with what is not JSON"))?;
    if (200..300).contains(&status) {
        return Ok(parsed);
    }
    let detail = parsed["detail"].as_str().unwrap_or("it does not say why");
    match status {
        400 | 404 | 409 => Err(refused(detail.to_owned())),
        _ => bail!("the platform answered {status}: {detail}"),
    }
}

fn table(keys: &[Key], now: u64) -> String {
    let head = ["NAME", "WORKFLOWS", "A MINUTE", "CREATED", "EXPIRES", "STATE"].map(str::to_owned);
    let day = |moment: &str| moment.get(..10).unwrap_or(moment).to_owned();
    // PostgreSQL's milliseconds are cut off.
    let passed = |moment: &String| {
        let whole = moment.split('.').next().unwrap_or_default().trim_end_matches('Z');
        seconds(&format!("{whole}Z")).is_some_and(|moment| moment <= now)
    };
    let row = |key: &Key| {
        let state = match key {
            Key { revoked_at: Some(moment), .. } => format!("revoked on {}", day(moment)),
            Key { expires_at: Some(moment), .. } if passed(moment) => "expired".to_owned(),
            Key { built_in: true, .. } => "the platform's own".to_owned(),
            _ => "in use".to_owned(),
        };
        [
            key.name.clone(),
            key.workflows.as_ref().map_or_else(|| "all".to_owned(), |workflows| workflows.join(", ")),
            key.requests_per_minute.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
            day(&key.created_at),
            key.expires_at.as_deref().map_or_else(|| "never".to_owned(), day),
            state,
        ]
    };
    columns::table(&[vec![head], keys.iter().map(row).collect()].concat())
}
