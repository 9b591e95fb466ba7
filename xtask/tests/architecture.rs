//! The rooms of this program and the arrows between them: who may know of whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Each room, a folder or a file of `xtask/src`, and the rooms that it may use. What is not listed is forbidden. The
/// arrow `platform -> vocabulary` is Cargo's: the vocabulary is a crate of its own and cannot know this one.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "context", "commands", "exit"]),
    ("cli", &["called", "commands", "context"]),
    (
        "commands",
        &[
            "artifacts",
            "called",
            "checks",
            "columns",
            "context",
            "digest",
            "engines",
            "escape",
            "evidence",
            "exit",
            "files",
            "forge",
            "images",
            "judging",
            "nearest",
            "plan",
            "platform",
            "release",
            "review",
            "session",
            "site",
            "stdout",
            "thresholds",
            "tools",
        ],
    ),
    // An engine gets the platform as a value: what it knows of services is the vocabulary's, so that it serves any.
    ("engines", &["digest", "exit", "files", "nearest", "plan", "tools"]),
    // It gets what it packs as values: of git, of cargo and of the platform it knows nothing.
    ("release", &["digest", "escape", "evidence", "exit", "files"]),
    // Git and GitHub as publishing sees them.
    ("forge", &["digest", "exit", "files", "plan", "release"]),
    ("evidence", &["digest", "files", "plan"]),
    (
        "session",
        &[
            "artifacts",
            "called",
            "checks",
            "context",
            "digest",
            "engines",
            "exit",
            "files",
            "images",
            "judging",
            "plan",
            "platform",
            "site",
            "stdout",
            "tools",
        ],
    ),
    ("judging", &["checks", "context", "exit", "files", "plan", "platform", "tools"]),
    ("images", &["digest", "exit", "files", "plan", "platform", "tools"]),
    ("plan", &["called", "digest", "escape", "exit", "files", "nearest", "terminal"]),
    ("tools", &["context", "digest", "evidence", "exit", "files", "terminal"]),
    ("artifacts", &["checks", "digest", "files", "platform", "site"]),
    ("checks", &["digest", "escape", "nearest", "shorten"]),
    ("review", &["artifacts", "nearest", "platform"]),
    ("site", &["exit", "files", "nearest", "shorten"]),
    ("thresholds", &["exit", "files", "shorten", "site"]),
    ("platform", &[]),
    ("context", &["exit"]),
    ("digest", &["files"]),
    ("files", &["escape", "exit"]),
    ("stdout", &["called", "escape"]),
    ("terminal", &[]),
    ("columns", &[]),
    ("nearest", &[]),
    ("shorten", &[]),
    ("exit", &["called", "escape", "shorten"]),
    ("called", &[]),
    ("escape", &[]),
];

/// Single files that may use one room more, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("commands/mod.rs", "cli", "it dispatches on the tree's enum"),
    ("evidence/basis.rs", "platform", "its tests take the platform's gates"),
    ("evidence/basis.rs", "tools", "its tests ask for each gate's programs"),
    ("evidence/tree.rs", "platform", "its tests take the platform's gates"),
    (
        "images/judge.rs",
        "checks",
        "what looks like a secret, or like root, is the same in an image and in a file",
    ),
];

/// Rooms that only think: no file, process, network or environment variable.
const PURE: &[&str] = &["artifacts", "checks", "columns", "nearest", "platform", "review", "shorten"];

/// The files in them that observe or act.
const NOT_PURE: &[&str] = &["artifacts/tree.rs"];

const OUTSIDE: &[&str] =
    &["std::fs", "std::process", "std::net", "std::env", "duct::", "ureq::", "walkdir::"];

/// A source file: its path below its crate's `src`, and its text.
struct Source {
    path: String,
    text: String,
}

fn sources(below: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    let mut sources: Vec<_> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| Source {
            path: entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(entry.path()).unwrap(),
        })
        .collect();
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!sources.is_empty(), "{} holds no source", root.display());
    sources
}

