//! A plan as text, for `--dry-run` and runbooks. Secrets appear by name.

use std::fmt::Write as _;

use serde::Deserialize as _;
use serde_json::Value;

use super::action::{Action, Native, Probe, ServiceRequest};
use super::argument::Arg;
use super::step::{OnFailure, Plan, Step};

/// Letters of a text among parameters.
const SHOWN: usize = 100;

impl<N: Native> Plan<N> {
    /// Every step in an order in which they can run, with what it needs and what undoes it.
    pub fn text(&self) -> String {
        let mut text = format!("{} (target {}, {} steps)\n", self.intent, self.target, self.steps.len());
        if self.on_failure == OnFailure::Undo {
            text.push_str("if a step fails, the earlier steps are undone\n");
        }
        for (index, step) in self.in_order().into_iter().enumerate() {
            text.push('\n');
            write_step(&mut text, index + 1, step);
        }
        text
    }

    /// The steps, each after those it needs, otherwise as written. Steps of a cycle come last.
    pub fn in_order(&self) -> Vec<&Step<N>> {
        let mut ordered: Vec<&Step<N>> = Vec::new();
        let mut open: Vec<&Step<N>> = self.steps.iter().collect();
        while let Some(next) = open
            .iter()
            .position(|step| step.needs.iter().all(|need| ordered.iter().any(|done| done.id == *need)))
        {
            ordered.push(open.remove(next));
        }
        ordered.append(&mut open);
        ordered
    }
}

fn write_step<N: Native>(text: &mut String, number: usize, step: &Step<N>) {
    let mut line = |label: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label}{value}");
    };
    line(&format!("{number:>3}. "), format!("{} [{}]", step.title, step.id));
    line("     does   ", step.action.text());
    if !step.needs.is_empty() {
        line("     needs  ", step.needs.iter().map(|need| need.0.as_str()).collect::<Vec<_>>().join(", "));
    }
    if !step.after.is_empty() {
        line("     after  ", step.after.iter().map(|other| other.0.as_str()).collect::<Vec<_>>().join(", "));
    }
    if let Some(path) = &step.unless_exists {
        line("     unless ", format!("{} exists", path.display()));
    }
    if step.journaled {
        line("     once   ", "until the plan ends".to_owned());
    }
    if let Some(undo) = &step.undo {
        line("     undo   ", undo.text());
    }
}

impl<N: Native> Action<N> {
    /// One line: what it does, in the words of a shell where there is such a thing.
    pub fn text(&self) -> String {
        match self {
            Self::Exec(exec) => {
                let env =
                    exec.env.iter().map(|(name, value)| format!("{name}={}", quoted(&value.to_string())));
                let words = std::iter::once(quoted(&exec.program)).chain(exec.args.iter().map(quoted_arg));
                let only = exec.inherits.as_ref().map(|names| {
                    let kept = names.iter().map(|name| format!(" {name}=\"${name}\""));
                    format!("env --ignore-environment{}", kept.collect::<String>())
                });
                let mut text = only.into_iter().chain(env).chain(words).collect::<Vec<_>>().join(" ");
                if let Some(cwd) = &exec.cwd {
                    text = format!("(cd {} && {text})", cwd.display());
                }
                if let Some(stdin) = &exec.stdin {
                    text.push_str(&format!(" <<< {}", quoted_arg(stdin)));
                }
                text
            }
            Self::Http(http) => format!("{} {}", http.method, http.url),
            Self::Write(write) => format!("write {} (mode {:04o})", write.path.display(), write.mode),
            Self::WaitFor(wait) => {
                format!(
                    "wait until {}, at most {} s",
                    probe_text(&wait.probe),
                    wait.time_limit_ms.div_ceil(1000)
                )
            }
            Self::Supervise(supervise) => match &supervise.request {
                ServiceRequest::Start(spec) => {
                    let words: Vec<_> = spec.argv.iter().map(quoted_arg).collect();
                    format!("start service {}: {}", spec.name, words.join(" "))
                }
                ServiceRequest::Stop(name) => format!("stop service {name}"),
                ServiceRequest::Restart(name) => format!("restart service {name}"),
                ServiceRequest::Remove(name) => format!("remove service {name}"),
                ServiceRequest::Shutdown => "stop every service and their supervisor".to_owned(),
            },
            Self::Native(native) => native_text(&serde_json::to_value(native).unwrap_or_default()),
        }
    }
}

