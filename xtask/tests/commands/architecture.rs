//! The rooms of this program and the arrows between them: who may know of whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The crates of this workspace, and those of them that each may use: DESIGN's arrows, which Cargo enforces. Only the
/// binary uses the platform: everything else gets it as a value, so that a second one can take its place.
const ARROWS: &[(&str, &[&str])] = &[
    ("vocabulary", &[]),
    ("artifacts", &["vocabulary"]),
    ("foundation", &[]),
    // The vocabulary, for what a gate reads: a record of evidence rests on it.
    ("runner", &["foundation", "vocabulary"]),
    ("judges", &["foundation", "vocabulary"]),
    ("platform", &["vocabulary"]),
    // The runner, for the records of evidence that a release carries.
    ("shipping", &["foundation", "runner", "vocabulary"]),
    ("tests/second-platform", &["vocabulary"]),
    ("program", &["artifacts", "foundation", "judges", "runner", "shipping", "vocabulary"]),
    ("", &["platform", "program"]),
];

/// Rooms of the program that commands stand on, so that none of them may know one.
const BELOW_COMMANDS: &[&str] =
    &["context.rs", "engines", "generated", "images", "judging", "load_test", "session", "tools"];

/// Folders that only think: no file, process, network or environment variable.
const PURE: &[&str] = &["artifacts/src/", "platform/src/", "judges/src/checks/", "vocabulary/src/"];

const OUTSIDE: &[&str] =
    &["std::fs", "std::process", "std::net", "std::env", "duct::", "ureq::", "walkdir::"];

/// A source file: its path below `xtask`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// What is compiled into the program: the text before its tests, nothing of a file of tests.
    fn own(&self) -> &str {
        if self.path.ends_with("tests.rs") {
            return "";
        }
        self.text.split("#[cfg(test)]").next().unwrap()
    }
}

/// Every Rust source below `xtask`, of all crates.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<_> = walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| Source {
            path: entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(entry.path()).unwrap(),
        })
        .collect();
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(sources.len() > 100, "{} holds few sources", root.display());
    sources
}

/// The names of a manifest's dependencies.
fn dependencies(manifest: &str) -> Vec<&str> {
    let (_, after) = manifest.split_once("[dependencies]\n").unwrap();
    let lines = after.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(['.', ' '])?.0)).filter(|name| *name != "#").collect()
}

#[test]
fn crates_use_only_what_the_design_lets_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        let used: Vec<_> = dependencies(&manifest).into_iter().filter(|name| crates.contains(name)).collect();
        assert_eq!(used, *allowed, "xtask/{name}");
    }
    let vocabulary = fs::read_to_string(root.join("vocabulary/Cargo.toml")).unwrap();
    assert_eq!(dependencies(&vocabulary), ["serde", "serde_json"], "the vocabulary depends on little");
}

/// What a file of the program may not name, if it does.
fn forbidden(source: &Source) -> Option<String> {
    let room = source.path.strip_prefix("program/src/")?.split('/').next()?;
    let below = BELOW_COMMANDS.contains(&room);
    ["crate::commands", "crate::cli"].into_iter().find_map(|name| {
        (below && source.own().contains(name)).then(|| format!("{}: {room} may not use {name}", source.path))
    })
}

#[test]
fn what_commands_stand_on_knows_no_command() {
    let problems: Vec<_> = sources().iter().filter_map(forbidden).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted = source("program/src/engines/a.rs", "use crate::commands::dev;");
    assert_eq!(forbidden(&planted).unwrap(), "program/src/engines/a.rs: engines may not use crate::commands");
    assert_eq!(forbidden(&source("program/src/commands/a.rs", "use crate::commands::dev;")), None);
}

