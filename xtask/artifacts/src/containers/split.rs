//! What two documents have in common, and what is left of each: merged again they are what they were.

use vocabulary::formats::yaml::Yaml;

/// Mappings are compared key by key, everything else as a whole: so no list is ever half in one file and half in
/// another, where Compose would append.
pub fn common(left: &Yaml, right: &Yaml) -> Option<Yaml> {
    match (left, right) {
        (Yaml::Mapping(left), Yaml::Mapping(right)) => {
            let shared: Vec<_> = left
                .iter()
                .filter_map(|(key, value)| {
                    let (_, other) = right.iter().find(|(candidate, _)| candidate == key)?;
                    Some((key.clone(), common(value, other)?))
                })
                .collect();
            (!shared.is_empty() || (left.is_empty() && right.is_empty())).then_some(Yaml::Mapping(shared))
        }
        _ => (left == right).then(|| left.clone()),
    }
}

/// What `whole` holds besides `part`; none when that is nothing.
pub fn without(whole: &Yaml, part: &Yaml) -> Option<Yaml> {
    match (whole, part) {
        (Yaml::Mapping(whole), Yaml::Mapping(part)) => {
            let rest: Vec<_> = whole
                .iter()
                .filter_map(|(key, value)| match part.iter().find(|(candidate, _)| candidate == key) {
                    Some((_, taken)) => Some((key.clone(), without(value, taken)?)),
                    None => Some((key.clone(), value.clone())),
                })
                .collect();
            (!rest.is_empty()).then_some(Yaml::Mapping(rest))
        }
        _ => (whole != part).then(|| whole.clone()),
    }
}

#[cfg(test)]
mod tests {
    use vocabulary::formats::yaml::Yaml;

    use super::{common, without};

    fn document(same: &str, list: &[&str]) -> Yaml {
        let items = list.iter().map(|item| Yaml::text(*item)).collect();
        let inner = Yaml::mapping([
            ("same", Yaml::text("x")),
            ("other", Yaml::text(same)),
            ("list", Yaml::Sequence(items)),
        ]);
        Yaml::mapping([("deep", inner), ("empty", Yaml::Mapping(vec![])), (same, Yaml::Boolean(true))])
    }

    #[test]
    fn what_is_common_and_what_is_left_are_the_whole() {
        let (left, right) = (document("l", &["a"]), document("r", &["a", "b"]));
        let shared = common(&left, &right).unwrap();
        let expected = Yaml::mapping([
            ("deep", Yaml::mapping([("same", Yaml::text("x"))])),
            ("empty", Yaml::Mapping(vec![])),
        ]);
        assert_eq!(shared, expected);
        let rest = without(&left, &shared).unwrap();
        let expected = Yaml::mapping([
            (
                "deep",
                Yaml::mapping([("other", Yaml::text("l")), ("list", Yaml::Sequence(vec![Yaml::text("a")]))]),
            ),
            ("l", Yaml::Boolean(true)),
        ]);
        assert_eq!(rest, expected);
        assert_eq!(without(&left, &left), None);
    }
}
