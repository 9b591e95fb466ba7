//! `release.yml`: makes the release of the main branch's last commit, and publishes it once somebody agrees.
//!
//! Nothing in it comes from a cache: what an earlier run has left must not become part of a release.

use vocabulary::formats::github::{
    Access, Concurrency, Condition, Context, Deployment, Expression, Given, Job, Permission, Reviewers,
    Scope, Secret, Test, Trigger, Value, Variable, Workflow, needs,
};
use vocabulary::model::Platform;

use super::steps::{
    History, READS_SOURCES, as_root, brought, check_out, filled, job, limit_of_all, own_again, run,
    set_up_python, uses,
};
use crate::platform::pins;

pub const SOURCE: &str = file!();

/// Where `cargo xtask release package` puts a release.
const FOLDER: &str = "target/release-artifacts";

/// The name under which one job hands the release to the other.
const ARTIFACT: &str = "release";

/// What is released.
const MAIN: &str = "refs/heads/main";

/// The minisign secret key. It has no password: the environment guards it.
const KEY: Secret = Secret { name: "FLOWSHIP_SIGNING_KEY" };

/// Both jobs stand in it: one has the key, the other may write.
const ENVIRONMENT: Deployment = Deployment { name: "release", reviewers: Reviewers::Required };

pub fn workflow(platform: &Platform) -> Workflow {
    let package = package(platform);
    let publish = publish(&package);
    Workflow {
        name: "Release",
        triggers: vec![Trigger::Manual { inputs: vec![] }],
        concurrency: Concurrency::per_reference(false),
        jobs: vec![package, publish],
    }
}

fn on_main() -> Condition {
    Condition::Holds(Test::Equals(Context::Reference.into(), MAIN))
}

/// Judges the commit, so that the release can tell what it passed, and makes its files.
fn package(platform: &Platform) -> Job {
    let key_file = || Value::Joined(vec![Context::TemporaryFolder.into(), "/release.key".into()]);
    let builder = Value::Joined(vec![
        "https://github.com/".into(),
        Context::Repository.into(),
        "/.github/workflows/release.yml@".into(),
        Context::Reference.into(),
    ]);
    let given = |name, value| Variable { name, value: Given::Value(value), elsewhere: None };
    let key = vec![
        Variable { name: "KEY", value: Given::Secret(KEY), elsewhere: None },
        given("KEY_FILE", key_file()),
    ];
    let mut steps = vec![check_out(History::Whole), set_up_python()];
    steps.extend(brought(platform.gates.iter()));
    steps.extend([
        run("Judge what is released", as_root("cargo xtask ci --keep-going --require-all"), vec![]),
        own_again(),
        // The key lies outside of the tree, readable by its owner alone.
        run("Have the signing key", "umask 077 && printf '%s\\n' \"$KEY\" > \"$KEY_FILE\"", key),
        run(
            "Package",
            "cargo xtask release package --images all --builder \"$BUILDER\"",
            vec![given("FLOWSHIP_SIGNING_KEY", key_file()), given("BUILDER", builder)],
        ),
        uses(
            "Hand the release on",
            &pins::UPLOAD_ARTIFACT,
            vec![("name", ARTIFACT.into()), ("path", FOLDER.into()), ("if-no-files-found", "error".into())],
        ),
    ]);
    Job {
        permissions: vec![READS_SOURCES],
        when: on_main(),
        environment: Some(ENVIRONMENT),
        ..job("package", "Package", limit_of_all(platform), steps)
    }
}

/// Sees that the release is what was packaged, says so in public, and publishes it.
fn publish(package: &Job) -> Job {
    let may = |scope, access, why| Permission { scope, access, why };
    let public_key = || filled("FLOWSHIP_PUBLIC_KEY", Expression::Setting("FLOWSHIP_PUBLIC_KEY"), None);
    let steps = vec![
        check_out(History::Whole),
        uses(
            "Take the release",
            &pins::DOWNLOAD_ARTIFACT,
            vec![("name", ARTIFACT.into()), ("path", FOLDER.into())],
        ),
        run("Verify", "cargo xtask release verify", vec![public_key()]),
        uses(
            "Attest where it was built",
            &pins::ATTEST,
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
            may(Scope::Contents, Access::Write, "pushes the tag and makes the release"),
            may(Scope::Packages, Access::Write, "pushes the images"),
            may(Scope::Checks, Access::Read, "sees that CI has passed"),
            may(Scope::IdToken, Access::Write, "signs the attestation"),
            may(Scope::Attestations, Access::Write, "stores the attestation"),
        ],
        needs: needs(&[package]),
        when: on_main(),
        environment: Some(ENVIRONMENT),
        concurrency: Some(Concurrency { group: "publish".into(), cancels_older: false }),
        publishes: true,
        ..job("publish", "Publish", 60, steps)
    }
}