/// The other commands that a command names, by `crate::commands::` or by as many `super::` as lead out of it.
fn other_commands<'a>(source: &Source, commands: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let Some(path) = source.path.strip_prefix("program/src/commands/").filter(|path| *path != "mod.rs")
    else {
        return Vec::new();
    };
    let own = path.split(['/', '.']).next().unwrap();
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let out = ["crate::commands::".to_owned(), format!(" {}", "super::".repeat(depth))];
    let named = |other: &str| {
        let lists = source.text.split("crate::commands::{").skip(1).filter_map(|rest| rest.split('}').next());
        out.iter().any(|out| source.text.contains(&format!("{out}{other}")))
            || lists.flat_map(|list| list.split(',')).any(|name| name.trim().starts_with(other))
    };
    commands.iter().copied().filter(|other| *other != own && named(other)).collect()
}

/// What two commands need is a room of its own: `session`, `judging`, the evidence, or another.
#[test]
fn commands_do_not_know_each_other() {
    let sources = sources();
    let paths = sources.iter().filter_map(|source| source.path.strip_prefix("program/src/commands/"));
    let commands: BTreeSet<&str> = paths.filter_map(|path| path.split(['/', '.']).next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for source in &sources {
        let others = other_commands(source, &commands);
        assert!(others.is_empty(), "{} uses {others:?}", source.path);
    }
    for (path, text) in [
        ("program/src/commands/ci.rs", "use super::dev;"),
        ("program/src/commands/ci.rs", "use crate::commands::{ci, dev};"),
        ("program/src/commands/ci/mod.rs", "use super::dev::x;"),
        ("program/src/commands/ci/list.rs", "use super::super::dev::x;"),
    ] {
        assert_eq!(other_commands(&source(path, text), &commands), ["dev"], "{text}");
    }
    assert!(
        other_commands(&source("program/src/commands/ci/list.rs", "use super::dev::x;"), &commands)
            .is_empty()
    );
}

fn outside_looks(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources {
        let thinks = PURE.iter().any(|folder| source.path.starts_with(folder));
        if !thinks {
            continue;
        }
        for (index, line) in source.own().lines().enumerate() {
            if let Some(what) = OUTSIDE.iter().find(|what| line.contains(**what)) {
                problems.push(format!("{}:{}: {what} in a room that only thinks", source.path, index + 1));
            }
        }
    }
    problems
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn rooms_that_think_do_nothing_else() {
    let problems = outside_looks(&sources());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted = [source("judges/src/checks/a.rs", "//! A.\nuse std::fs;\n#[cfg(test)]\nuse std::env;")];
    assert_eq!(outside_looks(&planted), ["judges/src/checks/a.rs:2: std::fs in a room that only thinks"]);
}

/// Whose errors name a random file, and not that the environment's place for such files is at fault.
#[test]
fn temporary_files_are_made_in_one_place() {
    let made =
        ["tempfile::tempdir()", "NamedTempFile::new()", "tempfile::tempfile()", ".tempdir()", ".tempfile()"];
    for source in sources().iter().filter(|source| source.path.contains("src/")) {
        let found = made.iter().find(|made| source.own().contains(**made));
        let allowed = source.path == "foundation/src/files/temporary.rs";
        assert!(allowed || found.is_none(), "{}: {found:?}; files::temporary names the cause", source.path);
    }
}

/// With what each owes to those who rely on it: synced, named in errors, never taken for another run's.
#[test]
fn files_are_put_in_place_and_hashed_in_one_place() {
    for source in sources().iter().filter(|source| source.path.contains("src/")) {
        for (made, place, excepted) in [
            (".persist", "foundation::files::write", "program/src/images/oci.rs"),
            ("sha2::", "foundation::digest", "foundation/src/digest.rs"),
        ] {
            let allowed = source.path == excepted || !source.own().contains(made);
            assert!(allowed, "{}: {made}; {place} does that", source.path);
        }
    }
}

#[test]
fn the_vocabulary_thinks_and_its_halves_do_not_know_each_other() {
    for Source { path, text } in sources().iter().filter(|one| one.path.starts_with("vocabulary/src/")) {
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            for what in OUTSIDE.iter().chain(&["std::io", "std::thread", "std::time"]) {
                assert!(!line.contains(what), "{place}: {what}; the vocabulary has no I/O");
            }
            let foreign = if path.contains("/formats/") { "crate::model" } else { "crate::formats" };
            assert!(!line.contains(foreign), "{place}: model and formats do not know each other");
        }
    }
}

#[test]
fn formats_are_known_only_by_artifacts_reviews_and_tools() {
    for Source { path, text } in sources() {
        let knows = ["artifacts/", "program/src/generated/", "program/src/tools/", "vocabulary/", "tests/"];
        let knows = knows.iter().any(|folder| path.starts_with(folder));
        assert!(knows || !text.contains("vocabulary::formats"), "{path}");
    }
}

#[test]
fn files_are_named_for_what_they_do_and_say_it() {
    let mut silent = Vec::new();
    for Source { path, text } in sources() {
        let mut names = path.trim_end_matches(".rs").split('/');
        let vague = ["util", "utils", "helper", "helpers", "common", "misc", "shared"];
        assert!(!names.any(|name| vague.contains(&name)), "{path}: name it for what it does");
        if !text.starts_with("//!") {
            silent.push(path);
        }
    }
    assert!(silent.is_empty(), "their first line must say why they exist: {}", silent.join(", "));
}

/// Public items at the margin that carry no doc comment, each with its line.
fn undocumented(text: &str) -> Vec<usize> {
    let lines: Vec<_> = text.lines().collect();
    let is_item = |line: &str| {
        ["pub struct ", "pub enum ", "pub fn ", "pub const fn ", "pub trait ", "pub type ", "pub const "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let documented = |index: usize| {
        let above = lines[..index].iter().rev().find(|line| !line.starts_with('#') && !line.starts_with(' '));
        above.is_some_and(|line| line.starts_with("///"))
    };
    let items = lines.iter().enumerate().filter(|(_, line)| is_item(line));
    items.filter(|(index, _)| !documented(*index)).map(|(index, _)| index + 1).collect()
}

#[test]
fn public_items_of_the_vocabulary_are_documented() {
    let mut bare = Vec::new();
    for Source { path, text } in sources().iter().filter(|one| one.path.starts_with("vocabulary/src/")) {
        bare.extend(undocumented(text).into_iter().map(|line| format!("{path}:{line}")));
    }
    assert!(bare.is_empty(), "a doc comment is missing at {}", bare.join(", "));
    assert_eq!(undocumented("/// A.\n#[must_use]\npub fn a() {}\n\npub struct B;\n"), [5]);
}

/// Lines of Markdown in which a wrap has joined items of a list: a second number within the text of a first, or a bullet
/// after the end of a sentence. Code and tables are no such text.
fn joined_items(page: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut fenced, mut numbered) = (false, false);
    for (index, line) in page.lines().enumerate() {
        let text = line.trim_start();
        fenced ^= text.starts_with("```");
        if fenced || text.is_empty() || text.starts_with(['|', '#', '`']) {
            numbered &= fenced;
            continue;
        }
        let begins = |text: &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            (1..3).contains(&digits) && text[digits..].starts_with(". ")
        };
        numbered |= begins(text);
        let ends_sentence = |before: &str| before.ends_with(['.', ';', ',', ':']);
        let joined = text.match_indices(' ').any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + 1..]);
            ends_sentence(before) && (numbered && begins(after) || after.starts_with("- "))
        });
        if joined {
            found.push(index + 1);
        }
    }
    found
}

