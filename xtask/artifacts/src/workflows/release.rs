//! `release.yml`: makes the release of the main branch's last commit, and publishes it once somebody agrees.
//!
//! Nothing in it comes from a cache: what an earlier run has left must not become part of a release.

use vocabulary::formats::github::{
    Access, Concurrency, Condition, Context, Deployment, DeploymentName, Given, Job, Machine, Permission,
    Reviewers, Scope, Secret, Step, Test, Trigger, Value, Variable, Work, Workflow, needs,
};
use vocabulary::model::{Architecture, Platform, ReleasePolicy};

use super::steps::{
    Actions, History, READS_SOURCES, as_root, brought, check_out, filled, given, job, limit_of_all,
    own_again, public_key, run, set_up_python, uses,
};

pub const SOURCE: &str = file!();

const FOLDER: &str = ReleasePolicy::ARTIFACTS;

/// The names under which one job hands the release to another.
const UNSIGNED: &str = "unsigned-release";
const SIGNED: &str = "release";

/// The names under which programs for other machines are handed on begin so.
const OPERATOR: &str = "operator";
/// Where they are gathered.
const OF_OTHERS: &str = "target/operators-of-others";

/// Minutes of a build of this program and of the operator's, cold.
const LIMIT_OF_BUILDS: u16 = 60;

/// The minisign secret key. It has no password: the environment guards it.
const KEY: Secret = Secret { name: "FLOWSHIP_SIGNING_KEY" };

/// The jobs that have the key and that may write stand in it.
const ENVIRONMENT: Deployment =
    Deployment { name: DeploymentName::Fixed("release"), reviewers: Reviewers::Required };

pub fn workflow(platform: &Platform, actions: &Actions<'_>) -> Workflow {
    let release = &Release { actions, branch: platform.release.branch };
    // The first is packaged for; the others' programs are built, and built again, on such machines.
    let others = || platform.release.architectures.iter().skip(1).copied();
    let operators: Vec<_> = others().map(|architecture| release.operator(architecture)).collect();
    let package = release.package(platform, &operators);
    let rebuilt: Vec<_> = others().map(|architecture| release.rebuild(architecture, &package)).collect();
    let sign = release.sign(&[&package].into_iter().chain(&rebuilt).collect::<Vec<_>>());
    let publish = release.publish(&sign);
    Workflow {
        name: "Release",
        run_name: None,
        triggers: vec![Trigger::Manual { inputs: vec![] }],
        concurrency: Concurrency::per_reference(false),
        jobs: operators.into_iter().chain([package]).chain(rebuilt).chain([sign, publish]).collect(),
    }
}

fn machine(architecture: Architecture) -> Machine {
    match architecture {
        Architecture::X86_64 => Machine::Ubuntu2404,
        Architecture::Aarch64 => Machine::Ubuntu2404Arm,
    }
}

/// The same job on another machine.
fn on(architecture: Architecture, job: Job) -> Job {
    let work = match job.work {
        Work::Steps { limit_minutes, steps, .. } => {
            Work::Steps { machine: machine(architecture), limit_minutes, steps }
        }
        calls @ Work::Calls { .. } => calls,
    };
    Job { work, ..job }
}

struct Release<'a> {
    actions: &'a Actions<'a>,
    branch: &'static str,
}

