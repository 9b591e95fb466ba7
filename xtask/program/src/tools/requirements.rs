//! Reads the hash-locked requirements file and cuts out what one tool needs. Pure.
//!
//! The form is the one that pip reads and pip-compile writes: `NAME==VERSION`, then `--hash=sha256:HEX` parts on
//! continued lines, then `# via NAME` comments that tell which locked wheel needs this one.

use std::fmt::Write as _;

use foundation::digest;

/// One locked wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Normalised as package indexes do: lower case, runs of `-`, `_` and `.` as one `-`.
    pub name: String,
    pub version: String,
    /// Lower-case hexadecimal SHA-256 sums of the files that may be installed.
    pub hashes: Vec<String>,
    /// The locked wheels that need this one.
    pub via: Vec<String>,
}

/// A whole file of locked wheels, sorted as in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    pub blocks: Vec<Locked>,
}

impl Requirements {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every problem as `LINE: what, expected what`: a line that is not understood, no version, no hash, a hash of
    /// the wrong length, a name that is locked twice.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut blocks: Vec<(usize, Locked)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((_, last)) = blocks.last_mut() {
                    note_via(comment, last);
                }
                continue;
            }
            for part in line.trim_end_matches('\\').split_whitespace() {
                if let Some(hash) = part.strip_prefix("--hash=sha256:") {
                    let sound = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
                    match blocks.last_mut() {
                        Some((_, last)) if sound => last.hashes.push(hash.to_ascii_lowercase()),
                        Some(_) => problems.push(format!("{number}: {part}: expected 64 hexadecimal digits")),
                        None => problems.push(format!("{number}: a hash before the first NAME==VERSION")),
                    }
                } else if let Some((name, version)) =
                    part.split_once("==").filter(|(name, version)| named(name, version))
                {
                    let name = normalised(name);
                    if let Some((first, _)) = blocks.iter().find(|(_, locked)| locked.name == name) {
                        problems.push(format!(
                            "{number}: {name} is already locked on line {first}; keep one of them"
                        ));
                    }
                    let (hashes, via) = (Vec::new(), Vec::new());
                    blocks.push((number, Locked { name, version: version.to_owned(), hashes, via }));
                } else {
                    problems.push(format!("{number}: `{part}`: expected NAME==VERSION or --hash=sha256:HEX"));
                }
            }
        }
        for (number, locked) in &blocks {
            if locked.hashes.is_empty() {
                problems.push(format!(
                    "{number}: {} has no --hash=sha256:HEX, so it cannot be verified",
                    locked.name
                ));
            }
        }
        if problems.is_empty() {
            Ok(Self { blocks: blocks.into_iter().map(|(_, locked)| locked).collect() })
        } else {
            Err(problems)
        }
    }

    pub fn find(&self, distribution: &str) -> Option<&Locked> {
        let name = normalised(distribution);
        self.blocks.iter().find(|locked| locked.name == name)
    }

    /// The wheel and everything that is locked because of it, the wheel first; empty when it is not locked.
    pub fn closure(&self, distribution: &str) -> Vec<&Locked> {
        let mut found: Vec<&Locked> = self.find(distribution).into_iter().collect();
        let mut next = 0;
        while let Some(needs) = found.get(next).map(|locked| locked.name.clone()) {
            for locked in &self.blocks {
                if locked.via.contains(&needs) && !found.iter().any(|known| known.name == locked.name) {
                    found.push(locked);
                }
            }
            next += 1;
        }
        found
    }
}

/// The requirements file that holds these wheels and no more; the same for any order of hashes.
pub fn subset(wheels: &[&Locked]) -> String {
    let mut text = String::new();
    for wheel in wheels {
        let _ = write!(text, "{}=={}", wheel.name, wheel.version);
        let mut hashes = wheel.hashes.clone();
        hashes.sort();
        for hash in hashes {
            let _ = write!(text, " \\\n    --hash=sha256:{hash}");
        }
        text.push('\n');
    }
    text
}