#[test]
fn no_wrap_joins_the_items_of_a_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = walkdir::WalkDir::new(root.join("docs")).into_iter().map(|entry| entry.unwrap().into_path());
    let own = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> =
        pages.chain(own).filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let found = joined_items(&fs::read_to_string(&page).unwrap());
        assert!(found.is_empty(), "{}: lines {found:?} hold several items of a list", page.display());
    }
    assert_eq!(joined_items("in this order,\n\n1. what a names; 2. for a first\nrelease: b; 3. c\n"), [3, 4]);
    assert_eq!(joined_items("- one. - two\n"), [1]);
    let good =
        "1. one.\n2. two, in 3. place\n\nof 1.\n\n```\n1. a; 2. b\n```\n\n| 1. a; 2. b |\n- one - two\n";
    assert_eq!(joined_items(good), [0; 0]);
}

/// Where the links of a page lead, outside of code.
fn links(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1));
    targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// As GitHub names a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_page_is_reached_from_the_readme_and_no_link_leads_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap();
    let pages_in = |folder: &Path| -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
    };
    let (mut open, mut reached) = (vec![root.join("README.md")], std::collections::BTreeSet::new());
    let mut broken = Vec::new();
    while let Some(page) = open.pop() {
        if !reached.insert(page.clone()) {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (path, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let Ok(target) = target.canonicalize() else {
                broken.push(format!("{}: {link} does not exist", page.display()));
                continue;
            };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            if !part.is_empty() && is_page {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let found =
                    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|one| one == part);
                if !found {
                    broken.push(format!("{}: {link} names no heading", page.display()));
                }
            }
            if is_page && target.starts_with(&root) {
                open.push(target);
            } else if target.is_dir() && target.starts_with(root.join("docs")) {
                open.extend(pages_in(&target));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for page in pages_in(&root.join("docs")).into_iter().chain(pages_in(&root.join("docs/reference"))) {
        assert!(reached.contains(&page), "no link leads from README.md to {}", page.display());
    }
    assert_eq!(anchor("What you see: `x`, twice"), "what-you-see-x-twice");
}

/// The rows of a section's tables that begin with code, each with its cells.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, below) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let section = below.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches('`')).collect()).collect()
}

#[test]
fn contributing_maps_the_crates_and_folders_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../CONTRIBUTING.md")).unwrap();
    let map = rows(&page, "Map of the code");
    let (crates, folders): (Vec<_>, Vec<_>) = map.iter().partition(|row| row[0].starts_with("xtask"));
    let mut shown: Vec<_> = crates.iter().map(|row| (row[0], row[2])).collect();
    shown.sort_unstable();
    let mut expected: Vec<_> = ARROWS
        .iter()
        .map(|(name, allowed)| {
            let allowed = if allowed.is_empty() { "-".to_owned() } else { allowed.join(", ") };
            (format!("xtask/{name}").trim_end_matches('/').to_owned(), allowed)
        })
        .collect();
    expected.sort_unstable();
    let expected: Vec<_> = expected.iter().map(|(name, allowed)| (name.as_str(), allowed.as_str())).collect();
    assert_eq!(shown, expected);
    let mut shown: Vec<_> = folders.iter().map(|row| row[0].to_owned()).collect();
    shown.sort_unstable();
    let entries = fs::read_dir(root.join("program/src")).unwrap().map(Result::unwrap);
    let mut expected: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

#[test]
fn the_files_that_contributing_lists_for_an_addition_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    // `NAME` stands for any of the files that are there already.
    let exists = |path: &str| match path.split_once("NAME") {
        None => root.join(path).is_file(),
        Some((folder, rest)) => {
            fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")).any(|entry| {
                Path::new(&format!("{}{rest}", entry.unwrap().path().with_extension("").display())).is_file()
            })
        }
    };
    for heading in ["Add a subcommand", "Add a service", "Add a family of generated files", "Add an engine"] {
        let rows = rows(&page, heading);
        assert!(rows.len() > 2, "{heading}: {rows:?}");
        for row in rows {
            assert!(exists(row[0]), "{heading}: {} does not exist", row[0]);
        }
    }
    assert!(!exists("xtask/program/src/commands/NAME.c") && !exists("xtask/program/src/engine.rs"));
}

