//! `promote.yml` and `rollback.yml`: an environment is changed once its reviewers agree.
//!
//! They run this program from the commit of the workflow, not that of a release: what runs beside the SSH key is then what
//! the branch's reviewers have seen, and nothing has to be downloaded and trusted first. It is built before the key is there,
//! and never comes from a cache. What is deployed is not built: the files are those that the other environment runs, and the
//! release's own program does the work on the host.

use vocabulary::formats::github::{
    Concurrency, Condition, Context, Deployment, DeploymentName, Expression, Given, Input, InputKind, Job,
    Reviewers, Secret, Step, Test, Trigger, Value, Variable, Workflow,
};
use vocabulary::model::Platform;

use super::steps::{Actions, History, READS_SOURCES, check_out, given, job, public_key, run};

pub const SOURCE: &str = file!();

/// Opens the hosts. It has no passphrase: the environment guards it.
const KEY: Secret = Secret { name: "FLOWSHIP_SSH_KEY" };
/// Lines of `known_hosts`.
const KNOWN_HOSTS: &str = "FLOWSHIP_KNOWN_HOSTS";

/// More lines of the configuration of `ssh`, such as a port or a jump host. There need not be any.
const OPTIONS: &str = "FLOWSHIP_SSH_OPTIONS";

/// Minutes: a cold build, the copy of a release, and a roll in which each replica finishes its requests.
const LIMIT: u16 = 60;

const FROM: Input = environment("from", "The environment that runs the release");
const TO: Input = environment("to", "The environment to deploy it to");
const PROMOTED: Input = Input {
    name: "version",
    about: "The version to promote; it fails if the first environment runs another one",
    required: true,
    kind: InputKind::Text { default: "" },
};
const ENVIRONMENT: Input = environment("environment", "The environment to roll back");
const BACK_TO: Input = Input {
    name: "version",
    about: "The version to go back to; the previous release if empty",
    required: false,
    kind: InputKind::Text { default: "" },
};

const fn environment(name: &'static str, about: &'static str) -> Input {
    Input { name, about, required: true, kind: InputKind::Environment }
}

fn value(input: Input) -> Value {
    Expression::Input(input.value()).into()
}

pub fn promote(platform: &Platform, actions: &Actions<'_>) -> Workflow {
    let variables = || vec![given("FROM", value(FROM)), given("TO", value(TO))];
    let judge = "cargo xtask environment show -- \"$FROM\" && cargo xtask environment show -- \"$TO\"";
    let act = run(
        "Promote",
        "cargo xtask promote \"$FROM\" \"$TO\" --version \"$VERSION\"",
        [variables(), vec![given("VERSION", value(PROMOTED)), public_key(), ssh_config()]].concat(),
    );
    let steps = steps(actions, run("Check the environments", judge, variables()), act);
    Workflow {
        name: "Promote",
        run_name: Some(Value::Joined(vec![
            "Promote ".into(),
            value(PROMOTED),
            " from ".into(),
            value(FROM),
            " to ".into(),
            value(TO),
        ])),
        triggers: vec![Trigger::Manual { inputs: vec![FROM, TO, PROMOTED] }],
        concurrency: Concurrency::none(),
        jobs: vec![changing(platform, TO, job("promote", "Promote", LIMIT, steps))],
    }
}

pub fn roll_back(platform: &Platform, actions: &Actions<'_>) -> Workflow {
    let variable = || given("ENVIRONMENT", value(ENVIRONMENT));
    let judge = "cargo xtask environment show -- \"$ENVIRONMENT\"";
    let act = run(
        "Roll back",
        "cargo xtask rollback \"$ENVIRONMENT\" ${VERSION:+--to \"$VERSION\"}",
        vec![variable(), given("VERSION", value(BACK_TO)), ssh_config()],
    );
    let steps = steps(actions, run("Check the environment", judge, vec![variable()]), act);
    Workflow {
        name: "Roll back",
        run_name: Some(Value::Joined(vec![
            "Roll back ".into(),
            value(ENVIRONMENT),
            " ".into(),
            value(BACK_TO),
        ])),
        triggers: vec![Trigger::Manual { inputs: vec![ENVIRONMENT, BACK_TO] }],
        concurrency: Concurrency::none(),
        jobs: vec![changing(platform, ENVIRONMENT, job("rollback", "Roll back", LIMIT, steps))],
    }
}

/// Behind the reviewers of the environment, and alone in it, whichever workflow the other run is of.
fn changing(platform: &Platform, environment: Input, job: Job) -> Job {
    Job {
        permissions: vec![READS_SOURCES],
        when: Condition::Holds(Test::OnBranch(platform.release.branch)),
        environment: Some(Deployment {
            name: DeploymentName::Input(environment.value()),
            reviewers: Reviewers::Required,
        }),
        concurrency: Some(Concurrency {
            group: Value::Joined(vec!["environment-".into(), value(environment)]),
            cancels_older: false,
        }),
        publishes: true,
        ..job
    }
}

fn steps(actions: &Actions<'_>, judge: Step, act: Step) -> Vec<Step> {
    let remove = run("Remove the SSH key", "rm -rf \"$FOLDER\"", vec![given("FOLDER", folder())]);
    vec![
        check_out(actions, History::OneCommit),
        judge,
        write_key(),
        act,
        Step { when: Condition::Always, ..remove },
    ]
}

/// Outside of the tree.
fn folder() -> Value {
    Value::Joined(vec![Context::TemporaryFolder.into(), "/ssh".into()])
}

fn ssh_config() -> Variable {
    given("FLOWSHIP_SSH_CONFIG", Value::Joined(vec![folder(), "/config".into()]))
}

fn write_key() -> Step {
    let lacking =
        |kind: &str, name: &str| format!("{{ echo \"the environment has no {kind} {name}\" >&2; exit 2; }}");
    let command = format!(
        "test -n \"$KEY\" || {}\n\
         test -n \"$KNOWN_HOSTS\" || {}\n\
         umask 077\n\
         mkdir \"$FOLDER\"\n\
         printf '%s\\n' \"$KEY\" > \"$FOLDER/key\"\n\
         printf '%s\\n' \"$KNOWN_HOSTS\" > \"$FOLDER/known_hosts\"\n\
         printf '%s\\n' \"IdentityFile $FOLDER/key\" 'IdentitiesOnly yes' \"UserKnownHostsFile $FOLDER/known_hosts\" \
         \"$OPTIONS\" > \"$FOLDER/config\"",
        lacking("secret", KEY.name),
        lacking("variable", KNOWN_HOSTS),
    );
    let variables = vec![
        Variable { name: "KEY", value: Given::Secret(KEY), elsewhere: None },
        given("KNOWN_HOSTS", Expression::Setting(KNOWN_HOSTS)),
        given("OPTIONS", Expression::Setting(OPTIONS)),
        given("FOLDER", folder()),
    ];
    run("Write the SSH key to a file", command, variables)
}
