//! Which values of the platform make a line of a generated file. Pure.
//!
//! One value after the other is left out, the family generates again, and what changes is compared; first whole
//! lists, then their elements, then what is inside those that matter. So a line that two values make, each of
//! which suffices, is answered with their list.

use std::collections::BTreeSet;

use super::ablation::{Model, Way, attempt, thinned, without};
use super::lines::touched;
use super::part::Part;
use crate::artifacts::{Artifact, Family};

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

/// What makes the line, or each line when none is named, of files that the family writes. Lines are counted through
/// the files.
pub fn why(model: &Model, family: &Family, files: &[Artifact], line: Option<usize>) -> Answer {
    search(Search { model, family, files, line, existence: false, relied_on: Vec::new() })
}

/// What makes a file be there at all; the answer is about its line 0.
pub fn why_there(model: &Model, family: &Family, file: &Artifact) -> Answer {
    let files = std::slice::from_ref(file);
    search(Search { model, family, files, line: Some(0), existence: true, relied_on: Vec::new() })
}

fn search(mut search: Search<'_>) -> Answer {
    let causes = search.among(&search.model.root.parts);
    Answer { causes, relied_on: search.relied_on }
}

struct Search<'a> {
    model: &'a Model,
    family: &'a Family,
    files: &'a [Artifact],
    line: Option<usize>,
    /// Not the lines are asked for, but whether the files are there.
    existence: bool,
    relied_on: Vec<String>,
}

impl Search<'_> {
    fn among(&mut self, parts: &[Part]) -> Vec<Cause> {
        parts.iter().flat_map(|part| self.part(part)).collect()
    }

    fn part(&mut self, part: &Part) -> Vec<Cause> {
        let Some((way, platform)) = without(self.model, part) else { return self.among(&part.parts) };
        if let Some(artifacts) = attempt(self.family, &platform) {
            let lines = self.touched(&artifacts);
            if !self.concerns(&lines) {
                return Vec::new();
            }
            let parts = self.among(&part.parts);
            return if way == Way::Emptied {
                self.with_list(part, parts, lines)
            } else {
                let (address, names) = (part.address.clone(), part.names.clone());
                vec![Cause { address, names, way, lines, parts }]
            };
        }
        let known = self.relied_on.len();
        let parts = self.among(&part.parts);
        if parts.is_empty() && self.relied_on.len() == known {
            self.relied_on.push(part.address.clone());
        }
        let told = self.line.is_some() && !parts.is_empty();
        let less = if way == Way::Emptied && !told { thinned(self.model, part, self.family) } else { None };
        let lines = less.map(|artifacts| self.touched(&artifacts)).unwrap_or_default();
        self.with_list(part, parts, lines)
    }

    /// The causes in a list, and the list itself for those of the lines that no element makes alone.
    fn with_list(&self, list: &Part, inside: Vec<Cause>, lines: BTreeSet<usize>) -> Vec<Cause> {
        let told = BTreeSet::from_iter(inside.iter().flat_map(|cause| cause.lines.iter().copied()));
        let lines: BTreeSet<_> = lines.difference(&told).copied().collect();
        let itself = self.concerns(&lines).then(|| Cause {
            address: list.address.clone(),
            names: list.names.clone(),
            way: Way::Emptied,
            lines,
            parts: vec![],
        });
        inside.into_iter().chain(itself).collect()
    }

    /// The lines of the files that are gone or different in what was made otherwise.
    fn touched(&self, others: &[Artifact]) -> BTreeSet<usize> {
        let mut lines = BTreeSet::new();
        let mut start = 0;
        for file in self.files {
            let other = others.iter().find(|other| other.path == file.path);
            if self.existence {
                lines.extend(other.is_none().then_some(start));
                continue;
            }
            let other = other.map_or("", |other| other.contents.as_str());
            if other != file.contents {
                lines.extend(touched(&file.contents, other).old.iter().map(|line| start + line));
            }
            start += file.contents.lines().count();
        }
        lines
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

    use super::{Answer, Cause, why, why_there};
    use crate::artifacts::{Artifact, FAMILIES, Family};
    use crate::platform::platform;
    use crate::review::ablation::{Model, Way, attempt};

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
        let files = generate(&platform());
        move |line| why(&model, &Family { name: "x", what: "", source: "", generate }, &files, Some(line))
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
    fn a_file_is_there_because_of_fewer_values_than_its_lines() {
        let model = Model::new(platform());
        let family = FAMILIES.iter().find(|family| family.name == "environment-examples").unwrap();
        let files = (family.generate)(&model.platform);
        let file = files.iter().find(|file| file.path == "ops/secrets/postgres.env.example").unwrap();
        let causes = leaves(&why_there(&model, family, file).causes);
        let variable = "service/postgres/secret/postgres-superuser-password/variable";
        assert_eq!(causes, ["service/postgres/id".to_owned(), variable.to_owned()].into());
    }

    #[test]
    fn a_value_that_the_family_relies_on_is_told_as_such() {
        let answer = lines(|platform| {
            let edge = platform.services.iter().find(|service| service.id.0 == "edge");
            file(&[edge.map(|_| "x\n".to_owned()).expect("there is an edge")])
        });
        assert_eq!(answer(0), Answer { causes: vec![], relied_on: vec!["service/edge/id".into()] });
    }

    /// What a family makes of the least platform that it can make anything of.
    fn least(family: &Family) -> Vec<Artifact> {
        let mut least = platform();
        let mut shrink = |change: &dyn Fn(&mut Platform)| {
            let mut smaller = least.clone();
            change(&mut smaller);
            if attempt(family, &smaller).is_some() {
                least = smaller;
            }
        };
        let Platform { services, secrets, labels, gates, smoke, .. } = platform();
        services.iter().for_each(|gone| shrink(&|all| all.services.retain(|one| one.id != gone.id)));
        secrets.iter().for_each(|gone| shrink(&|all| all.secrets.retain(|one| one.name != gone.name)));
        labels.iter().for_each(|gone| shrink(&|all| all.labels.retain(|one| one.name != gone.name)));
        gates.iter().for_each(|gone| shrink(&|all| all.gates.retain(|one| one.id != gone.id)));
        let checks = &smoke.checks;
        checks.iter().for_each(|gone| shrink(&|all| all.smoke.checks.retain(|one| one.name != gone.name)));
        (family.generate)(&least)
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
        let fixed = least(family);
        let files = (family.generate)(&model.platform);
        let all = why(model, family, &files, None);
        let mut start = 0;
        for file in files {
            let fixed = fixed.iter().find(|other| other.path == file.path);
            let fixed: Vec<_> = fixed.map_or(vec![], |artifact| artifact.contents.lines().collect());
            for (line, text) in file.contents.lines().enumerate() {
                let told = all.of_line(start + line);
                assert!(
                    !told.causes.is_empty() || fixed.contains(&text),
                    "{}:{}: {text:?} is not made by the family alone",
                    file.path,
                    line + 1
                );
            }
            start += file.contents.lines().count();
        }
    }

    #[test]
    fn one_line_is_answered_as_it_is_among_all() {
        let model = Model::new(platform());
        let family = FAMILIES.iter().find(|family| family.name == "reference").unwrap();
        let files = (family.generate)(&model.platform);
        let all = why(&model, family, &files, None);
        let count = files.iter().map(|file| file.contents.lines().count()).sum();
        for line in (0..count).step_by(17) {
            let one = why(&model, family, &files, Some(line)).of_line(line);
            assert_eq!(leaves(&one.causes), leaves(&all.of_line(line).causes), "line {line} of all files");
        }
    }
}
