//! GitHub workflows as values. Wrong things are not sayable, or are found by [`Workflow::validate`]: an unknown
//! `needs`, a tag instead of a commit, an expression inside `run:`.

use super::yaml::{Yaml, write as write_yaml};

/// One workflow file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    pub name: &'static str,
    pub triggers: Vec<Trigger>,
    /// What a newer run does to an older one of the same reference.
    pub cancel_superseded: bool,
    pub jobs: Vec<Job>,
}

/// What starts a workflow. The dangerous triggers (`pull_request_target`, `workflow_run`) do not exist here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    PullRequest,
    Push {
        branches: Vec<&'static str>,
    },
    /// Five cron fields, UTC.
    Schedule(&'static str),
    Manual,
}

/// A job, referred to by its id: hand the value, not its name, to [`needs`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: &'static str,
    pub name: &'static str,
    pub runs_on: &'static str,
    pub limit_minutes: u16,
    /// The whole set: what is not listed is `none`.
    pub permissions: Vec<(Scope, Access)>,
    pub needs: Vec<Needed>,
    pub runs: When,
    pub steps: Vec<Step>,
}

/// A handle on an earlier job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed(&'static str);

/// Handles on jobs that exist.
#[must_use]
pub fn needs(jobs: &[&Job]) -> Vec<Needed> {
    jobs.iter().map(|job| Needed(job.id)).collect()
}

/// Whether a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// When all it needs has succeeded.
    NeedsSucceeded,
    /// Always, also after failures.
    Always,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Contents,
}

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub runs: When,
    pub does: Does,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    Uses {
        action: Pin,
        with: Vec<(&'static str, &'static str)>,
    },
    /// `environment` is the only way for an expression into a command.
    Run {
        command: String,
        environment: Vec<(&'static str, &'static str)>,
    },
}

/// An action at one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    pub name: &'static str,
    /// 40 hexadecimal digits.
    pub commit: &'static str,
    /// Written beside the commit for people and update tools.
    pub version: &'static str,
}

impl Workflow {
    /// Everything that is wrong with it; empty means it can be written.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (position, trigger) in self.triggers.iter().enumerate() {
            let again = |earlier: &Trigger| trigger_name(earlier) == trigger_name(trigger);
            let many = matches!(trigger, Trigger::Schedule(_));
            if !many && self.triggers[..position].iter().any(again) {
                problems.push(format!("the trigger {} stands twice", trigger_name(trigger)));
            }
        }
        if self.triggers.is_empty() {
            problems.push("nothing triggers it".to_owned());
        }
        if self.jobs.is_empty() {
            problems.push("it has no job".to_owned());
        }
        for (position, job) in self.jobs.iter().enumerate() {
            if self.jobs[..position].iter().any(|earlier| earlier.id == job.id) {
                problems.push(format!("job {}: the id is taken twice", job.id));
            }
            for needed in &job.needs {
                if !self.jobs[..position].iter().any(|earlier| earlier.id == needed.0) {
                    problems.push(format!("job {}: needs {}, which no job before it is", job.id, needed.0));
                }
            }
            if job.steps.is_empty() {
                problems.push(format!("job {}: it has no step", job.id));
            }
            if job.limit_minutes == 0 {
                problems.push(format!("job {}: its limit is 0 minutes", job.id));
            }
            for step in &job.steps {
                step.validate(job.id, &mut problems);
            }
        }
        problems
    }

    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut entries = vec![
            ("name".to_owned(), Yaml::text(self.name)),
            ("on".to_owned(), Yaml::Mapping(triggers(&self.triggers))),
            ("permissions".to_owned(), Yaml::Mapping(vec![])),
        ];
        entries.push((
            "concurrency".to_owned(),
            Yaml::mapping([
                ("group", Yaml::text("${{ github.workflow }}-${{ github.ref }}")),
                ("cancel-in-progress", Yaml::Boolean(self.cancel_superseded)),
            ]),
        ));
        entries.push((
            "jobs".to_owned(),
            Yaml::Mapping(self.jobs.iter().map(|job| (job.id.to_owned(), job_value(job))).collect()),
        ));
        write_yaml(header, &Yaml::Mapping(entries))
    }
}

