//! What is wrong with a workflow and types do not hold.

use super::{
    Access, Deployment, DeploymentName, Does, Expression, Given, Input, Job, JobOutput, Needed, Permission,
    Pin, Scope, Step, StepOutput, Trigger, Value, Variable, Work, Workflow,
};

/// Actions that bring back what an earlier run, perhaps a stranger's, has left.
const CACHES: [&str; 3] = ["actions/cache", "actions/cache/restore", "Swatinem/rust-cache"];

/// Inputs by which other actions do the same.
const CACHE_INPUTS: [&str; 3] = ["cache", "cache-dependency-path", "cache-from"];

impl Workflow {
    /// Everything that is wrong with it; empty means it can be written.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = self.triggers_problems();
        if self.jobs.is_empty() {
            problems.push("it has no job".to_owned());
        }
        problems.extend(texts_problems("the concurrency group", &self.concurrency.group));
        problems.extend(self.run_name.iter().flat_map(|name| texts_problems("the name of its runs", name)));
        for (position, job) in self.jobs.iter().enumerate() {
            let found = self.job_problems(position, job);
            problems.extend(found.into_iter().map(|problem| format!("job {}: {problem}", job.id)));
        }
        problems
    }

    fn triggers_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.triggers.is_empty() {
            problems.push("nothing triggers it".to_owned());
        }
        for (position, trigger) in self.triggers.iter().enumerate() {
            let again = self.triggers[..position].iter().any(|earlier| earlier.name() == trigger.name());
            if again && !matches!(trigger, Trigger::Schedule(_)) {
                problems.push(format!("the trigger {} stands twice", trigger.name()));
            }
        }
        problems
    }

    /// GitHub gives a merge group's run the repository's secrets, and it runs what is not merged yet.
    fn runs_unmerged(&self) -> bool {
        let unmerged =
            |trigger: &Trigger| matches!(trigger, Trigger::PullRequest { .. } | Trigger::MergeGroup);
        self.triggers.iter().any(unmerged)
    }

    fn input(&self, name: &str) -> Option<&Input> {
        self.triggers.iter().flat_map(Trigger::inputs).find(|input| input.name == name)
    }

    fn job(&self, needed: Needed) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == needed.0)
    }

    fn job_problems(&self, position: usize, job: &Job) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_id(job.id) {
            problems.push("its id has other characters than letters, digits, - and _".to_owned());
        }
        if self.jobs[..position].iter().any(|earlier| earlier.id == job.id) {
            problems.push("the id is taken twice".to_owned());
        }
        for needed in &job.needs {
            if !self.jobs[..position].iter().any(|earlier| earlier.id == needed.0) {
                problems.push(format!("needs {}, which no job before it is", needed.0));
            }
        }
        problems.extend(self.permission_problems(job));
        problems.extend(self.publishing_problems(job));
        problems.extend(matrix_problems(job));
        match &job.work {
            Work::Steps { limit_minutes, steps, .. } => {
                if steps.is_empty() {
                    problems.push("it has no step".to_owned());
                }
                if *limit_minutes == 0 {
                    problems.push("its limit is 0 minutes".to_owned());
                }
                for (at, step) in steps.iter().enumerate() {
                    let twice = step.id.is_some() && steps[..at].iter().any(|earlier| earlier.id == step.id);
                    problems.extend(twice.then(|| format!("step {:?}: the id is taken twice", step.name)));
                    let found = self.step_problems(job, &steps[..at], step);
                    problems
                        .extend(found.into_iter().map(|problem| format!("step {:?}: {problem}", step.name)));
                }
            }
            Work::Calls { workflow, with, .. } => {
                if !workflow.starts_with(".github/workflows/") {
                    problems.push(format!("calls {workflow}, which is not below .github/workflows/"));
                }
                for (name, value) in with {
                    problems.extend(texts_problems(name, value));
                    problems.extend(self.reference_problems(job, &[], &value.expressions()));
                }
                if job.environment.is_some() {
                    problems.push("who calls another workflow has no environment of its own".to_owned());
                }
            }
        }
        for output in &job.outputs {
            problems.extend(step_output_problem(job.steps(), output.from));
        }
        let looked_at = job.when.test().map(super::Test::expressions).unwrap_or_default();
        problems.extend(self.reference_problems(job, &[], &looked_at));
        if let Some(concurrency) = &job.concurrency {
            problems.extend(texts_problems("the concurrency group", &concurrency.group));
            problems.extend(self.reference_problems(job, &[], &concurrency.group.expressions()));
        }
        problems
    }

    fn permission_problems(&self, job: &Job) -> Vec<String> {
        let mut problems = Vec::new();
        for (position, Permission { scope, access, why }) in job.permissions.iter().enumerate() {
            let name = scope.name();
            if job.permissions[..position].iter().any(|earlier| earlier.scope == *scope) {
                problems.push(format!("the permission {name} stands twice"));
            }
            if *scope == Scope::IdToken && *access == Access::Read {
                problems.push("a token of identity can only be written".to_owned());
            }
            if why.is_empty() {
                problems.push(format!("the permission {name} has no reason"));
            }
            if *access == Access::Write && self.runs_unmerged() {
                problems.push(format!(
                    "may write {name} in a workflow that a pull request or a merge queue starts"
                ));
            }
        }
        problems
    }

    fn publishing_problems(&self, job: &Job) -> Vec<String> {
        let mut problems = Vec::new();
        let secret = job.steps().iter().any(Step::uses_secret);
        if secret && job.environment.is_none() {
            problems.push("it uses a secret without an environment that guards it".to_owned());
        }
        if let Some(Deployment { name: DeploymentName::Input(chosen), .. }) = &job.environment
            && !self.input(chosen.name).is_some_and(|input| input.required)
        {
            // Without a name it would run without reviewers.
            problems.push(format!("its environment is the input {}, which need not be given", chosen.name));
        }
        if !job.publishes {
            return problems;
        }
        if job.environment.is_none() {
            problems.push("it publishes without an environment".to_owned());
        }
        match &job.concurrency {
            None => problems.push("it publishes without a concurrency of its own".to_owned()),
            Some(own) if own.cancels_older => {
                problems.push("it publishes, and a newer one would end it half way".to_owned());
            }
            Some(_) => {}
        }
        if self.runs_unmerged() {
            problems
                .push("it publishes in a workflow that a pull request or a merge queue starts".to_owned());
        }
        for source in self.with_needed(job) {
            for step in source.steps().iter().filter(|step| step.uses_cache()) {
                problems.push(format!(
                    "it publishes what job {} takes from a cache (step {:?})",
                    source.id, step.name
                ));
            }
        }
        problems
    }

    /// A job and all that it needs, directly or through others.
    fn with_needed<'a>(&'a self, job: &'a Job) -> Vec<&'a Job> {
        let mut found = vec![job];
        let mut next = 0;
        while let Some(job) = found.get(next) {
            let more: Vec<_> = job.needs.iter().filter_map(|needed| self.job(*needed)).collect();
            found.extend(
                more.into_iter()
                    .filter(|job| !found.iter().any(|known| known.id == job.id))
                    .collect::<Vec<_>>(),
            );
            next += 1;
        }
        found
    }

    fn step_problems(&self, job: &Job, earlier: &[Step], step: &Step) -> Vec<String> {
        let mut problems = Vec::new();
        if !step.id.is_none_or(is_id) {
            problems.push("its id has other characters than letters, digits, - and _".to_owned());
        }
        if step.id.is_none() && !step.outputs.is_empty() {
            problems.push("it has outputs and no id".to_owned());
        }
        match &step.does {
            Does::Uses { action, with } => {
                problems.extend(pin_problems(action, with));
                for (name, value) in with {
                    problems.extend(texts_problems(name, value));
                }
            }
            Does::Run { command, environment } => {
                if command.contains("${{") {
                    problems.push("an expression in `run:`; hand it over through the environment".to_owned());
                }
                for Variable { name, value, .. } in environment {
                    if let Given::Value(value) = value {
                        problems.extend(texts_problems(name, value));
                    }
                }
            }
        }
        problems.extend(self.reference_problems(job, earlier, &step.expressions()));
        problems
    }

    /// What expressions look at must be there for this job, and for a step after these.
    fn reference_problems(&self, job: &Job, earlier: &[Step], expressions: &[&Expression]) -> Vec<String> {
        let mut problems = Vec::new();
        let needed = |id: &str| job.needs.iter().any(|needed| needed.0 == id);
        for expression in expressions {
            let problem = match expression {
                Expression::Job(JobOutput { job: from, name }) if !needed(from) => {
                    Some(format!("looks at the output {name} of job {from}, which it does not need"))
                }
                Expression::Job(JobOutput { job: from, name }) => {
                    let declared = |job: &Job| job.outputs.iter().any(|output| output.name == *name);
                    let known = self.job(Needed(from)).is_some_and(declared);
                    (!known).then(|| format!("looks at the output {name}, which job {from} does not declare"))
                }
                Expression::Result(from) if !needed(from.0) => {
                    Some(format!("looks at the end of job {}, which it does not need", from.0))
                }
                Expression::Step(output) => step_output_problem(earlier, *output),
                Expression::Input(input) if self.input(input.name).is_none() => {
                    Some(format!("looks at the input {}, which the workflow does not declare", input.name))
                }
                Expression::Axis(value)
                    if !job
                        .matrix
                        .iter()
                        .flat_map(|matrix| &matrix.axes)
                        .any(|axis| axis.name == value.axis) =>
                {
                    Some(format!("looks at the axis {}, which its matrix does not have", value.axis))
                }
                _ => None,
            };
            problems.extend(problem);
        }
        problems
    }
}

