//! Does what is to be done when files change, and says so.
//!
//! The kernel's notices only wake it up; what changed is found by comparing contents. So it does not matter how an
//! editor saves: in place, by renaming another file over it, or by replacing the whole folder.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use notify::{RecursiveMode, Watcher as _};

use super::children::MARK;
use super::protocol::EventKind;
use super::rotate::RotatingLog;
use super::services::Services;
use crate::plan::argument::Secret;
use crate::plan::child::{Command, End, Inherits, Sink};
use crate::plan::http::{Request, Response};
use crate::plan::mask::Mask;
use crate::plan::service::{LogFile, ProcessSpec, ServiceName, Watch, WatchAction};
use foundation::clock::spell;
use foundation::digest;
use foundation::processes::describe;

/// How often contents are compared where the kernel gives no notices.
const POLL: Duration = Duration::from_secs(1);
/// How long a restarted service may take to be healthy, and an HTTP request to be answered.
const PATIENCE: Duration = Duration::from_secs(60);
/// From TERM to KILL for a program that is run.
const GRACE: Duration = Duration::from_secs(2);
/// So many last lines of a program that failed are shown.
const SHOWN_LINES: usize = 8;
/// What each of them begins with.
const SAID: &str = "  | ";
/// So many changed files are named.
const NAMED: usize = 3;

/// A watch that is on until it is dropped.
pub struct Watching {
    wake: Sender<Wake>,
    /// Also ends what is being done.
    left: Arc<AtomicBool>,
}

enum Wake {
    Changed,
    Leave,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.left.store(true, Ordering::SeqCst);
        let _ = self.wake.send(Wake::Leave);
    }
}

/// Watches everything that the spec wants watched, from now on: changes after this returns are seen.
///
/// # Errors
/// When the system refuses a thread.
pub fn begin(spec: &ProcessSpec, services: &Arc<Services>) -> Result<Vec<Watching>> {
    spec.watch.iter().map(|watch| begin_one(&spec.name, watch.clone(), services)).collect()
}

fn begin_one(service: &ServiceName, watch: Watch, services: &Arc<Services>) -> Result<Watching> {
    let (wake, wakes) = channel();
    let left = Arc::new(AtomicBool::new(false));
    let mut rule = Rule {
        service: service.clone(),
        armed: arm(&watch, &wake),
        seen: snapshot(&watch),
        watch,
        services: Arc::downgrade(services),
        wake: wake.clone(),
        left: Arc::clone(&left),
    };
    thread::Builder::new()
        .name(format!("watch for {service}"))
        .spawn(move || rule.work(&wakes))
        .context("cannot start a thread")?;
    Ok(Watching { wake, left })
}

struct Rule {
    service: ServiceName,
    watch: Watch,
    services: Weak<Services>,
    wake: Sender<Wake>,
    armed: Option<notify::RecommendedWatcher>,
    seen: BTreeMap<PathBuf, Stamp>,
    left: Arc<AtomicBool>,
}

/// A file as it is at one time.
#[derive(PartialEq, Eq)]
struct Stamp {
    content: [u8; 32],
    /// Which file, and when it was written last: tells that it was written again with the same content.
    written: (u64, Option<SystemTime>),
}

impl Stamp {
    fn differs(&self, other: &Self) -> bool {
        self.content != other.content
    }
}

type Differs = fn(&Stamp, &Stamp) -> bool;