/// The folder name of an installed tool, `NAME-VERSION-DIGEST`: another lock, another processor, another folder.
/// None when there are no wheels.
pub fn key(wheels: &[&Locked], architecture: &str) -> Option<String> {
    let first = wheels.first()?;
    let digest = digest::sha256(format!("{architecture}\n{}", subset(wheels)));
    Some(format!("{}-{}-{}", first.name, first.version, &digest[..12]))
}

fn note_via(comment: &str, last: &mut Locked) {
    let words = comment.trim();
    let name = words.strip_prefix("via").map_or(words, str::trim);
    // Annotations of two and more names stand on lines of their own; prose has spaces, a name has none.
    if !name.is_empty() && !name.contains(char::is_whitespace) {
        last.via.push(normalised(name));
    }
}

fn named(name: &str, version: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+!".contains(&byte))
    };
    plain(name) && plain(version)
}

fn normalised(name: &str) -> String {
    name.to_ascii_lowercase()
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::catalogue::Tool;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn locked() -> Requirements {
        let text = format!(
            "# Prose about the file.\n\nYaml_Lint==1.2.3 \\\n    --hash=sha256:{B} \\\n    --hash=sha256:{A}\n    # via -r -\n\
             pathspec==0.9 --hash=sha256:{A}\n    # via yaml-lint\n\
             deep==2 --hash=sha256:{A}\n    # via\n    #   other\n    #   pathspec\n\
             other==3 --hash=sha256:{A}\n"
        );
        Requirements::parse(&text).unwrap()
    }

    #[test]
    fn a_tool_brings_what_it_needs_and_no_more() {
        let names =
            |tool| locked().closure(tool).iter().map(|locked| locked.name.clone()).collect::<Vec<_>>();
        assert_eq!(names("yaml.lint"), ["yaml-lint", "pathspec", "deep"]);
        assert_eq!(names("other"), ["other", "deep"]);
        assert_eq!(names("nothing"), [""; 0]);
    }

    #[test]
    fn a_subset_is_what_pip_reads() {
        let all = locked();
        assert_eq!(
            subset(&all.closure("yaml-lint")[..1]),
            format!("yaml-lint==1.2.3 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n")
        );
    }

    #[test]
    fn the_key_follows_hashes_dependencies_and_processor() {
        let all = locked();
        let wheels = all.closure("yaml-lint");
        let first = key(&wheels, "x86_64").unwrap();
        assert!(
            first.starts_with("yaml-lint-1.2.3-") && first.len() == "yaml-lint-1.2.3-".len() + 12,
            "{first}"
        );
        assert_ne!(Some(&first), key(&wheels[..1], "x86_64").as_ref());
        assert_ne!(Some(&first), key(&wheels, "aarch64").as_ref());
        assert_eq!(key(&[], "x86_64"), None);
    }

    #[test]
    fn every_problem_is_reported_with_its_line() {
        let text = format!(
            "--hash=sha256:{A}\na==1 --hash=sha256:zz\nb>=2\nc==1 --hash=sha256:{A}\nC==2 --hash=sha256:{A}"
        );
        let problems = Requirements::parse(&text).unwrap_err();
        for (part, line) in [
            ("before the first", "1:"),
            ("64 hexadecimal", "2:"),
            ("expected NAME==VERSION", "3:"),
            ("already locked on line 4", "5:"),
            ("a has no --hash", "2:"),
        ] {
            assert!(problems.iter().any(|p| p.starts_with(line) && p.contains(part)), "{part}: {problems:?}");
        }
    }

    #[test]
    fn this_repository_locks_every_pinned_tool() {
        let text = include_str!("../../../../ops/ci/requirements.txt");
        let requirements = Requirements::parse(text).unwrap();
        for tool in Tool::pinned() {
            assert!(requirements.find(tool.distribution().unwrap()).is_some(), "{tool:?} is not locked");
        }
        assert!(!text.contains("://") && !text.contains("index"), "no index belongs into the lock");
    }
}
