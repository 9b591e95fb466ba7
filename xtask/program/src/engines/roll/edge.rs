//! What the edge reads of its folder, and how it learns that this is new. Pure, but for [`Edge::differs`].

use std::fs;
use std::path::PathBuf;

use artifacts::Artifact;
use vocabulary::model::environment::{Environment, Tls};
use vocabulary::model::{EdgePolicy, Platform, Unit};

use super::Roll;
use crate::engines::process::instance::Instance;
use crate::engines::process::lower::{BringUp, id};
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Write};
use runner::plan::step::{Step, StepId};

/// In the edge's folder, from before its configuration is written until it has read that: the one that it runs with.
pub const RELOAD_PENDING: &str = "reload.pending";

/// How long an authority may take: the edge asks again after 3, 9 and 27 s.
const FETCH_LIMIT_MS: u64 = 90_000;

/// The edge of an environment, and the configuration that it is to have.
#[derive(Clone, Copy)]
pub struct Edge<'a> {
    pub platform: &'a Platform,
    pub instance: &'a Instance,
    pub unit: &'a Unit<'a>,
    pub configuration: &'a Artifact,
    /// Whether it runs.
    pub runs: bool,
    /// The configuration that it runs with, where that is another one.
    pub before: Option<&'a str>,
    /// What its ACME authority's own server is trusted by, where it needs a file of its own.
    pub trusted: Option<&'a str>,
}

impl<'a> Edge<'a> {
    fn folder(&self) -> PathBuf {
        self.instance.volume(self.unit, self.platform.edge.folder)
    }

    fn file_name(&self) -> &'a str {
        self.configuration.path.rsplit('/').next().unwrap_or_default()
    }

    /// The file that it reads.
    pub fn file(&self) -> PathBuf {
        self.folder().join(self.file_name())
    }

    /// What it reads of its folder. The states that its servers had are of the platform that ran before. Undone, an edge that
    /// runs reads its earlier configuration again.
    pub fn files(&self) -> Vec<Step<BringUp>> {
        let states = (!self.runs).then_some((EdgePolicy::SERVER_STATES, EdgePolicy::NO_SERVER_STATES));
        let pending = self.before.map(|before| (RELOAD_PENDING, before));
        let write = |(name, contents): (&str, &str)| Step {
            needs: vec![id::RECORD.into()],
            time_limit_ms: 30_000,
            ..Step::new(
                format!("{}.write-{name}", self.unit.name()),
                format!("write {name} of {}", self.unit.name()),
                Action::Write(Write {
                    path: self.folder().join(name),
                    contents: contents.into(),
                    // In a container, another user reads it.
                    mode: 0o644,
                }),
            )
        };
        let configuration = (self.file_name(), self.configuration.contents.as_str());
        let trusted = self.trusted.map(|contents| (EdgePolicy::ACME_TRUSTED, contents));
        let files = pending.into_iter().chain([configuration]).chain(trusted).chain(states);
        let mut steps: Vec<_> = files.map(write).collect();
        let back = self.before.map(|before| {
            let (path, contents) = (self.file(), before.to_owned());
            Action::Native(BringUp::Roll(Roll::RestoreEdge { path, contents }))
        });
        steps[usize::from(self.before.is_some())].undo = back;
        // In that order: a kill in between leaves the reload to the next run.
        for index in 1..steps.len() {
            let earlier = steps[index - 1].id.clone();
            steps[index].needs.push(earlier);
        }
        steps
    }

    /// Where it runs with another configuration: after its files, and this step.
    pub fn reload(&self, ready: &str) -> Option<Step<BringUp>> {
        let written = self.files().into_iter().map(|step| step.id);
        self.before.map(|_| Step {
            needs: written.chain([ready.into()]).collect(),
            ..Step::new(
                format!("{}.reload", self.unit.name()),
                format!("{} reads its new configuration", self.unit.name()),
                Action::Native(BringUp::Roll(Roll::ReloadEdge)),
            )
        })
    }

    /// Where it fetches its certificate: after these steps, it has one.
    pub fn certified(&self, environment: &Environment, needs: Vec<StepId>) -> Option<Step<BringUp>> {
        let Tls::Acme(_) = environment.tls else { return None };
        let name = self.unit.name();
        Some(Step {
            needs,
            time_limit_ms: FETCH_LIMIT_MS,
            remedy: Some(format!(
                "let port 80 of {} lead to this machine; read `{PROGRAM} logs {} {name}`",
                environment.domain, environment.name
            )),
            ..Step::new(
                format!("{name}.certify"),
                format!("{name} has a certificate for {} from its ACME authority", environment.domain),
                Action::Native(BringUp::Roll(Roll::FetchCertificate)),
            )
        })
    }

    /// The configuration that it runs with, when that is another one. A deploy that was killed before the edge read its
    /// configuration has left the earlier one in [`RELOAD_PENDING`].
    pub fn differs(&self) -> Option<String> {
        let pending = fs::read_to_string(self.folder().join(RELOAD_PENDING)).ok();
        let found =
            fs::read_to_string(self.file()).ok().filter(|found| *found != self.configuration.contents);
        pending.filter(|text| !text.is_empty()).or(found)
    }
}