/// `plan/runner.rs` lies in the room `plan`, `exit.rs` is the room `exit`.
fn room(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// How many modules a file's own module lies below the crate's root.
fn depth(path: &str) -> usize {
    let parts = path.split('/').count();
    if path == "main.rs" || path == "lib.rs" {
        0
    } else if path.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// The rooms that a source uses, each with the line that does.
fn used_rooms(source: &Source) -> Vec<(String, usize)> {
    let mut used = Vec::new();
    let mut depth = depth(&source.path);
    let code: Vec<&str> =
        source.text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect();
    for (index, line) in code.iter().enumerate() {
        if line.starts_with("mod ") && line.ends_with('{') {
            depth += 1;
        }
        for (at, _) in line.match_indices("crate::") {
            let own = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
            if own {
                let rest = [&line[at + "crate::".len()..], &code[index + 1..].join("\n")].join("\n");
                used.extend(first_names(&rest).into_iter().map(|name| (name, index + 1)));
            }
        }
        // Up to the root and down again is `crate::` by another name.
        let up = "super::".repeat(depth.max(1));
        for (at, _) in line.match_indices(&up) {
            let begins = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':' || c == '_');
            let rest = &line[at + up.len()..];
            if begins && depth > 0 && !rest.starts_with(['*', '{']) {
                used.extend(first_names(rest).into_iter().map(|name| (name, index + 1)));
            }
        }
    }
    used
}

/// The first names of a path or of a braced list of paths.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = Vec::new();
    let mut nested = 0_usize;
    let mut current = String::new();
    for c in list.chars() {
        match c {
            '{' => nested += 1,
            '}' if nested == 0 => break,
            '}' => nested -= 1,
            ',' if nested == 0 => names.push(name(&std::mem::take(&mut current))),
            _ if nested == 0 => current.push(c),
            _ => {}
        }
    }
    names.push(name(&current));
    names.retain(|name| !name.is_empty());
    names
}

fn forbidden_arrows(sources: &[Source]) -> Vec<String> {
    let rooms: BTreeSet<&str> = sources.iter().map(|source| room(&source.path)).collect();
    let mut problems = Vec::new();
    for source in sources {
        let from = room(&source.path);
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == from) else {
            problems.push(format!(
                "{}: the room {from} has no arrows in xtask/tests/architecture.rs",
                source.path
            ));
            continue;
        };
        for (to, line) in used_rooms(source) {
            let excepted = EXCEPTIONS.iter().any(|(file, room, _)| *file == source.path && *room == to);
            if to != from && rooms.contains(to.as_str()) && !allowed.contains(&to.as_str()) && !excepted {
                problems.push(format!("{}:{line}: {from} may not use {to}", source.path));
            }
        }
    }
    problems
}