#[test]
fn every_subcommand_has_its_module_and_its_row_in_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names =
        lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    for name in names.filter(|name| *name != "help") {
        let module = root.join("xtask/program/src/commands").join(name);
        assert!(
            module.with_extension("rs").is_file() || module.join("mod.rs").is_file(),
            "{name}: no module"
        );
        assert!(readme.contains(&format!("| `cargo xtask {name}")), "README.md has no row of {name}");
    }
}

/// Each address of the API that a text names, with the method where one stands before it.
fn addresses(text: &str) -> Vec<(Option<&str>, &str)> {
    let outside = |letter: char| !(letter.is_ascii_alphanumeric() || "/_-{}:".contains(letter));
    let starts = text.match_indices("/api/v1/").map(|(start, _)| start);
    starts
        .map(|start| {
            let path = text[start..].split(outside).next().unwrap_or_default();
            let before = text[..start].split_whitespace().next_back().unwrap_or_default();
            let method = before.trim_matches(|letter: char| !letter.is_ascii_alphabetic());
            let is_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
            ((is_method && text[..start].ends_with(' ')).then_some(method), path.trim_end_matches([':', '/']))
        })
        .collect()
}

/// Whether one of the routes answers it; `:name` in a route stands for anything, `{name}` in an address for any queue.
fn is_served((method, address): (Option<&str>, &str), routes: &[(String, String)], queues: &[&str]) -> bool {
    let segments: Vec<_> = address.split('/').collect();
    let known_queue = match segments[..] {
        ["", "api", "v1", "queues", name, ..] => name.starts_with('{') || queues.contains(&name),
        _ => true,
    };
    let fits = |route: &str| {
        let route: Vec<_> = route.split('/').collect();
        let same = |(wanted, given): (&&str, &&str)| wanted.starts_with(':') || wanted == given;
        route.len() == segments.len() && route.iter().zip(&segments).all(same)
    };
    known_queue
        && routes
            .iter()
            .any(|(answered, route)| method.is_none_or(|method| method == answered) && fits(route))
}

