//! GitHub workflows: each guarantee of `formats/github`, with the wrong thing that it refuses. What does not compile
//! stands in that module's own documentation.

use vocabulary::formats::github::{
    Access, Axis, Concurrency, Condition, Context, Deployment, DeploymentName, Does, Expression, Given,
    Input, InputKind, Job, Machine, Matrix, Outcome, Output, Permission, Pin, PullRequestEvent, Reviewers,
    Scope, Secret, Step, Test, Trigger, Value, Variable, Work, Workflow, needs,
};

const COMMIT: &str = "3d3c42e5aac5ba805825da76410c181273ba90b1";

fn run(command: &str) -> Step {
    let does = Does::Run { command: command.to_owned(), environment: vec![] };
    Step { id: None, name: "Run", when: Condition::Succeeded, outputs: vec![], does }
}

fn uses(name: &'static str, commit: &'static str, with: Vec<(&'static str, Value)>) -> Step {
    let does = Does::Uses { action: Pin { name, commit, version: "v1" }, with };
    Step { name: "Use", does, ..run("") }
}

fn with_variable(value: Given) -> Step {
    let environment = vec![Variable { name: "X", value, elsewhere: None }];
    Step { does: Does::Run { command: "echo \"$X\"".to_owned(), environment }, ..run("") }
}

fn looks_at(expression: impl Into<Expression>) -> Step {
    with_variable(Given::Value(Value::Expression(expression.into())))
}

fn job(id: &'static str, steps: Vec<Step>) -> Job {
    Job {
        id,
        name: "A job",
        permissions: vec![],
        needs: vec![],
        when: Condition::Succeeded,
        concurrency: None,
        environment: None,
        publishes: false,
        matrix: None,
        outputs: vec![],
        work: Work::Steps { machine: Machine::Ubuntu2404, limit_minutes: 10, steps },
    }
}

/// One that may publish.
fn publishing(id: &'static str, steps: Vec<Step>) -> Job {
    Job {
        publishes: true,
        environment: Some(Deployment {
            name: DeploymentName::Fixed("release"),
            reviewers: Reviewers::Required,
        }),
        concurrency: Some(Concurrency { group: "release".into(), cancels_older: false }),
        ..job(id, steps)
    }
}

fn workflow(jobs: Vec<Job>) -> Workflow {
    Workflow {
        name: "CI",
        run_name: None,
        triggers: vec![Trigger::Push { branches: vec!["main"], tags: vec![], paths: vec![] }],
        concurrency: Concurrency::per_reference(true),
        jobs,
    }
}

/// What runs code that is not merged yet.
fn unmerged() -> [Trigger; 2] {
    [Trigger::PullRequest { events: vec![], paths: vec![] }, Trigger::MergeGroup]
}

/// A job whose step `make` puts out `version`, and that hands it on.
fn build() -> Job {
    let make = Step { id: Some("make"), outputs: vec!["version"], ..run("true") };
    let outputs = vec![Output { name: "version", from: make.output("version") }];
    Job { outputs, ..job("build", vec![make]) }
}

#[track_caller]
fn good(workflow: &Workflow) {
    assert_eq!(workflow.validate(), [""; 0]);
}

#[track_caller]
fn bad(workflow: &Workflow, expected: &str) {
    let problems = workflow.validate();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains(expected), "expected {expected}: {problems:#?}");
}

#[test]
fn a_workflow_that_would_do_nothing() {
    let mut empty = workflow(vec![]);
    empty.triggers.clear();
    assert_eq!(empty.validate(), ["nothing triggers it", "it has no job"]);
    bad(&workflow(vec![job("a", vec![])]), "job a: it has no step");
    let mut twice = workflow(vec![job("a", vec![run("true")])]);
    twice.triggers.push(twice.triggers[0].clone());
    bad(&twice, "the trigger push stands twice");
}

#[test]
fn a_job_without_a_limit() {
    let mut unlimited = job("a", vec![run("true")]);
    unlimited.work = Work::Steps { machine: Machine::Ubuntu2404, limit_minutes: 0, steps: vec![run("true")] };
    bad(&workflow(vec![unlimited]), "job a: its limit is 0 minutes");
}

#[test]
fn an_id_that_is_none_or_is_taken_twice() {
    bad(&workflow(vec![job("a b", vec![run("true")])]), "its id has other characters");
    bad(&workflow(vec![job("a", vec![run("true")]), job("a", vec![run("true")])]), "the id is taken twice");
    let step = Step { id: Some("x"), ..run("true") };
    bad(&workflow(vec![job("a", vec![step.clone(), step])]), "the id is taken twice");
}

