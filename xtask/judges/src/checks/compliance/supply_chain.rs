//! Rows on what the repository is made of, and how it is watched.

use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::shell;
use super::tree::{PLATFORM, Tree};
use super::workflows::{jobs, steps};
use super::yaml::Node;

pub fn rows() -> Vec<Row> {
    let row = |id, what, sources, also, judge| Row {
        id,
        what,
        sources,
        subject: Subject::SupplyChain,
        also,
        judge,
    };
    vec![
        row(
            "R6",
            "no program lies in the repository that was not built from it",
            &[Source::Scorecard("Binary-Artifacts")],
            &[],
            binaries,
        ),
        row(
            "S1",
            "a security policy says how to report, and every licence that Cargo.toml names is there in full",
            &[Source::Scorecard("Security-Policy"), Source::Scorecard("License"), Source::OspsBaseline],
            &["licences"],
            policy,
        ),
        row(
            "S2",
            "the gate that looks for known vulnerabilities exists, a workflow runs it, and its failure counts",
            &[Source::Scorecard("Vulnerabilities")],
            &[ADVISORIES],
            |tree| gate_runs(tree, ADVISORIES),
        ),
        row(
            "S3",
            "the gate that looks for secrets in the whole history exists, a workflow runs it, and its failure counts",
            &[Source::OspsBaseline],
            &[HISTORY],
            |tree| gate_runs(tree, HISTORY),
        ),
    ]
}

const ADVISORIES: &str = "advisories";
const HISTORY: &str = "secrets-in-history";
/// The one program that lies here on purpose: the fixture with which this row is seen to fail.
const FIXTURE: &str = "xtask/tests/compliance/R6/fail/";

/// How programs begin.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\x7fELF", "a program for Linux"),
    (b"\0asm", "WebAssembly"),
    (b"!<arch>\n", "a static library or a package of Debian"),
    (b"\xca\xfe\xba\xbe", "a class of Java or a program for macOS"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xce\xfa\xed\xfe", "a program for macOS"),
    (b"MZ", "a program for Windows"),
    (b"dex\n", "a program for Android"),
    (b"\xed\xab\xee\xdb", "a package of RPM"),
];
/// Endings of what is run, whatever it begins with.
const ENDINGS: &[&str] = &[
    ".jar", ".war", ".exe", ".dll", ".so", ".dylib", ".a", ".o", ".class", ".pyc", ".whl", ".deb", ".rpm",
    ".apk", ".node",
];
/// Made here, not committed.
const MADE: &[&str] = &["target/", ".flowship/"];

fn binaries(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    for (path, file) in tree.all() {
        if path.starts_with(FIXTURE) || MADE.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        look.saw();
        let begins = BEGINNINGS.iter().find(|(beginning, _)| file.bytes.starts_with(beginning));
        // Two letters alone may begin a text.
        let begins = begins.filter(|(beginning, _)| beginning.len() > 2 || file.bytes.contains(&0));
        let ends = ENDINGS.iter().find(|ending| path.ends_with(*ending));
        if let Some(what) = begins.map(|(_, what)| *what).or(ends.map(|_| "a program by its name")) {
            look.find(
                &Place { file: path.clone(), line: 1 },
                format!("this is {what}, and nobody can read it"),
                "delete it; build it from sources, or fetch it by its hash",
            );
        }
    }
    look.verdict("file")
}

