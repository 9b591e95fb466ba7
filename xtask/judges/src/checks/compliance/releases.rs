//! Rows on releases.

use std::collections::BTreeSet;
use std::io::Read as _;

use serde_json::Value;

use super::release_files::{SUMS, documents, is_archive, names, place, sums};
use super::row::{Inspection, Row, Source, Subject, Verdict};
use super::shell;
use super::tree::{RELEASE, Tree, reads_whole};
use super::workflows::{jobs, steps};
use super::yaml::Node;
use foundation::digest;

pub fn rows() -> Vec<Row> {
    let row =
        |id, what, sources, judge| Row { id, what, sources, subject: Subject::Releases, also: &[], judge };
    vec![
        row(
            "R1",
            "archives of a release (target/release-artifacts/*.tar.gz) are sorted, have one time, no owner and plain \
             modes, and their gzip header names no file and no time",
            &[Source::ReproducibleBuilds],
            normalised,
        ),
        row(
            "R2",
            "every release is built a second time in another environment and compared: a workflow runs `release verify \
             --rebuild`, and its failure counts",
            &[Source::ReproducibleBuilds, Source::Slsa],
            rebuilt,
        ),
        row(
            "R3",
            "a release has a provenance statement of SLSA for each archive, with its digest, and a signature over its sums \
             (`cargo xtask release verify` checks the signature itself)",
            &[Source::Slsa, Source::Scorecard("Signed-Releases")],
            provenance,
        ),
        row(
            "R4",
            "a release has a CycloneDX SBOM for each lock file, with the packages that the lock file names",
            &[Source::Scorecard("SBOM")],
            bills_of_materials,
        ),
        row(
            "R5",
            "a workflow that deploys verifies the release before it deploys",
            &[Source::Scorecard("Signed-Releases"), Source::CisDocker("4.12")],
            verified_first,
        ),
    ]
}

fn normalised(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    for name in names(tree).filter(|name| name.ends_with(".tar.gz") || name.ends_with(".tgz")) {
        look.saw();
        let bytes = tree.bytes(&format!("{RELEASE}{name}")).unwrap_or_default();
        for what in faults(bytes) {
            look.find(&place(name), what, "write it with `cargo xtask release package`");
        }
    }
    look.verdict("archive in target/release-artifacts")
}

fn faults(bytes: &[u8]) -> Vec<String> {
    match bytes.get(..10).filter(|header| header.starts_with(&[0x1f, 0x8b])) {
        Some(header) => [gzip_faults(header), tar_faults(bytes)].concat(),
        None => vec!["this is not gzip".to_owned()],
    }
}

/// Of the header of RFC 1952: ID (2 bytes), method, flags, time (4), extra flags, system.
fn gzip_faults(header: &[u8]) -> Vec<String> {
    const FILE_NAME: u8 = 0x08;
    let mut faults = Vec::new();
    if header[3] & FILE_NAME != 0 {
        faults.push("its gzip header names a file".to_owned());
    }
    if header[4..8] != [0; 4] {
        faults.push("its gzip header names a time".to_owned());
    }
    faults
}

/// The first fault of each kind.
fn tar_faults(bytes: &[u8]) -> Vec<String> {
    let mut faults: Vec<(&str, String)> = Vec::new();
    let mut tell = |kind: &'static str, what: String| {
        if !faults.iter().any(|(told, _)| *told == kind) {
            faults.push((kind, what));
        }
    };
    let mut text = Vec::new();
    if let Err(error) = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text) {
        return vec![format!("it cannot be unpacked: {error}")];
    }
    let mut archive = tar::Archive::new(text.as_slice());
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return vec![format!("it cannot be listed: {error}")],
    };
    let mut paths: Vec<String> = Vec::new();
    let mut first_time = None;
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tell("broken", format!("it cannot be listed to its end: {error}"));
                break;
            }
        };
        let header = entry.header();
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let time = header.mtime().unwrap_or(u64::MAX);
        if *first_time.get_or_insert(time) != time {
            tell("time", format!("{shown} has a time of its own"));
        }
        let owners = (header.uid().unwrap_or(1), header.gid().unwrap_or(1));
        let named = |name: Option<&[u8]>| name.is_some_and(|name| !name.is_empty() && name != b"root");
        if owners != (0, 0) || named(header.username_bytes()) || named(header.groupname_bytes()) {
            tell("owner", format!("{shown} has an owner"));
        }
        let mode = header.mode().unwrap_or_default() & 0o7777;
        if !header.entry_type().is_symlink() && ![0o644, 0o755].contains(&mode) {
            tell("mode", format!("{shown} has the mode {mode:04o}, neither 0644 nor 0755"));
        }
        paths.push(shown.trim_end_matches('/').to_owned());
    }
    if paths.is_empty() {
        tell("empty", "it holds nothing".to_owned());
    }
    // By the whole path, or folder by folder.
    let by_parts = |left: &String, right: &String| left.split('/').lt(right.split('/'));
    if !paths.is_sorted_by(|left, right| left < right) && !paths.is_sorted_by(by_parts) {
        let at = paths.windows(2).find(|pair| pair[0] >= pair[1]).map_or("an entry", |pair| &pair[1]);
        tell("order", format!("{at} is not in its place: entries are not sorted"));
    }
    faults.into_iter().map(|(_, what)| what).collect()
}

