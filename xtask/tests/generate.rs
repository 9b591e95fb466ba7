//! `cargo xtask generate` as its users run it, on trees of their own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SETTINGS: &str = "flows/settings.js";
const PORTS: &str = "docs/reference/ports.md";
const MODEL: &str = "docs/reference/platform.json";
const EXAMPLE: &str = "ops/secrets/postgres.env.example";
const WORKFLOW: &str = ".github/workflows/ci.yml";
const LEDGER: &str = "ops/generated.sha256";

/// A tree that holds nothing but what was generated.
struct Tree {
    folder: TempDir,
}

/// What can be seen of a file without reading its name: contents, mode, identity, time.
type Seen = (Vec<u8>, u32, u64, i64, i64);

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        let output = tree.generate(&[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn generate(&self, arguments: &[&str]) -> Output {
        xtask(self.folder.path(), arguments).output().unwrap()
    }

    fn files(&self) -> BTreeMap<String, Seen> {
        let mut seen = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.folder.path()) {
            let entry = entry.unwrap();
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                continue;
            }
            let name = entry.path().strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned();
            let contents = fs::read(entry.path()).unwrap_or_default();
            let seconds = (metadata.mtime(), metadata.mtime_nsec());
            seen.insert(name, (contents, metadata.mode() & 0o7777, metadata.ino(), seconds.0, seconds.1));
        }
        seen
    }

    /// Takes a file out of the ledger.
    fn forget(&self, name: &str) {
        let kept: String = self
            .text(LEDGER)
            .lines()
            .filter(|line| !line.ends_with(name))
            .map(|line| format!("{line}\n"))
            .collect();
        self.write(LEDGER, &kept);
    }

    /// Notes these contents in the ledger, as a generation that made them would have.
    fn remember(&self, name: &str, contents: &str) {
        self.forget(name);
        let ledger = self.text(LEDGER);
        self.write(LEDGER, &format!("{ledger}{}  {name}\n", sha256(contents)));
    }

    /// As if an older platform had generated this.
    fn generated_before(&self, name: &str, contents: &str) {
        self.write(name, contents);
        self.remember(name, contents);
    }
}

