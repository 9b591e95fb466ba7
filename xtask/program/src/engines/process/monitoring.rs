//! What the services that watch the others read. Pure.

use artifacts::monitoring::{CONFIGURATION, Places, notifications, scraping};
use foundation::digest::sha256;
use vocabulary::model::{Monitoring, PortRef, SecretRef, Unit, VolumeRef};

use super::instance::ADDRESS;
use super::lower::{BringUp, Surroundings, id, store_certificate};
use super::resolve::Resolver;
use runner::plan::action::{Action, Exec, Write};
use runner::plan::argument::Arg;
use runner::plan::step::{Step, StepId};

/// Removes every file of a folder but those that are named.
const KEEP: &str = r#"mkdir -p -- "$0" && cd -- "$0" || exit
for file in *; do
  case " $* " in *" $file "*) ;; *) rm -f -- "$file" ;; esac
done"#;

struct OnThisMachine<'a> {
    resolver: Resolver<'a>,
    targets: String,
}

impl Places for OnThisMachine<'_> {
    fn address(&self, unit: &Unit<'_>, port: PortRef) -> Option<String> {
        Some(format!("{ADDRESS}:{}", self.resolver.own_port(unit, port)?))
    }

    fn tree(&self, path: &str) -> String {
        self.resolver.instance.root.join(path).display().to_string()
    }

    fn certificate(&self, port: PortRef) -> Option<String> {
        let store = self.resolver.platform.secret_store.filter(|store| store.api == port)?;
        let unit = self.resolver.units.iter().find(|unit| unit.service.id == port.service)?;
        Some(store_certificate(&self.resolver, unit, &store).display().to_string())
    }

    fn secret(&self, secret: SecretRef) -> String {
        self.resolver.secret_file(secret).display().to_string()
    }

    fn targets(&self) -> String {
        self.targets.clone()
    }
}

/// The services that watch the others.
pub struct Watching<'a> {
    pub resolver: Resolver<'a>,
    pub scraper: &'a Unit<'a>,
    pub monitoring: Monitoring,
    /// As these services find what they read.
    pub places: Box<dyn Places + 'a>,
    /// Of their configurations.
    pub mode: u32,
}

/// None where nothing scrapes.
pub(super) fn watching<'a>(around: &Surroundings<'a>) -> Option<Watching<'a>> {
    let resolver = around.resolver;
    let (monitoring, scraper) = scraper(&resolver)?;
    let targets = resolver.folder(scraper, monitoring.scraper_configuration).join(scraping::TARGETS);
    let places = OnThisMachine { resolver, targets: targets.display().to_string() };
    Some(Watching { resolver, scraper, monitoring, places: Box::new(places), mode: 0o600 })
}

/// The unit that scrapes, where one runs.
pub fn scraper<'a>(resolver: &Resolver<'a>) -> Option<(Monitoring, &'a Unit<'a>)> {
    let monitoring = resolver.platform.monitoring?;
    let scraper = resolver.units.iter().find(|unit| unit.service.id == monitoring.scraper.service)?;
    Some((monitoring, scraper))
}

/// What has to be written before one of them starts.
pub(super) fn needs(around: &Surroundings<'_>, unit: &Unit<'_>) -> Vec<StepId> {
    let reads = watching(around).is_some_and(|watching| watching.configuration(unit).is_some());
    let configured = reads.then(|| format!("{}.configure", unit.name()).into());
    configured.into_iter().collect()
}

/// The variable with which it is started again when its configuration is another one. The scraper notices that by itself.
pub(super) fn variable(around: &Surroundings<'_>, unit: &Unit<'_>) -> Option<(String, Arg)> {
    let watching = watching(around)?;
    if unit.service.id == watching.scraper.service.id {
        return None;
    }
    let (_, _, contents) = watching.configuration(unit)?;
    Some((CONFIGURATION.to_owned(), Arg::from(sha256(contents))))
}

