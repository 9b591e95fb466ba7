//! Workflows as YAML.

use super::{
    Concurrency, Condition, Context, Deployment, DeploymentName, Does, Expression, Given, Input, InputKind,
    Job, Matrix, Output, Permission, Reviewers, Secret, Step, StepOutput, Test, Trigger, Value, Work,
    Workflow,
};
use crate::formats::yaml::{Yaml, write as write_yaml};

impl Workflow {
    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut entries = vec![entry("name", Yaml::text(self.name))];
        entries.extend(self.run_name.as_ref().map(|name| entry("run-name", text(name))));
        entries.extend([
            entry("on", Yaml::Mapping(triggers(&self.triggers))),
            entry("permissions", Yaml::Mapping(vec![])),
            entry("concurrency", concurrency(&self.concurrency)),
            entry("jobs", Yaml::Mapping(self.jobs.iter().map(|job| entry(job.id, job_value(job))).collect())),
        ]);
        write_yaml(header, &Yaml::Mapping(entries))
    }
}

fn entry(key: &str, value: Yaml) -> (String, Yaml) {
    (key.to_owned(), value)
}

fn list(texts: &[&str]) -> Yaml {
    Yaml::Sequence(texts.iter().map(|text| Yaml::text(*text)).collect())
}

fn lists(pairs: &[(&str, &[&str])]) -> Yaml {
    let some = pairs.iter().filter(|(_, texts)| !texts.is_empty());
    Yaml::Mapping(some.map(|(key, texts)| entry(key, list(texts))).collect())
}

/// All schedules stand under one key.
fn triggers(triggers: &[Trigger]) -> Vec<(String, Yaml)> {
    let mut entries: Vec<(String, Yaml)> = Vec::new();
    for trigger in triggers {
        let value = match trigger {
            Trigger::PullRequest { events, paths } => {
                let events: Vec<_> = events.iter().map(|event| event.name()).collect();
                lists(&[("types", &events), ("paths", paths)])
            }
            // The only thing that can happen to one and start a workflow.
            Trigger::MergeGroup => lists(&[("types", &["checks_requested"])]),
            Trigger::Push { branches, tags, paths } => {
                lists(&[("branches", branches), ("tags", tags), ("paths", paths)])
            }
            Trigger::Schedule(cron) => {
                let time = Yaml::mapping([("cron", Yaml::text(*cron))]);
                match entries.iter_mut().find(|(earlier, _)| earlier == trigger.name()) {
                    Some((_, Yaml::Sequence(times))) => {
                        times.push(time);
                        continue;
                    }
                    _ => Yaml::Sequence(vec![time]),
                }
            }
            Trigger::Manual { inputs } => Yaml::Mapping(inputs_entry(inputs)),
            Trigger::Called { inputs, secrets } => {
                let mut called = inputs_entry(inputs);
                if !secrets.is_empty() {
                    let required = || Yaml::mapping([("required", Yaml::Boolean(true))]);
                    let secrets = secrets.iter().map(|secret| entry(secret.name, required())).collect();
                    called.push(entry("secrets", Yaml::Mapping(secrets)));
                }
                Yaml::Mapping(called)
            }
        };
        entries.push(entry(trigger.name(), value));
    }
    entries
}

fn inputs_entry(inputs: &[Input]) -> Vec<(String, Yaml)> {
    if inputs.is_empty() {
        return vec![];
    }
    let value = |input: &Input| {
        let (kind, default, options) = match input.kind {
            InputKind::Text { default } => ("string", Some(Yaml::text(default)), &[][..]),
            InputKind::Flag { default } => ("boolean", Some(Yaml::Boolean(default)), &[][..]),
            InputKind::Choice { options, default } => ("choice", Some(Yaml::text(default)), options),
            InputKind::Environment => ("environment", None, &[][..]),
        };
        let mut entries = vec![
            entry("description", Yaml::text(input.about)),
            entry("required", Yaml::Boolean(input.required)),
            entry("type", Yaml::text(kind)),
        ];
        // What is required has no default.
        entries.extend(default.filter(|_| !input.required).map(|default| entry("default", default)));
        if !options.is_empty() {
            entries.push(entry("options", list(options)));
        }
        Yaml::Mapping(entries)
    };
    vec![entry("inputs", Yaml::Mapping(inputs.iter().map(|input| entry(input.name, value(input))).collect()))]
}

