//! Faults in rules, one at a time: a rule's tests are worth something when they notice them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use artifacts::alert_rules::Group;
use serde::Serialize;
use serde_json::json;
use vocabulary::model::expression::Mutant;
use vocabulary::model::{Alert, Recording};
use vocabulary::problem::listing;

use super::promtool::Promtool;
use crate::context::Context;
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;

/// Percent of the faults that the tests must notice.
const LEAST: usize = 95;

/// A rule with what it reads.
#[derive(Clone)]
pub struct Rule {
    recordings: Vec<Recording>,
    alerts: Vec<Alert>,
}

/// A fault.
#[derive(Serialize)]
struct Fault {
    rule: &'static str,
    kind: &'static str,
    what: String,
    noticed: bool,
}

impl Rule {
    pub fn name(&self) -> &'static str {
        self.alerts.first().map_or_else(|| self.recordings[0].name.0, |alert| alert.name)
    }

    /// Writes the rule and its tests; returns the file of the tests.
    ///
    /// # Errors
    /// The tests cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        // A recording rule has a colon in its name.
        let name = name.replace(':', "-");
        let group =
            Group { name: "rules", area: "rules", recordings: &self.recordings, alerts: &self.alerts };
        let rules = format!("{name}.rules.yaml");
        let tests =
            group.tests(std::slice::from_ref(&rules)).map_err(|problems| refused(listing(&problems)))?;
        fs::write(folder.join(&rules), group.rules())?;
        let file = folder.join(format!("{name}.tests.yaml"));
        fs::write(&file, tests)?;
        Ok(file)
    }

    /// It with one fault each.
    fn mutants(&self) -> Vec<(&'static str, String, Self)> {
        let with = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            other
        };
        let expression = |mutant: Mutant| {
            let changed = with(&|rule| match rule.alerts.first_mut() {
                Some(alert) => alert.expression = mutant.expression.clone(),
                None => rule.recordings[0].expression = mutant.expression.clone(),
            });
            (mutant.kind, mutant.what, changed)
        };
        let Some(alert) = self.alerts.first() else {
            return self.recordings[0].expression.mutants().into_iter().map(expression).collect();
        };
        let due = alert.for_minutes;
        let others = [due.checked_sub(1), Some(due + 1)].into_iter().flatten();
        let times = others.map(|other| {
            let changed = with(&|rule| rule.alerts[0].for_minutes = other);
            ("for", format!("{due} min becomes {other} min"), changed)
        });
        // What always fires has no time to wait.
        let times = times.filter(|_| !alert.expression.selectors().is_empty());
        alert.expression.mutants().into_iter().map(expression).chain(times).collect()
    }
}

/// The rules with these names; all where none is named.
pub fn rules(context: &Context, names: &[String]) -> Vec<Rule> {
    let recordings = &context.platform.recordings;
    let recorded = recordings.iter().map(|one| Rule { recordings: vec![one.clone()], alerts: vec![] });
    let alerts = super::alerts(context).map(|(_, alert)| {
        let reads = |one: &&Recording| {
            alert.expression.selectors().iter().any(|selector| selector.metric == one.name.0)
        };
        Rule { recordings: recordings.iter().filter(reads).cloned().collect(), alerts: vec![alert.clone()] }
    });
    let is_wanted = |rule: &Rule| names.is_empty() || names.iter().any(|name| name == rule.name());
    recorded.chain(alerts).filter(is_wanted).collect()
}

/// # Errors
/// Reported when the tests do not notice enough of the faults.
pub fn run(context: &Context, promtool: &Promtool, names: &[String], most: usize) -> Result<()> {
    let folder = files::temporary::folder("flowship-mutants-")?;
    let mut faults = Vec::new();
    let mut tests = Vec::new();
    let rules = rules(context, names);
    let all: Vec<_> =
        rules.iter().flat_map(|rule| rule.mutants().into_iter().map(|fault| (rule.name(), fault))).collect();
    // Evenly from all of them.
    let step = all.len().div_ceil(most.min(all.len()).max(1)).max(1);
    for (at, (rule, (kind, what, mutant))) in all.iter().enumerate().step_by(step) {
        tests.push(mutant.write(folder.path(), &format!("{at}-{rule}"))?);
        faults.push(Fault { rule, kind, what: what.clone(), noticed: false });
    }
    if faults.is_empty() {
        bail!("there is no fault to make in {}", names.join(", "));
    }
    // Tests that fail anyway notice nothing.
    let right =
        rules.iter().map(|rule| rule.write(folder.path(), rule.name())).collect::<Result<Vec<_>>>()?;
    let sound = promtool.run("test", &right)?;
    if !sound.findings.is_empty() {
        sound.findings.iter().for_each(|finding| eprintln!("{finding}"));
        return Err(Reported.into());
    }
    let judged = promtool.run("test", &tests)?;
    for (fault, passed) in faults.iter_mut().zip(judged.passed) {
        fault.noticed = !passed;
    }
    show(context, promtool, &faults, all.len())
}

fn show(context: &Context, promtool: &Promtool, faults: &[Fault], possible: usize) -> Result<()> {
    let noticed = faults.iter().filter(|fault| fault.noticed).count();
    let enough = noticed * 100 >= faults.len() * LEAST;
    let mut kinds: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for fault in faults {
        let [seen, all] = kinds.entry(fault.kind).or_default();
        *seen += usize::from(fault.noticed);
        *all += 1;
    }
    let missed: Vec<_> = faults.iter().filter(|fault| !fault.noticed).collect();
    if context.json {
        stdout::json(&json!({
            "promtool": promtool.version,
            "possible": possible,
            "made": faults.len(),
            "noticed": noticed,
            "kinds": kinds,
            "missed": missed,
        }))?;
    } else {
        let row =
            |(kind, [seen, all]): (&&str, &[usize; 2])| [(*kind).to_owned(), format!("{seen} of {all}")];
        let rows: Vec<_> = kinds.iter().map(row).collect();
        stdout::text(&columns::table(&rows))?;
        for fault in &missed {
            stdout::text(&format!("not noticed: {}: {}: {}\n", fault.rule, fault.kind, fault.what))?;
        }
        stdout::text(&format!(
            "the tests notice {noticed} of {} faults ({:.1} %), made of {possible} possible ones; at least {LEAST} % are \
             asked for\n",
            faults.len(),
            noticed as f64 * 100.0 / faults.len() as f64
        ))?;
    }
    if enough { Ok(()) } else { Err(Reported.into()) }
}
