//! Which values of the platform make a line of a generated file. Pure.
//!
//! One value after the other is left out, the family generates again, and what changes is compared; first whole
//! lists, then their elements, then what is inside those that matter. So a line that two values make, each of
//! which suffices, is answered with their list.

use std::collections::BTreeSet;

use super::ablation::{Model, Way, attempt, thinned, without};
use super::lines::touched;
use super::part::Part;
use crate::{Artifact, Committed};

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
pub fn why(model: &Model, family: &Committed, files: &[Artifact], line: Option<usize>) -> Answer {
    alone(model, Search { family, files, line, existence: false, relied_on: Vec::new() })
}

/// What makes a file be there at all; the answer is about its line 0.
pub fn why_there(model: &Model, family: &Committed, file: &Artifact) -> Answer {
    let files = std::slice::from_ref(file);
    alone(model, Search { family, files, line: Some(0), existence: true, relied_on: Vec::new() })
}

fn alone(model: &Model, search: Search<'_>) -> Answer {
    search_all(model, vec![search]).pop().unwrap_or_default()
}

/// An answer for each search. They share what takes half of their time: the platform without one of its values.
fn search_all(model: &Model, mut searches: Vec<Search<'_>>) -> Vec<Answer> {
    let mut all: Vec<_> = searches.iter_mut().collect();
    let causes = among(model, &model.root.parts, &mut all);
    let answer = |(causes, search): (_, Search<'_>)| Answer { causes, relied_on: search.relied_on };
    causes.into_iter().zip(searches).map(answer).collect()
}

/// The causes in these parts, for each of the searches.
fn among(model: &Model, parts: &[Part], searches: &mut [&mut Search<'_>]) -> Vec<Vec<Cause>> {
    let mut causes = vec![Vec::new(); searches.len()];
    for part in parts {
        for (causes, more) in causes.iter_mut().zip(of_part(model, part, searches)) {
            causes.extend(more);
        }
    }
    causes
}

fn of_part(model: &Model, part: &Part, searches: &mut [&mut Search<'_>]) -> Vec<Vec<Cause>> {
    let Some((way, platform)) = without(model, part) else { return among(model, &part.parts, searches) };
    // What each family makes without the part, where that leaves a question that its own parts may answer.
    let mut open = Vec::new();
    for (at, search) in searches.iter_mut().enumerate() {
        let touched = attempt(search.family, &platform).map(|artifacts| search.touched(&artifacts));
        if touched.as_ref().is_none_or(|lines| search.concerns(lines)) {
            open.push((at, touched, search.relied_on.len()));
        }
    }
    let mut inside = {
        let wanted = |at: &usize| open.iter().any(|(open, ..)| open == at);
        let mut deeper: Vec<&mut Search<'_>> = searches
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| wanted(at))
            .map(|(_, search)| &mut **search)
            .collect();
        if deeper.is_empty() { vec![] } else { among(model, &part.parts, &mut deeper) }
    };
    let mut causes = vec![Vec::new(); searches.len()];
    for ((at, touched, known), parts) in open.into_iter().zip(inside.drain(..)) {
        causes[at] = searches[at].conclude(model, part, way, touched, known, parts);
    }
    causes
}

/// What is asked of one family.
struct Search<'a> {
    family: &'a Committed,
    files: &'a [Artifact],
    line: Option<usize>,
    /// Not the lines are asked for, but whether the files are there.
    existence: bool,
    relied_on: Vec<String>,
}

impl Search<'_> {
    /// The causes in a part, from the lines that it touches and from the causes inside; `touched` is none where the
    /// family makes nothing without it. `known`: how many values it relied on before it looked inside.
    fn conclude(
        &mut self,
        model: &Model,
        part: &Part,
        way: Way,
        touched: Option<BTreeSet<usize>>,
        known: usize,
        parts: Vec<Cause>,
    ) -> Vec<Cause> {
        let Some(lines) = touched else {
            if parts.is_empty() && self.relied_on.len() == known {
                self.relied_on.push(part.address.clone());
            }
            let told = self.line.is_some() && !parts.is_empty();
            let less = if way == Way::Emptied && !told { thinned(model, part, self.family) } else { None };
            let lines = less.map(|artifacts| self.touched(&artifacts)).unwrap_or_default();
            return self.with_list(part, parts, lines);
        };
        if way == Way::Emptied {
            return self.with_list(part, parts, lines);
        }
        let (address, names) = (part.address.clone(), part.names.clone());
        vec![Cause { address, names, way, lines, parts }]
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
    use vocabulary::problem::Problem;

    use super::{Answer, Cause, Search, search_all, why, why_there};
    use crate::review::ablation::{Model, Way, attempt};
    use crate::{Artifact, Committed, FAMILIES, Made};
    use second_platform::platform;

    fn leaves(causes: &[Cause]) -> BTreeSet<String> {
        causes
            .iter()
            .flat_map(|cause| {
                if cause.parts.is_empty() { [cause.address.clone()].into() } else { leaves(&cause.parts) }
            })
            .collect()
    }

    fn lines(make: fn(&Platform) -> Made) -> impl Fn(usize) -> Answer {
        let model = Model::new(&platform()).unwrap();
        let files = make(&platform()).unwrap();
        move |line| why(&model, &Committed { name: "x", what: "", source: "", make }, &files, Some(line))
    }

    fn file(lines: &[String]) -> Made {
        Ok(vec![Artifact::file("x", lines.concat())])
    }

    #[test]
    fn names_the_innermost_value_that_makes_a_line() {
        let answer = lines(|platform| {
            let services = platform.services.iter();
            let memory = services.clone().find(|service| service.id.0 == "portal");
            let any_secret = services.clone().any(|service| !service.secrets.is_empty());
            file(&[
                "fixed\n".to_owned(),
                format!("{}\n", memory.map_or(0, |edge| edge.resources.memory_mib)),
                format!("{any_secret}\n"),
                format!("{}\n", services.map(|service| service.ports.len()).sum::<usize>()),
            ])
        });
        assert_eq!(answer(0), Answer::default());
        let memory = answer(1).causes;
        assert_eq!(memory.len(), 1);
        assert_eq!((memory[0].address.as_str(), memory[0].way), ("service/portal", Way::LeftOut));
        let parts: Vec<_> = memory[0].parts.iter().map(|part| (part.address.as_str(), part.way)).collect();
        let expected =
            [("service/portal/id", Way::Changed), ("service/portal/resources/memory_mib", Way::Changed)];
        assert_eq!(parts, expected);
        assert_eq!(leaves(&answer(2).causes), ["services".to_owned()].into(), "no service alone makes it");
        let ports: BTreeSet<_> = platform().ports().map(|(port, _)| format!("port/{port}")).collect();
        assert_eq!(leaves(&answer(3).causes), ports);
    }

    #[test]
    fn a_file_is_there_because_of_fewer_values_than_its_lines() {
        let model = Model::new(&platform()).unwrap();
        let family = FAMILIES.iter().find(|family| family.name == "environment-examples").unwrap();
        let files = (family.make)(&model.platform).unwrap();
        let file = files.iter().find(|file| file.path == "ops/secrets/store.env.example").unwrap();
        let causes = leaves(&why_there(&model, family, file).causes);
        let variable = "service/store/secret/store-root/variable";
        assert_eq!(causes, ["service/store/id".to_owned(), variable.to_owned()].into());
    }

    #[test]
    fn a_value_that_the_family_relies_on_is_marked() {
        let answer = lines(|platform| {
            let edge = platform.services.iter().find(|service| service.id.0 == "portal");
            edge.map(|_| file(&["x\n".to_owned()]))
                .unwrap_or_else(|| Err(Problem::new("portal", "there is none").into()))
        });
        assert_eq!(answer(0), Answer { causes: vec![], relied_on: vec!["service/portal/id".into()] });
    }

    /// What a family makes of the least platform that it can make anything of.
    fn least(family: &Committed) -> Vec<Artifact> {
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
        (family.make)(&least).unwrap()
    }

    /// The long one: everything that a platform makes. A line is told to be the family's own only if it is
    /// there whatever the platform holds.
    #[test]
    fn every_line_of_every_generated_file_has_an_answer() {
        let model = Model::new(&platform()).unwrap();
        // Families of one thread share the work; two threads are what a small machine has.
        thread::scope(|scope| {
            for first in 0..2 {
                let families: Vec<_> = FAMILIES.iter().skip(first).step_by(2).collect();
                let model = &model;
                scope.spawn(move || every_line_has_an_answer(model, &families));
            }
        });
    }

    fn every_line_has_an_answer(model: &Model, families: &[&Committed]) {
        let made: Vec<_> = families.iter().map(|family| (family.make)(&model.platform).unwrap()).collect();
        let searches = families.iter().zip(&made).map(|(family, files)| Search {
            family,
            files,
            line: None,
            existence: false,
            relied_on: Vec::new(),
        });
        let answers = search_all(model, searches.collect());
        for ((family, files), all) in families.iter().zip(&made).zip(&answers) {
            every_line_of_a_family_has_an_answer(&least(family), files, all);
        }
    }

    /// `fixed` is what the family makes of the least platform.
    fn every_line_of_a_family_has_an_answer(fixed: &[Artifact], files: &[Artifact], all: &Answer) {
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
        let model = Model::new(&platform()).unwrap();
        let family = FAMILIES.iter().find(|family| family.name == "reference").unwrap();
        let files = (family.make)(&model.platform).unwrap();
        let all = why(&model, family, &files, None);
        let count = files.iter().map(|file| file.contents.lines().count()).sum();
        for line in (0..count).step_by(17) {
            let one = why(&model, family, &files, Some(line)).of_line(line);
            assert_eq!(leaves(&one.causes), leaves(&all.of_line(line).causes), "line {line} of all files");
        }
    }
}
