//! The name that somebody most likely meant. Pure.

/// The candidate that the writer most likely meant, if one is near enough: at most a third of its characters, rounded, and
/// at least one may differ (a swap of neighbours counts once); or else the only one that begins as the name does.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || is_long(name) {
        return None;
    }
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

/// The same as the end of an error: `; did you mean NAME?`, or nothing.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    question(nearest(name, candidates))
}

/// The same with the [`closest`] candidate, for a name that must be one of a list too long to print.
pub fn closest_hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    question(closest(name, candidates))
}

fn question(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// The nearest candidate, and where none is near the one that looks most alike, if any does.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    nearest(name, candidates.iter().copied()).or_else(|| {
        let name = name.to_lowercase();
        let alike = |candidate: &str| strsim::jaro_winkler(&candidate.to_lowercase(), &name);
        let all = candidates.into_iter().filter(|candidate| !is_long(&name) && alike(candidate) > ALIKE);
        all.max_by(|one, other| alike(one).total_cmp(&alike(other)))
    })
}

/// From 0, nothing in common, to 1, the same: less is chance.
const ALIKE: f64 = 0.5;

/// Nobody means a name by so many bytes, and to compare them takes their product with the candidate's in memory.
fn is_long(name: &str) -> bool {
    name.len() > 200
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
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(nearest("", ["a"]), None);
    }

    #[test]
    fn where_none_is_near_the_most_alike_is_the_closest() {
        let names = ["postgres", "edge", "node-red", "migrate"];
        for (typed, meant) in
            [("postgers", "postgres"), ("redis", "edge"), ("nodes", "node-red"), ("immigrant", "migrate")]
        {
            assert_eq!(closest(typed, names), Some(meant), "{typed}");
        }
        assert_eq!(closest("x", []), None);
        assert_eq!(closest(&"x".repeat(1_000_000), names), None);
        assert_eq!(
            (hint("edg", names), hint("zebra", names)),
            ("; did you mean edge?".into(), String::new())
        );
    }
}