fn native_text(native: &Value) -> String {
    let name = native["name"].as_str().unwrap_or("a native action");
    match &native["parameters"] {
        Value::Null => name.to_owned(),
        parameters => format!("{name} {}", parameters_text(parameters)),
    }
}

/// `name=value` for each, in one line: long texts are shortened, and of lists and tables only the size is shown.
fn parameters_text(parameters: &Value) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => {
            let first = text.lines().next().unwrap_or_default();
            let shown: String = first.chars().take(SHOWN).collect();
            match text.len() - shown.len() {
                0 => quoted(text),
                more => format!("{}.. ({more} more bytes)", quoted(&shown)),
            }
        }
        Value::Array(list) => format!("[{}]", list.len()),
        Value::Object(table) => match Arg::deserialize(value) {
            Ok(arg) => quoted_arg(&arg),
            Err(_) => format!("{{{}}}", table.len()),
        },
        other => other.to_string(),
    };
    match parameters {
        Value::Object(table) => {
            let named = table.iter().map(|(name, one)| format!("{name}={}", value(one)));
            named.collect::<Vec<_>>().join(" ")
        }
        other => value(other),
    }
}

fn probe_text(probe: &Probe) -> String {
    match probe {
        Probe::Http { url, status, .. } => format!("GET {url} answers {status}"),
        Probe::File { path } => format!("{} exists", path.display()),
        Probe::Supervised { service, .. } => format!("service {service} is healthy"),
        Probe::Exec { argv, .. } => {
            format!("`{}` succeeds", argv.iter().map(quoted_arg).collect::<Vec<_>>().join(" "))
        }
    }
}

fn quoted_arg(arg: &Arg) -> String {
    quoted(&arg.to_string())
}

/// As a shell reads one word.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::{Exec, Write};
    use super::*;

    #[test]
    fn parameters_fit_on_a_line_whatever_they_hold() {
        let parameters = serde_json::json!({
            "a": "v1.2.0", "b": "it is", "c": true, "d": "x".repeat(1_000_000), "e": "one\ntwo", "f": [1, 2],
            "g": { "h": 1 }, "i": null,
        });
        let expected = format!(
            "a=v1.2.0 b='it is' c=true d={}.. (999900 more bytes) e=one.. (4 more bytes) f=[2] g={{1}} i=null",
            "x".repeat(SHOWN)
        );
        assert_eq!(parameters_text(&parameters), expected);
    }

    #[test]
    fn a_dry_run_reads_well_and_shows_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2hunter2").unwrap();
        let plan = Plan {
            intent: "bring up dev".into(),
            target: "dev".into(),
            on_failure: OnFailure::Undo,
            steps: vec![
                Step {
                    needs: vec!["conf".into()],
                    journaled: true,
                    ..Step::new(
                        "migrate",
                        "migrate the database",
                        Action::Exec(Exec {
                            program: "dbmate".into(),
                            args: vec!["up".into(), "it's".into()],
                            env: [("PGPASSWORD".to_owned(), Arg::secret("postgres-password", &file))].into(),
                            ..Exec::default()
                        }),
                    )
                },
                Step {
                    unless_exists: Some("/x/conf".into()),
                    undo: Some(Action::Exec(Exec {
                        program: "rm".into(),
                        args: vec!["/x/conf".into()],
                        ..Exec::default()
                    })),
                    ..Step::new(
                        "conf",
                        "configure",
                        Action::Write(Write { path: "/x/conf".into(), contents: "a".into(), mode: 0o600 }),
                    )
                },
            ],
        };
        let expected = r"bring up dev (target dev, 2 steps)
if a step fails, the earlier steps are undone

  1. configure [conf]
     does   write /x/conf (mode 0600)
     unless /x/conf exists
     undo   rm /x/conf

  2. migrate the database [migrate]
     does   PGPASSWORD='<secret postgres-password>' dbmate up 'it'\''s'
     needs  conf
     once   until the plan ends
";
        assert_eq!(plan.text(), expected);
        let json = serde_json::to_string_pretty(&plan).unwrap();
        assert!(!json.contains("hunter2") && !format!("{plan:?}").contains("hunter2"));
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "a plan survives its JSON");
    }
}
