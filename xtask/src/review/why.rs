//! Which values of the platform make a line of a generated file. Pure.
//!
//! One value after the other is left out, the family generates again, and what changes is compared; first whole
//! lists, then their elements, then what is inside those that matter. So a line that two values make, each of
//! which suffices, is answered with their list.

use std::collections::BTreeSet;

use super::ablation::{Model, Way, attempt, without};
use super::lines::touched;
use super::part::Part;
use crate::artifacts::Family;

/// A value that makes lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub address: String,
    /// As [`Part::names`].
    pub names: Vec<String>,
    pub way: Way,
    /// The lines that are gone or different without it, from 0.
    pub lines: BTreeSet<usize>,
    /// What in it makes them.
    pub parts: Vec<Cause>,
}

/// What makes some lines of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Empty: the family writes them whatever the platform is.
    pub causes: Vec<Cause>,
    /// Values without which the family makes nothing at all, so that it cannot be told whether they make the lines.
    pub relied_on: Vec<String>,
}

impl Cause {
    /// It and all in it that make one line.
    fn of_line(&self, line: usize) -> Option<Self> {
        self.lines.contains(&line).then(|| Self {
            address: self.address.clone(),
            names: self.names.clone(),
            way: self.way,
            lines: [line].into(),
            parts: of_line(&self.parts, line),
        })
    }
}

impl Answer {
    /// What of it is about one line.
    pub fn of_line(&self, line: usize) -> Self {
        Self { causes: of_line(&self.causes, line), relied_on: self.relied_on.clone() }
    }
}

fn of_line(causes: &[Cause], line: usize) -> Vec<Cause> {
    causes.iter().filter_map(|cause| cause.of_line(line)).collect()
}

/// What makes the line, or each line when none is named, of the text that the family writes at a path.
pub fn why(model: &Model, family: &Family, path: &str, text: &str, line: Option<usize>) -> Answer {
    let mut search = Search { model, family, path, text, line, relied_on: Vec::new() };
    let causes = search.among(&model.root.parts);
    Answer { causes, relied_on: search.relied_on }
}

struct Search<'a> {
    model: &'a Model,
    family: &'a Family,
    path: &'a str,
    text: &'a str,
    line: Option<usize>,
    relied_on: Vec<String>,
}

