//! Rows on GitHub workflows.

use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::shell;
use super::tree::Tree;
use super::yaml::Node;

pub fn rows() -> Vec<Row> {
    let row =
        |id, what, sources, also, judge| Row { id, what, sources, subject: Subject::Workflows, also, judge };
    vec![
        row(
            "G1",
            "every action is named by its commit, every image by its digest",
            &[
                Source::Zizmor("unpinned-uses"),
                Source::Zizmor("self-repository"),
                Source::Scorecard("Pinned-Dependencies"),
            ],
            &["workflows"],
            pinned,
        ),
        row(
            "G2",
            "every workflow says its permissions: none that writes for all its jobs, and never all of them",
            &[Source::Zizmor("excessive-permissions"), Source::Scorecard("Token-Permissions")],
            &["workflows"],
            permissions,
        ),
        row(
            "G3",
            "no expression stands in a command or a script",
            &[Source::Zizmor("template-injection"), Source::Scorecard("Dangerous-Workflow")],
            &["workflows"],
            injections,
        ),
        row(
            "G4",
            "no workflow runs what a stranger wrote with the rights of the repository",
            &[Source::Zizmor("dangerous-triggers"), Source::Scorecard("Dangerous-Workflow")],
            &["workflows"],
            triggers,
        ),
        row(
            "G5",
            "no checkout leaves its credentials behind",
            &[Source::Zizmor("artipacked")],
            &["workflows"],
            credentials,
        ),
        row(
            "G6",
            "no called workflow inherits every secret",
            &[Source::Zizmor("secrets-inherit")],
            &["workflows"],
            inherited,
        ),
        row(
            "G7",
            "no job that releases takes anything from a cache",
            &[Source::Zizmor("cache-poisoning")],
            &["workflows"],
            caches,
        ),
        row(
            "G8",
            "every workflow that deploys says what it may not run beside, and is not cancelled in the middle",
            &[Source::Zizmor("concurrency-limits")],
            &["workflows"],
            concurrency,
        ),
        row(
            "G9",
            "what is promoted or rolled back to is taken by its digest or its version, and never built again",
            &[Source::Own],
            &[],
            promotion,
        ),
    ]
}

const NONE: &str = "GitHub workflow";
/// Triggers that run with the rights of the repository on what others wrote.
const DANGEROUS: &[&str] = &["pull_request_target", "workflow_run"];
/// Rights with which a job changes what others get.
const PUBLISHING: &[&str] = &["contents", "packages", "id-token", "attestations", "deployments"];
/// Beginnings of the file names of workflows that bring something to an environment.
const DEPLOYING: &[&str] = &["deploy", "promote", "rollback"];

/// A workflow, not an action of the repository's own.
fn is_workflow(document: &Node) -> bool {
    document.place.file.starts_with(".github/workflows/")
}

/// The file name without its ending.
fn stem(document: &Node) -> &str {
    let name = document.place.file.rsplit('/').next().unwrap_or_default();
    name.split('.').next().unwrap_or(name)
}

/// The jobs, each with its name.
pub fn jobs(document: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let jobs = document.get("jobs").map_or(&[][..], Node::entries);
    jobs.iter().map(|entry| (entry.key.as_str(), &entry.value))
}

pub fn steps(job: &Node) -> &[Node] {
    job.get("steps").map_or(&[], Node::items)
}

/// The steps of a workflow, or of an action of the repository's own.
fn all_steps(document: &Node) -> impl Iterator<Item = &Node> {
    let own = document.at(&["runs", "steps"]).map_or(&[][..], Node::items);
    jobs(document).flat_map(|(_, job)| steps(job)).chain(own)
}

/// Events that start a workflow.
fn events(document: &Node) -> Vec<(&Place, &str)> {
    let Some(on) = document.get("on").or(document.get("true")) else { return Vec::new() };
    match on.entries() {
        [] if on.text().is_some() => vec![(&on.place, on.text().unwrap_or_default())],
        [] => on.items().iter().filter_map(|item| Some((&item.place, item.text()?))).collect(),
        entries => entries.iter().map(|entry| (&entry.place, entry.key.as_str())).collect(),
    }
}

fn documents(tree: &Tree, none: &str, mut judge: impl FnMut(&mut Inspection, &Node)) -> Verdict {
    let parsed = tree.workflows();
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    for document in &parsed.documents {
        judge(&mut look, document);
    }
    look.verdict(none)
}