#[test]
fn a_needed_job_that_is_not_there() {
    let after = Job { needs: needs(&[&build()]), ..job("after", vec![run("true")]) };
    good(&workflow(vec![build(), after.clone()]));
    bad(&workflow(vec![after.clone()]), "job after: needs build, which no job before it is");
    bad(&workflow(vec![after, build()]), "job after: needs build, which no job before it is");
}

#[test]
fn an_output_of_a_job_that_is_not_needed_or_does_not_declare_it() {
    let after = |needs, name| {
        let step = looks_at(Expression::Job(build().output(name)));
        Job { needs, ..job("after", vec![step]) }
    };
    good(&workflow(vec![build(), after(needs(&[&build()]), "version")]));
    bad(
        &workflow(vec![build(), after(vec![], "version")]),
        "looks at the output version of job build, which it does not need",
    );
    bad(
        &workflow(vec![build(), after(needs(&[&build()]), "verson")]),
        "looks at the output verson, which job build does not declare",
    );
    let when = Condition::Holds(Test::Equals(Expression::Job(build().output("version")), "1"));
    bad(
        &workflow(vec![build(), Job { when, ..job("after", vec![run("true")]) }]),
        "looks at the output version of job build, which it does not need",
    );
}

#[test]
fn the_end_of_a_job_that_is_not_needed() {
    let ended = Test::Not(Box::new(Test::Any(vec![Test::ended(build().handle(), Outcome::Failure)])));
    let after = |needs| {
        let step = looks_at(Expression::Holds(Box::new(ended.clone())));
        Job { needs, ..job("after", vec![step]) }
    };
    good(&workflow(vec![build(), after(needs(&[&build()]))]));
    bad(&workflow(vec![build(), after(vec![])]), "looks at the end of job build, which it does not need");
}

#[test]
fn an_output_of_a_step_that_is_not_before_or_does_not_declare_it() {
    let make = Step { id: Some("make"), outputs: vec!["version"], ..run("true") };
    let step = |name| looks_at(Expression::Step(make.output(name)));
    good(&workflow(vec![job("a", vec![make.clone(), step("version")])]));
    bad(
        &workflow(vec![job("a", vec![step("version"), make.clone()])]),
        "of step make, which is not before it",
    );
    bad(
        &workflow(vec![job("a", vec![make.clone(), step("size")])]),
        "size, which step make does not declare",
    );
    let nameless = Step { id: None, ..make.clone() };
    assert_eq!(
        workflow(vec![job(
            "a",
            vec![nameless.clone(), looks_at(Expression::Step(nameless.output("version")))]
        )])
        .validate(),
        [
            "job a: step \"Run\": it has outputs and no id",
            "job a: step \"Run\": looks at the output version of a step without an id"
        ]
    );
    let outputs = vec![Output { name: "x", from: make.output("version") }];
    bad(&workflow(vec![Job { outputs, ..job("a", vec![run("true")]) }]), "step make, which is not before it");
}

#[test]
fn an_axis_that_the_matrix_does_not_have() {
    let axis = Axis { name: "target", values: vec!["x86_64", "aarch64"] };
    let matrix = |axes| Some(Matrix { axes, fail_fast: false });
    let job = || job("a", vec![looks_at(Expression::Axis(axis.value()))]);
    good(&workflow(vec![Job { matrix: matrix(vec![axis.clone()]), ..job() }]));
    bad(&workflow(vec![job()]), "looks at the axis target, which its matrix does not have");
    let empty = Axis { values: vec![], ..axis.clone() };
    bad(&workflow(vec![Job { matrix: matrix(vec![empty]), ..job() }]), "the axis target has no value");
}

#[test]
fn an_input_that_the_workflow_does_not_declare() {
    let kind = InputKind::Choice { options: &["staging", "production"], default: "staging" };
    let input = Input { name: "place", about: "Where to", required: false, kind };
    let job = job("a", vec![looks_at(Expression::Input(input.value()))]);
    let mut asked = workflow(vec![job]);
    bad(&asked, "looks at the input place, which the workflow does not declare");
    asked.triggers.push(Trigger::Manual { inputs: vec![input] });
    good(&asked);
}

#[test]
fn a_tag_in_the_place_of_a_commit() {
    good(&workflow(vec![job("a", vec![uses("x/y", COMMIT, vec![])])]));
    for commit in ["v7", "main", &COMMIT[1..], "3d3c42e5aac5ba805825da76410c181273ba90bz"] {
        bad(
            &workflow(vec![job("a", vec![uses("x/y", commit, vec![])])]),
            "x/y is not pinned to a full commit",
        );
    }
}

