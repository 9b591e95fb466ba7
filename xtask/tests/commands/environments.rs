//! `cargo xtask environment` as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const GOOD: &str = "tier = 'development'\nengine = 'process'\n";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("ops/environments")).unwrap();
    for (name, text) in files {
        fs::write(root.path().join("ops/environments").join(name), text).unwrap();
    }
    root
}

fn run(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--root").arg(root).args(arguments).output().unwrap()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_repositorys_environments_are_good() {
    let output = run(repository(), &["environment", "check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let list = run(repository(), &["environment", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dev", "production", "staging"]);
}

#[test]
fn check_reports_every_fault_of_every_file_and_exits_with_2() {
    let files =
        [("dev.toml", "tier = 'develop'\nengin = 'process'\n"), ("fine.toml", GOOD), ("x.toml", "a = [\n")];
    let root = tree(&files);
    let output = run(root.path(), &["environment", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    for expected in [
        "error: 4 problems in the environments\n",
        "\nops/environments/dev.toml:1:1: missing engine; expected one of",
        "\nops/environments/dev.toml:1:8: tier: \"develop\"; expected one of \"development\", \"staging\", \"production\"; \
         did you mean \"development\"?\n",
        "\nops/environments/dev.toml:2:1: unknown key \"engin\"; expected one of",
        "\nops/environments/x.toml:",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("fine.toml"));

    let output = run(root.path(), &["environment", "check", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["problems"].as_array().unwrap().len(), 4);
    assert_eq!(report["problems"][1]["remedy"], "did you mean \"development\"?");
}

#[test]
fn show_fills_in_defaults_and_minds_only_its_own_file() {
    let root = tree(&[("dev.toml", GOOD), ("broken.toml", "=")]);
    let output = run(root.path(), &["environment", "show", "dev"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("domain = \"localhost\"\n"), "{}", stdout(&output));

    let again = tree(&[("dev.toml", &stdout(&output))]);
    let shown = run(again.path(), &["environment", "show", "dev"]);
    assert_eq!(stdout(&shown), stdout(&output), "what is shown can be saved");

    let output = run(root.path(), &["environment", "show", "deb"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "error: no environment \"deb\"; expected one of broken, dev (the files in ops/environments); \
                    did you mean \"dev\"?\n";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn a_tree_without_environments_is_refused() {
    let root = tree(&[]);
    let output = run(root.path(), &["environment", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("ops/environments: no environment; expected at least one TOML file"));
}

#[test]
fn settings_are_listed() {
    let output = run(repository(), &["environment", "settings", "--json"]);
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let logs = settings.as_array().unwrap().iter().find(|one| one["key"] == "retention.logs_days").unwrap();
    assert_eq!(logs["default"], "7");
    assert_eq!(logs["type"], "a whole number of days from 1 to 3650");
}

#[test]
fn a_setting_without_effect_is_reported_where_it_is_set() {
    let text = format!(
        "{GOOD}[sizes.node-red]\nmemory_mib = 600\nreplicas = 2\n[retention]\nbackups_days = 3\n[objectives]\nrto_seconds = 9\n"
    );
    let kubernetes = "tier = 'development'\nengine = 'kubernetes'\n\
                      [[hosts]]\nname = 'a'\naddress = '10.0.0.1'\n[[hosts]]\nname = 'b'\naddress = '10.0.0.2'\n";
    let root = tree(&[("dev.toml", &text), ("k.toml", kubernetes)]);
    let notes = "ops/environments/dev.toml:4: warning: [not-yet] sizes.node-red.memory_mib: the process engine does not read it; compose \
                 does\nops/environments/dev.toml:7: warning: [not-yet] retention.backups_days: nothing reads it\n\
                 ops/environments/dev.toml:9: warning: [not-yet] objectives.rto_seconds: nothing reads it\n";
    let check = run(root.path(), &["environment", "check"]);
    assert!(check.status.success(), "{}", stderr(&check));
    assert_eq!(stdout(&check), "no problems in 2 environments\n");
    let of_file = "ops/environments/k.toml:1: warning: [not-yet] the whole file: no command brings up an environment on Kubernetes; it \
                   is checked only\n";
    assert_eq!(stderr(&check), format!("{notes}{of_file}"));
    let show = run(root.path(), &["environment", "show", "dev"]);
    assert_eq!(stderr(&show), notes);
    assert!(stdout(&show).contains("backups_days = 3"), "{}", stdout(&show));
    let data = run(root.path(), &["environment", "check", "--json"]);
    let data: serde_json::Value = serde_json::from_slice(&data.stdout).unwrap();
    assert_eq!(data["not_yet"].as_array().unwrap().len(), 4, "{data:#}");
    assert_eq!(data["not_yet"][1]["subject"], "retention.backups_days", "{data:#}");
    // The table of settings says it too.
    let settings = stdout(&run(root.path(), &["environment", "settings"]));
    assert!(settings.contains("How long logs are kept.\n    read by: process, compose\n"), "{settings}");
}

#[test]
fn the_repositorys_files_say_what_is_not_yet() {
    let check = run(repository(), &["environment", "check", "--json"]);
    let check: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    for note in check["not_yet"].as_array().unwrap() {
        let text = fs::read_to_string(repository().join(note["file"].as_str().unwrap())).unwrap();
        assert!(text.to_lowercase().contains("not yet"), "{note:#}: its file does not say so");
    }
}

/// Values, keys and texts of a megabyte, and nesting without end: the error stays readable, and says where.
#[test]
fn what_is_huge_is_named_and_not_printed() {
    let long = "x".repeat(1 << 20);
    let deep = "[".repeat(100_000);
    let cases = [
        format!("tier = '{long}'\nengine = 'process'\n"),
        format!("{GOOD}{long} = 1\n"),
        format!("{GOOD}domain = '{long}'\n"),
        format!("{GOOD}[ports.{long}]\na = 1\n"),
        format!("{GOOD}[sizes.{long}]\nreplicas = 2\n"),
        format!("{GOOD}a = {long}\n"),
        format!("{GOOD}a = {deep}\n"),
        format!("{GOOD}a = {}\n", "{a = ".repeat(100_000)),
        format!("{GOOD}{} = 1\n", "a.".repeat(100_000) + "a"),
        format!("name = '{long}'\n{GOOD}"),
    ];
    for text in cases {
        let root = tree(&[("dev.toml", &text)]);
        let mut bounded = Command::new("sh");
        bounded.args(["-c", "ulimit -v 2000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_xtask")]);
        let output = bounded.args(["environment", "check", "--root"]).arg(root.path()).output().unwrap();
        let shown = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{}: {}", &text[..80], &shown[..shown.len().min(300)]);
        assert!(shown.contains("ops/environments/dev.toml:"), "{shown}");
        assert!(shown.contains("; expected "), "{shown}");
        let longest = shown.lines().map(str::len).max().unwrap_or(0);
        assert!(longest < 1500, "{}: {longest} bytes in a line", &text[..80]);
        assert!(!shown.contains('\u{1b}'));
    }
}

/// A name becomes a folder, and some commands remove it.
#[test]
fn only_an_environment_is_stopped_removed_or_shown() {
    let root = tree(&[("dev.toml", GOOD), ("production.toml", GOOD)]);
    fs::create_dir_all(root.path().join(".flowship/evidence")).unwrap();
    fs::write(root.path().join("precious"), "").unwrap();
    for command in [&["status"][..], &["down"], &["reset", "--yes"], &["logs", "--environment"]] {
        for name in ["..", "../ops", "evidence", "", "dve", "/tmp"] {
            let output = run(root.path(), &[command, &[name]].concat());
            assert_eq!(output.status.code(), Some(2), "{command:?} {name}: {}", stderr(&output));
            let expected = format!("error: no environment \"{name}\"; expected one of dev, production (");
            assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
        }
        assert!(stderr(&run(root.path(), &[command, &["dve"]].concat())).contains("did you mean \"dev\"?"));
    }
    assert!(root.path().join("precious").exists() && root.path().join(".flowship/evidence").exists());
}

#[test]
fn something_else_in_the_place_of_a_file_is_named() {
    let root = tree(&[("dev.toml", GOOD)]);
    let path = root.path().join("ops/environments/x.toml");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let output = run(root.path(), &["environment", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("error: {} is a symbolic link to /dev/zero", path.display());
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let output = run(root.path(), &["environment", "check"]);
    assert!(stderr(&output).contains("is a FIFO; expected a regular file"), "{}", stderr(&output));
}