fn pinned(tree: &Tree) -> Verdict {
    documents(tree, "action in a workflow", |look, document| {
        let called = jobs(document).filter_map(|(_, job)| job.get("uses"));
        let mut images = Vec::new();
        for (_, job) in jobs(document) {
            images.extend(job.get("container").map(|container| container.get("image").unwrap_or(container)));
            let services = job.get("services").map_or(&[][..], Node::entries);
            images.extend(services.iter().filter_map(|service| service.value.get("image")));
        }
        for uses in all_steps(document).filter_map(|step| step.get("uses")).chain(called) {
            let name = uses.text().unwrap_or_default();
            look.saw();
            // The repository itself, at the commit of the workflow.
            if name.starts_with("$/") && !name.contains('@') {
                continue;
            }
            if name == "." || name.starts_with("./") || name.starts_with("$/") {
                look.find(
                    &uses.place,
                    format!("{name} is whatever lies in the workspace by then"),
                    "write it as $/PATH, without @: what the repository holds at the commit of the workflow",
                );
                continue;
            }
            let pin = match name.strip_prefix("docker://") {
                Some(image) => image.rsplit_once("@sha256:").filter(|(_, digest)| is_hex(digest, 64)),
                None => name.rsplit_once('@').filter(|(_, commit)| is_hex(commit, 40)),
            };
            if pin.is_none() {
                look.find(
                    &uses.place,
                    format!("{name} may be another program tomorrow"),
                    "name the commit, and the version in a comment beside it",
                );
            }
        }
        for image in images {
            let name = image.text().unwrap_or_default();
            look.saw();
            if !name.rsplit_once("@sha256:").is_some_and(|(_, digest)| is_hex(digest, 64)) {
                look.find(&image.place, format!("{name} may be another image tomorrow"), "name its digest");
            }
        }
    })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn permissions(tree: &Tree) -> Verdict {
    documents(tree, NONE, |look, document| {
        if !is_workflow(document) {
            return;
        }
        look.saw();
        match document.get("permissions") {
            None => look.find(
                &document.place,
                "the workflow has whatever rights the repository gives",
                "begin with permissions: {}, and give each job what it needs",
            ),
            Some(rights) => {
                for entry in rights.entries().iter().filter(|entry| entry.value.is("write")) {
                    look.find(
                        &entry.place,
                        format!("every job may write {}", entry.key),
                        "give it to the one job that needs it",
                    );
                }
                all_rights(look, rights);
            }
        }
        for rights in jobs(document).filter_map(|(_, job)| job.get("permissions")) {
            all_rights(look, rights);
        }
    })
}

fn all_rights(look: &mut Inspection, rights: &Node) {
    if let Some(text) = rights.text().filter(|text| ["write-all", "read-all"].contains(text)) {
        look.find(
            &rights.place,
            format!("{text} is more than any job needs"),
            "name the rights that it needs",
        );
    }
}

fn injections(tree: &Tree) -> Verdict {
    documents(tree, "command in a workflow", |look, document| {
        for step in all_steps(document) {
            let scripts = [step.get("run"), step.at(&["with", "script"])];
            for script in scripts.into_iter().flatten() {
                look.saw();
                if script.text().is_some_and(|text| text.contains("${{")) {
                    look.find(
                        &script.place,
                        "what an expression yields becomes part of a program",
                        "hand it over in env, and read the variable",
                    );
                }
            }
        }
    })
}

fn triggers(tree: &Tree) -> Verdict {
    documents(tree, NONE, |look, document| {
        if !is_workflow(document) {
            return;
        }
        look.saw();
        for (place, event) in events(document) {
            if DANGEROUS.contains(&event) {
                look.find(
                    place,
                    format!("{event} runs with secrets on what a stranger wrote"),
                    "use pull_request, whose runs get no secret",
                );
            }
        }
    })
}

/// Whether a step uses an action, whatever its version.
fn uses(step: &Node, action: &str) -> bool {
    let name = step.text_at("uses").unwrap_or_default();
    let name = name.split('@').next().unwrap_or_default();
    name == action || name.strip_prefix(action).is_some_and(|rest| rest.starts_with('/'))
}

fn setting<'a>(step: &'a Node, key: &str) -> Option<&'a str> {
    step.get("with")?.text_at(key)
}

fn credentials(tree: &Tree) -> Verdict {
    documents(tree, "checkout in a workflow", |look, document| {
        for step in all_steps(document).filter(|step| uses(step, "actions/checkout")) {
            look.saw();
            if setting(step, "persist-credentials") != Some("false") {
                look.find(
                    &step.place,
                    "the token stays in .git/config, where every later step and artifact finds it",
                    "give it persist-credentials: false",
                );
            }
        }
    })
}

fn inherited(tree: &Tree) -> Verdict {
    documents(tree, NONE, |look, document| {
        if !is_workflow(document) {
            return;
        }
        look.saw();
        for secrets in
            jobs(document).filter_map(|(_, job)| job.get("secrets")).filter(|secrets| secrets.is("inherit"))
        {
            look.find(
                &secrets.place,
                "the called workflow gets every secret",
                "name the secrets that it needs",
            );
        }
    })
}