#[test]
fn a_checkout_that_keeps_its_credentials() {
    let checkout = |with| workflow(vec![job("a", vec![uses("actions/checkout", COMMIT, with)])]);
    good(&checkout(vec![("persist-credentials", "false".into())]));
    bad(&checkout(vec![]), "the checkout must not persist its credentials");
    bad(
        &checkout(vec![("persist-credentials", "true".into())]),
        "the checkout must not persist its credentials",
    );
}

#[test]
fn an_expression_in_a_command() {
    let step = run("echo ${{ github.head_ref }}");
    bad(
        &workflow(vec![job("a", vec![step])]),
        "an expression in `run:`; hand it over through the environment",
    );
    good(&workflow(vec![job("a", vec![looks_at(Context::ReferenceName)])]));
}

#[test]
fn an_expression_that_pretends_to_be_a_text() {
    let text = || Value::from("${{ github.head_ref }}");
    let expected = "an expression as a text";
    bad(&workflow(vec![job("a", vec![with_variable(Given::Value(text()))])]), expected);
    bad(&workflow(vec![job("a", vec![uses("x/y", COMMIT, vec![("z", text())])])]), expected);
    let concurrency = Concurrency { group: Value::Joined(vec!["a".into(), text()]), cancels_older: true };
    bad(
        &workflow(vec![Job { concurrency: Some(concurrency.clone()), ..job("a", vec![run("true")]) }]),
        expected,
    );
    bad(&Workflow { concurrency, ..workflow(vec![job("a", vec![run("true")])]) }, expected);
}

#[test]
fn permissions_are_those_of_jobs_and_the_workflow_has_none() {
    let may = |scope, access, why| Permission { scope, access, why };
    let reads = may(Scope::Contents, Access::Read, "checks out");
    let job = |permissions| Job { permissions, ..job("a", vec![run("true")]) };
    let written = workflow(vec![job(vec![reads])]).write(&[]);
    assert!(written.contains("\npermissions: {}\nconcurrency:"), "{written}");
    assert!(written.contains("    permissions:\n      contents: read # checks out\n"), "{written}");
    let none = workflow(vec![job(vec![])]).write(&[]);
    assert!(
        none.contains("    permissions: {}\n"),
        "what is not said would be the repository's choice: {none}"
    );
    bad(&workflow(vec![job(vec![reads, reads])]), "the permission contents stands twice");
    bad(&workflow(vec![job(vec![may(Scope::Contents, Access::Read, "")])]), "contents has no reason");
    bad(&workflow(vec![job(vec![may(Scope::IdToken, Access::Read, "x")])]), "can only be written");
    let writes = may(Scope::SecurityEvents, Access::Write, "shows findings");
    good(&workflow(vec![job(vec![writes])]));
    for trigger in unmerged() {
        bad(
            &Workflow { triggers: vec![trigger], ..workflow(vec![job(vec![writes])]) },
            "may write security-events in a workflow that a pull request or a merge queue starts",
        );
    }
}

#[test]
fn a_secret_without_an_environment_that_guards_it() {
    let step = || with_variable(Given::Secret(Secret { name: "TOKEN" }));
    bad(&workflow(vec![job("a", vec![step()])]), "it uses a secret without an environment that guards it");
    let environment =
        Some(Deployment { name: DeploymentName::Fixed("release"), reviewers: Reviewers::Required });
    let guarded = workflow(vec![Job { environment, ..job("a", vec![step()]) }]);
    good(&guarded);
    let written = guarded.write(&[]);
    assert!(written.contains("        env:\n          X: \"${{ secrets.TOKEN }}\"\n"), "{written}");
    assert!(written.contains("environment: release # its required reviewers"), "{written}");
}

