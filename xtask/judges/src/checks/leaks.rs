//! What a scanner for secrets reported, without the secrets themselves and less what the repository allows. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use foundation::digest;

/// Where the repository says what only looks like a secret.
pub const ALLOWANCES: &str = "ops/ci/secrets-in-history.toml";

/// Something that looks like a secret and is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// The scanner's name of what it takes it for.
    pub rule: String,
    /// Below the root.
    pub file: String,
    /// Of the very characters, in lower-case hexadecimal: any other secret in the same file is still found.
    pub sha256: String,
    /// Why it is none.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowances {
    #[serde(default)]
    allow: Vec<Allowance>,
}

/// Reads [`ALLOWANCES`].
///
/// # Errors
/// What is wrong with the text: where, and what was expected.
pub fn allowances(text: &str) -> Result<Vec<Allowance>, String> {
    let Allowances { allow } = toml::from_str(text).map_err(|error| error.to_string())?;
    for one in &allow {
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if one.sha256.len() != 64 || !one.sha256.chars().all(hexadecimal) {
            return Err(format!("{} in {}: sha256 must be 64 hexadecimal digits", one.rule, one.file));
        }
        if one.reason.split_whitespace().count() < 3 {
            return Err(format!("{} in {}: reason must say why it is no secret", one.rule, one.file));
        }
    }
    Ok(allow)
}

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    Commit {
        id: String,
        /// As the scanner gives it, RFC 3339.
        date: String,
    },
    /// In the index, not committed.
    Staged,
    /// In the working tree, not staged.
    Changed,
}

/// A secret that was found. Its value is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    pub rule: String,
    pub about: String,
    /// Below the root.
    pub file: String,
    /// From 1, in the file as it is at that place.
    pub line: usize,
    pub at: At,
    /// In how many more commits or states of files it was found.
    pub again: usize,
    /// A digest of a short secret gives it away to who tries all of them, so that it is shown only when asked for.
    #[serde(skip)]
    pub sha256: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, about, file, line, at, again, .. } = self;
        write!(out, "{file}:{line}: {rule}: {about} ")?;
        match at {
            At::Commit { id, date } => {
                let day = date.split('T').next().unwrap_or_default();
                write!(out, "(commit {}, {day}", id.get(..12).unwrap_or(id))?;
            }
            At::Staged => out.write_str("(staged")?,
            At::Changed => out.write_str("(changed, not staged")?,
        }
        if *again > 0 { write!(out, "; {again} more times)") } else { out.write_char(')') }
    }
}

/// One entry of gitleaks' JSON report.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reported {
    #[serde(rename = "RuleID")]
    rule_id: String,
    description: String,
    start_line: usize,
    file: String,
    commit: String,
    date: String,
    secret: String,
}

/// Reads gitleaks' JSON report of commits, or of files that lie in folders named `staged` and `changed`.
///
/// # Errors
/// It is no such report.
pub fn read(report: &[u8]) -> Result<Vec<Leak>, serde_json::Error> {
    let reported: Vec<Reported> = serde_json::from_slice(report)?;
    let leak = |one: Reported| {
        let (at, file) = if !one.commit.is_empty() {
            (At::Commit { id: one.commit, date: one.date }, one.file)
        } else if let Some((_, file)) = one.file.split_once("/staged/") {
            (At::Staged, file.to_owned())
        } else {
            (
                At::Changed,
                one.file.split_once("/changed/").map_or(one.file.as_str(), |(_, file)| file).to_owned(),
            )
        };
        let sha256 = digest::sha256(&one.secret);
        Leak { rule: one.rule_id, about: one.description, file, line: one.start_line, at, again: 0, sha256 }
    };
    Ok(reported.into_iter().map(leak).collect())
}

/// What is left to mend.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    pub leaks: Vec<Leak>,
    /// How many were allowed.
    pub allowed: usize,
    /// Allowances that allow nothing: each would hide the next secret of that value.
    pub unused: Vec<Allowance>,
}