fn policy(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    look.saw();
    let line = |file: &str, part: &str| {
        let text = tree.text(file).unwrap_or_default();
        Place {
            file: file.into(),
            line: text.lines().position(|line| line.contains(part)).map_or(1, |at| at + 1),
        }
    };
    let policies = ["SECURITY.md", ".github/SECURITY.md", "docs/SECURITY.md"];
    match policies.iter().find_map(|path| Some((*path, tree.text(path)?.to_lowercase()))) {
        None => look.find(
            &line("SECURITY.md", ""),
            "nobody is told how to report a vulnerability",
            "write SECURITY.md: where to report, and when to expect an answer",
        ),
        Some((path, text)) => {
            let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
            if !says(&["report"]) || !says(&["@", "http", "tab of the repository", "private vulnerability"]) {
                look.find(
                    &line(path, ""),
                    "it does not say where to report",
                    "name an address or the Security tab",
                );
            }
            if !says(&["day", "hour", "week"]) {
                look.find(&line(path, ""), "it does not say when to expect an answer", "name a time");
            }
        }
    }
    let named = tree.text("Cargo.toml").and_then(|text| licence(&text));
    let expression = named.unwrap_or_default();
    let licences: Vec<&str> =
        expression.split([' ', '(', ')']).filter(|word| !["", "OR", "AND", "WITH"].contains(word)).collect();
    if licences.is_empty() {
        let any = tree.paths().any(|path| path.starts_with("LICENSE") || path.starts_with("COPYING"));
        if !any {
            look.find(&line("LICENSE", ""), "there is no licence", "add the text of one");
        }
    }
    for licence in &licences {
        let word = licence.split('-').next().unwrap_or(licence).to_lowercase();
        let is_text = |path: &&std::rc::Rc<str>| {
            let lower = path.to_lowercase();
            let name =
                lower.starts_with("license") || lower.starts_with("licence") || lower.starts_with("copying");
            name && (licences.len() == 1 || lower.contains(&word))
        };
        let text = tree.paths().find(is_text).and_then(|path| tree.text(path));
        // A title alone is no licence.
        if text.is_none_or(|text| text.len() < 200) {
            look.find(
                &line("Cargo.toml", "license"),
                format!("the text of {licence} is not here"),
                format!("add it as LICENSE-{}", word.to_uppercase()),
            );
        }
    }
    look.verdict("repository")
}

/// The licence of the workspace or of the package.
fn licence(manifest: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    let of = |package: &toml::Value| Some(package.get("license")?.as_str()?.to_owned());
    let workspace = table.get("workspace").and_then(|workspace| of(workspace.get("package")?));
    workspace.or_else(|| of(table.get("package")?))
}

fn gate_runs(tree: &Tree, id: &str) -> Verdict {
    let none = format!("gate {id} in {PLATFORM}");
    let mut look = Inspection::default();
    let platform = match tree.json(PLATFORM) {
        Some(Ok(platform)) => platform,
        Some(Err(finding)) => {
            look.broken(&[finding]);
            return look.verdict(&none);
        }
        None => return look.verdict(&none),
    };
    let gates = platform["gates"].as_array().into_iter().flatten();
    let Some(gate) = gates.into_iter().find(|gate| gate["id"] == id) else { return look.verdict(&none) };
    look.saw();
    let group = gate["group"].as_str().unwrap_or_default();
    let parsed = tree.workflows();
    look.broken(&parsed.broken);
    let mut runs = false;
    for document in &parsed.documents {
        for (_, job) in jobs(document) {
            for step in steps(job) {
                let Some(run) = step.get("run").filter(|run| covers(job, step, run, id, group)) else {
                    continue;
                };
                runs = true;
                for allowed in [job, step].into_iter().filter_map(|one| one.get("continue-on-error")) {
                    if !allowed.is("false") {
                        look.find(
                            &allowed.place,
                            format!("a failure of {id} does not count"),
                            "leave it out",
                        );
                    }
                }
                if run.text().is_some_and(|text| text.contains("|| true") || text.contains("|| :")) {
                    look.find(
                        &run.place,
                        format!("a failure of {id} does not count"),
                        "let the command fail",
                    );
                }
            }
        }
    }
    if !runs {
        let place = Place { file: ".github/workflows".into(), line: 1 };
        look.find(&place, format!("no workflow runs the gate {id}"), "have a job run `cargo xtask ci`");
    }
    unexplained(tree, &mut look, id);
    look.verdict(&none)
}