impl Search<'_> {
    fn among(&mut self, parts: &[Part]) -> Vec<Cause> {
        parts.iter().flat_map(|part| self.part(part)).collect()
    }

    fn part(&mut self, part: &Part) -> Vec<Cause> {
        let Some((way, platform)) = without(self.model, part) else { return self.among(&part.parts) };
        let Some(artifacts) = attempt(self.family, &platform) else {
            let known = self.relied_on.len();
            let inside = self.among(&part.parts);
            if inside.is_empty() && self.relied_on.len() == known {
                self.relied_on.push(part.address.clone());
            }
            return inside;
        };
        let other = artifacts.iter().find(|artifact| artifact.path == self.path);
        let other = other.map_or("", |artifact| artifact.contents.as_str());
        if other == self.text {
            return Vec::new();
        }
        let lines = touched(self.text, other).old;
        if !self.concerns(&lines) {
            return Vec::new();
        }
        let inside = self.among(&part.parts);
        let own =
            Cause { address: part.address.clone(), names: part.names.clone(), way, lines, parts: vec![] };
        if way == Way::Emptied {
            // The list itself is told only of lines that no element makes alone.
            let told = BTreeSet::from_iter(inside.iter().flat_map(|cause| cause.lines.iter().copied()));
            let lines: BTreeSet<_> = own.lines.difference(&told).copied().collect();
            let itself = self.concerns(&lines).then_some(Cause { lines, ..own });
            return inside.into_iter().chain(itself).collect();
        }
        vec![Cause { parts: inside, ..own }]
    }

    /// Whether such lines are asked for.
    fn concerns(&self, lines: &BTreeSet<usize>) -> bool {
        self.line.map_or(!lines.is_empty(), |line| lines.contains(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use vocabulary::model::Platform;

    use super::{Answer, Cause, why};
    use crate::artifacts::{Artifact, FAMILIES, Family};
    use crate::platform::platform;
    use crate::review::ablation::{Model, Way};

    fn leaves(causes: &[Cause]) -> BTreeSet<String> {
        causes
            .iter()
            .flat_map(|cause| {
                if cause.parts.is_empty() { [cause.address.clone()].into() } else { leaves(&cause.parts) }
            })
            .collect()
    }

    fn lines(generate: fn(&Platform) -> Vec<Artifact>) -> impl Fn(usize) -> Answer {
        let model = Model::new(platform());
        let text = generate(&platform())[0].contents.clone();
        move |line| why(&model, &Family { name: "x", what: "", generate }, "x", &text, Some(line))
    }

    fn file(lines: &[String]) -> Vec<Artifact> {
        vec![Artifact::file("x", lines.concat())]
    }

    #[test]
    fn names_the_innermost_value_that_makes_a_line() {
        let answer = lines(|platform| {
            let services = platform.services.iter();
            let memory = services.clone().find(|service| service.id.0 == "edge");
            let any_alert = services.clone().any(|service| !service.alerts.is_empty());
            file(&[
                "fixed\n".to_owned(),
                format!("{}\n", memory.map_or(0, |edge| edge.resources.memory_mib)),
                format!("{any_alert}\n"),
                format!("{}\n", services.map(|service| service.ports.len()).sum::<usize>()),
            ])
        });
        assert_eq!(answer(0), Answer::default());
        let memory = answer(1).causes;
        assert_eq!(memory.len(), 1);
        assert_eq!((memory[0].address.as_str(), memory[0].way), ("service/edge", Way::LeftOut));
        let parts: Vec<_> = memory[0].parts.iter().map(|part| (part.address.as_str(), part.way)).collect();
        let expected =
            [("service/edge/id", Way::Changed), ("service/edge/resources/memory_mib", Way::Changed)];
        assert_eq!(parts, expected);
        assert_eq!(leaves(&answer(2).causes), ["services".to_owned()].into(), "no service alone makes it");
        let ports: BTreeSet<_> = platform().ports().map(|(port, _)| format!("port/{port}")).collect();
        assert_eq!(leaves(&answer(3).causes), ports);
    }

    #[test]
    fn a_value_that_the_family_relies_on_is_told_as_such() {
        let answer = lines(|platform| {
            let edge = platform.services.iter().find(|service| service.id.0 == "edge");
            file(&[edge.map(|_| "x\n".to_owned()).expect("there is an edge")])
        });
        assert_eq!(answer(0), Answer { causes: vec![], relied_on: vec!["service/edge/id".into()] });
    }

    /// What a family makes of a platform in which nothing is left that can go.
    fn bare() -> Platform {
        let mut bare = platform();
        (bare.services, bare.secrets, bare.labels, bare.gates) = (vec![], vec![], vec![], vec![]);
        bare.smoke.checks = vec![];
        bare
    }

    /// The long one: everything that the shipped platform makes. A line is told to be the family's own only if it is
    /// there whatever the platform holds.
    #[test]
    fn every_line_of_every_generated_file_has_an_answer() {
        let model = Model::new(platform());
        thread::scope(|scope| {
            FAMILIES.iter().for_each(|family| drop(scope.spawn(|| every_line_has_an_answer(&model, family))));
        });
    }

    fn every_line_has_an_answer(model: &Model, family: &Family) {
        let fixed = (family.generate)(&bare());
        for artifact in (family.generate)(&model.platform) {
            let all = why(model, family, &artifact.path, &artifact.contents, None);
            assert!(all.relied_on.is_empty(), "{}: {:?}", artifact.path, all.relied_on);
            let fixed = fixed.iter().find(|other| other.path == artifact.path);
            let fixed: Vec<_> = fixed.map_or(vec![], |artifact| artifact.contents.lines().collect());
            for (line, text) in artifact.contents.lines().enumerate() {
                let told = all.of_line(line);
                assert!(
                    !told.causes.is_empty() || fixed.contains(&text),
                    "{}:{}: {text:?} is not made by the family alone",
                    artifact.path,
                    line + 1
                );
            }
        }
    }

    #[test]
    fn one_line_is_answered_as_it_is_among_all() {
        let model = Model::new(platform());
        let family = FAMILIES.iter().find(|family| family.name == "reference").unwrap();
        let pages = ["docs/reference/ports.md", "docs/reference/gates.md"];
        let artifacts = (family.generate)(&model.platform);
        for artifact in artifacts.iter().filter(|artifact| pages.contains(&artifact.path.as_str())) {
            let all = why(&model, family, &artifact.path, &artifact.contents, None);
            let last = artifact.contents.lines().count() - 1;
            for line in [0, last / 2, last] {
                let one = why(&model, family, &artifact.path, &artifact.contents, Some(line)).of_line(line);
                assert_eq!(
                    leaves(&one.causes),
                    leaves(&all.of_line(line).causes),
                    "{}:{}",
                    artifact.path,
                    line + 1
                );
            }
        }
    }
}
