//! `why`, `impact` and `generate --diff --semantic` as their users run them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

const RECORD: &str = "docs/reference/platform.json";

fn run(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--root").arg(root).args(arguments).output().unwrap()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A tree with the platform as it would be generated, after a change to it.
fn tree(change: impl FnOnce(&mut Value)) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut platform: Value =
        serde_json::from_str(&fs::read_to_string(repository().join(RECORD)).unwrap()).unwrap();
    change(&mut platform);
    let path = root.path().join(RECORD);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, platform.to_string()).unwrap();
    root
}

fn service<'a>(platform: &'a mut Value, id: &str) -> &'a mut Value {
    platform["services"].as_array_mut().unwrap().iter_mut().find(|service| service["id"] == id).unwrap()
}

fn git(root: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(root)
        .args(["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The number of the first line of a generated file that holds a text.
fn line(path: &str, holds: &str) -> usize {
    let contents = fs::read_to_string(repository().join(path)).unwrap();
    contents.lines().position(|line| line.contains(holds)).expect(holds) + 1
}

#[test]
fn why_names_the_values_and_where_they_stand() {
    let place = format!("docs/reference/ports.md:{}", line("docs/reference/ports.md", "`node-red.ops`"));
    let output = run(repository(), &["why", &place]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "written by the family reference (xtask/artifacts/src/reference.rs); without it, the line disappears or \
         changes",
        "service/node-red without it xtask/platform/src/node_red.rs",
        "port/node-red.ops/number when it changes xtask/platform/src/node_red.rs",
        "edge/prometheus->node-red.ops without it xtask/platform/src/prometheus.rs",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    assert!(!shown.contains("node-red.flows"), "no other port makes it: {shown}");

    let answer = json(&run(repository(), &["why", "--json", &place]));
    assert_eq!(answer["place"], place.as_str());
    assert_eq!(answer["family_source"], "xtask/artifacts/src/reference.rs");
    assert_eq!(answer["causes"][0]["address"], "service/node-red");
    assert_eq!(answer["causes"][0]["way"], "left-out");
}

/// The generated workflows and Compose files, as the ledger lists them.
fn workflows_and_compose_files() -> Vec<String> {
    let ledger = fs::read_to_string(repository().join("ops/generated.sha256")).unwrap();
    let paths = ledger.lines().filter_map(|line| line.split_once("  ")).map(|(_, path)| path.to_owned());
    paths.filter(|path| path.starts_with(".github/workflows/") || path.contains("compose")).collect()
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn why_answers_for_every_line_of_workflows_and_compose_files() {
    let paths = workflows_and_compose_files();
    for expected in
        [".github/workflows/ci.yml", "ops/docker/compose.yaml", "ops/docker/prod/compose.prod.yaml"]
    {
        assert!(paths.iter().any(|path| path == expected), "{expected}: {paths:?}");
    }
    thread::scope(|scope| {
        paths.iter().for_each(|path| drop(scope.spawn(|| every_line_is_answered_for(path))));
    });
}

fn every_line_is_answered_for(path: &str) {
    let contents = fs::read_to_string(repository().join(path)).unwrap();
    let answer = json(&run(repository(), &["why", "--json", path]));
    let lines = answer["lines"].as_array().unwrap();
    assert_eq!(lines.len(), contents.lines().count(), "{path}");
    for (at, (line, text)) in lines.iter().zip(contents.lines()).enumerate() {
        assert_eq!((&line["line"], &line["text"]), (&Value::from(at + 1), &Value::from(text)), "{path}");
        assert!(line["causes"].is_array(), "{path}:{}", at + 1);
    }
    let caused = |line: &Value| !line["causes"].as_array().unwrap().is_empty();
    assert!(lines.iter().any(caused), "{path} does not derive from the platform");

    // Asked alone a line has the same answer.
    for at in (path.len() % 50..lines.len()).step_by(150) {
        let alone = json(&run(repository(), &["why", "--json", &format!("{path}:{}", at + 1)]));
        assert_eq!(caused(&alone), caused(&lines[at]), "{path}:{}", at + 1);
    }
}

#[test]
fn why_shows_a_whole_file_with_what_makes_each_line() {
    let output = run(repository(), &["why", ".github/workflows/ci.yml"]);
    let shown = text(&output.stdout);
    let number = line(".github/workflows/ci.yml", "ci --group node ");
    let (_, after) =
        shown.split_once(&format!("\n{number:>5}  ")).expect("each line is shown with its number");
    let maker = after.lines().nth(1).unwrap();
    assert!(maker.contains("gate") && maker.trim_start().starts_with("<- "), "{maker}");
    assert!(shown.contains("    1  # Generated by `cargo xtask generate` from"), "{shown}");
}

#[test]
fn why_says_when_no_value_makes_a_line() {
    let output = run(repository(), &["why", "flows/settings.js:1"]);
    let expected = "written by the family node-red-settings itself (xtask/artifacts/src/node_red_settings.rs), \
                    for any platform\n";
    assert!(text(&output.stdout).ends_with(expected), "{}", text(&output.stdout));
    assert_eq!(
        json(&run(repository(), &["why", "--json", "flows/settings.js:1"]))["causes"],
        Value::Array(vec![])
    );
}

#[test]
fn why_answers_for_the_ledger_too() {
    let place = format!("ops/generated.sha256:{}", line("ops/generated.sha256", "flows/settings.js"));
    assert_eq!(json(&run(repository(), &["why", "--json", &place]))["hash_of"], "flows/settings.js");
}

#[test]
fn why_explains_a_listed_file() {
    let place = format!(".gitattributes:{}", line(".gitattributes", "/ops/secrets/postgres.env.example "));
    let output = run(repository(), &["why", &place]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("lists ops/secrets/postgres.env.example, which is written by the family"),
        "{shown}"
    );
    assert!(shown.contains("service/postgres/secret/postgres-superuser-password/variable"), "{shown}");
}

#[test]
fn why_refuses_what_it_cannot_answer() {
    for (place, expected) in [
        ("docs/reference/port.md:3", "is not a generated file; did you mean docs/reference/ports.md?"),
        ("Cargo.toml:3", "Cargo.toml is written by hand, not generated"),
        ("docs/reference/ports.md:3000", "docs/reference/ports.md:3000: the file has "),
        ("docs/reference/port.md", "is not a generated file; did you mean docs/reference/ports.md?"),
        ("ops/generated.sha256", "expected FILE:LINE"),
        ("docs/reference/ports.md:0", "expected FILE:LINE"),
        ("docs/reference/ports.md:x", "expected FILE:LINE"),
    ] {
        let output = run(repository(), &["why", place]);
        assert_eq!(output.status.code(), Some(2), "{place}");
        assert!(output.stdout.is_empty(), "{place}");
        assert!(text(&output.stderr).contains(expected), "{place}: {}", text(&output.stderr));
    }
}

#[test]
fn why_does_not_explain_a_file_that_is_another() {
    let root = tree(|_| ());
    let output = run(root.path(), &["why", "docs/reference/platform.json:5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is out of date, so its lines differ"), "{}", text(&output.stderr));
    let output = run(root.path(), &["why", "docs/reference/ports.md:9"]);
    assert!(
        output.status.success(),
        "a file that is not there yet is answered for: {}",
        text(&output.stderr)
    );
    assert!(!text(&output.stdout).contains(".rs"), "no source is named that is not there");
}

#[test]
fn impact_names_files_and_lines() {
    let impacts = json(&run(repository(), &["impact", "--json", "service/postgres"]));
    let files = impacts[0]["files"].as_array().unwrap();
    let file = |path: &str| files.iter().find(|file| file["path"] == path).unwrap_or(&Value::Null);
    assert_eq!(file("ops/secrets/postgres.env.example")["effect"], "vanishes");
    assert_eq!(file("docs/reference/services.md")["removed"], 1);
    assert!(file("flows/settings.js").is_null());

    let output = run(repository(), &["impact", "edge/node-red->postgres.sql"]);
    let shown = text(&output.stdout);
    assert!(
        shown.starts_with("edge/node-red->postgres.sql, left out (xtask/platform/src/node_red.rs): "),
        "{shown}"
    );
    assert!(shown.contains("docs/reference/edges.md"), "{shown}");
}

#[test]
fn impact_refuses_unknown_values_with_the_nearest() {
    for (value, expected) in [
        ("service/postgre", "; the nearest is service/postgres ("),
        ("postgers", "; the nearest is service/postgres ("),
        ("gate/flow", "; the nearest is gate/flows ("),
        ("redis", "redis: the platform has no such value; the nearest is service/"),
        ("%%%%", "%%%%: the platform has no such value (`cargo xtask impact --list` lists them)"),
    ] {
        let output = run(repository(), &["impact", value]);
        assert_eq!(output.status.code(), Some(2), "{value}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let list = json(&run(repository(), &["impact", "--list", "--json"]));
    assert!(list.as_array().unwrap().contains(&Value::from("secret/llm-api-key")));
}

#[test]
fn a_change_is_described_by_its_meaning() {
    let root = tree(|platform| {
        let edges = service(platform, "node-red")["edges"].as_array_mut().unwrap();
        edges.retain(|edge| edge["to"]["port"] != "postgres.sql");
        service(platform, "edge")["purpose"] = "x".into();
    });
    let output = run(root.path(), &["generate", "--diff", "--semantic"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    assert!(shown.starts_with("widens reach     opens node-red -> postgres.sql\n"), "{shown}");
    assert!(shown.contains("neutral          service edge: purpose changes \"x\" -> \"HAProxy"), "{shown}");
    let expected = "2 changes against docs/reference/platform.json; the label wider-platform is needed\n";
    assert_eq!(text(&output.stderr), expected);

    let answer = json(&run(root.path(), &["generate", "--diff", "--semantic", "--json"]));
    assert_eq!(answer["label"]["name"], "wider-platform");
    assert_eq!(answer["label"]["needed"], true);
    assert_eq!(answer["changes"][0]["class"], "widens-reach");
    assert_eq!(answer["changes"][0]["place"], "services/node-red/edges/postgres.sql");
}

#[test]
fn the_same_platform_has_no_changes() {
    let root = tree(|_| ());
    let output = run(root.path(), &["generate", "--diff", "--semantic"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(text(&output.stderr), "the platform is that of docs/reference/platform.json\n");
}

#[test]
fn a_commit_can_be_compared_with_and_the_summary_is_appended() {
    let root = tree(|platform| service(platform, "edge")["resources"]["memory_mib"] = 64.into());
    git(root.path(), &["init", "--quiet"]);
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "--message", "x"]);
    fs::write(root.path().join(RECORD), "{}").unwrap();
    let summary = root.path().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let arguments =
        ["generate", "--diff", "--semantic", "--against", "HEAD", "--summary", summary.to_str().unwrap()];
    let output = run(root.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let now = platform::platform().edge_service().unwrap().resources.memory_mib;
    let raised = format!("raises the memory of edge 64 -> {now} MiB");
    assert_eq!(text(&output.stdout), format!("loosens a limit  {raised}\n"));
    let written = fs::read_to_string(&summary).unwrap();
    assert!(written.starts_with("before\n## Changes of the platform\n"), "{written}");
    assert!(written.contains("a reviewer sets the label `wider-platform`"), "{written}");
    assert!(written.contains(&format!("| loosens a limit | {raised} |")), "{written}");

    git(root.path(), &["add", "."]);
    git(root.path(), &["rm", "--quiet", "--cached", RECORD]);
    git(root.path(), &["commit", "--quiet", "--message", "y"]);
    for (reference, expected) in [
        ("nosuch", "--against nosuch: fatal: invalid object name 'nosuch'; expected a commit"),
        ("HEAD", "expected a commit, branch or tag of this repository that has docs/reference/platform.json"),
        ("--help", "expected a commit, a branch or a tag"),
    ] {
        let against = format!("--against={reference}");
        let output = run(root.path(), &["generate", "--diff", "--semantic", &against]);
        assert_eq!(output.status.code(), Some(2), "{reference}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn there_must_be_something_to_compare_with() {
    let root = tempfile::tempdir().unwrap();
    let output = run(root.path(), &["generate", "--diff", "--semantic"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`cargo xtask generate` writes it"), "{}", text(&output.stderr));

    fs::create_dir_all(root.path().join("docs/reference")).unwrap();
    fs::write(root.path().join(RECORD), "{").unwrap();
    let output = run(root.path(), &["generate", "--diff", "--semantic"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected the platform as JSON"), "{}", text(&output.stderr));
}

/// A repository whose last commit has the platform as it is now, and whose commit before had it after a change.
fn pull_request(change: impl FnOnce(&mut Value)) -> TempDir {
    let root = tree(change);
    git(root.path(), &["init", "--quiet"]);
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "--message", "base"]);
    git(root.path(), &["commit", "--quiet", "--allow-empty", "--message", "merge"]);
    root
}

/// The step of the job `review`, as the workflow has it, with these labels; and what it wrote to the job's summary.
fn reviewed(root: &Path, labels: &str) -> (Output, String) {
    let summary = root.join("summary.md");
    let _ = fs::remove_file(&summary);
    let workflow = fs::read_to_string(repository().join(".github/workflows/review.yml")).unwrap();
    let (_, command) =
        workflow.split_once("\"cargo xtask generate --diff").expect("review.yml runs the review");
    let (command, _) = command.split_once("\"\n").unwrap();
    let command = format!("\"$XTASK\" generate --diff{}", command.replace("\\\"", "\""));
    let output = Command::new("bash")
        .args(["-e", "-c", &command])
        .current_dir(root)
        .env("XTASK", env!("CARGO_BIN_EXE_xtask"))
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("LABELS", labels)
        .output()
        .unwrap();
    let written = fs::read_to_string(summary).unwrap_or_default();
    (output, written)
}

#[test]
fn a_wider_change_needs_the_label_and_is_in_the_summary() {
    let root = pull_request(|platform| {
        let edges = service(platform, "node-red")["edges"].as_array_mut().unwrap();
        edges.retain(|edge| edge["to"]["port"] != "postgres.sql");
    });
    fs::create_dir_all(root.path().join("ops/environments")).unwrap();
    for labels in ["[]", "[\"bug\", \"wider\"]"] {
        let (output, summary) = reviewed(root.path(), labels);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains("the label wider-platform is not set"),
            "{}",
            text(&output.stderr)
        );
        assert!(summary.contains("| widens reach | opens node-red -> postgres.sql |"), "{summary}");
        assert!(summary.contains("**The label is not set: the check fails.**"), "{summary}");
    }
    let (output, summary) = reviewed(root.path(), "[\"bug\", \"wider-platform\"]");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(summary.contains("The label is set.") && !summary.contains("fails"), "{summary}");
}

#[test]
fn a_new_permission_of_a_workflow_needs_the_label() {
    let root = pull_request(|platform| {
        let jobs = platform["workflows"][0]["jobs"].as_array_mut().unwrap();
        let job = jobs.iter_mut().find(|job| job["id"] == "rust").unwrap();
        job["permissions"] = Value::Array(vec![]);
    });
    fs::create_dir_all(root.path().join("ops/environments")).unwrap();
    let (output, summary) = reviewed(root.path(), "[]");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(summary.contains("| new permission | lets the job ci/rust read contents |"), "{summary}");
}

#[test]
fn what_nobody_classified_needs_the_label() {
    let root = pull_request(|platform| platform["playbooks"] = Value::Array(vec!["x".into()]));
    fs::create_dir_all(root.path().join("ops/environments")).unwrap();
    let (output, summary) = reviewed(root.path(), "[]");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let line = "| loosens a limit | removes playbooks (not classified: counts as loosening) |";
    assert!(summary.contains(line), "{summary}");
}

#[test]
fn a_neutral_change_needs_no_label() {
    let root = pull_request(|platform| service(platform, "edge")["purpose"] = "x".into());
    fs::create_dir_all(root.path().join("ops/environments")).unwrap();
    let (output, summary) = reviewed(root.path(), "[]");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(summary.contains("1 against `HEAD^1`; none needs a label."), "{summary}");
    assert!(!summary.contains("label is"), "{summary}");
    for labels in ["bug", "{}", "[1]"] {
        let (output, summary) = reviewed(root.path(), labels);
        assert_eq!(output.status.code(), Some(2), "{labels}");
        assert!(text(&output.stderr).contains("expected a JSON list of texts"), "{}", text(&output.stderr));
        assert_eq!(summary, "");
    }
}

/// What another commit or a hostile pull request recorded is data: it may be broken, deep or long.
#[test]
fn an_invalid_record_is_refused_or_described_within_bounds() {
    let real = fs::read_to_string(repository().join(RECORD)).unwrap();
    let with = |field: &str, value: &str| {
        format!("{},\"{field}\":{value}}}", real.trim_end().strip_suffix('}').unwrap())
    };
    for (record, code, says) in [
        ("[".repeat(100_000), 2, "expected the platform as JSON"),
        (" ".repeat(17 << 20), 2, "is too large"),
        (with("deep", &format!("{}{}", "[".repeat(100), "]".repeat(100))), 0, "removes deep"),
        (with("long", &format!("\"{}\"", "x".repeat(5 << 20))), 0, "removes long"),
    ] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs/reference")).unwrap();
        fs::write(root.path().join(RECORD), record).unwrap();
        let mut bounded = Command::new("sh");
        bounded.args(["-c", "ulimit -v 2000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_xtask")]);
        let output =
            bounded.args(["generate", "--diff", "--semantic", "--root"]).arg(root.path()).output().unwrap();
        let shown = [text(&output.stdout), text(&output.stderr)].concat();
        assert_eq!(output.status.code(), Some(code), "{}", &shown[..shown.len().min(300)]);
        assert!(shown.contains(says), "{says}: {}", &shown[..shown.len().min(300)]);
        assert!(shown.lines().all(|line| line.len() < 1500));
    }
}