impl Watching<'_> {
    /// The step that leaves only the targets of what runs.
    pub fn keep_id(&self) -> StepId {
        format!("{}.keep", self.scraper.name()).into()
    }

    /// The step that writes the configuration of what scrapes, which takes it over at once.
    pub fn configure_id(&self) -> StepId {
        format!("{}.configure", self.scraper.name()).into()
    }

    /// Writes what they read: the configurations, and the targets of these units.
    pub fn files(&self, is_target: &dyn Fn(&Unit<'_>) -> bool) -> Vec<Step<BringUp>> {
        let mut steps = Vec::new();
        let mut kept = Vec::new();
        for unit in self.resolver.units.iter().filter(|unit| is_target(unit)) {
            let written = self.appears(unit, id::RECORD.into());
            kept.extend(written.iter().filter_map(|(file, _)| Some(file.rsplit('/').next()?.to_owned())));
            // A roll may write the same file later, where it replaces what runs there; what runs stays a target if that fails.
            let known = |(_, step): (String, Step<BringUp>)| Step {
                id: format!("{}.known", step.id.0).into(),
                needs: vec![id::RECORD.into()],
                undo: None,
                ..step
            };
            steps.extend(written.into_iter().map(known));
        }
        let keep = Step {
            needs: vec![id::RECORD.into()],
            ..Step::new(
                self.keep_id(),
                "forget the targets of what no longer runs",
                keep(&self.targets_folder(), kept),
            )
        };
        steps.push(keep);
        for unit in self.resolver.units {
            if let Some((folder, file, contents)) = self.configuration(unit) {
                let path = self.resolver.folder(unit, folder).join(file);
                steps.push(Step {
                    needs: vec![id::RECORD.into()],
                    ..Step::new(
                        format!("{}.configure", unit.name()),
                        format!("write the configuration of {}", unit.name()),
                        Action::Write(Write { path, contents: contents.into(), mode: self.mode }),
                    )
                });
            }
        }
        steps
    }

    /// What a unit reads: the folder, the file in it, and its text.
    pub fn configuration(&self, unit: &Unit<'_>) -> Option<(VolumeRef, &'static str, String)> {
        let Watching { resolver, monitoring, .. } = self;
        let places = &*self.places;
        if unit.service.id == monitoring.scraper.service {
            let (platform, environment) = (resolver.platform, resolver.environment);
            let text = scraping::configuration(platform, environment, monitoring, resolver.units, places);
            return Some((monitoring.scraper_configuration, scraping::FILE, text));
        }
        let is_notifier = unit.service.id == monitoring.notifier.service;
        is_notifier.then(|| {
            let text = notifications::configuration(resolver.environment, monitoring, places);
            (monitoring.notifier_configuration, notifications::FILE, text)
        })
    }

    /// Makes a unit a target once this step is done: the files, and the steps that write them, one after the other.
    pub fn appears(&self, unit: &Unit<'_>, mut after: StepId) -> Vec<(String, Step<BringUp>)> {
        let mut steps = Vec::new();
        for (index, (path, text)) in self.targets(unit).into_iter().enumerate() {
            let write = Write { path: path.clone().into(), contents: text.into(), mode: 0o644 };
            let step = Step {
                needs: vec![after],
                undo: Some(removed(&path)),
                ..Step::new(
                    format!("{}.target-{index}", unit.name()),
                    format!("{} is scraped", unit.name()),
                    Action::Write(write),
                )
            };
            after = step.id.clone();
            steps.push((path, step));
        }
        steps
    }

    /// The opposite.
    pub fn leaves(&self, unit: &Unit<'_>, mut after: StepId) -> Vec<Step<BringUp>> {
        let mut steps = Vec::new();
        for (index, (path, text)) in self.targets(unit).into_iter().enumerate() {
            let write = Write { path: path.clone().into(), contents: text.into(), mode: 0o644 };
            let step = Step {
                needs: vec![after],
                undo: Some(Action::Write(write)),
                ..Step::new(
                    format!("{}.no-target-{index}", unit.name()),
                    format!("{} is no longer scraped", unit.name()),
                    removed(&path),
                )
            };
            after = step.id.clone();
            steps.push(step);
        }
        steps
    }

    /// The folder of the targets, as whoever writes them finds it.
    pub fn targets_folder(&self) -> String {
        let folder = self.resolver.folder(self.scraper, self.monitoring.scraper_configuration);
        folder.join(scraping::TARGETS).display().to_string()
    }

    /// The paths of the files that make a unit a target, and their texts.
    fn targets(&self, unit: &Unit<'_>) -> Vec<(String, String)> {
        let Resolver { platform, environment, .. } = self.resolver;
        let found = scraping::targets(platform, environment, unit, &*self.places);
        let folder = self.targets_folder();
        found.into_iter().map(|(name, text)| (format!("{folder}/{name}"), text)).collect()
    }
}

/// Removes every file of a folder but those with these names.
pub fn keep(folder: &str, names: impl IntoIterator<Item = String>) -> Action<BringUp> {
    let args = ["-c", KEEP, folder].map(Arg::from).into_iter().chain(names.into_iter().map(Arg::from));
    Action::Exec(Exec { program: "sh".to_owned(), args: args.collect(), ..Exec::default() })
}

fn removed(path: &str) -> Action<BringUp> {
    let args = ["-f", "--", path].map(Arg::from).into();
    Action::Exec(Exec { program: "rm".to_owned(), args, ..Exec::default() })
}
