//! Walks one environment file along the table of settings. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vocabulary::model::environment::{EngineKind, Environment, Host, Tier};
use vocabulary::problem::{Level, Place, Problem};

use foundation::nearest::nearest;

use super::kind::{Kind, Text, article};
use super::problem::Problems;
use super::rules;
use super::settings::{Captured, Needed, SETTINGS, Setting, not_yet};
use super::{Known, SiteFile};

/// Something that the file says: where, and whether its type is right.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Range<usize>,
    pub sound: bool,
}

/// A file as far as it was read: what the rules judge.
#[derive(Debug)]
pub struct Reading<'a> {
    pub stem: &'a str,
    pub known: &'a Known,
    pub environment: Environment,
    /// By key with names and indices filled in, such as `hosts[0].name`; tables too.
    pub seen: BTreeMap<String, Seen>,
    /// The settings that the file says, by key with names and indices filled in.
    pub said: Vec<(String, &'static Setting)>,
    pub problems: Problems<'a>,
}

/// One file's environment, and what of it has no effect yet.
///
/// # Errors
/// Every problem, in the order of the lines.
pub fn environment(file: &SiteFile, known: &Known) -> Result<(Environment, Vec<Problem>), Vec<Problem>> {
    let text = match std::str::from_utf8(&file.bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = std::str::from_utf8(&file.bytes[..error.valid_up_to()]).unwrap_or_default();
            let mut problems = Problems::new(&file.path, valid);
            problems.add(&(valid.len()..valid.len()), "not UTF-8", "a TOML file in UTF-8", None);
            return Err(problems.found);
        }
    };
    let mut reading = Reading {
        stem: file.stem(),
        known,
        environment: Environment { name: file.stem().to_owned(), ..Environment::default() },
        seen: BTreeMap::new(),
        said: Vec::new(),
        problems: Problems::new(&file.path, text),
    };
    let stem = DeValue::String(file.stem().into());
    if Kind::Text(Text::Label).accept(&stem).is_err() {
        let expected = "lower-case letters, digits and dashes before .toml, beginning with a letter";
        reading.problems.add(&(0..0), "an invalid name for an environment", expected, None);
    }
    reading.defaults("", &Captured::default());

    let (document, errors) = DeTable::parse_recoverable(text);
    reading.table(document.get_ref(), "", "", &Captured::default());
    if errors.is_empty() {
        reading.missing();
        reading.this_machine();
        rules::check(&mut reading);
    } else {
        reading.syntax(text, &errors);
    }

    let not_yet = reading.not_yet(file, text);
    let Reading { environment, problems: Problems { mut found, .. }, .. } = reading;
    found.sort();
    found.dedup();
    if found.is_empty() { Ok((environment, not_yet)) } else { Err(found) }
}