#[test]
fn every_address_of_the_api_that_pages_alerts_and_nodes_name_is_answered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(root.join(name)).unwrap()).unwrap()
    };
    let (flows, platform) = (json("flows/flows.json"), json("flows/platform.json"));
    let queues = [platform["queues"]["task"].as_str().unwrap()];
    let routes: Vec<(String, String)> = flows
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["type"] == "http in")
        .map(|node| {
            (node["method"].as_str().unwrap().to_uppercase(), node["url"].as_str().unwrap().to_owned())
        })
        .collect();
    let served = |found: (Option<&str>, &str)| is_served(found, &routes, &queues);
    assert!(served((Some("GET"), "/api/v1/queues/tasks")) && served((None, "/api/v1/tasks/{task_id}")));
    assert!(!served((Some("POST"), "/api/v1/tasks")) && !served((None, "/api/v1/queues/tasks-dead-letter")));
    assert_eq!(
        addresses(
            "`GET /api/v1/tasks?status=failed`, http://h:1/api/v1/queues: POST /api/v1/queues/{name}/drain."
        ),
        [
            (Some("GET"), "/api/v1/tasks"),
            (None, "/api/v1/queues"),
            (Some("POST"), "/api/v1/queues/{name}/drain")
        ]
    );
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/reference", "flows/nodes"] {
        let entries = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| {
            path.extension().is_some_and(|extension| extension == "md" || extension == "html")
        }));
    }
    let mut named = 0;
    let mut unanswered = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for found in addresses(&text) {
            named += 1;
            if !served(found) {
                unanswered.push(format!("{}: {found:?}", page.display()));
            }
        }
    }
    // The alerts are in docs/reference/alerts.md.
    assert!(named >= 6, "only {named} addresses were found");
    assert!(unanswered.is_empty(), "no http in of flows/flows.json answers:\n{}", unanswered.join("\n"));
}