fn concurrency(concurrency: &Concurrency) -> Yaml {
    Yaml::mapping([
        ("group", text(&concurrency.group)),
        ("cancel-in-progress", Yaml::Boolean(concurrency.cancels_older)),
    ])
}

fn job_value(job: &Job) -> Yaml {
    let mut entries = vec![entry("name", Yaml::text(job.name))];
    if !job.needs.is_empty() {
        let needs: Vec<_> = job.needs.iter().map(|needed| needed.0).collect();
        entries.push(entry("needs", list(&needs)));
    }
    entries.extend(condition(&job.when).map(|when| entry("if", Yaml::text(when))));
    let permissions = job.permissions.iter().map(permission).collect();
    entries.push(entry("permissions", Yaml::Mapping(permissions)));
    entries.extend(job.environment.as_ref().map(|place| entry("environment", environment(place))));
    entries.extend(job.concurrency.as_ref().map(|own| entry("concurrency", concurrency(own))));
    entries.extend(job.matrix.as_ref().map(|matrix| entry("strategy", strategy(matrix))));
    if !job.outputs.is_empty() {
        let output = |output: &Output| entry(output.name, Yaml::text(filled(&Expression::Step(output.from))));
        entries.push(entry("outputs", Yaml::Mapping(job.outputs.iter().map(output).collect())));
    }
    match &job.work {
        Work::Steps { machine, limit_minutes, steps } => {
            entries.push(entry("runs-on", Yaml::text(machine.label())));
            entries.push(entry("timeout-minutes", Yaml::Integer(i64::from(*limit_minutes))));
            entries.push(entry("steps", Yaml::Sequence(steps.iter().map(step_value).collect())));
        }
        Work::Calls { workflow, with, secrets } => {
            // GitHub's name for this repository at the commit of the caller.
            entries.push(entry("uses", Yaml::text(format!("$/{workflow}"))));
            entries.extend(inputs_given(with));
            if !secrets.is_empty() {
                let given =
                    secrets.iter().map(|(name, from)| entry(name, Yaml::text(secret(*from)))).collect();
                entries.push(entry("secrets", Yaml::Mapping(given)));
            }
        }
    }
    Yaml::Mapping(entries)
}

fn permission(permission: &Permission) -> (String, Yaml) {
    let access = Box::new(Yaml::text(permission.access.name()));
    entry(permission.scope.name(), Yaml::Commented(access, permission.why.to_owned()))
}

fn environment(place: &Deployment) -> Yaml {
    let name = Yaml::text(match place.name {
        DeploymentName::Fixed(name) => name.to_owned(),
        DeploymentName::Input(input) => filled(&Expression::Input(input)),
    });
    match place.reviewers {
        Reviewers::Nobody => name,
        Reviewers::Required => Yaml::Commented(
            Box::new(name),
            "its required reviewers are set in the repository's settings".to_owned(),
        ),
    }
}

fn strategy(matrix: &Matrix) -> Yaml {
    let axes = matrix.axes.iter().map(|axis| entry(axis.name, list(&axis.values))).collect();
    Yaml::mapping([("fail-fast", Yaml::Boolean(matrix.fail_fast)), ("matrix", Yaml::Mapping(axes))])
}

