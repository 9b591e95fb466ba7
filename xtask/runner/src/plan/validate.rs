//! What is wrong with a plan, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Native, Probe, ServiceRequest};
use super::argument::{Arg, OutputRef};
use super::step::{Plan, Step, StepId};
use foundation::nearest::nearest;

impl<N: Native> Plan<N> {
    /// Every problem, in the order of the steps; empty when the plan can be run.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_name(&self.target) {
            problems.push(format!(
                "target `{}`: expected lower-case letters, digits, `.`, `_`, `-`",
                self.target
            ));
        }
        let mut steps: BTreeMap<&StepId, &Step<N>> = BTreeMap::new();
        for step in &self.steps {
            if !is_name(&step.id.0) {
                problems
                    .push(format!("step `{}`: expected lower-case letters, digits, `.`, `_`, `-`", step.id));
            }
            if steps.insert(&step.id, step).is_some() {
                problems.push(format!("step {}: another step has the same id", step.id));
            }
        }
        for step in &self.steps {
            problems.extend(
                of_step(step, &steps).into_iter().map(|problem| format!("step {}: {problem}", step.id)),
            );
        }
        problems.extend(self.cycle(&steps).map(|cycle| {
            let names: Vec<_> = cycle.iter().map(|id| id.0.as_str()).collect();
            format!("these steps wait for each other: {}", names.join(" -> "))
        }));
        problems
    }

    /// One cycle of needs, closed by its first step.
    fn cycle<'a>(&'a self, steps: &BTreeMap<&'a StepId, &'a Step<N>>) -> Option<Vec<&'a StepId>> {
        let mut clear = BTreeSet::new();
        self.steps.iter().find_map(|step| visit(&step.id, steps, &mut clear, &mut Vec::new()))
    }
}

fn visit<'a, N>(
    id: &'a StepId,
    steps: &BTreeMap<&'a StepId, &'a Step<N>>,
    clear: &mut BTreeSet<&'a StepId>,
    path: &mut Vec<&'a StepId>,
) -> Option<Vec<&'a StepId>> {
    if clear.contains(id) {
        return None;
    }
    if let Some(start) = path.iter().position(|seen| *seen == id) {
        return Some(path[start..].iter().copied().chain([id]).collect());
    }
    path.push(id);
    let needs = steps.get(id).map(|step| step.needs.as_slice()).unwrap_or_default();
    let found = needs.iter().find_map(|need| visit(need, steps, clear, path));
    path.pop();
    clear.insert(id);
    found
}

/// Whether the text can name a file, a step, a target or a service.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
}

fn of_step<N: Native>(step: &Step<N>, steps: &BTreeMap<&StepId, &Step<N>>) -> Vec<String> {
    let mut problems = Vec::new();
    if step.title.trim().is_empty() {
        problems.push("has no title".to_owned());
    }
    if step.time_limit_ms == 0 {
        problems.push("has a time limit of 0".to_owned());
    }
    for need in &step.needs {
        if !steps.contains_key(need) {
            let near = nearest(&need.0, steps.keys().map(|id| id.0.as_str()));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            problems.push(format!("needs `{need}`, which is not a step{near}"));
        }
    }
    let before = all_needs(step, steps);
    let undo_outputs = step.undo.iter().flat_map(Action::outputs).map(|from| (from, true));
    for (from, undoing) in step.action.outputs().into_iter().map(|from| (from, false)).chain(undo_outputs) {
        match steps.get(&from.step) {
            None => problems.push(format!("uses `{}` of `{}`, which is not a step", from.key, from.step)),
            Some(_) if !(before.contains(&from.step) || (undoing && from.step == step.id)) => {
                problems.push(format!("uses `{}` of {} but does not need it", from.key, from.step));
            }
            Some(source) if source.sensitive && source.journaled => problems.push(format!(
                "uses `{}` of {}, which is sensitive and journaled, so a rerun would not have the value",
                from.key, from.step
            )),
            Some(_) => {}
        }
    }
    for (what, action) in
        std::iter::once(("action", &step.action)).chain(step.undo.iter().map(|undo| ("undo", undo)))
    {
        problems.extend(of_action(action).into_iter().map(|problem| format!("{what}: {problem}")));
    }
    problems
}

fn all_needs<N>(step: &Step<N>, steps: &BTreeMap<&StepId, &Step<N>>) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&StepId> = step.needs.iter().collect();
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(steps.get(id).into_iter().flat_map(|step| &step.needs));
        }
    }
    found
}