/// Whether a job makes what others will run: it has a right to publish, or its workflow is started by a release.
fn releases(document: &Node, job: &Node) -> bool {
    let rights = job.get("permissions").or(document.get("permissions")).map_or(&[][..], Node::entries);
    let publishes =
        rights.iter().any(|entry| entry.value.is("write") && PUBLISHING.contains(&entry.key.as_str()));
    let started = events(document).iter().any(|(_, event)| *event == "release")
        || document.at(&["on", "push", "tags"]).is_some();
    publishes || started || stem(document).starts_with("release")
}

fn caches(tree: &Tree) -> Verdict {
    documents(tree, "job that releases", |look, document| {
        for (name, job) in jobs(document).filter(|(_, job)| releases(document, job)) {
            look.saw();
            for step in steps(job) {
                if let Some(cache) = cached(step) {
                    look.find(
                        &step.place,
                        format!("{name} takes {cache} from a cache that other runs can write to"),
                        "build from nothing where a release is made",
                    );
                }
            }
        }
    })
}

/// What a step takes from a cache.
fn cached(step: &Node) -> Option<&'static str> {
    let on = |key: &str| setting(step, key).is_some_and(|value| !["", "false"].contains(&value));
    if uses(step, "actions/cache") || uses(step, "Swatinem/rust-cache") {
        return Some("files");
    }
    let tools = ["actions/setup-node", "actions/setup-python", "actions/setup-java", "actions/setup-go"];
    if tools.iter().any(|tool| uses(step, tool)) && on("cache") {
        return Some("packages");
    }
    // It caches unless told otherwise.
    if uses(step, "actions/setup-go") && setting(step, "cache") != Some("false") {
        return Some("packages");
    }
    if uses(step, "docker/build-push-action") && (on("cache-from") || on("cache-to")) {
        return Some("layers");
    }
    (uses(step, "docker/setup-buildx-action") && setting(step, "cache-binary") != Some("false"))
        .then_some("the builder itself (cache-binary)")
}

fn deploys(document: &Node) -> bool {
    is_workflow(document)
        && (DEPLOYING.iter().any(|name| stem(document).starts_with(name))
            || jobs(document).any(|(_, job)| job.get("environment").is_some()))
}

fn concurrency(tree: &Tree) -> Verdict {
    documents(tree, "workflow that deploys", |look, document| {
        if !deploys(document) {
            return;
        }
        look.saw();
        let for_jobs = || jobs(document).filter_map(|(_, job)| job.get("concurrency"));
        let declared: Vec<&Node> = document.get("concurrency").into_iter().chain(for_jobs()).collect();
        if declared.is_empty() {
            look.find(
                &document.place,
                "two runs may change one environment at once",
                "give it a concurrency group that names the environment, and cancel-in-progress: false",
            );
        }
        for one in declared {
            if let Some(cancel) = one.get("cancel-in-progress").filter(|cancel| !cancel.is("false")) {
                look.find(
                    &cancel.place,
                    "a deployment may be cancelled in the middle",
                    "give it cancel-in-progress: false",
                );
            }
        }
    })
}

fn promotion(tree: &Tree) -> Verdict {
    documents(tree, "workflow that promotes or rolls back", |look, document| {
        if !is_workflow(document) || !DEPLOYING.iter().any(|name| stem(document).starts_with(name)) {
            return;
        }
        look.saw();
        for step in all_steps(document) {
            let built = step.text_at("run").is_some_and(builds) || uses(step, "docker/build-push-action");
            if built {
                look.find(
                    &step.place,
                    "what was tested is not what is deployed: it is built again",
                    "deploy the digests that the release's lock names",
                );
            }
        }
        let inputs: Vec<&str> = ["workflow_dispatch", "workflow_call"]
            .iter()
            .filter_map(|event| document.at(&["on", event, "inputs"]))
            .flat_map(|inputs| inputs.entries().iter().map(|entry| entry.key.as_str()))
            .collect();
        if !inputs.iter().any(|input| ["digest", "version", "release"].contains(input)) {
            look.find(
                &document.place,
                "nothing says which release is meant",
                "ask for its version or its digest as an input",
            );
        }
    })
}

/// Whether a command makes an image or an archive.
fn builds(script: &str) -> bool {
    shell::commands(script).iter().any(|words| {
        let words: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        let has = |sequence: &[&str]| words.windows(sequence.len()).any(|window| window == sequence);
        has(&["docker", "build"])
            || has(&["docker", "buildx", "build"])
            || has(&["xtask", "image", "build"])
            || has(&["xtask", "release", "package"])
            || has(&["cargo", "build"])
    })
}