impl Reading<'_> {
    /// The tier, when the file says one that there is.
    pub fn tier(&self) -> Option<Tier> {
        self.sound("tier").then_some(self.environment.tier)
    }

    /// The engine, when the file says one that there is.
    pub fn engine(&self) -> Option<EngineKind> {
        self.sound("engine").then_some(self.environment.engine)
    }

    fn not_yet(&self, file: &SiteFile, text: &str) -> Vec<Problem> {
        let engine = self.environment.engine;
        let note = |line, key: &str, why: String| {
            let place = Place::line(&*file.path, line).of(key);
            Problem::new(place, why).rule("not-yet").level(Level::Warning)
        };
        if engine == EngineKind::Kubernetes {
            let why = "no command brings up an environment on Kubernetes; it is checked only";
            return vec![note(1, "the whole file", why.to_owned())];
        }
        let said = self.said.iter().filter_map(|(key, setting)| {
            let line = Place::offset("", text, self.place(key).start).line;
            Some(note(line, key, not_yet(setting, engine)?))
        });
        let mut notes: Vec<Problem> = said.collect();
        notes.extend(self.egress_is_open().map(|why| {
            let line = Place::offset("", text, self.place("egress").start).line;
            note(line, "egress", format!("not enforced here: {why}"))
        }));
        notes.sort_by_key(|note| note.place.line);
        notes
    }

    /// Why nothing holds the services to what the file says of their egress.
    fn egress_is_open(&self) -> Option<&'static str> {
        let Environment { egress, firewall, tier, engine, .. } = &self.environment;
        if egress.is_empty() {
            None
        } else if firewall.is_none() {
            Some("the host's firewall holds services to it, and there is no [firewall]")
        } else if *tier == Tier::Development {
            Some("development has no firewall")
        } else if *engine == EngineKind::Process && self.environment.runs_as_root() {
            Some(
                "the services run as root (hosts[].ssh_user), like the rest of the host; deploy as another user",
            )
        } else {
            None
        }
    }

    /// Whether the file says it, and with the right type.
    pub fn sound(&self, key: &str) -> bool {
        self.seen.get(key).is_some_and(|seen| seen.sound)
    }

    /// Where the file says it, or else the nearest table around it, or the file's start.
    pub fn place(&self, key: &str) -> Range<usize> {
        let mut key = key;
        loop {
            match (self.seen.get(key), key.rfind(['.', '['])) {
                (Some(seen), _) => return seen.at.clone(),
                (None, Some(end)) => key = &key[..end],
                (None, None) => return 0..0,
            }
        }
    }

    /// Defaults of the settings directly inside one array's table (`prefix` such as `hosts[].`), or, with an empty
    /// prefix, of all settings outside arrays.
    fn defaults(&mut self, prefix: &str, at: &Captured<'_>) {
        for setting in SETTINGS {
            let inside =
                if prefix.is_empty() { !setting.key.contains("[]") } else { setting.key.starts_with(prefix) };
            let value = setting.default.filter(|_| inside).and_then(|text| DeValue::parse(text).ok());
            if let Some(Ok(value)) = value.map(|value| setting.kind.accept(value.get_ref())) {
                (setting.set)(&mut self.environment, at, &value);
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, pattern: &str, path: &str, at: &Captured<'_>) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let Some(segment) = children(pattern).into_iter().find(|segment| fits(segment, name)) else {
                self.unknown_key(name, &key.span(), pattern);
                continue;
            };
            let mut at = at.clone();
            match segment {
                "<service>" => at.service = name,
                "<port>" => at.port = name,
                _ => {}
            }
            if !self.names_something(segment, name, &key.span(), &at) {
                continue;
            }
            let pattern = joined(pattern, segment);
            let path = joined(path, name);
            match SETTINGS.iter().find(|setting| setting.key == pattern) {
                Some(setting) => self.setting(setting, value, &path, &at),
                None => self.inner(value, &key.span(), &pattern, &path, &at),
            }
        }
    }

    fn inner(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &Range<usize>,
        pattern: &str,
        path: &str,
        at: &Captured<'_>,
    ) {
        let array = pattern.ends_with("[]");
        let sound = match value.get_ref() {
            DeValue::Table(table) if !array => {
                self.table(table, pattern, path, at);
                true
            }
            DeValue::Array(elements) if array => {
                for (index, element) in elements.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let at = Captured { index, ..at.clone() };
                    let sound = match element.get_ref() {
                        DeValue::Table(table) => {
                            self.defaults(&format!("{pattern}."), &at);
                            self.table(table, pattern, &path, &at);
                            true
                        }
                        other => {
                            self.wrong_type(&path, other, &element.span(), "a table with", pattern);
                            false
                        }
                    };
                    self.seen.insert(path, Seen { at: element.span(), sound });
                }
                true
            }
            other => {
                let shape = if array { "an array of tables, each with" } else { "a table with" };
                self.wrong_type(path, other, &value.span(), shape, pattern);
                false
            }
        };
        self.seen.insert(path.to_owned(), Seen { at: key.clone(), sound });
    }

    fn wrong_type(&mut self, path: &str, value: &DeValue<'_>, at: &Range<usize>, shape: &str, pattern: &str) {
        let wrong = format!("{path}: found {}", article(value.type_str()));
        self.problems.add(at, wrong, format!("{shape} {}", children(pattern).join(", ")), None);
    }

    fn setting(
        &mut self,
        setting: &'static Setting,
        value: &Spanned<DeValue<'_>>,
        path: &str,
        at: &Captured<'_>,
    ) {
        self.said.push((path.to_owned(), setting));
        let accepted = setting.kind.accept(value.get_ref());
        self.seen.insert(path.to_owned(), Seen { at: value.span(), sound: accepted.is_ok() });
        match accepted {
            Ok(accepted) => (setting.set)(&mut self.environment, at, &accepted),
            Err(wrong) => {
                let near = match (&setting.kind, value.get_ref()) {
                    (Kind::Choice(words), DeValue::String(text)) => nearest(text, words.iter().copied()),
                    _ => None,
                };
                self.problems.add(&value.span(), format!("{path}: {wrong}"), setting.kind.words(), near);
            }
        }
    }

    fn unknown_key(&mut self, name: &str, at: &Range<usize>, pattern: &str) {
        let expected: Vec<&str> =
            children(pattern).into_iter().map(|segment| segment.trim_end_matches("[]")).collect();
        let leaf = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
        let near = nearest(name, expected.iter().copied()).or_else(|| {
            let elsewhere = nearest(name, SETTINGS.iter().map(|setting| leaf(setting.key)))?;
            SETTINGS.iter().map(|setting| setting.key).find(|key| leaf(key) == elsewhere)
        });
        let place = if pattern.is_empty() {
            String::new()
        } else {
            format!(" in {}", pattern.trim_end_matches("[]"))
        };
        self.problems.add(
            at,
            format!("unknown key \"{}\"{place}", name.escape_debug()),
            format!("one of {}", expected.join(", ")),
            near,
        );
    }

    /// Whether a name that stands for a service or a port is one; reports it otherwise.
    fn names_something(
        &mut self,
        segment: &str,
        name: &str,
        at: &Range<usize>,
        captured: &Captured<'_>,
    ) -> bool {
        let (what, names): (_, Vec<&str>) = match segment {
            "<service>" => ("service", self.known.services.iter().map(|service| service.id).collect()),
            "<port>" => {
                let service = self.known.services.iter().find(|service| service.id == captured.service);
                ("port", service.map(|service| service.ports.to_vec()).unwrap_or_default())
            }
            _ => return true,
        };
        if names.contains(&name) {
            return true;
        }
        let of = if what == "port" { format!(" of {}", captured.service) } else { String::new() };
        let unquoted = name.split_once('.').filter(|(service, _)| names.contains(service)).map(|_| name);
        let expected = match (names.as_slice(), unquoted) {
            (_, Some(_)) => "service and port joined by a dot without quotes".to_owned(),
            ([], None) => format!("nothing, as {} has no {what}", captured.service),
            (names, None) => format!("one of {}", names.join(", ")),
        };
        let near = unquoted.or_else(|| nearest(name, names.iter().copied()));
        self.problems.add(at, format!("unknown {what} \"{}\"{of}", name.escape_debug()), expected, near);
        false
    }

    /// Reports what the file must say and does not: one problem a setting, but only one for a whole table.
    fn missing(&mut self) {
        let mut reported = BTreeSet::new();
        for setting in SETTINGS.iter().filter(|setting| !setting.key.contains('<')) {
            let (table, leaf) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            for table in self.tables(table) {
                let path = joined(&table, leaf);
                let Some(reason) = self.reason(setting, &table).filter(|_| !self.seen.contains_key(&path))
                else {
                    continue;
                };
                if table.is_empty() || self.seen.contains_key(&table) {
                    let expected = format!("{} ({})", setting.kind.words(), lowered(setting.what));
                    self.problems.add(&self.place(&path), format!("missing {path}{reason}"), expected, None);
                } else if reported.insert(table.clone()) {
                    let keys: Vec<&str> = self.needed_keys(&table).collect();
                    let expected = format!("a table [{table}] with {}", keys.join(", "));
                    self.problems.add(&(0..0), format!("missing {table}{reason}"), expected, None);
                }
            }
        }
    }

    /// The tables that a table's pattern stands for: itself, or each table of the file's array.
    fn tables(&self, pattern: &str) -> Vec<String> {
        match pattern.strip_suffix("[]") {
            None => vec![pattern.to_owned()],
            Some(array) => (0..)
                .map(|index| format!("{array}[{index}]"))
                .take_while(|path| self.seen.contains_key(path))
                .filter(|path| self.sound(path))
                .collect(),
        }
    }

    /// Why the file must say it; `None` when it need not.
    fn reason(&self, setting: &Setting, table: &str) -> Option<String> {
        if self.seen.get(table).is_some_and(|seen| !seen.sound) {
            return None;
        }
        let tier = |tiers: &[Tier]| {
            self.tier().filter(|tier| tiers.contains(tier)).map(|tier| format!(", which {tier} must set"))
        };
        match setting.needed {
            Needed::Never => None,
            Needed::Always => Some(String::new()),
            Needed::In(tiers) => tier(tiers),
            Needed::InOrBeside(tiers) => tier(tiers)
                .or_else(|| self.seen.contains_key(table).then(|| format!(", which [{table}] must have"))),
        }
    }

    fn needed_keys(&self, table: &str) -> impl Iterator<Item = &'static str> {
        let prefix = format!("{table}.");
        SETTINGS
            .iter()
            .filter(|setting| setting.needed != Needed::Never)
            .filter_map(move |setting| setting.key.strip_prefix(prefix.as_str()))
    }

    /// Where no host is named and this machine will do, it is the host.
    fn this_machine(&mut self) {
        let here = match (self.engine(), self.tier()) {
            (Some(EngineKind::Process), _) => true,
            (Some(EngineKind::Compose), tier) => tier == Some(Tier::Development),
            _ => false,
        };
        if here && !self.seen.contains_key("hosts") {
            self.environment.hosts = vec![Host {
                name: "localhost".to_owned(),
                address: "127.0.0.1".to_owned(),
                ssh_user: String::new(),
            }];
            self.defaults("hosts[].", &Captured::default());
        }
    }

    /// Reports what is not TOML. What the recovering parser made of those lines is no fault of the writer's.
    fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        let lines: BTreeSet<usize> = errors
            .iter()
            .map(|error| Place::offset("", text, error.span().unwrap_or(0..0).start).line)
            .collect();
        self.problems.found.retain(|problem| !lines.contains(&problem.place.line));
        for error in errors {
            let (wrong, expected) = match error.message().split_once(", expected ") {
                Some((wrong, "nothing")) => (wrong, "nothing more here".to_owned()),
                Some((wrong, expected)) => (wrong, expected.to_owned()),
                None if error.message() == "duplicate key" => ("duplicate key", "each key once".to_owned()),
                None => (error.message(), "valid TOML".to_owned()),
            };
            self.problems.add(&error.span().unwrap_or(0..0), wrong, expected, None);
        }
    }
}

/// The next segments below a pattern, in the table's order.
fn children(pattern: &str) -> Vec<&'static str> {
    let mut segments: Vec<&'static str> = Vec::new();
    for setting in SETTINGS {
        let below = match pattern {
            "" => Some(setting.key),
            _ => setting.key.strip_prefix(pattern).and_then(|rest| rest.strip_prefix('.')),
        };
        let segment = below.and_then(|rest| rest.split('.').next());
        if let Some(segment) = segment.filter(|segment| !segments.contains(segment)) {
            segments.push(segment);
        }
    }
    segments
}

fn fits(segment: &str, name: &str) -> bool {
    segment.starts_with('<') || segment.trim_end_matches("[]") == name
}

fn joined(path: &str, segment: &str) -> String {
    if path.is_empty() { segment.to_owned() } else { format!("{path}.{segment}") }
}

/// A sentence as part of another one.
fn lowered(sentence: &str) -> String {
    let mut characters = sentence.trim_end_matches('.').chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
