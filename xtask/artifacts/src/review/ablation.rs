//! The platform with one value left out, and what the families make of it. Pure but for a few leaked bytes: the
//! model's texts are `'static`.

use std::cell::Cell;

use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

use super::edited::{Edit, Edited};
use super::part::Part;
use crate::{Artifact, Committed};

/// What was done to a value to see what it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It was left out of its list, or became none.
    LeftOut,
    /// The list became empty.
    Emptied,
    /// It cannot be left out, so it became another value.
    Changed,
}

/// As many tries as an enum of the model may have variants, and more than a number needs.
const TRIES: usize = 16;

/// A platform whose values can be left out, one at a time.
pub struct Model {
    pub platform: Platform,
    /// All its values.
    pub root: Part,
}

impl Model {
    /// # Errors
    /// The platform cannot be serialised.
    pub fn new(platform: &Platform) -> Result<Self, Problem> {
        let serialised =
            serde_json::to_value(platform).map_err(|error| Problem::new("platform", error.to_string()))?;
        Ok(Self { platform: platform.clone(), root: Part::root(Box::leak(Box::new(serialised))) })
    }

    /// The value at this address; none when there is no such value.
    pub fn part(&self, address: &str) -> Option<&Part> {
        self.root.walk().find(|part| part.address == address)
    }
}

/// The platform without a part, and how that was brought about. None for what can only go with what it belongs to,
/// such as `service/portal/resources`: its own parts can be changed.
pub fn without(model: &Model, part: &Part) -> Option<(Way, Platform)> {
    let none = Cell::new(false);
    let read = |edit| Platform::deserialize(Edited::new(model.root.value, &part.steps, edit, &none)).ok();
    let (way, edit, tries): (_, fn(usize) -> Edit<'static>, _) = match part.value {
        _ if part.is_item() => (Way::LeftOut, |_| Edit::LeaveOut, 1),
        Value::Null => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(_) => (Way::Emptied, |_| Edit::Empty, 1),
        Value::Object(_) => (Way::Changed, Edit::Change, 1),
        _ => (Way::Changed, Edit::Change, TRIES),
    };
    let other = (0..tries).find_map(|tried| read(edit(tried)))?;
    Some((if none.get() { Way::LeftOut } else { way }, other))
}

/// What a family makes with as few elements of a list as it can do with; none when it needs them all.
pub fn thinned(model: &Model, list: &Part, family: &Committed) -> Option<Vec<Artifact>> {
    let mut gone = Vec::new();
    let mut made = None;
    for at in 0..list.value.as_array().map_or(0, Vec::len) {
        gone.push(at);
        let none = Cell::new(false);
        let edited = Edited::new(model.root.value, &list.steps, Edit::Thin(&gone), &none);
        match Platform::deserialize(edited).ok().and_then(|platform| attempt(family, &platform)) {
            Some(artifacts) => made = Some(artifacts),
            None => drop(gone.pop()),
        }
    }
    made
}

/// The artifacts of a family, or none when it cannot make any of such a platform: families may rely on what
/// [`Platform::validate`] asks for.
pub fn attempt(family: &Committed, platform: &Platform) -> Option<Vec<Artifact>> {
    (family.make)(platform).ok()
}

#[cfg(test)]
mod tests {
    use super::{Model, Way, attempt, without};
    use vocabulary::problem::Problem;

    use crate::Committed;
    use crate::review::part::Step;
    use second_platform::platform;

    #[test]
    fn every_value_of_the_model_can_be_left_out_or_changed() {
        let model = Model::new(&platform()).unwrap();
        for part in model.root.walk() {
            let Some((way, other)) = without(&model, part) else {
                let has_parts = part.value.is_object() || part.value.as_array().is_some_and(Vec::is_empty);
                // An enum's other variants may hold data, which cannot be made up: the whole element goes.
                let in_item =
                    part.value.is_string() && part.steps.iter().any(|step| matches!(step, Step::Item(_)));
                assert!(has_parts || part.value.is_null() || in_item, "{}: {}", part.address, part.value);
                continue;
            };
            assert_ne!(other, platform(), "{} {way:?}", part.address);
        }
    }

    #[test]
    fn values_go_by_the_way_that_fits_them() {
        let model = Model::new(&platform()).unwrap();
        for (address, expected) in [
            ("services", Some(Way::Emptied)),
            ("service/portal", Some(Way::LeftOut)),
            ("service/portal/health", Some(Way::LeftOut)),
            ("service/portal/resources", None),
            ("service/portal/resources/memory_mib", Some(Way::Changed)),
            ("port/portal.clear/exposure", Some(Way::Changed)),
            ("service/flow-engine/secret/model-key", Some(Way::LeftOut)),
        ] {
            let part = model.root.walk().find(|part| part.address == address).expect(address);
            assert_eq!(without(&model, part).map(|(way, _)| way), expected, "{address}");
        }
        let edge = model.root.walk().find(|part| part.address == "service/portal").unwrap();
        let mut expected = platform();
        expected.services.retain(|service| service.id.0 != "portal");
        assert_eq!(without(&model, edge).unwrap().1, expected);
    }

    #[test]
    fn a_family_that_fails_is_distinguished_from_one_that_makes_nothing() {
        let gives_up = Committed {
            name: "x",
            what: "",
            source: "",
            make: |_| Err(Problem::new("x", "not without it").into()),
        };
        let nothing = Committed { name: "x", what: "", source: "", make: |_| Ok(vec![]) };
        assert_eq!(attempt(&gives_up, &platform()), None);
        assert_eq!(attempt(&nothing, &platform()), Some(vec![]));
    }
}