fn matrix_problems(job: &Job) -> Vec<String> {
    let Some(matrix) = &job.matrix else { return vec![] };
    let mut problems = Vec::new();
    if matrix.axes.is_empty() {
        problems.push("its matrix has no axis".to_owned());
    }
    for axis in &matrix.axes {
        if axis.values.is_empty() {
            problems.push(format!("the axis {} has no value", axis.name));
        }
    }
    problems
}

fn step_output_problem(steps: &[Step], output: StepOutput) -> Option<String> {
    let StepOutput { step, name } = output;
    let Some(id) = step else { return Some(format!("looks at the output {name} of a step without an id")) };
    let Some(step) = steps.iter().find(|step| step.id == Some(id)) else {
        return Some(format!("looks at the output {name} of step {id}, which is not before it"));
    };
    let declared = step.outputs.contains(&name);
    (!declared).then(|| format!("looks at the output {name}, which step {id} does not declare"))
}

fn pin_problems(action: &Pin, with: &[(&'static str, Value)]) -> Vec<String> {
    let mut problems = Vec::new();
    let full = action.commit.len() == 40 && action.commit.chars().all(|c| c.is_ascii_hexdigit());
    if !full {
        problems.push(format!("{} is not pinned to a full commit", action.name));
    }
    let persists =
        !with.iter().any(|(name, value)| *name == "persist-credentials" && *value == Value::from("false"));
    if action.name == "actions/checkout" && persists {
        problems.push("the checkout must not persist its credentials".to_owned());
    }
    problems
}

/// A text is taken as it is: what GitHub shall fill in is an [`Expression`].
fn texts_problems(place: &str, value: &Value) -> Vec<String> {
    let written = value.texts().iter().any(|text| text.contains("${{"));
    if written { vec![format!("{place}: an expression as a text")] } else { vec![] }
}

fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && id.chars().all(plain)
}

impl Step {
    fn uses_secret(&self) -> bool {
        match &self.does {
            Does::Run { environment, .. } => {
                environment.iter().any(|variable| matches!(variable.value, Given::Secret(_)))
            }
            Does::Uses { .. } => false,
        }
    }

    fn uses_cache(&self) -> bool {
        match &self.does {
            Does::Run { .. } => false,
            Does::Uses { action, with } => {
                CACHES.contains(&action.name) || with.iter().any(|(name, _)| CACHE_INPUTS.contains(name))
            }
        }
    }

    /// Every expression in it.
    fn expressions(&self) -> Vec<&Expression> {
        let values: Vec<&Value> = match &self.does {
            Does::Uses { with, .. } => with.iter().map(|(_, value)| value).collect(),
            Does::Run { environment, .. } => environment
                .iter()
                .filter_map(|variable| match &variable.value {
                    Given::Value(value) => Some(value),
                    Given::Secret(_) => None,
                })
                .collect(),
        };
        let looked_at = self.when.test().map(super::Test::expressions).unwrap_or_default();
        values.into_iter().flat_map(Value::expressions).chain(looked_at).collect()
    }
}