fn xtask(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("generate").arg("--root").arg(root).args(arguments);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headlines of the result: what is said of which file.
fn headlines(output: &Output) -> Vec<String> {
    let is_diff = |line: &str| line.is_empty() || line.starts_with([' ', '+', '-', '@', '\\']);
    stdout(output).lines().filter(|line| !is_diff(line)).map(str::to_owned).collect()
}

#[test]
fn a_generated_tree_is_up_to_date_and_stays_untouched() {
    let tree = Tree::new();
    let before = tree.files();
    let checked = tree.generate(&["--check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    assert_eq!(stdout(&checked), "");
    assert!(stderr(&checked).ends_with("generated files are up to date\n"), "{}", stderr(&checked));
    assert_eq!(tree.generate(&[]).status.code(), Some(0));
    assert_eq!(tree.files(), before, "neither the check nor a second generation touches a file");
}

#[test]
fn this_repository_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = xtask(root, &["--check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

/// Every way in which a file can differ, in one tree.
fn spoiled() -> Tree {
    let tree = Tree::new();
    fs::remove_file(tree.path(MODEL)).unwrap();
    tree.generated_before(PORTS, "an older table\n");
    tree.write(SETTINGS, &format!("{}// mine\n", tree.text(SETTINGS)));
    fs::set_permissions(tree.path(EXAMPLE), fs::Permissions::from_mode(0o600)).unwrap();
    tree.generated_before("docs/reference/gone.json", "{}\n");
    tree.generated_before("docs/reference/mine.json", "{}\n");
    tree.write("docs/reference/mine.json", "{\"kept\": 1}\n");
    tree.write(
        "ops/old.yml",
        "# Generated by `cargo xtask generate` from somewhere; edit that instead.\na: 1\n",
    );
    tree
}

#[test]
fn one_check_tells_all_with_diffs_and_the_command_and_writes_nothing() {
    let tree = spoiled();
    let before = tree.files();
    let output = tree.generate(&["--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        headlines(&output),
        [
            "orphan docs/reference/gone.json",
            "orphan with hand edits docs/reference/mine.json",
            "missing docs/reference/platform.json",
            "stale docs/reference/ports.md",
            "hand-edited flows/settings.js",
            "stale ops/generated.sha256",
            "orphan with hand edits ops/old.yml",
            "wrong mode ops/secrets/postgres.env.example",
            "ops/secrets/postgres.env.example: mode 600 -> 644",
        ]
    );
    let text = stdout(&output);
    for part in [
        "--- a/flows/settings.js\n+++ b/flows/settings.js\n@@ ",
        "\n-// mine\n",
        "\n-an older table\n+<!-- Generated by",
        "--- a/docs/reference/gone.json\n+++ b/docs/reference/gone.json\n@@ -1 +0,0 @@\n-{}\n",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
    assert_eq!(
        stderr(&output),
        "8 files differ from what the platform says; to fix that run: cargo xtask generate\n"
    );
    assert_eq!(tree.files(), before);
}

#[test]
fn generate_mends_all_and_shows_the_hand_edits_it_overwrites() {
    let tree = spoiled();
    let output = tree.generate(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        headlines(&output),
        [
            "removed docs/reference/gone.json",
            "removed, with hand edits, docs/reference/mine.json",
            "wrote docs/reference/platform.json",
            "updated docs/reference/ports.md",
            "overwrote hand edits in flows/settings.js",
            "updated ops/generated.sha256",
            "removed, with hand edits, ops/old.yml",
            "updated ops/secrets/postgres.env.example",
        ]
    );
    let text = stdout(&output);
    for shown in ["\n-// mine\n", "\n-{\"kept\": 1}\n", "\n-a: 1\n"] {
        assert!(text.contains(shown), "{shown}\nin\n{text}");
    }
    assert!(!text.contains("an older table"), "what nobody typed is not shown");
    let clean = Tree::new();
    let plain = |tree: &Tree| -> BTreeMap<String, (Vec<u8>, u32)> {
        tree.files().into_iter().map(|(name, seen)| (name, (seen.0, seen.1))).collect()
    };
    assert_eq!(plain(&tree), plain(&clean));
    assert_eq!(tree.generate(&["--check"]).status.code(), Some(0));
}

#[test]
fn each_difference_alone_fails_the_check() {
    type Fault = (&'static str, fn(&Tree));
    let faults: [Fault; 9] = [
        ("missing docs/reference/platform.json", |tree| fs::remove_file(tree.path(MODEL)).unwrap()),
        ("hand-edited docs/reference/ports.md", |tree| tree.write(PORTS, "edited\n")),
        ("stale docs/reference/ports.md", |tree| {
            tree.write(PORTS, "edited\n");
            tree.forget(PORTS);
        }),
        ("hand-edited flows/settings.js", |tree| {
            fs::write(tree.path(SETTINGS), [b"// \xff\xfe\n", tree.text(SETTINGS).as_bytes()].concat())
                .unwrap();
        }),
        ("wrong mode flows/settings.js", |tree| {
            fs::set_permissions(tree.path(SETTINGS), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("orphan docs/reference/gone.json", |tree| tree.generated_before("docs/reference/gone.json", "{}\n")),
        ("orphan with hand edits a/b.yml", |tree| {
            tree.write("a/b.yml", "# Generated by `cargo xtask generate` from x; edit that instead.\n");
        }),
        ("missing ops/generated.sha256", |tree| fs::remove_file(tree.path(LEDGER)).unwrap()),
        ("stale ops/generated.sha256", |tree| tree.forget(PORTS)),
    ];
    let tree = Tree::new();
    for (headline, plant) in faults {
        plant(&tree);
        let output = tree.generate(&["--check"]);
        assert_eq!(output.status.code(), Some(1), "{headline}");
        assert!(headlines(&output).contains(&headline.to_owned()), "{headline}: {:?}", headlines(&output));
        assert_eq!(tree.generate(&[]).status.code(), Some(0), "{headline}");
        assert_eq!(tree.generate(&["--check"]).status.code(), Some(0), "{headline}");
    }
}

#[test]
fn a_file_that_only_speaks_of_the_mark_is_left_alone() {
    let tree = Tree::new();
    let mark = "Generated by `cargo xtask generate`";
    tree.write("docs/guide.md", &format!("# How\n\nFiles with `{mark}` at their top are generated.\n"));
    tree.write("docs/late.md", &format!("1\n2\n3\n<!-- {mark} -->\n"));
    for skipped in ["target/debug/x.yml", ".flowship/x.yml", "flows/node_modules/x.yml", "rendered/dev/x.yml"]
    {
        tree.write(skipped, &format!("# {mark}\n"));
    }
    let output = tree.generate(&["--check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn a_ledger_that_leads_out_of_the_tree_removes_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let tree = Tree { folder: tempfile::tempdir_in(outside.path()).unwrap() };
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious\n").unwrap();
    tree.generate(&[]);
    let ledger = tree.text(LEDGER);
    let hash = sha256("precious\n");
    tree.write(LEDGER, &format!("{ledger}{hash}  ../victim\n{hash}  {}\n<<<<<<< ours\n", victim.display()));
    assert_eq!(headlines(&tree.generate(&[])), ["updated ops/generated.sha256"]);
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious\n");
}

#[test]
fn only_narrows_and_keeps_the_rest_of_the_ledger() {
    let tree = Tree::new();
    tree.write(PORTS, "edited\n");
    tree.write(SETTINGS, "edited\n");
    tree.generated_before("docs/reference/gone.json", "{}\n");
    let checked = tree.generate(&["--check", "--only", "node-red-settings"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(headlines(&checked), ["hand-edited flows/settings.js"]);
    assert_eq!(
        stderr(&checked),
        "1 file differs from what the platform says; to fix that run: cargo xtask generate --only \
         node-red-settings\n"
    );
    assert_eq!(tree.generate(&["--only", "node-red-settings"]).status.code(), Some(0));
    assert_eq!(tree.text(PORTS), "edited\n");
    assert!(tree.path("docs/reference/gone.json").exists(), "orphans are known only when all families are");
    let left = tree.generate(&["--check"]);
    assert_eq!(
        headlines(&left),
        [
            "orphan docs/reference/gone.json",
            "hand-edited docs/reference/ports.md",
            "stale ops/generated.sha256"
        ]
    );
    assert_eq!(tree.generate(&["--check", "--only", "workflows", "--only", "model"]).status.code(), Some(0));
}

#[test]
fn wrong_invocations_are_refused_all_at_once() {
    let tree = Tree::new();
    let before = tree.files();
    let unknown = tree.generate(&["--only", "workflow", "--only", "zebra", "--only", "model"]);
    assert_eq!(unknown.status.code(), Some(2));
    let text = stderr(&unknown);
    assert!(
        text.starts_with(
            "error: --only workflow: no family is called so; did you mean workflows?\n--only zebra: no family is \
             called so\nthe families are node-red-settings, flow-facts, "
        ),
        "{text}"
    );
    for arguments in [&["--list", "--check"][..], &["--list", "--diff"], &["--only"], &["--chek"]] {
        assert_eq!(tree.generate(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let nowhere = tree.path("nowhere");
    assert_eq!(xtask(&nowhere, &[]).output().unwrap().status.code(), Some(2));
    assert_eq!(tree.files(), before);
}

#[test]
fn diff_shows_writes_nothing_and_is_no_failure() {
    let tree = spoiled();
    let before = tree.files();
    let output = tree.generate(&["--diff"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), stdout(&tree.generate(&["--check"])));
    assert_eq!(tree.files(), before);
}

#[test]
fn the_families_are_listed_for_people_and_programs() {
    let tree = Tree::new();
    let listed = stdout(&tree.generate(&["--list"]));
    let json: serde_json::Value =
        serde_json::from_slice(&tree.generate(&["--list", "--json"]).stdout).unwrap();
    let names: Vec<_> =
        json.as_array().unwrap().iter().map(|family| family["name"].as_str().unwrap()).collect();
    let lines: Vec<_> = listed.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(lines, names);
    for name in names {
        assert_eq!(tree.generate(&["--check", "--only", name]).status.code(), Some(0), "{name}");
    }
}

#[test]
fn json_tells_the_same() {
    let tree = spoiled();
    let output = tree.generate(&["--check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<_> = value["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| (difference["state"].as_str().unwrap(), difference["path"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("orphan", "docs/reference/gone.json"),
            ("edited-orphan", "docs/reference/mine.json"),
            ("missing", MODEL),
            ("stale", PORTS),
            ("hand-edited", SETTINGS),
            ("stale", LEDGER),
            ("edited-orphan", "ops/old.yml"),
            ("mode", EXAMPLE),
        ]
    );
    let clean: serde_json::Value =
        serde_json::from_slice(&Tree::new().generate(&["--check", "--json"]).stdout).unwrap();
    assert_eq!(clean["differences"], serde_json::json!([]));
}

#[test]
fn the_bytes_are_the_same_wherever_and_by_whomever() {
    let plain = Tree::new();
    let deep = tempfile::tempdir().unwrap();
    let root = deep.path().join("a folder/with späces/and 'quotes'");
    fs::create_dir_all(&root).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for (mask, variables) in [
        (
            "077",
            [("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Asia/Kathmandu"), ("USER", "x")],
        ),
        ("000", [("LANG", "C"), ("LC_ALL", "POSIX"), ("TZ", "UTC-14"), ("USER", "somebody else")]),
    ] {
        let output = Command::new("sh")
            .args([
                "-c",
                "umask \"$0\"; exec \"$@\"",
                mask,
                env!("CARGO_BIN_EXE_xtask"),
                "generate",
                "--root",
            ])
            .arg(&root)
            .current_dir(elsewhere.path())
            .env_clear()
            .env("HOME", elsewhere.path())
            .envs(variables)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for (name, (contents, mode, ..)) in plain.files() {
            let path = root.join(&name);
            assert_eq!(fs::read(&path).unwrap(), contents, "{name}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode, "{name}");
        }
        let count = |folder: &Path| {
            walkdir::WalkDir::new(folder)
                .into_iter()
                .filter(|entry| !entry.as_ref().unwrap().path().is_dir())
                .count()
        };
        assert_eq!(count(&root), plain.files().len());
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir_all(&root).unwrap();
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_nothing_has_changed() {
    let tree = Tree::new();
    tree.write(SETTINGS, "edited\n");
    tree.write(WORKFLOW, "edited\n");
    fs::remove_dir_all(tree.path("docs/reference")).unwrap();
    symlink("/nowhere/at/all", tree.path("docs/reference")).unwrap();
    let before = tree.files();
    let output = tree.generate(&[]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("{} is a symbolic link to /nowhere/at/all", tree.path("docs/reference").display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    assert_eq!(tree.files(), before, "neither a half file nor a half generation");
}

#[test]
fn what_a_killed_generation_left_beside_is_found_and_removed() {
    let tree = Tree::new();
    let clean = tree.files();
    tree.write("docs/reference/.generate-Xy3zQ1", "{ half");
    let output = tree.generate(&["--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(headlines(&output), ["orphan with hand edits docs/reference/.generate-Xy3zQ1"]);
    assert_eq!(tree.generate(&[]).status.code(), Some(0));
    assert_eq!(tree.files(), clean);
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named() {
    let tree = Tree::new();
    fs::remove_file(tree.path(SETTINGS)).unwrap();
    fs::create_dir(tree.path(SETTINGS)).unwrap();
    let output = tree.generate(&["--check"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("{} is a folder; expected a regular file", tree.path(SETTINGS).display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

#[test]
fn readers_that_stop_early_are_no_failure() {
    let tree = spoiled();
    let output = Command::new("sh")
        .args(["-c", "\"$@\" | :", "sh", env!("CARGO_BIN_EXE_xtask"), "generate", "--diff", "--root"])
        .arg(tree.folder.path())
        .output()
        .unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

#[test]
fn every_file_says_who_made_it_or_stands_in_the_ledger() {
    let tree = Tree::new();
    let ledger = tree.text(LEDGER);
    for (name, (contents, ..)) in tree.files() {
        let text = String::from_utf8(contents).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let tells = first.contains("Generated by `cargo xtask generate` from ")
            && first.contains("; edit that instead.");
        assert!(tells || name.ends_with(".json") || name == LEDGER, "{name} has no banner: {first}");
        assert_eq!(ledger.contains(&format!("  {name}\n")), name != LEDGER, "{name}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n") && !text.contains('\r'), "{name}");
    }
    let mut judge = Command::new("sha256sum");
    judge.args(["--check", "--quiet", "--strict", LEDGER]).current_dir(tree.folder.path());
    // A minimal system may lack it.
    if let Ok(judged) = judge.output() {
        assert!(judged.status.success(), "{}", stdout(&judged));
    }
}