#[test]
fn an_environment_that_whoever_starts_the_workflow_chooses() {
    let kind = InputKind::Environment;
    let to = |required| Input { name: "to", about: "Where to", required, kind };
    let name = DeploymentName::Input(to(true).value());
    let of = |inputs| Workflow {
        run_name: Some(Value::Joined(vec!["To ".into(), Expression::Input(to(true).value()).into()])),
        triggers: vec![Trigger::Manual { inputs }],
        ..workflow(vec![Job {
            environment: Some(Deployment { name, reviewers: Reviewers::Required }),
            ..publishing("a", vec![run("true")])
        }])
    };
    let chosen = of(vec![to(true)]);
    good(&chosen);
    let written = chosen.write(&[]);
    for part in [
        "\nrun-name: \"To ${{ inputs.to }}\"\n",
        "        required: true\n        type: environment\n",
        "    environment: \"${{ inputs.to }}\" # its required reviewers",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    let expected = "its environment is the input to, which need not be given";
    bad(&of(vec![to(false)]), expected);
    bad(&of(vec![]), expected);
}

#[test]
fn a_publishing_job_without_an_environment() {
    good(&workflow(vec![publishing("a", vec![run("true")])]));
    let unguarded = Job { environment: None, ..publishing("a", vec![run("true")]) };
    bad(&workflow(vec![unguarded]), "it publishes without an environment");
}

#[test]
fn a_publishing_job_that_runs_twice_at_once_or_is_ended_half_way() {
    let unbounded = Job { concurrency: None, ..publishing("a", vec![run("true")]) };
    bad(&workflow(vec![unbounded]), "it publishes without a concurrency of its own");
    let concurrency = Some(Concurrency { group: "release".into(), cancels_older: true });
    let ended = Job { concurrency, ..publishing("a", vec![run("true")]) };
    bad(&workflow(vec![ended]), "it publishes, and a newer one would end it half way");
}

#[test]
fn a_publishing_job_before_the_merge() {
    for trigger in unmerged() {
        let early =
            Workflow { triggers: vec![trigger], ..workflow(vec![publishing("a", vec![run("true")])]) };
        bad(&early, "it publishes in a workflow that a pull request or a merge queue starts");
    }
}

#[test]
fn a_cache_in_what_is_published() {
    let cache = || uses("actions/cache", COMMIT, vec![]);
    let expected = "it publishes what job a takes from a cache (step \"Use\")";
    good(&workflow(vec![job("a", vec![cache()])]));
    bad(&workflow(vec![publishing("a", vec![cache()])]), expected);
    bad(&workflow(vec![publishing("a", vec![uses("Swatinem/rust-cache", COMMIT, vec![])])]), expected);
    let with = vec![("cache", "npm".into())];
    bad(&workflow(vec![publishing("a", vec![uses("actions/setup-node", COMMIT, with)])]), expected);

    let first = job("a", vec![cache()]);
    let second = Job { needs: needs(&[&first]), ..job("b", vec![run("true")]) };
    let third = Job { needs: needs(&[&second]), ..publishing("c", vec![run("true")]) };
    bad(&workflow(vec![first, second, third]), expected);
}

#[test]
fn a_called_workflow_gets_each_secret_by_name() {
    let calls = |workflow| {
        let secrets = vec![("token", Secret { name: "TOKEN" })];
        Job { work: Work::Calls { workflow, with: vec![], secrets }, ..job("a", vec![]) }
    };
    let calling = workflow(vec![calls(".github/workflows/gates.yml")]);
    good(&calling);
    let written = calling.write(&[]);
    assert!(written.contains(
        "    uses: \"$/.github/workflows/gates.yml\"\n    secrets:\n      token: \"${{ secrets.TOKEN"
    ));
    assert!(!written.contains("inherit"), "there is no word for it");
    bad(
        &workflow(vec![calls("x/y/z.yml@main")]),
        "calls x/y/z.yml@main, which is not below .github/workflows/",
    );
    let environment =
        Some(Deployment { name: DeploymentName::Fixed("release"), reviewers: Reviewers::Nobody });
    let placed = Job { environment, ..calls(".github/workflows/gates.yml") };
    bad(&workflow(vec![placed]), "who calls another workflow has no environment of its own");
}

#[test]
fn no_trigger_runs_what_strangers_wrote_with_the_repositorys_rights() {
    // A new variant must be looked at here.
    let name = |trigger: &Trigger| match trigger {
        Trigger::PullRequest { .. }
        | Trigger::MergeGroup
        | Trigger::Push { .. }
        | Trigger::Schedule(_)
        | Trigger::Manual { .. }
        | Trigger::Called { .. } => trigger.name(),
    };
    let all = [
        Trigger::PullRequest {
            events: vec![PullRequestEvent::Edited, PullRequestEvent::Labeled],
            paths: vec!["docs/**"],
        },
        Trigger::MergeGroup,
        Trigger::Push { branches: vec!["main"], tags: vec!["v*"], paths: vec!["docs/**"] },
        Trigger::Schedule("0 3 * * *"),
        Trigger::Manual { inputs: vec![] },
        Trigger::Called { inputs: vec![], secrets: vec![Secret { name: "TOKEN" }] },
    ];
    let names: Vec<_> = all.iter().map(name).collect();
    assert_eq!(
        names,
        ["pull_request", "merge_group", "push", "schedule", "workflow_dispatch", "workflow_call"]
    );
    let written =
        Workflow { triggers: all.to_vec(), ..workflow(vec![job("a", vec![run("true")])]) }.write(&[]);
    let expected = "on:\n  pull_request:\n    types:\n      - edited\n      - labeled\n    paths:\n      - \"docs/**\"\n  \
                    merge_group:\n    types:\n      - checks_requested\n  push:\n    \
                    branches:\n      - main\n    tags:\n      - \"v*\"\n    paths:\n      - \"docs/**\"\n  \
                    schedule:\n    - cron: \"0 3 * * *\"\n  workflow_dispatch: {}\n  workflow_call:\n    secrets:\n      \
                    TOKEN:\n        required: true\n";
    assert!(written.contains(expected), "{written}");
}

#[test]
fn schedules_stand_under_one_key() {
    let mut nightly = workflow(vec![job("a", vec![run("true")])]);
    nightly.triggers = vec![
        Trigger::Schedule("0 3 * * *"),
        Trigger::Manual { inputs: vec![] },
        Trigger::Schedule("0 4 * * 0"),
    ];
    good(&nightly);
    let text = nightly.write(&[]);
    let expected =
        "on:\n  schedule:\n    - cron: \"0 3 * * *\"\n    - cron: \"0 4 * * 0\"\n  workflow_dispatch: {}\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn inputs_expressions_and_conditions_are_written_as_github_reads_them() {
    let kind = InputKind::Choice { options: &["staging", "production"], default: "staging" };
    let place = Input { name: "place", about: "Where to", required: true, kind };
    let force =
        Input { name: "force", about: "Whatever", required: false, kind: InputKind::Flag { default: false } };
    let axis = Axis { name: "target", values: vec!["x86_64"] };
    let test = Test::All(vec![
        Test::Equals(Expression::Input(place.value()), "it's"),
        Test::Any(vec![Test::AnyEnded(Outcome::Failure), Test::Equals(Context::Event.into(), "push")]),
        Test::Not(Box::new(Test::ended(build().handle(), Outcome::Skipped))),
        Test::OnBranch("main"),
    ]);
    let labels = Expression::Json(Box::new(Context::PullRequestLabels.into()));
    let key = Value::Joined(vec!["a-".into(), Expression::HashOfFiles(vec!["a", "b/**"]).into()]);
    let steps = vec![
        looks_at(labels),
        looks_at(Expression::Setting("PLACE")),
        Step { when: Condition::NotCancelledAnd(test.clone()), ..looks_at(Expression::Axis(axis.value())) },
        Step { when: Condition::NotCancelled, ..uses("actions/cache", COMMIT, vec![("key", key)]) },
    ];
    let after = Job {
        needs: needs(&[&build()]),
        when: Condition::Holds(test),
        matrix: Some(Matrix { axes: vec![axis], fail_fast: false }),
        ..job("after", steps)
    };
    let mut all = workflow(vec![build(), after]);
    all.concurrency = Concurrency::per_pull_request();
    all.triggers = vec![Trigger::Manual { inputs: vec![place, force] }];
    good(&all);
    let text = all.write(&[]);
    for expected in [
        "      place:\n        description: Where to\n        required: true\n        type: choice\n        options:\n          - \
         staging\n          - production\n",
        "      force:\n        description: Whatever\n        required: false\n        type: boolean\n        default: false\n",
        "if: \"inputs.place == 'it''s' && (contains(needs.*.result, 'failure') || github.event_name == 'push') && \
         needs.build.result != 'skipped' && github.ref == 'refs/heads/main'\"\n",
        "if: \"${{ !cancelled() && (inputs.place == 'it''s' &&",
        "if: \"${{ !cancelled() }}\"\n",
        "X: \"${{ toJSON(github.event.pull_request.labels.*.name) }}\"\n",
        "X: \"${{ matrix.target }}\"\n",
        "X: \"${{ vars.PLACE }}\"\n",
        "group: \"${{ github.workflow }}-${{ (github.event.pull_request.number || github.run_id) }}\"\n",
        "key: \"a-${{ hashFiles('a', 'b/**') }}\"\n",
        "    strategy:\n      fail-fast: false\n      matrix:\n        target:\n          - x86_64\n",
        "    outputs:\n      version: \"${{ steps.make.outputs.version }}\"\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}