fn rebuilt(tree: &Tree) -> Verdict {
    let parsed = tree.workflows();
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    let named_release = |document: &&Node| {
        document.place.file.rsplit('/').next().is_some_and(|name| name.starts_with("release"))
    };
    let Some(release) = parsed.documents.iter().find(named_release) else {
        return look.verdict("workflow that releases");
    };
    look.saw();
    let all = parsed.documents.iter().flat_map(|document| jobs(document).map(|(_, job)| job));
    let steps: Vec<_> = all.flat_map(|job| steps(job).iter().map(move |step| (job, step))).collect();
    let rebuilds = |step: &Node| {
        shell::commands(step.text_at("run").unwrap_or_default()).iter().any(|words| {
            words.windows(2).any(|pair| pair == ["release", "verify"])
                && words.iter().any(|word| word == "--rebuild")
        })
    };
    let mut found = false;
    for (job, step) in steps.into_iter().filter(|(_, step)| rebuilds(step)) {
        found = true;
        for ignored in [job, step].into_iter().filter_map(|one| one.get("continue-on-error")) {
            look.find(&ignored.place, "a difference between two builds does not count", "leave it out");
        }
    }
    if !found {
        look.find(
            &release.place,
            "nobody builds a release a second time and compares",
            "have a job run `cargo xtask release verify --rebuild`",
        );
    }
    look.verdict("workflow that releases")
}

fn provenance(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    let archives: Vec<&str> = names(tree).filter(|name| is_archive(name)).collect();
    let listed = sums(tree);
    let (statements, broken) = documents(tree, |value| {
        value["_type"].as_str().is_some_and(|kind| kind.starts_with("https://in-toto.io/Statement/"))
    });
    look.broken(&broken);
    for archive in archives {
        look.saw();
        let Some(digest) = listed.get(archive) else {
            look.find(&place(archive), format!("{SUMS} does not name it"), "make the release again");
            continue;
        };
        let path = format!("{RELEASE}{archive}");
        let bytes = tree.bytes(&path).filter(|_| reads_whole(&path));
        if bytes.is_some_and(|bytes| digest::sha256(bytes) != *digest) {
            look.find(
                &place(archive),
                format!("its digest is not the one in {SUMS}"),
                "make the release again",
            );
        }
        let proven = statements.iter().any(|(_, statement)| {
            let slsa = statement["predicateType"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("https://slsa.dev/provenance/"));
            let subjects = statement["subject"].as_array().into_iter().flatten();
            slsa && subjects.into_iter().any(|subject| {
                subject["name"] == archive && subject["digest"]["sha256"].as_str() == Some(digest)
            })
        });
        if !proven {
            look.find(
                &place(archive),
                "no provenance statement names it with its digest",
                "make the release again, so that the statement is of these bytes",
            );
        }
        if !names(tree).any(|name| name == format!("{SUMS}.minisig")) {
            look.find(
                &place(SUMS),
                "nobody has signed the sums",
                "make the release again with a key, or delete it when it was for trying",
            );
        }
    }
    look.verdict("release in target/release-artifacts")
}

/// Packages as `name@version`.
type Packages = BTreeSet<String>;