/// Whether a command runs this gate: all gates, its group, or the gate by its name.
fn covers(job: &Node, step: &Node, run: &Node, id: &str, group: &str) -> bool {
    shell::commands(run.text().unwrap_or_default()).iter().any(|words| {
        let Some(at) = words.windows(2).position(|pair| pair == ["xtask", "ci"]) else { return false };
        let mut named = Vec::new();
        let mut groups = Vec::new();
        let mut skipped = Vec::new();
        let mut rest = words[at + 2..].iter();
        while let Some(word) = rest.next() {
            let (flag, value) =
                word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
            let mut value = || value.map(str::to_owned).or_else(|| rest.next().cloned()).unwrap_or_default();
            match flag {
                "--group" => groups.extend(meant(job, step, &value())),
                "--skip" | "--except" | "--exclude" => skipped.extend(meant(job, step, &value())),
                "--list" | "--dry-run" => return false,
                _ if flag.starts_with('-') => {}
                _ => named.extend(meant(job, step, word)),
            }
        }
        let all = named.is_empty() && groups.is_empty();
        let is = |list: &[String], name: &str| {
            list.iter().any(|one| one.split([',', ' ']).any(|part| part == name))
        };
        !is(&skipped, id) && (all || is(&named, id) || is(&groups, group))
    })
}

/// What a word stands for: a variable of the step or the job, and through it the values of a matrix.
fn meant(job: &Node, step: &Node, word: &str) -> Vec<String> {
    let Some(name) = word.strip_prefix('$').map(|name| name.trim_matches(['{', '}'])) else {
        return vec![word.to_owned()];
    };
    let value = [step, job].iter().find_map(|one| one.at(&["env", name])?.text());
    let Some(value) = value else { return Vec::new() };
    let inside = value.trim().strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
    match inside.and_then(|inside| inside.strip_prefix("matrix.")) {
        Some(key) => {
            let listed = job.at(&["strategy", "matrix", key]).map_or_else(Vec::new, Node::texts);
            let included = job.at(&["strategy", "matrix", "include"]).map_or(&[][..], Node::items);
            let included = included.iter().filter_map(|item| item.text_at(key));
            listed.into_iter().chain(included).map(str::to_owned).collect()
        }
        None => vec![value.to_owned()],
    }
}

/// Files with what a gate is told to pass over: the gate, the ending of the path, the list in it.
const PASSED_OVER: &[(&str, &str, &[&str])] = &[
    (ADVISORIES, "ops/ci/advisories.toml", &["tolerate"]),
    // cargo-audit would heed it wherever it runs.
    (ADVISORIES, "audit.toml", &["advisories", "ignore"]),
    (HISTORY, "ops/ci/secrets-in-history.toml", &["allow"]),
];
/// Files in which gitleaks looks for what to pass over, without a reason.
const UNEXPLAINED: &[&str] = &[".gitleaksignore", ".gitleaks.toml"];

/// What the gate is told to pass over, and nobody says why.
fn unexplained(tree: &Tree, look: &mut Inspection, id: &str) {
    for (_, ending, list) in PASSED_OVER.iter().filter(|(gate, ..)| *gate == id) {
        for path in tree.paths().filter(|path| path.ends_with(ending)) {
            let text = tree.text(path).unwrap_or_default();
            let Ok(table) = text.parse::<toml::Table>() else {
                look.find(&Place { file: path.clone(), line: 1 }, "this is not TOML", "fix it");
                continue;
            };
            let whole = toml::Value::Table(table);
            let entries =
                list.iter().try_fold(&whole, |value, key| value.get(key)).and_then(toml::Value::as_array);
            for entry in entries.into_iter().flatten() {
                let reason = entry.get("reason").and_then(toml::Value::as_str).unwrap_or_default();
                if !reason.trim().is_empty() {
                    continue;
                }
                let name = ["id", "file"].iter().find_map(|key| entry.get(key)).unwrap_or(entry);
                let name = name.as_str().unwrap_or("an entry");
                let line = text.lines().position(|line| line.contains(name)).map_or(1, |at| at + 1);
                look.find(
                    &Place { file: path.clone(), line },
                    format!("{name} is passed over, and nobody says why"),
                    "give it a reason, or fix the finding",
                );
            }
        }
    }
    for path in UNEXPLAINED.iter().filter(|path| id == HISTORY && tree.bytes(path).is_some()) {
        let place = Place { file: (*path).into(), line: 1 };
        look.find(
            &place,
            "findings are passed over, and nobody says why",
            "name them in ops/ci with a reason",
        );
    }
}