fn step_value(step: &Step) -> Yaml {
    let mut entries = vec![entry("name", Yaml::text(step.name))];
    entries.extend(step.id.map(|id| entry("id", Yaml::text(id))));
    entries.extend(condition(&step.when).map(|when| entry("if", Yaml::text(when))));
    match &step.does {
        Does::Uses { action, with } => {
            let uses = Yaml::text(format!("{}@{}", action.name, action.commit));
            entries.push(entry("uses", Yaml::Commented(Box::new(uses), action.version.to_owned())));
            entries.extend(inputs_given(with));
        }
        Does::Run { command, environment } => {
            if !environment.is_empty() {
                let given = |given: &Given| match given {
                    Given::Value(value) => text(value),
                    Given::Secret(from) => Yaml::text(secret(*from)),
                };
                let variables =
                    environment.iter().map(|variable| entry(variable.name, given(&variable.value))).collect();
                entries.push(entry("env", Yaml::Mapping(variables)));
            }
            entries.push(entry("run", Yaml::text(command.clone())));
        }
    }
    Yaml::Mapping(entries)
}

fn inputs_given(with: &[(&str, Value)]) -> Option<(String, Yaml)> {
    let given = with.iter().map(|(name, value)| entry(name, text(value))).collect();
    (!with.is_empty()).then(|| entry("with", Yaml::Mapping(given)))
}

fn text(value: &Value) -> Yaml {
    Yaml::text(plain(value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Expression(expression) => filled(expression),
        Value::Joined(parts) => parts.iter().map(plain).collect(),
    }
}

fn filled(expression: &Expression) -> String {
    format!("${{{{ {} }}}}", term(expression))
}

fn secret(secret: Secret) -> String {
    format!("${{{{ secrets.{} }}}}", secret.name)
}

fn term(expression: &Expression) -> String {
    match expression {
        Expression::Context(context) => context.path().to_owned(),
        Expression::Step(StepOutput { step, name }) => {
            format!("steps.{}.outputs.{name}", step.unwrap_or_default())
        }
        Expression::Job(output) => format!("needs.{}.outputs.{}", output.job, output.name),
        Expression::Result(job) => format!("needs.{}.result", job.0),
        Expression::Input(input) => format!("inputs.{}", input.name),
        Expression::Axis(value) => format!("matrix.{}", value.axis),
        Expression::Setting(name) => format!("vars.{name}"),
        Expression::Holds(test) => truth(test),
        Expression::FirstOf(inner) => {
            format!("({})", inner.iter().map(term).collect::<Vec<_>>().join(" || "))
        }
        Expression::Json(inner) => format!("toJSON({})", term(inner)),
        Expression::HashOfFiles(patterns) => {
            let patterns: Vec<_> = patterns.iter().map(|pattern| literal(pattern)).collect();
            format!("hashFiles({})", patterns.join(", "))
        }
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn truth(test: &Test) -> String {
    let all = |tests: &[Test], between: &str| {
        let inner: Vec<_> = tests.iter().map(grouped).collect();
        inner.join(between)
    };
    match test {
        Test::Equals(expression, text) => format!("{} == {}", term(expression), literal(text)),
        Test::OnBranch(branch) => {
            format!("{} == {}", term(&Context::Reference.into()), literal(&format!("refs/heads/{branch}")))
        }
        Test::AnyEnded(outcome) => format!("contains(needs.*.result, {})", literal(outcome.name())),
        Test::Not(inner) => match &**inner {
            Test::Equals(expression, text) => format!("{} != {}", term(expression), literal(text)),
            other => format!("!({})", truth(other)),
        },
        // Nothing asked is nothing missed; none of nothing holds.
        Test::All(tests) if tests.is_empty() => "true".to_owned(),
        Test::Any(tests) if tests.is_empty() => "false".to_owned(),
        Test::All(tests) => all(tests, " && "),
        Test::Any(tests) => all(tests, " || "),
    }
}

fn grouped(test: &Test) -> String {
    match test {
        Test::All(_) | Test::Any(_) => format!("({})", truth(test)),
        _ => truth(test),
    }
}

fn condition(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Succeeded => None,
        Condition::Always => Some("always()".to_owned()),
        Condition::NotCancelled => Some("${{ !cancelled() }}".to_owned()),
        Condition::Holds(test) => Some(truth(test)),
        Condition::NotCancelledAnd(test) => Some(format!("${{{{ !cancelled() && ({}) }}}}", truth(test))),
    }
}