fn outside_looks(sources: &[Source]) -> Vec<String> {
    let thinks = |source: &&Source| {
        PURE.contains(&room(&source.path))
            && !NOT_PURE.contains(&source.path.as_str())
            && !source.path.ends_with("tests.rs")
    };
    let mut problems = Vec::new();
    for source in sources.iter().filter(thinks) {
        for (index, line) in source.text.lines().enumerate().take_while(|(_, line)| *line != "#[cfg(test)]") {
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
fn arrows_go_one_way() {
    let problems = forbidden_arrows(&sources("src"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_arrows_themselves_form_no_circle_and_name_real_rooms() {
    let sources = sources("src");
    let rooms: BTreeSet<&str> = sources.iter().map(|source| room(&source.path)).collect();
    let mut order: Vec<&str> = Vec::new();
    while order.len() < ARROWS.len() {
        let free = ARROWS
            .iter()
            .find(|(from, to)| !order.contains(from) && to.iter().all(|room| order.contains(room)))
            .unwrap_or_else(|| panic!("a circle among the rooms that are not in {order:?}"));
        assert!(rooms.contains(free.0), "{} is no room", free.0);
        order.push(free.0);
    }
    for (file, room, why) in EXCEPTIONS {
        let used = sources.iter().find(|source| source.path == *file).map(used_rooms).unwrap_or_default();
        assert!(used.iter().any(|(name, _)| name == room), "{file} -> {room} ({why}) is not needed any more");
    }
}

#[test]
fn planted_arrows_are_found() {
    let others =
        ["cli.rs", "engines/mod.rs", "platform/mod.rs", "plan/mod.rs", "tools/mod.rs", "site/mod.rs"];
    for (path, text, expected) in [
        ("plan/runner.rs", "use crate::engines::process;", "plan/runner.rs:1: plan may not use engines"),
        (
            "engines/a.rs",
            "//!\nfn f() { crate::platform::node_red::ID; }",
            "engines/a.rs:2: engines may not use platform",
        ),
        (
            "plan/a.rs",
            "use crate::{\n    exit::refused,\n    tools::{A, B},\n};",
            "plan/a.rs:1: plan may not use tools",
        ),
        ("plan/a.rs", "use super::super::site::load;", "plan/a.rs:1: plan may not use site"),
        ("plan/mod.rs", "use super::site;", "plan/mod.rs:1: plan may not use site"),
        ("exit.rs", "pub(in crate::cli) fn f() {}", "exit.rs:1: exit may not use cli"),
        ("fresh/mod.rs", "", "fresh/mod.rs: the room fresh has no arrows in xtask/tests/architecture.rs"),
    ] {
        let mut sources: Vec<_> = others.iter().map(|path| source(path, "")).collect();
        sources.push(source(path, text));
        assert_eq!(forbidden_arrows(&sources), [expected], "{text}");
    }
    for (path, text) in [
        ("plan/runner.rs", "// use crate::engines::process;\nuse super::step;\nuse crate::exit::refused;"),
        ("plan/runner.rs", "mod tests {\n    use super::*;\n    use super::super::platform;\n}"),
        ("commands/ci/mod.rs", "use crate::{plan, tools::Toolbox};\nuse super::super::smoke;"),
        ("exit.rs", "mod tests {\n    use super::cli;\n}"),
    ] {
        let mut sources: Vec<_> = others.iter().map(|path| source(path, "")).collect();
        sources.push(source(path, text));
        assert_eq!(forbidden_arrows(&sources), [""; 0], "{text}");
    }
}

/// Uses of one command by another, as if `commands` were the crate.
fn between_commands(sources: &[Source]) -> Vec<(String, String)> {
    let below: Vec<Source> = sources
        .iter()
        .filter_map(|Source { path, text }| {
            let text =
                text.replace("crate::", "crate::outside::").replace("crate::outside::commands::", "crate::");
            Some(source(path.strip_prefix("commands/").filter(|path| *path != "mod.rs")?, &text))
        })
        .collect();
    let commands: BTreeSet<&str> = below.iter().map(|source| room(&source.path)).collect();
    let used = below.iter().flat_map(|source| {
        let others = used_rooms(source).into_iter().map(|(name, _)| name);
        let others = others.filter(|name| name != room(&source.path) && commands.contains(name.as_str()));
        others.map(|name| (format!("commands/{}", source.path), name))
    });
    used.collect()
}

/// What two commands need is a room of its own: `session`, `judging`, `evidence`, or another.
#[test]
fn commands_do_not_know_each_other() {
    let used = between_commands(&sources("src"));
    assert!(used.is_empty(), "{used:#?}");
    for (path, text) in [
        ("commands/a.rs", "use super::b;"),
        ("commands/a.rs", "use crate::commands::{a, b};"),
        ("commands/a/mod.rs", "use super::b::x;"),
        ("commands/a/c.rs", "use super::super::b::x;"),
    ] {
        let planted = [source(path, text), source("commands/b.rs", "use crate::a;\nuse super::super::a;")];
        assert_eq!(between_commands(&planted), [(path.to_owned(), "b".to_owned())], "{text}");
    }
}

#[test]
fn rooms_that_think_do_nothing_else() {
    let problems = outside_looks(&sources("src"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted = [source("checks/a.rs", "//! A.\nuse std::fs;\n#[cfg(test)]\nuse std::env;")];
    assert_eq!(outside_looks(&planted), ["checks/a.rs:2: std::fs in a room that only thinks"]);
}

/// Whose errors name a random file, and not that the environment's place for such files is at fault.
#[test]
fn temporary_files_are_made_in_one_place() {
    let made =
        ["tempfile::tempdir()", "NamedTempFile::new()", "tempfile::tempfile()", ".tempdir()", ".tempfile()"];
    for Source { path, text } in sources("src") {
        let own = text.split("#[cfg(test)]").next().unwrap();
        let tests = path.ends_with("test.rs") || path.ends_with("tests.rs") || path.ends_with("stand_ins.rs");
        let found = made.iter().find(|made| own.contains(**made));
        let allowed = tests || path == "files/temporary.rs";
        assert!(allowed || found.is_none(), "{path}: {found:?}; crate::files::temporary names the cause");
    }
}

/// With what each owes to those who rely on it: synced, named in errors, never taken for another run's.
#[test]
fn files_are_put_in_place_and_hashed_in_one_place() {
    for Source { path, text } in sources("src") {
        let own = text.split("#[cfg(test)]").next().unwrap();
        for (made, place, excepted) in
            [(".persist", "crate::files::write", "images/oci.rs"), ("sha2::", "crate::digest", "digest.rs")]
        {
            let allowed = path == excepted || path == "forge/registry_server.rs";
            assert!(allowed || !own.contains(made), "{path}: {made}; {place} does that");
        }
    }
}

#[test]
fn the_vocabulary_thinks_and_its_halves_do_not_know_each_other() {
    for Source { path, text } in sources("vocabulary/src") {
        for (index, line) in text.lines().enumerate() {
            let place = format!("vocabulary/src/{path}:{}", index + 1);
            for what in OUTSIDE.iter().chain(&["std::io", "std::thread", "std::time"]) {
                assert!(!line.contains(what), "{place}: {what}; the vocabulary has no I/O");
            }
            let foreign = if path.starts_with("formats/") { "crate::model" } else { "crate::formats" };
            assert!(!line.contains(foreign), "{place}: model and formats do not know each other");
        }
    }
    let lock =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vocabulary/Cargo.toml")).unwrap();
    let (_, after) = lock.split_once("[dependencies]\n").unwrap();
    let names: Vec<_> = after
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    assert_eq!(names, ["serde", "serde_json"], "the vocabulary depends on little");
}

#[test]
fn formats_are_known_only_by_artifacts_reviews_and_tools() {
    for Source { path, text } in sources("src") {
        let knows = ["artifacts", "review", "tools"].contains(&room(&path));
        assert!(knows || !text.contains("vocabulary::formats"), "xtask/src/{path}");
    }
}

#[test]
fn files_are_named_for_what_they_do_and_say_it() {
    let mut silent = Vec::new();
    for below in ["src", "vocabulary/src", "tests"] {
        for Source { path, text } in sources(below) {
            let name = path.rsplit('/').next().unwrap();
            for vague in ["util", "utils", "helper", "helpers", "common", "misc", "shared"] {
                assert_ne!(name, format!("{vague}.rs"), "{below}/{path}: name it for what it does");
                assert!(!path.contains(&format!("{vague}/")), "{below}/{path}: name it for what it does");
            }
            if !text.starts_with("//!") {
                silent.push(format!("{below}/{path}"));
            }
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
    for Source { path, text } in sources("vocabulary/src") {
        bare.extend(undocumented(&text).into_iter().map(|line| format!("vocabulary/src/{path}:{line}")));
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
