//! The name that somebody most likely meant. Pure.

/// The candidate that the writer most likely meant, if one is near enough: at most a third of its characters, rounded, and
/// at least one may differ (a swap of neighbours counts once); or else the only one that begins as the name does.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let near = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= ((candidate.chars().count() + 1) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate);
    let shortened = || {
        let mut begun = candidates.iter().filter(|candidate| name.len() >= 2 && candidate.starts_with(&name));
        begun.next().filter(|_| begun.next().is_none()).copied()
    };
    near.or_else(shortened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_near() {
        let names = ["development", "staging", "production", "tests"];
        for (typed, meant) in [
            ("developement", Some("development")),
            ("prod", Some("production")),
            ("d", None),
            ("Staging", Some("staging")),
            ("stagnig", Some("staging")),
            ("tset", Some("tests")),
            ("testing", None),
            ("zebra", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