fn of_action<N>(action: &Action<N>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |good: bool, problem: &str| {
        if !good {
            problems.push(problem.to_owned());
        }
    };
    match action {
        Action::Exec(exec) => {
            expect(!exec.program.is_empty(), "no program");
            expect(
                exec.cwd.as_ref().is_none_or(|cwd| cwd.is_absolute()),
                "the working folder is not absolute",
            );
        }
        Action::Http(http) => expect(!http.method.is_empty(), "no method"),
        Action::Write(write) => {
            expect(write.path.is_absolute(), "the path is not absolute");
            expect(write.mode <= 0o7777, "the mode is not a set of permission bits");
        }
        Action::WaitFor(wait) => expect(wait.interval_ms > 0, "an interval of 0"),
        Action::Supervise(supervise) => {
            expect(supervise.state.is_absolute(), "the state folder is not absolute");
            if let ServiceRequest::Start(spec) = &supervise.request {
                return spec.validate();
            }
        }
        Action::Native(_) => {}
    }
    problems
}

impl<N: Native> Action<N> {
    /// Every argument, in the order of the fields.
    pub fn args(&self) -> Vec<&Arg> {
        match self {
            Self::Exec(exec) => exec.args.iter().chain(exec.env.values()).chain(&exec.stdin).collect(),
            Self::Http(http) => [&http.url]
                .into_iter()
                .chain(&http.bearer)
                .chain(http.headers.values())
                .chain(&http.body)
                .collect(),
            Self::Write(write) => vec![&write.contents],
            Self::WaitFor(wait) => match &wait.probe {
                Probe::Exec { argv, env, .. } => argv.iter().chain(env.values()).collect(),
                Probe::Http { .. } | Probe::File { .. } | Probe::Supervised { .. } => Vec::new(),
            },
            Self::Supervise(supervise) => match &supervise.request {
                ServiceRequest::Start(spec) => spec.argv.iter().chain(spec.env.values()).collect(),
                _ => Vec::new(),
            },
            Self::Native(native) => native.args(),
        }
    }

    /// Every output of other steps that it uses.
    pub fn outputs(&self) -> Vec<&OutputRef> {
        let leaves = self.args().into_iter().flat_map(Arg::leaves);
        leaves.filter_map(|leaf| if let Arg::Output(from) = leaf { Some(from) } else { None }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::Exec;
    use super::*;

    fn step(id: &str, needs: &[&str]) -> Step {
        Step {
            needs: needs.iter().map(|need| (*need).into()).collect(),
            ..Step::new(id, id, Action::Exec(Exec { program: "true".into(), ..Exec::default() }))
        }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        Plan { intent: "test".into(), target: "t".into(), on_failure: Default::default(), steps }
    }

    #[test]
    fn a_good_plan_has_no_problems() {
        let mut last = step("c", &["b"]);
        last.action = Action::Exec(Exec {
            program: "echo".into(),
            args: vec![Arg::Joined(vec!["x".into(), Arg::output("a", "key")])],
            ..Exec::default()
        });
        assert_eq!(plan(vec![step("a", &[]), step("b", &["a"]), last]).validate(), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_found_in_one_go() {
        let mut uses = step("uses", &[]);
        uses.action = Action::Exec(Exec {
            args: vec![Arg::output("a", "k"), Arg::output("no", "k")],
            ..Exec::default()
        });
        let mut untitled = step("untitled", &["secretive"]);
        untitled.title = String::new();
        untitled.time_limit_ms = 0;
        untitled.undo = Some(Action::Exec(Exec {
            program: "x".into(),
            args: vec![Arg::output("secretive", "k")],
            ..Exec::default()
        }));
        let secretive = Step { sensitive: true, journaled: true, ..step("secretive", &[]) };
        let found = Plan {
            target: "../up".into(),
            ..plan(vec![
                step("a", &["b"]),
                step("b", &["c"]),
                step("c", &["a"]),
                step("a", &[]),
                step("Bad id", &["bb"]),
                uses,
                untitled,
                secretive,
            ])
        }
        .validate();
        let expected = [
            "target `../up`: expected lower-case letters, digits, `.`, `_`, `-`",
            "step a: another step has the same id",
            "step `Bad id`: expected lower-case letters, digits, `.`, `_`, `-`",
            "step Bad id: needs `bb`, which is not a step; did you mean `a`?",
            "step uses: uses `k` of a but does not need it",
            "step uses: uses `k` of `no`, which is not a step",
            "step uses: action: no program",
            "step untitled: has no title",
            "step untitled: has a time limit of 0",
            "step untitled: uses `k` of secretive, which is sensitive and journaled, so a rerun would not have the value",
        ];
        for line in expected {
            let near = line.replace("did you mean `a`?", "did you mean `b`?");
            assert!(
                found.iter().any(|problem| problem == line || *problem == near),
                "{line}\nnot in {found:#?}"
            );
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn a_cycle_is_shown_whole() {
        let found =
            plan(vec![step("x", &["a"]), step("a", &["b"]), step("b", &["c"]), step("c", &["a"])]).validate();
        assert_eq!(found, ["these steps wait for each other: a -> b -> c -> a"]);
    }
}