impl Rule {
    fn work(&mut self, wakes: &Receiver<Wake>) {
        while !self.left.load(Ordering::SeqCst) {
            let woken = if self.armed.is_some() {
                wakes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                wakes.recv_timeout(POLL)
            };
            match woken {
                Ok(Wake::Changed) => {
                    if !self.quiet(wakes) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Wake::Leave) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let mut differs: Differs = Stamp::differs;
            loop {
                // Anew each time: folders may have been replaced, and their notices with them.
                self.armed = arm(&self.watch, &self.wake);
                let now = snapshot(&self.watch);
                let changed = difference(&self.seen, &now, differs);
                self.seen = now;
                let Some(services) = self.services.upgrade().filter(|_| !changed.is_empty()) else { break };
                let Some((kind, text)) = self.act(&changed, &services, wakes) else { return };
                // What acted may have read something else than what was seen before, even where that is back by now.
                differs = Stamp::ne;
                let overtaken = !difference(&self.seen, &snapshot(&self.watch), differs).is_empty();
                services.events.note(Some(&self.service), kind, text);
                drop(services);
                if !overtaken {
                    break;
                }
                if !self.quiet(wakes) {
                    return;
                }
            }
        }
    }

    /// Waits until nothing has changed for the debounce time, at most ten times as long; false when told to leave.
    fn quiet(&self, wakes: &Receiver<Wake>) -> bool {
        let debounce = Duration::from_millis(self.watch.debounce_ms.max(1));
        let at_most = Instant::now() + debounce * 10;
        while Instant::now() < at_most {
            match wakes.recv_timeout(debounce) {
                Ok(Wake::Changed) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(Wake::Leave) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Whether something has changed since `seen`: looked at only after a notice, or every [`POLL`] without notices.
    fn overtaken(&self, wakes: &Receiver<Wake>, looked: &Cell<Instant>) -> bool {
        let noticed = wakes.try_iter().count() > 0;
        if !noticed && (self.armed.is_some() || looked.get().elapsed() < POLL) {
            return false;
        }
        looked.set(Instant::now());
        !difference(&self.seen, &snapshot(&self.watch), Stamp::differs).is_empty()
    }

    /// Tells the service why it is not asked to take the change. That it cannot be told changes nothing.
    fn tell(&self, error: &str, stop: &dyn Fn() -> bool) {
        let last = self.watch.actions.last();
        let Some(WatchAction::Http { method, url, bearer }) = last else { return };
        let said: Vec<&str> = error.lines().filter_map(|line| line.strip_prefix(SAID)).collect();
        let reason = if said.is_empty() { error.to_owned() } else { said.join("\n") };
        let body = serde_json::json!({ "refused": reason }).to_string();
        let _ = ask(&Mask::default(), (method, url, bearer.as_ref()), Some(&body), stop);
    }

    /// What happened; `None` when told to leave.
    fn act(
        &self,
        changed: &[PathBuf],
        services: &Services,
        wakes: &Receiver<Wake>,
    ) -> Option<(EventKind, String)> {
        let names = name_changed(changed);
        let mut done = Vec::new();
        let (looked, overtaken) = (Cell::new(Instant::now()), Cell::new(false));
        for action in &self.watch.actions {
            if self.left.load(Ordering::SeqCst) {
                return None;
            }
            let begun = Instant::now();
            let left = || self.left.load(Ordering::SeqCst);
            // Only waiting is cut short: a program that is run may be at something that must not stop halfway.
            let stop_waiting = || {
                left() || overtaken.get() || {
                    overtaken.set(self.overtaken(wakes, &looked));
                    overtaken.get()
                }
            };
            match carry_out(action, changed, services, &self.service, &left, &stop_waiting) {
                Ok(text) => done.push(format!("{text} ({})", spell(begun.elapsed()))),
                Err(_) if overtaken.get() => {
                    let text = format!("{names} changed, and again before {} was healthy", self.service);
                    return Some((EventKind::ReloadFailed, text));
                }
                Err(error) => {
                    // A service that was asked knows.
                    if !matches!(action, WatchAction::Http { .. }) {
                        self.tell(&format!("{error:#}"), &left);
                    }
                    let before =
                        if done.is_empty() { String::new() } else { format!("{}; then ", done.join(", ")) };
                    return Some((
                        EventKind::ReloadFailed,
                        format!("{names} changed: {before}FAILED: {error:#}"),
                    ));
                }
            }
        }
        Some((EventKind::Reloaded, format!("{names} changed: {}", done.join(", "))))
    }
}

fn ask(
    mask: &Mask,
    (method, url, bearer): (&str, &str, Option<&Secret>),
    body: Option<&str>,
    stop: &dyn Fn() -> bool,
) -> Result<Response> {
    let none = BTreeMap::new();
    let json =
        body.map(|_| Ok(("content-type".to_owned(), mask.resolve(&"application/json".into(), &none)?)));
    let request = Request {
        method: method.to_owned(),
        url: mask.resolve(&url.into(), &none)?,
        bearer: bearer.map(|secret| mask.read(secret)).transpose()?,
        headers: json.into_iter().collect::<Result<_>>()?,
        body: body.map(|body| mask.resolve(&body.into(), &none)).transpose()?,
        trusts: None,
    };
    request.send(Instant::now() + PATIENCE, stop)
}

fn carry_out(
    action: &WatchAction,
    changed: &[PathBuf],
    services: &Services,
    service: &ServiceName,
    stop: &dyn Fn() -> bool,
    stop_waiting: &dyn Fn() -> bool,
) -> Result<String> {
    let mask = Mask::default();
    let none = BTreeMap::new();
    match action {
        WatchAction::Restart { service: other } => {
            services.restart(other)?;
            services.await_healthy(other, PATIENCE, stop_waiting)?;
            Ok(format!("restarted {other}"))
        }
        WatchAction::Exec { argv, env, cwd, log, time_limit_ms } => {
            let mut resolved = BTreeMap::new();
            for (name, arg) in env {
                resolved.insert(name.clone(), mask.resolve(arg, &none)?);
            }
            let list: Vec<_> = changed.iter().map(|path| path.to_string_lossy()).collect();
            resolved.insert("FLOWSHIP_CHANGED".to_owned(), mask.resolve(&list.join("\n").into(), &none)?);
            // Not the service's own mark: the program outlives a restart of the service.
            let mark = format!("{}/watch", services.mark_of(service)?);
            resolved.insert(MARK.to_owned(), mask.resolve(&mark.into(), &none)?);
            let argv: Vec<_> = argv.iter().map(|arg| mask.resolve(arg, &none)).collect::<Result<_>>()?;
            // The program may be a shell or this one: what it does is named by its log.
            let task = log.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let file = LogFile { path: log.clone(), ..LogFile::default() };
            let open =
                Mutex::new((RotatingLog::open(&file).context("cannot write its log")?, VecDeque::new()));
            let lines = Arc::new(open);
            let written = Arc::clone(&lines);
            let sink: Sink = Arc::new(move |line| {
                if let Ok(mut open) = written.lock() {
                    let _ = open.0.line(line);
                    open.1.push_back(line.to_owned());
                    if open.1.len() > SHOWN_LINES {
                        open.1.pop_front();
                    }
                }
            });
            let command = Command {
                argv,
                env: resolved,
                inherits: Inherits::Everything,
                cwd: Some(cwd.clone()),
                stdin: None,
                mask: mask.clone(),
            };
            let deadline = Instant::now() + Duration::from_millis(*time_limit_ms);
            let end = command.start(&sink, None)?.finish(deadline, stop, GRACE)?;
            let said = || -> String {
                let lines = lines.lock().map(|open| open.1.clone()).unwrap_or_default();
                lines.iter().map(|line| format!("\n{SAID}{line}")).collect()
            };
            match end {
                End::Exited(status) if status.success() => Ok(format!("ran {task}")),
                End::Exited(status) => {
                    bail!("{task}: {} (log: {}){}", describe(status), log.display(), said())
                }
                End::TimedOut => {
                    bail!("{task}: exceeded its time limit (log: {}){}", log.display(), said())
                }
                End::Stopped => bail!("{task}: stopped"),
            }
        }
        WatchAction::Http { method, url, bearer } => {
            let answer = ask(&mask, (method, url, bearer.as_ref()), None, stop)?;
            if !(200..300).contains(&answer.status) {
                let said = mask.hide(answer.body.lines().next().unwrap_or_default()).into_owned();
                bail!("{method} {url} answered {}: {said}", answer.status);
            }
            Ok(format!("{method} {url}: {}", answer.status))
        }
    }
}

/// Asks the kernel for notices about everything that is watched; `None` where it gives none.
fn arm(watch: &Watch, wake: &Sender<Wake>) -> Option<notify::RecommendedWatcher> {
    let wake = wake.clone();
    let mut watcher = notify::recommended_watcher(move |notice: notify::Result<notify::Event>| {
        // Reading is not a change; this program itself reads to compare.
        if !notice.is_ok_and(|notice| notice.kind.is_access()) {
            let _ = wake.send(Wake::Changed);
        }
    })
    .ok()?;
    for folder in folders(watch) {
        watcher.watch(&folder, RecursiveMode::NonRecursive).ok()?;
    }
    Some(watcher)
}

/// Every folder in which a change can matter: those below the paths, and the nearest that exists above each.
fn folders(watch: &Watch) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in &watch.paths {
        found.extend(path.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_path_buf));
        if path.is_dir() {
            found.extend(below(path, &watch.ignore).filter(|entry| entry.is_dir()));
        }
    }
    found
}

fn below<'a>(path: &Path, ignore: &'a [String]) -> impl Iterator<Item = PathBuf> + 'a {
    let entries = walkdir::WalkDir::new(path).into_iter();
    let counts = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !ignored(&entry.file_name().to_string_lossy(), ignore)
    };
    entries.filter_entry(counts).filter_map(Result::ok).map(walkdir::DirEntry::into_path)
}