impl Step {
    fn validate(&self, job: &str, problems: &mut Vec<String>) {
        match &self.does {
            Does::Uses { action, with } => {
                let full = action.commit.len() == 40 && action.commit.chars().all(|c| c.is_ascii_hexdigit());
                if !full {
                    problems.push(format!("job {job}: {} is not pinned to a full commit", action.name));
                }
                let persists = !with.contains(&("persist-credentials", "false"));
                if action.name == "actions/checkout" && persists {
                    problems.push(format!("job {job}: the checkout must not persist its credentials"));
                }
            }
            Does::Run { command, .. } if command.contains("${{") => {
                problems.push(format!(
                    "job {job}: an expression in `run:`; hand it over through the environment"
                ));
            }
            Does::Run { .. } => {}
        }
    }
}

fn trigger_name(trigger: &Trigger) -> &'static str {
    match trigger {
        Trigger::PullRequest => "pull_request",
        Trigger::Push { .. } => "push",
        Trigger::Schedule(_) => "schedule",
        Trigger::Manual => "workflow_dispatch",
    }
}

/// All schedules stand under one key.
fn triggers(triggers: &[Trigger]) -> Vec<(String, Yaml)> {
    let mut entries: Vec<(String, Yaml)> = Vec::new();
    for trigger in triggers {
        let name = trigger_name(trigger).to_owned();
        let value = match trigger {
            Trigger::PullRequest | Trigger::Manual => Yaml::Mapping(vec![]),
            Trigger::Push { branches } => {
                let branches = branches.iter().map(|branch| Yaml::text(*branch)).collect();
                Yaml::mapping([("branches", Yaml::Sequence(branches))])
            }
            Trigger::Schedule(cron) => {
                let time = Yaml::mapping([("cron", Yaml::text(*cron))]);
                match entries.iter_mut().find(|(earlier, _)| *earlier == name) {
                    Some((_, Yaml::Sequence(times))) => {
                        times.push(time);
                        continue;
                    }
                    _ => Yaml::Sequence(vec![time]),
                }
            }
        };
        entries.push((name, value));
    }
    entries
}

fn job_value(job: &Job) -> Yaml {
    let mut entries = vec![
        ("name".to_owned(), Yaml::text(job.name)),
        ("runs-on".to_owned(), Yaml::text(job.runs_on)),
        ("timeout-minutes".to_owned(), Yaml::Integer(i64::from(job.limit_minutes))),
        (
            "permissions".to_owned(),
            Yaml::Mapping(
                job.permissions.iter().map(|(scope, access)| permission(*scope, *access)).collect(),
            ),
        ),
    ];
    if !job.needs.is_empty() {
        let needs = job.needs.iter().map(|needed| Yaml::text(needed.0)).collect();
        entries.push(("needs".to_owned(), Yaml::Sequence(needs)));
    }
    if job.runs == When::Always {
        entries.push(("if".to_owned(), Yaml::text("always()")));
    }
    entries.push(("steps".to_owned(), Yaml::Sequence(job.steps.iter().map(step_value).collect())));
    Yaml::Mapping(entries)
}

fn permission(scope: Scope, access: Access) -> (String, Yaml) {
    let scope = match scope {
        Scope::Contents => "contents",
    };
    let access = match access {
        Access::Read => "read",
    };
    (scope.to_owned(), Yaml::text(access))
}

fn step_value(step: &Step) -> Yaml {
    let mut entries = vec![("name".to_owned(), Yaml::text(step.name))];
    if step.runs == When::Always {
        entries.push(("if".to_owned(), Yaml::text("always()")));
    }
    match &step.does {
        Does::Uses { action, with } => {
            let uses = Yaml::text(format!("{}@{}", action.name, action.commit));
            entries.push(("uses".to_owned(), Yaml::Commented(Box::new(uses), action.version.to_owned())));
            if !with.is_empty() {
                entries.push(("with".to_owned(), texts(with)));
            }
        }
        Does::Run { command, environment } => {
            if !environment.is_empty() {
                entries.push(("env".to_owned(), texts(environment)));
            }
            entries.push(("run".to_owned(), Yaml::text(command.clone())));
        }
    }
    Yaml::Mapping(entries)
}

