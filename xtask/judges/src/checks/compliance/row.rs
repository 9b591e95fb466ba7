//! What a row is, and what it can say.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use vocabulary::problem::{self, Problem};

use super::tree::Tree;
use foundation::shorten::shorten;

/// One claim that a program can judge.
#[derive(Clone)]
pub struct Row {
    pub id: &'static str,
    /// What holds when it passes; where files alone cannot show a claim in full, the part that they can.
    pub what: &'static str,
    pub sources: &'static [Source],
    pub subject: Subject,
    /// Other gates that judge the same in another way; those that do not exist yet are named too.
    pub also: &'static [&'static str],
    pub judge: fn(&Tree) -> Verdict,
}

/// Whose demand a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Recommendation of the CIS Docker Benchmark, as version 1.8 numbers them.
    CisDocker(&'static str),
    /// Audit of zizmor.
    Zizmor(&'static str),
    /// Check of the OpenSSF Scorecard.
    Scorecard(&'static str),
    /// Rule of hadolint.
    Hadolint(&'static str),
    Slsa,
    ReproducibleBuilds,
    /// The Kubernetes Pod Security Standards, profile "restricted".
    PodSecurity,
    /// Mozilla's server side TLS, profile "intermediate".
    MozillaTls,
    OspsBaseline,
    /// Envoy's guide to proxies at the edge.
    EnvoyEdge,
    /// Check of pint, the linter of Prometheus rules.
    Pint(&'static str),
    Own,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CisDocker(number) => write!(out, "CIS Docker {number}"),
            Self::Zizmor(audit) => write!(out, "zizmor {audit}"),
            Self::Scorecard(check) => write!(out, "OpenSSF Scorecard {check}"),
            Self::Hadolint(rule) => write!(out, "hadolint {rule}"),
            Self::Slsa => out.write_str("SLSA"),
            Self::ReproducibleBuilds => out.write_str("reproducible-builds.org"),
            Self::PodSecurity => out.write_str("Pod Security restricted"),
            Self::MozillaTls => out.write_str("Mozilla TLS intermediate"),
            Self::OspsBaseline => out.write_str("OSPS Baseline"),
            Self::EnvoyEdge => out.write_str("Envoy edge practices"),
            Self::Pint(check) => write!(out, "pint {check}"),
            Self::Own => out.write_str("own"),
        }
    }
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Dockerfiles,
    Compose,
    Workflows,
    Terraform,
    Kubernetes,
    Releases,
    SupplyChain,
    Edge,
    Alerts,
    Backups,
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Relative to the root.
    pub file: Rc<str>,
    /// From 1.
    pub line: usize,
}

impl From<&Place> for problem::Place {
    fn from(place: &Place) -> Self {
        Self::line(&*place.file, place.line)
    }
}

/// What a row says of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// So many things were looked at, at least one, and all were good.
    Pass {
        seen: usize,
    },
    Fail(Vec<Problem>),
    /// There is nothing to look at: "no ...".
    NotApplicable(String),
}

/// A judgement under way: it ends well only when something was looked at.
#[derive(Debug, Default)]
pub struct Inspection {
    seen: usize,
    findings: Vec<Problem>,
}

impl Inspection {
    /// One more thing is looked at.
    pub fn saw(&mut self) {
        self.seen += 1;
    }

    pub fn find(&mut self, place: &Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Problem::new(place, what).remedy(remedy));
    }

    /// What cannot be read is not good.
    pub fn broken(&mut self, findings: &[Problem]) {
        self.findings.extend_from_slice(findings);
    }

    /// `none` completes "not applicable: no".
    pub fn verdict(mut self, none: &str) -> Verdict {
        for finding in &mut self.findings {
            finding.seen = shorten(&finding.seen).into_owned();
        }
        // What several projects share is told once.
        self.findings.sort();
        self.findings.dedup();
        match self {
            Self { findings, .. } if !findings.is_empty() => Verdict::Fail(findings),
            Self { seen: 0, .. } => Verdict::NotApplicable(format!("no {none}")),
            Self { seen, .. } => Verdict::Pass { seen },
        }
    }
}