impl Release<'_> {
    fn on_branch(&self) -> Condition {
        Condition::Holds(Test::OnBranch(self.branch))
    }

    /// Builds the operator's program for another machine than the bundle's.
    fn operator(&self, architecture: Architecture) -> Job {
        let (id, name) = match architecture {
            Architecture::X86_64 => ("operator-x86_64", "Program for x86_64"),
            Architecture::Aarch64 => ("operator-aarch64", "Program for aarch64"),
        };
        let steps = vec![
            check_out(self.actions, History::OneCommit),
            run("Build the operator's program", "cargo xtask release operator", vec![]),
            self.hand_on(
                "Upload the program",
                format!("{OPERATOR}-{}", architecture.name()).into(),
                ReleasePolicy::OPERATORS,
            ),
        ];
        let job = job(id, name, LIMIT_OF_BUILDS, steps);
        on(architecture, Job { permissions: vec![READS_SOURCES], when: self.on_branch(), ..job })
    }

    /// Builds the program again elsewhere, on such a machine, and compares.
    fn rebuild(&self, architecture: Architecture, package: &Job) -> Job {
        let (id, name) = match architecture {
            Architecture::X86_64 => ("rebuild-x86_64", "Build again for x86_64"),
            Architecture::Aarch64 => ("rebuild-aarch64", "Build again for aarch64"),
        };
        let steps = vec![check_out(self.actions, History::Whole), self.take_release(UNSIGNED), build_again()];
        let job = job(id, name, LIMIT_OF_BUILDS, steps);
        on(
            architecture,
            Job { permissions: vec![READS_SOURCES], needs: needs(&[package]), when: self.on_branch(), ..job },
        )
    }

    fn take_release(&self, name: &'static str) -> Step {
        let with = vec![("name", name.into()), ("path", FOLDER.into())];
        uses("Download the release", self.actions.download, with)
    }

    /// Judges the commit, so that the release can tell what it passed, and makes its files.
    fn package(&self, platform: &Platform, operators: &[Job]) -> Job {
        let builder = Value::Joined(vec![
            "https://github.com/".into(),
            Context::Repository.into(),
            "/.github/workflows/release.yml@".into(),
            Context::Reference.into(),
        ]);
        let mut steps = vec![check_out(self.actions, History::Whole), set_up_python(self.actions)];
        steps.extend(brought(platform.gates.iter()));
        steps.extend([
            run("Run every gate", as_root("cargo xtask ci --slow --keep-going --require-all"), vec![]),
            own_again(),
            uses(
                "Download the programs for other machines",
                self.actions.download,
                vec![
                    ("pattern", format!("{OPERATOR}-*").into()),
                    ("merge-multiple", "true".into()),
                    ("path", OF_OTHERS.into()),
                ],
            ),
            run(
                "Package",
                format!(
                    "cargo xtask release package --images all --operators {OF_OTHERS} --unsigned --builder \"$BUILDER\""
                ),
                vec![given("BUILDER", builder)],
            ),
            // Here, because this machine has the tools that built it.
            build_again(),
            self.hand_on("Upload the unsigned release", UNSIGNED.into(), FOLDER),
        ]);
        Job {
            permissions: vec![READS_SOURCES],
            needs: needs(&operators.iter().collect::<Vec<_>>()),
            when: self.on_branch(),
            ..job("package", "Package", limit_of_all(platform), steps)
        }
    }

    /// Signs what was packaged and built again alike everywhere. Only here is the key, and nothing of other people runs beside it.
    fn sign(&self, made: &[&Job]) -> Job {
        let key_file = || Value::Joined(vec![Context::TemporaryFolder.into(), "/release.key".into()]);
        let key = vec![
            Variable { name: "KEY", value: Given::Secret(KEY), elsewhere: None },
            given("KEY_FILE", key_file()),
        ];
        let steps = vec![
            check_out(self.actions, History::OneCommit),
            self.take_release(UNSIGNED),
            // Built before the key is there.
            run("Verify the unsigned release", "cargo xtask release verify --unsigned", vec![]),
            // The key lies outside of the tree, readable by its owner alone.
            run(
                "Write the signing key to a file",
                "test -n \"$KEY\" || { echo \"the environment has no secret FLOWSHIP_SIGNING_KEY\" >&2; exit 2; }; \
                 umask 077 && printf '%s\\n' \"$KEY\" > \"$KEY_FILE\"",
                key,
            ),
            run("Sign", "cargo xtask release sign", vec![given("FLOWSHIP_SIGNING_KEY", key_file())]),
            run("Verify", "cargo xtask release verify", vec![public_key()]),
            self.hand_on("Upload the signed release", SIGNED.into(), FOLDER),
        ];
        Job {
            permissions: vec![READS_SOURCES],
            needs: needs(made),
            when: self.on_branch(),
            environment: Some(ENVIRONMENT),
            ..job("sign", "Sign", LIMIT_OF_BUILDS, steps)
        }
    }

    /// Also when the job runs once more: what it made before is replaced.
    fn hand_on(&self, step: &'static str, name: Value, path: &'static str) -> Step {
        let with = vec![
            ("name", name),
            ("path", path.into()),
            ("if-no-files-found", "error".into()),
            ("overwrite", "true".into()),
        ];
        uses(step, self.actions.upload, with)
    }

    /// Sees that the release is what was packaged, says so in public, and publishes it.
    fn publish(&self, sign: &Job) -> Job {
        let may = |scope, access, why| Permission { scope, access, why };
        let steps = vec![
            check_out(self.actions, History::Whole),
            self.take_release(SIGNED),
            run("Verify", "cargo xtask release verify", vec![public_key()]),
            uses(
                "Attest the release",
                self.actions.attest,
                vec![("subject-path", format!("{FOLDER}/*").into())],
            ),
            run(
                "Publish",
                "cargo xtask release publish --execute --registry \"ghcr.io/$GITHUB_REPOSITORY\"",
                vec![filled("GH_TOKEN", Context::Token, None), public_key()],
            ),
        ];
        Job {
            permissions: vec![
                may(Scope::Contents, Access::Write, "pushes the tag and creates the release"),
                may(Scope::Packages, Access::Write, "pushes the images"),
                may(Scope::Checks, Access::Read, "checks that CI passed"),
                may(Scope::IdToken, Access::Write, "signs the attestation"),
                may(Scope::Attestations, Access::Write, "stores the attestation"),
            ],
            needs: needs(&[sign]),
            when: self.on_branch(),
            environment: Some(ENVIRONMENT),
            concurrency: Some(Concurrency { group: "publish".into(), cancels_older: false }),
            publishes: true,
            ..job("publish", "Publish", 60, steps)
        }
    }
}

fn build_again() -> Step {
    run("Build the release again and compare", "cargo xtask release verify --unsigned --rebuild", vec![])
}