/// The same secret in the same file is told once, where it appeared first.
pub fn judge(found: Vec<Leak>, allowances: &[Allowance]) -> Judgement {
    let mut by_secret: BTreeMap<(String, String, String), Leak> = BTreeMap::new();
    for leak in found {
        let key = (leak.file.clone(), leak.rule.clone(), leak.sha256.clone());
        match by_secret.get_mut(&key) {
            None => {
                by_secret.insert(key, leak);
            }
            Some(known) if moment(&leak.at) < moment(&known.at) => {
                *known = Leak { again: known.again + 1, ..leak };
            }
            Some(known) => known.again += 1,
        }
    }
    let covers = |one: &Allowance, leak: &Leak| {
        one.rule == leak.rule && one.file == leak.file && one.sha256 == leak.sha256
    };
    let unused = allowances.iter().filter(|one| !by_secret.values().any(|leak| covers(one, leak)));
    let unused = unused.cloned().collect();
    let (allowed, leaks): (Vec<_>, Vec<_>) =
        by_secret.into_values().partition(|leak| allowances.iter().any(|one| covers(one, leak)));
    Judgement { leaks, allowed: allowed.len(), unused }
}

/// Orders places in time: commits by their date, then what is not committed.
fn moment(at: &At) -> (u8, &str) {
    match at {
        At::Commit { date, .. } => (0, date),
        At::Staged => (1, ""),
        At::Changed => (2, ""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(commit: &str, date: &str, file: &str, secret: &str) -> Vec<u8> {
        let one = json!({
            "RuleID": "github-pat", "Description": "A token.", "StartLine": 3, "EndLine": 3, "File": file,
            "Commit": commit, "Date": date, "Secret": secret, "Match": secret,
        });
        json!([one]).to_string().into_bytes()
    }

    fn leaks(reports: &[Vec<u8>]) -> Vec<Leak> {
        reports.iter().flat_map(|report| read(report).unwrap()).collect()
    }

    #[test]
    fn a_secret_is_reported_once_where_it_appeared_first_and_without_its_value() {
        let found = leaks(&[
            report("bbbbbbbbbbbbbbbb", "2026-02-01T00:00:00Z", "a.env", "planted"),
            report("aaaaaaaaaaaaaaaa", "2026-01-01T00:00:00Z", "a.env", "planted"),
            report("", "", "/tmp/x/changed/a.env", "planted"),
            report("", "", "/tmp/x/staged/deep/b.env", "planted"),
        ]);
        let judgement = judge(found, &[]);
        let lines: Vec<_> = judgement.leaks.iter().map(Leak::to_string).collect();
        assert_eq!(
            lines,
            [
                "a.env:3: github-pat: A token. (commit aaaaaaaaaaaa, 2026-01-01; 2 more times)",
                "deep/b.env:3: github-pat: A token. (staged)",
            ]
        );
        let shown = format!("{lines:?}{}", serde_json::to_string(&judgement.leaks).unwrap());
        assert!(!shown.contains("planted") && !shown.contains(&judgement.leaks[0].sha256), "{shown}");
    }

    #[test]
    fn an_allowance_covers_one_value_in_one_file_and_must_be_used() {
        let found =
            || leaks(&[report("a", "2026", "a.env", "planted"), report("a", "2026", "a.env", "another")]);
        let text = format!(
            "[[allow]]\nrule = \"github-pat\"\nfile = \"a.env\"\nsha256 = \"{}\"\nreason = \"made for a test\"\n",
            found()[0].sha256
        );
        let allowed = allowances(&text).unwrap();
        let judgement = judge(found(), &allowed);
        assert_eq!((judgement.leaks.len(), judgement.allowed, judgement.unused.len()), (1, 1, 0));
        assert_eq!(judgement.leaks[0].sha256, found()[1].sha256);
        let elsewhere = judge(leaks(&[report("a", "2026", "b.env", "planted")]), &allowed);
        assert_eq!((elsewhere.leaks.len(), elsewhere.unused), (1, allowed));
    }

    #[test]
    fn an_allowance_needs_a_digest_and_a_reason() {
        let with = |sha256: &str, reason: &str| {
            allowances(&format!(
                "[[allow]]\nrule = \"r\"\nfile = \"f\"\nsha256 = \"{sha256}\"\nreason = \"{reason}\"\n"
            ))
        };
        let digest = "a".repeat(64);
        assert!(with(&digest, "a public key").is_ok());
        assert!(with(&digest, "").unwrap_err().contains("reason"));
        assert!(with("abc", "a public key").unwrap_err().contains("64 hexadecimal"));
        assert!(allowances("[[allow]]\nrule = \"r\"\n").unwrap_err().contains("line 1"));
        assert!(allowances("[[ignore]]\n").unwrap_err().contains("unknown field"));
    }
}
