//! The names of migrations. dbmate knows a migration by the digits that its name begins with, whatever folder it is in: of
//! two with the same digits it takes the second for done, and never runs it. Pure.

use std::collections::BTreeMap;

use vocabulary::problem::{Place, Problem};

/// What a finding is of.
const RULE: &str = "migration";

/// What is wrong with these files, paths below the root in the order in which their folders are run.
pub fn judge(paths: &[String]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".sql")) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let version = &name[..name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len()];
        let finding = |seen: String| Problem::new(Place::line(path, 1), seen).rule(RULE);
        if version.is_empty() {
            findings.push(
                finding("its name does not begin with digits: dbmate does not run it".to_owned())
                    .expected("a name such as 20261101000001_what_it_does.sql"),
            );
        } else if let Some(other) = first.get(version) {
            findings.push(
                finding(format!("{other} has the version {version} too: dbmate would not run both"))
                    .expected("a version that no other migration has")
                    .remedy("give the newer of the two another number, above those of its folder"),
            );
        } else {
            first.insert(version, path);
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_migration_has_a_version_of_its_own_in_both_folders_together() {
        for (paths, expected) in [
            (&["m/1_a.sql", "m/2_b.sql", "m/c/3_c.sql", "m/README.md", "m/c/1.txt"][..], &[][..]),
            // The same text with other digits is another version for dbmate.
            (&["m/1_a.sql", "m/01_a.sql"], &[]),
            (&["m/1_a.sql", "m/1_b.sql"], &["m/1_b.sql:1: [migration] m/1_a.sql has the version 1 too"]),
            (&["m/12_a.sql", "m/c/12.sql"], &["m/c/12.sql:1: [migration] m/12_a.sql has the version 12 too"]),
            (&["m/a1.sql"], &["m/a1.sql:1: [migration] its name does not begin with digits"]),
        ] {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let found: Vec<String> = judge(&paths).iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            let mut pairs = found.iter().zip(expected);
            assert!(pairs.all(|(found, expected)| found.starts_with(expected)), "{found:?}");
        }
    }
}