fn bills_of_materials(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    let (bills, broken) = documents(tree, |value| value["bomFormat"] == "CycloneDX");
    look.broken(&broken);
    if names(tree).next().is_none() {
        return look.verdict("release in target/release-artifacts");
    }
    for (lock, kind, locked) in [
        ("Cargo.lock", "pkg:cargo/", cargo_packages(tree)),
        ("package-lock.json", "pkg:npm/", npm_packages(tree)),
    ] {
        let Some((needed, allowed)) = locked else { continue };
        look.saw();
        let of_kind: Vec<_> = bills
            .iter()
            .map(|(name, bill)| (name, components(bill, kind)))
            .filter(|(_, found)| !found.is_empty())
            .collect();
        let Some((name, found)) = of_kind.first() else {
            look.find(&place(SUMS), format!("no SBOM tells what {lock} names"), "make the release again");
            continue;
        };
        for missing in needed.difference(found).take(3) {
            look.find(
                &place(name),
                format!("it lacks {missing}, which {lock} names"),
                "make the release again",
            );
        }
        for extra in found.difference(&allowed).take(3) {
            look.find(
                &place(name),
                format!("it names {extra}, which {lock} does not"),
                "make the release again",
            );
        }
    }
    look.verdict("lock file beside a release")
}

/// `pkg:npm/%40scope/name@1.2.3?...` as `@scope/name@1.2.3`.
fn components(bill: &Value, kind: &str) -> Packages {
    let all = bill["components"].as_array().into_iter().flatten();
    all.filter_map(|component| component["purl"].as_str()?.strip_prefix(kind))
        .map(|rest| rest.split(['?', '#']).next().unwrap_or(rest).replace("%40", "@").replace("%2B", "+"))
        .collect()
}

/// What must be named, and what may be.
fn cargo_packages(tree: &Tree) -> Option<(Packages, Packages)> {
    let lock: toml::Table = tree.text("Cargo.lock")?.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let name = |package: &toml::Value| {
        Some(format!("{}@{}", package.get("name")?.as_str()?, package.get("version")?.as_str()?))
    };
    let needed = packages.iter().filter(|package| package.get("source").is_some()).filter_map(name).collect();
    Some((needed, packages.iter().filter_map(name).collect()))
}

/// Of every lock file of npm. Packages for development may be left out.
fn npm_packages(tree: &Tree) -> Option<(Packages, Packages)> {
    let locks = tree.paths().filter(|path| path.ends_with("package-lock.json"));
    let locks: Vec<Value> = locks.filter_map(|path| tree.json(path)?.ok()).collect();
    let packages: Vec<_> = locks.iter().filter_map(|lock| lock["packages"].as_object()).flatten().collect();
    if packages.is_empty() {
        return None;
    }
    let name = |(path, package): (&String, &Value)| {
        let name = package["name"].as_str().or(path.rsplit("node_modules/").next())?;
        // Packages of the repository itself may have no version.
        Some(format!("{name}@{}", package["version"].as_str().unwrap_or("0.0.0")))
    };
    let optional = |path: &str, package: &Value| {
        let own = !path.contains("node_modules/");
        own || ["dev", "optional", "devOptional", "peer", "link"].iter().any(|key| package[key] == true)
    };
    let needed = packages
        .iter()
        .copied()
        .filter(|(path, package)| !optional(path, package))
        .filter_map(name)
        .collect();
    Some((needed, packages.iter().copied().filter_map(name).collect()))
}

fn verified_first(tree: &Tree) -> Verdict {
    let parsed = tree.workflows();
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    for document in &parsed.documents {
        for (name, job) in jobs(document) {
            let mut verified = false;
            for step in steps(job) {
                for words in shell::commands(step.text_at("run").unwrap_or_default()) {
                    let named = |verbs: &[&str]| {
                        words.windows(2).any(|pair| {
                            ["xtask", "flowship"].iter().any(|program| pair[0].ends_with(program))
                                && verbs.contains(&pair[1].as_str())
                        })
                    };
                    verified |= named(&["release"]) && words.iter().any(|word| word == "verify");
                    if !named(&["deploy", "promote", "rollback"]) {
                        continue;
                    }
                    look.saw();
                    // The commands verify by themselves what they install, unless they are asked not to.
                    if !verified && words.iter().any(|word| word == "--unsigned") {
                        look.find(
                            &step.place,
                            format!("{name} deploys what nobody has verified"),
                            "leave --unsigned out, or run `cargo xtask release verify` in a step before",
                        );
                    }
                }
            }
        }
    }
    look.verdict("workflow that deploys")
}
