//! What changes in the repository without a value of the platform. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ablation::{Model, Way, attempt, without};
use super::lines::touched;
use super::part::Part;
use crate::Committed;

/// What leaving one value out, or changing it, really changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impact {
    pub address: String,
    pub way: Way,
    /// By path. The ledger is not among them: it changes with any file.
    pub files: Vec<Change>,
    /// Families that make nothing without the value.
    pub relied_on_by: Vec<&'static str>,
    #[serde(skip)]
    pub names: Vec<String>,
}

/// One file that is another without the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub path: String,
    pub family: &'static str,
    pub effect: Effect,
    /// Lines that are gone or are another.
    pub removed: usize,
    /// Lines that are new.
    pub added: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Changes,
    /// The file exists no more.
    Vanishes,
    /// The file exists only without the value.
    Appears,
}

/// The impact of a value; for one that cannot go by itself, those of its parts.
pub fn impact(model: &Model, families: &[Committed], part: &Part) -> Vec<Impact> {
    let Some((way, platform)) = without(model, part) else {
        return part.parts.iter().flat_map(|part| impact(model, families, part)).collect();
    };
    let mut files = Vec::new();
    let mut relied_on_by = Vec::new();
    for family in families {
        let Some(after) = attempt(family, &platform) else {
            relied_on_by.push(family.name);
            continue;
        };
        let mut texts: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
        for artifact in attempt(family, &model.platform).unwrap_or_default() {
            texts.entry(artifact.path).or_default().0 = Some(artifact.contents);
        }
        for artifact in after {
            texts.entry(artifact.path).or_default().1 = Some(artifact.contents);
        }
        for (path, (before, after)) in texts.into_iter().filter(|(_, (before, after))| before != after) {
            let effect = match (&before, &after) {
                (Some(_), None) => Effect::Vanishes,
                (None, Some(_)) => Effect::Appears,
                _ => Effect::Changes,
            };
            let lines = touched(&before.unwrap_or_default(), &after.unwrap_or_default());
            let (removed, added) = (lines.old.len(), lines.added);
            files.push(Change { path, family: family.name, effect, removed, added });
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    vec![Impact { address: part.address.clone(), way, files, relied_on_by, names: part.names.clone() }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vocabulary::model::Platform;

    use super::{Effect, impact};
    use crate::review::ablation::{Model, attempt};
    use crate::{Committed, FAMILIES};
    use second_platform::platform;

    fn files(families: &[&Committed], platform: &Platform) -> BTreeMap<String, String> {
        let made = families.iter().flat_map(|family| (family.make)(platform).unwrap());
        made.map(|artifact| (artifact.path, artifact.contents)).collect()
    }

    #[test]
    fn the_impact_of_each_service_is_what_its_removal_changes() {
        let model = Model::new(&platform()).unwrap();
        for service in platform().services {
            let mut smaller = platform();
            smaller.services.retain(|other| other.id != service.id);
            let told = impact(&model, FAMILIES, model.part(&format!("service/{}", service.id)).unwrap());
            assert_eq!(told.len(), 1);

            let (able, unable): (Vec<&Committed>, Vec<&Committed>) =
                FAMILIES.iter().partition(|family| attempt(family, &smaller).is_some());
            let unable: Vec<_> = unable.iter().map(|family| family.name).collect();
            assert_eq!(told[0].relied_on_by, unable, "{}", service.id);

            let (before, after) = (files(&able, &platform()), files(&able, &smaller));
            let told: BTreeMap<_, _> = told[0].files.iter().map(|file| (file.path.as_str(), file)).collect();
            for path in before.keys().chain(after.keys()) {
                let (old, new) = (before.get(path), after.get(path));
                if old == new {
                    assert!(!told.contains_key(path.as_str()), "{}: {path}", service.id);
                    continue;
                }
                let told = told.get(path.as_str()).unwrap_or_else(|| panic!("{}: {path}", service.id));
                let empty = String::new();
                let (old_text, new_text) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
                let grown = new_text.lines().count() as isize - old_text.lines().count() as isize;
                assert_eq!(told.added as isize - told.removed as isize, grown, "{}: {path}", service.id);
                let kept =
                    old_text.lines().filter(|line| !new_text.lines().any(|other| other == *line)).count();
                assert!(told.removed >= kept, "{}: {path}: {kept} lines are nowhere any more", service.id);
                let effect = match (old, new) {
                    (Some(_), None) => Effect::Vanishes,
                    (None, _) => Effect::Appears,
                    _ => Effect::Changes,
                };
                assert_eq!(told.effect, effect, "{}: {path}", service.id);
            }
        }
    }

    #[test]
    fn a_value_that_cannot_go_by_itself_is_answered_by_its_parts() {
        let model = Model::new(&platform()).unwrap();
        let told = impact(&model, FAMILIES, model.part("service/portal/resources").unwrap());
        let addresses: Vec<_> = told.iter().map(|one| one.address.as_str()).collect();
        let expected =
            ["memory_mib", "cpu_millis", "pids"].map(|name| format!("service/portal/resources/{name}"));
        assert_eq!(addresses, expected);
    }
}
