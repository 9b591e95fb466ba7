//! What the remote says of a commit: whether its branch has it, which releases it has, whether CI passed.

use anyhow::Result;
use vocabulary::problem::Problem;

use super::Place;
use crate::context::Context;
use foundation::interrupt::Interrupt;
use shipping::forge::github::GitHub;
use shipping::forge::remote::{Check, Refs, Remote as _};
use shipping::forge::repository::Repository;
use shipping::release::history::Tag;
use shipping::release::problems::{Ci, Pushed, pushed, unknown_releases};

/// What the remote says.
pub struct RemoteState {
    pub refs: Refs,
    pub pushed: Pushed,
    pub ci: Ci,
}

impl RemoteState {
    /// Asks the remote; what it does not answer is unknown, and no error.
    ///
    /// # Errors
    /// Refused when there is no such remote; when git cannot tell.
    pub fn observe(context: &Context, place: &Place, commit: &str, interrupt: &Interrupt) -> Result<Self> {
        let remote = match GitHub::open(&context.root, &place.remote, interrupt) {
            Ok(remote) => remote,
            Err(error) => {
                let ci = Ci::Unknown { why: "there is no remote".to_owned() };
                return Ok(Self { ci, ..Self::unknown(&format!("{error:#}")) });
            }
        };
        // They go to different hosts as far as anybody knows: one may answer when the other does not.
        let (refs, checks) = std::thread::scope(|scope| {
            let checks = scope.spawn(|| remote.checks(commit));
            (remote.refs(place.branch(context)), checks.join())
        });
        let ci = match checks {
            Ok(Ok(checks)) => judge(&checks, context.platform.release.required_check),
            Ok(Err(error)) => Ci::Unknown { why: format!("{error:#}") },
            Err(_) => Ci::Unknown { why: "a defect in this program: asking for it panicked".to_owned() },
        };
        let repository = Repository { root: &context.root };
        Ok(match refs {
            Ok(refs) => Self { pushed: relation(&repository, &refs, commit)?, refs, ci },
            Err(error) => Self { ci, ..Self::unknown(&format!("{error:#}")) },
        })
    }

    fn unknown(why: &str) -> Self {
        Self {
            refs: Refs::default(),
            pushed: Pushed::Unknown(why.to_owned()),
            ci: Ci::Unknown { why: why.to_owned() },
        }
    }

    /// What stands in the way of releasing `version`, given the releases that are known here.
    pub fn problems(
        &self,
        version: Option<&semver::Version>,
        known: &[Tag],
        place: &Place,
        branch: &str,
    ) -> Vec<Problem> {
        let unknown: Vec<_> = self
            .refs
            .tags
            .iter()
            .map(|tag| tag.version.clone())
            .filter(|version| known.iter().all(|tag| tag.version != *version))
            .collect();
        let of_version = version.and_then(|version| {
            // The tag of this very version has a problem of its own.
            let others: Vec<_> = unknown.into_iter().filter(|unknown| unknown != version).collect();
            unknown_releases(version, &others, &place.remote)
        });
        pushed(&self.pushed, &place.remote, branch).into_iter().chain(of_version).collect()
    }
}

fn relation(repository: &Repository, refs: &Refs, commit: &str) -> Result<Pushed> {
    let Some(tip) = &refs.tip else { return Ok(Pushed::NoBranch) };
    if !repository.has(tip)? {
        return Ok(Pushed::NotFetched(tip.clone()));
    }
    Ok(match repository.count(tip, commit)? {
        0 => Pushed::Yes,
        count => Pushed::Lacks(count),
    })
}

/// The worst of the runs of one check: a commit has one for each event, such as a push and a pull request.
fn judge(checks: &[Check], required: &str) -> Ci {
    let runs: Vec<_> = checks.iter().filter(|check| check.name == required).collect();
    let conclusion = |check: &&&Check| check.conclusion.clone().unwrap_or_else(|| "no conclusion".to_owned());
    let done = |check: &&&Check| check.status == "completed";
    if let Some(red) = runs.iter().filter(done).find(|check| check.conclusion.as_deref() != Some("success")) {
        return Ci::Red { conclusion: conclusion(&red) };
    }
    if let Some(running) = runs.iter().find(|check| !done(check)) {
        return Ci::Running { status: running.status.clone() };
    }
    match (runs.is_empty(), checks.len()) {
        (false, _) => Ci::Green,
        (true, 0) => Ci::Unknown { why: "no checks ran on it".to_owned() },
        (true, count) => {
            Ci::Unknown { why: format!("the check {required} did not run on it; {count} others did") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_is_as_good_as_its_worst_run() {
        let check = |name: &str, status: &str, conclusion: Option<&str>| Check {
            name: name.into(),
            status: status.into(),
            conclusion: conclusion.map(str::to_owned),
        };
        let good = check("Required", "completed", Some("success"));
        let other = check("Rust", "completed", Some("failure"));
        let failed = check("Required", "completed", Some("failure"));
        let running = check("Required", "in_progress", None);
        for (checks, expected) in [
            (vec![good.clone(), other.clone()], Ci::Green),
            (vec![good.clone(), failed.clone(), running.clone()], Ci::Red { conclusion: "failure".into() }),
            (vec![good, running], Ci::Running { status: "in_progress".into() }),
            (vec![check("Required", "completed", None)], Ci::Red { conclusion: "no conclusion".into() }),
        ] {
            assert_eq!(judge(&checks, "Required"), expected);
        }
        for checks in [vec![], vec![other]] {
            assert!(matches!(judge(&checks, "Required"), Ci::Unknown { .. }));
        }
    }
}
