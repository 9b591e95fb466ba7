//! Judges a platform's answer to a smoke run: every defined check must be in it and have passed. Pure.

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

/// The answer of `POST /smoke`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SmokeReport {
    pub run_id: String,
    pub status: Status,
    pub duration_ms: f64,
    pub checks: Vec<Check>,
}

/// One check of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub status: Status,
    pub duration_ms: f64,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub detail: serde_json::Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    Failed,
}

impl SmokeReport {
    /// Returns the checks in the order of `names`; a check that is missing from the answer has failed.
    ///
    /// # Errors
    /// When the platform refused, or its answer is not that of a smoke run.
    pub fn read(status: u16, body: &str, names: &[&str]) -> Result<Self> {
        match status {
            200 | 503 => {}
            401 | 403 => {
                bail!("the platform refuses the operations token (status {status}); is it this platform's?")
            }
            other => {
                bail!("the platform answered with status {other} instead of a smoke run: {}", start(body))
            }
        }
        let answer: SmokeReport = serde_json::from_str(body)
            .map_err(|error| anyhow!("the answer is none of a smoke run ({error}): {}", start(body)))?;
        let checks: Vec<_> = names
            .iter()
            .map(|name| {
                answer
                    .checks
                    .iter()
                    .find(|check| check.name == *name)
                    .cloned()
                    .unwrap_or_else(|| missing(name))
            })
            .collect();
        let passed =
            answer.status == Status::Passed && checks.iter().all(|check| check.status == Status::Passed);
        let status = if passed { Status::Passed } else { Status::Failed };
        Ok(Self { checks, status, ..answer })
    }

    /// With one more check, which ran after the others.
    pub fn and(mut self, check: Check) -> Self {
        self.duration_ms += check.duration_ms;
        if check.status == Status::Failed {
            self.status = Status::Failed;
        }
        self.checks.push(check);
        self
    }

    pub fn passed(&self) -> bool {
        self.status == Status::Passed
    }

    /// The checks that did not pass, on one line.
    pub fn failures(&self) -> String {
        let failed = self.checks.iter().filter(|check| check.status != Status::Passed);
        let failed = failed.map(|Check { name, error, .. }| match error {
            Some(error) => format!("{name}: {}", error.replace('\n', " ")),
            None => name.clone(),
        });
        failed.collect::<Vec<_>>().join("; ")
    }

    /// One row per check with its result, milliseconds and error, and a summary line.
    pub fn table(&self) -> String {
        let mut out = format!("{:<14} {:<8} {:>6}  ERROR\n", "CHECK", "RESULT", "MS");
        for check in &self.checks {
            let word = if check.status == Status::Passed { "passed" } else { "FAILED" };
            let error = check.error.as_deref().unwrap_or_default().replace('\n', " ");
            let row = format!("{:<14} {word:<8} {:>6.0}  {error}", check.name, check.duration_ms);
            out.push_str(row.trim_end());
            out.push('\n');
        }
        let good = self.checks.iter().filter(|check| check.status == Status::Passed).count();
        out.push_str(&format!(
            "{good} of {} checks passed in {:.0} ms\n",
            self.checks.len(),
            self.duration_ms
        ));
        out
    }
}

fn missing(name: &str) -> Check {
    Check {
        name: name.to_owned(),
        status: Status::Failed,
        duration_ms: 0.0,
        error: Some("missing: the platform did not run this check".to_owned()),
        detail: serde_json::Value::Null,
    }
}

fn start(body: &str) -> String {
    body.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::SmokeReport;

    const NAMES: [&str; 2] = ["database", "queue"];

    fn answer(checks: &str, status: &str) -> String {
        format!(r#"{{"run_id":"r","status":"{status}","duration_ms":12,"checks":[{checks}]}}"#)
    }

    #[test]
    fn passes_only_when_every_check_of_ours_has_passed() {
        let good = |name: &str| format!(r#"{{"name":"{name}","status":"passed","duration_ms":3}}"#);
        let bad = r#"{"name":"queue","status":"failed","duration_ms":3,"error":"no\nway"}"#;
        for (checks, status, passed) in [
            (format!("{},{}", good("database"), good("queue")), "passed", true),
            (format!("{},{}", good("queue"), good("database")), "passed", true),
            (good("database"), "passed", false),
            (String::new(), "passed", false),
            (format!("{},{bad}", good("database")), "failed", false),
            (format!("{},{}", good("database"), good("queue")), "failed", false),
        ] {
            let read = SmokeReport::read(200, &answer(&checks, status), &NAMES).unwrap();
            assert_eq!(read.passed(), passed, "{checks}");
            assert_eq!(read.checks.len(), 2);
        }
    }

    #[test]
    fn shows_a_row_for_each_check() {
        let checks = r#"{"name":"queue","status":"failed","duration_ms":3,"error":"no\nway"}"#;
        let table = SmokeReport::read(503, &answer(checks, "failed"), &NAMES).unwrap().table();
        assert_eq!(
            table,
            "CHECK          RESULT       MS  ERROR\n\
             database       FAILED        0  missing: the platform did not run this check\n\
             queue          FAILED        3  no way\n\
             0 of 2 checks passed in 12 ms\n"
        );
    }

    #[test]
    fn other_answers_are_errors() {
        for (status, body, words) in [
            (401, "", "refuses the operations token"),
            (404, "x", "status 404"),
            (200, "[]", "none of a smoke run"),
        ] {
            let error = SmokeReport::read(status, body, &NAMES).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