fn ignored(name: &str, ignore: &[String]) -> bool {
    ignore.iter().any(|rule| match rule.strip_prefix('*') {
        Some(ending) => name.ends_with(ending),
        None => name == rule,
    })
}

fn snapshot(watch: &Watch) -> BTreeMap<PathBuf, Stamp> {
    let all = watch.paths.iter().flat_map(|path| below(path, &watch.ignore));
    all.filter_map(|path| Some((path.clone(), stamp(&path)?))).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let content = digest::raw(std::fs::read(path).ok()?);
    Some(Stamp { content, written: (meta.ino(), meta.modified().ok()) })
}

/// What is new, gone or different.
fn difference(
    before: &BTreeMap<PathBuf, Stamp>,
    now: &BTreeMap<PathBuf, Stamp>,
    differs: Differs,
) -> Vec<PathBuf> {
    let all: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let changed = |path: &PathBuf| match (before.get(path), now.get(path)) {
        (Some(before), Some(now)) => differs(before, now),
        (before, now) => before.is_some() != now.is_some(),
    };
    all.into_iter().filter(|path| changed(path)).cloned().collect()
}

fn name_changed(changed: &[PathBuf]) -> String {
    let names = changed.iter().take(NAMED).map(|path| {
        path.file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    });
    let named = names.collect::<Vec<_>>().join(", ");
    match changed.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contents_count_and_ignored_names_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("nodes/node_modules/deep")).unwrap();
        std::fs::write(path("nodes/a.js"), "1").unwrap();
        std::fs::write(path("nodes/node_modules/deep/b.js"), "1").unwrap();
        let watch = Watch {
            paths: vec![path("nodes"), path("flows.json")],
            ignore: vec!["node_modules".into(), "*.swp".into()],
            debounce_ms: 10,
            actions: Vec::new(),
        };
        assert_eq!(folders(&watch), BTreeSet::from([folder.path().to_owned(), path("nodes")]));
        let before = snapshot(&watch);
        std::fs::write(path("nodes/a.js"), "1").unwrap();
        std::fs::write(path("nodes/.a.js.swp"), "1").unwrap();
        std::fs::write(path("nodes/node_modules/deep/b.js"), "2").unwrap();
        assert_eq!(difference(&before, &snapshot(&watch), Stamp::differs), Vec::<PathBuf>::new());
        std::fs::write(path("new"), "[]").unwrap();
        std::fs::rename(path("new"), path("flows.json")).unwrap();
        std::fs::remove_file(path("nodes/a.js")).unwrap();
        assert_eq!(
            difference(&before, &snapshot(&watch), Stamp::differs),
            [path("flows.json"), path("nodes/a.js")]
        );
    }

    #[test]
    fn a_few_changed_files_are_listed() {
        let many: Vec<PathBuf> = (0..5).map(|number| format!("/x/{number}.js").into()).collect();
        assert_eq!(name_changed(&many[..2]), "0.js, 1.js");
        assert_eq!(name_changed(&many), "0.js, 1.js, 2.js and 2 more");
    }
}