fn texts(pairs: &[(&str, &str)]) -> Yaml {
    Yaml::Mapping(pairs.iter().map(|(key, value)| ((*key).to_owned(), Yaml::text(*value))).collect())
}

#[cfg(test)]
mod tests {
    use super::{Does, Job, Needed, Pin, Step, Trigger, When, Workflow};

    fn workflow(steps: Vec<Step>, needs: Vec<Needed>) -> Workflow {
        Workflow {
            name: "CI",
            triggers: vec![Trigger::PullRequest],
            cancel_superseded: true,
            jobs: vec![Job {
                id: "check",
                name: "Check",
                runs_on: "ubuntu-24.04",
                limit_minutes: 10,
                permissions: vec![],
                needs,
                runs: When::NeedsSucceeded,
                steps,
            }],
        }
    }

    fn uses(commit: &'static str, with: Vec<(&'static str, &'static str)>) -> Step {
        let action = Pin { name: "actions/checkout", commit, version: "v1" };
        Step { name: "Check out", runs: When::NeedsSucceeded, does: Does::Uses { action, with } }
    }

    fn run(command: &str) -> Step {
        let does = Does::Run { command: command.to_owned(), environment: vec![] };
        Step { name: "Run", runs: When::NeedsSucceeded, does }
    }

    #[test]
    fn finds_workflows_that_would_do_nothing() {
        let mut twice = workflow(vec![run("true")], vec![]);
        twice.triggers.push(Trigger::PullRequest);
        assert_eq!(twice.validate(), ["the trigger pull_request stands twice"]);
        let mut empty = workflow(vec![], vec![]);
        empty.triggers.clear();
        empty.jobs[0].limit_minutes = 0;
        let again = empty.jobs[0].clone();
        empty.jobs.push(again);
        assert_eq!(
            empty.validate(),
            [
                "nothing triggers it",
                "job check: it has no step",
                "job check: its limit is 0 minutes",
                "job check: the id is taken twice",
                "job check: it has no step",
                "job check: its limit is 0 minutes",
            ]
        );
        empty.jobs.clear();
        assert_eq!(empty.validate(), ["nothing triggers it", "it has no job"]);
    }

    #[test]
    fn schedules_stand_under_one_key() {
        let mut nightly = workflow(vec![run("true")], vec![]);
        nightly.triggers =
            vec![Trigger::Schedule("0 3 * * *"), Trigger::Manual, Trigger::Schedule("0 4 * * 0")];
        assert_eq!(nightly.validate(), [""; 0]);
        let text = nightly.write(&[]);
        let expected = "on:\n  schedule:\n    - cron: \"0 3 * * *\"\n    - cron: \"0 4 * * 0\"\n  workflow_dispatch: {}\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn finds_what_must_not_be_written() {
        let commit = "3d3c42e5aac5ba805825da76410c181273ba90b1";
        let safe = vec![("persist-credentials", "false")];
        for (workflow, expected) in [
            (workflow(vec![uses(commit, safe.clone())], vec![]), ""),
            (workflow(vec![uses("v7", safe.clone())], vec![]), "not pinned to a full commit"),
            (workflow(vec![uses(commit, vec![])], vec![]), "must not persist its credentials"),
            (workflow(vec![run("echo ${{ github.head_ref }}")], vec![]), "an expression in `run:`"),
            (workflow(vec![run("true")], vec![Needed("build")]), "needs build, which no job before it is"),
        ] {
            let problems = workflow.validate().join("\n");
            if expected.is_empty() {
                assert_eq!(problems, "");
            } else {
                assert!(problems.contains(expected), "{problems}");
            }
        }
    }
}
