//! What a run shows while it goes: a live line per running step on a terminal, groups on GitHub, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::action::Action;
use super::log;
use super::report::{Status, StepReport};
use super::step::{Step, StepId};
use foundation::clock::{spell, spell_whole};
use foundation::escape;
use foundation::terminal;

/// On GitHub a step's log is shown folded up to this many lines.
const FOLDED_LINES: usize = 500;
/// And up to this many bytes.
const FOLDED_BYTES: u64 = 256 * 1024;

/// Without live lines, after so long a silence what runs is named.
const SILENCE: Duration = Duration::from_secs(30);

/// The kind of reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStyle {
    Terminal,
    GitHub,
    Plain,
}

impl OutputStyle {
    /// From the environment and from what standard error is.
    pub fn detect() -> Self {
        if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            Self::GitHub
        } else if terminal::on_stderr() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// Shows a run; clones write to the same place.
#[derive(Clone)]
pub struct Show {
    look: OutputStyle,
    live: MultiProgress,
    bars: Arc<Mutex<BTreeMap<StepId, ProgressBar>>>,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    told: Option<Sender<StepReport>>,
    silence: Duration,
}

impl Show {
    /// Shows on standard error.
    pub fn on_stderr() -> Self {
        Self::to(OutputStyle::detect(), Box::new(std::io::stderr()))
    }

    /// Shows to `out`; the live lines of [`OutputStyle::Terminal`] go to standard error.
    pub fn to(look: OutputStyle, out: Box<dyn Write + Send>) -> Self {
        Self {
            look,
            live: MultiProgress::new(),
            bars: Arc::new(Mutex::new(BTreeMap::new())),
            out: Arc::new(Mutex::new(out)),
            told: None,
            silence: if look == OutputStyle::Terminal { Duration::MAX } else { SILENCE },
        }
    }

    /// Each step that ends is told there too, for those who act on it while the run goes on.
    pub fn telling(self, told: Sender<StepReport>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Another silence, for tests: whatever the reader is.
    #[cfg(test)]
    pub fn silent_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// How long nothing may be shown while steps run; then [`Show::still`] is due.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// These steps, by title, have run for so long and go on.
    pub fn still(&self, running: &[(&str, Duration)]) {
        let one = |(title, time): &(&str, Duration)| format!("{title} ({})", spell_whole(*time));
        self.say(&format!("still running: {}", running.iter().map(one).collect::<Vec<_>>().join(", ")));
    }

    /// One line for people, above the live ones.
    pub fn say(&self, text: &str) {
        let text = escape::text(text);
        if self.look == OutputStyle::Terminal && self.live.println(&text).is_ok() && !self.live.is_hidden() {
            return;
        }
        if let Ok(mut out) = self.out.lock() {
            // Nobody may be reading any more; the run goes on.
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        }
    }

    /// A step has started.
    pub fn started<N>(&self, step: &Step<N>) {
        if self.look != OutputStyle::Terminal {
            return;
        }
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}");
        let bar = self.live.add(ProgressBar::new_spinner());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(step.title.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Ok(mut bars) = self.bars.lock() {
            bars.insert(step.id.clone(), bar);
        }
    }

    /// A running step has written a line. Without a terminal only one that says why nothing happens is shown.
    pub fn line(&self, step: &StepId, text: &str) {
        if self.look != OutputStyle::Terminal {
            if waits_for_cargo(text) {
                self.say(&format!("  {step} waits for another cargo: {}", text.trim()));
            }
            return;
        }
        if let Ok(bars) = self.bars.lock()
            && let Some(bar) = bars.get(step)
        {
            bar.set_message(text.chars().take(200).collect::<String>());
        }
    }

    /// Bytes of something that a step brings, on a terminal only.
    pub fn advanced(&self, subject: &str, done: u64, total: u64) {
        if self.look != OutputStyle::Terminal {
            return;
        }
        let Ok(mut bars) = self.bars.lock() else { return };
        let bar = bars.entry(StepId(subject.to_owned())).or_insert_with(|| {
            let style = ProgressStyle::with_template("  {prefix} {wide_bar} {bytes}/{total_bytes} {eta}");
            let bar = self.live.add(ProgressBar::new(total));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(subject.to_owned());
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
    }

    /// What [`Show::advanced`] told of is there.
    pub fn settled(&self, subject: &str) {
        if let Ok(mut bars) = self.bars.lock()
            && let Some(bar) = bars.remove(&StepId(subject.to_owned()))
        {
            bar.finish_and_clear();
            self.live.remove(&bar);
        }
    }

    /// A step has ended: one line when it is good, the tail of its log and what to do when it failed.
    pub fn ended<N>(&self, step: &Step<N>, report: &StepReport, tail: &[String]) {
        if let Some(told) = &self.told {
            // Who does not listen any more does not want to know.
            let _ = told.send(report.clone());
        }
        if let Ok(mut bars) = self.bars.lock()
            && let Some(bar) = bars.remove(&step.id)
        {
            bar.finish_and_clear();
            self.live.remove(&bar);
        }
        if self.look == OutputStyle::GitHub && matches!(report.status, Status::Done | Status::Failed) {
            self.say_folded(step, report);
        } else {
            self.say(&headline(&step.title, report));
        }
        if report.status == Status::Failed {
            self.say(&failure(step, report, tail));
            if self.look == OutputStyle::GitHub {
                let error =
                    report.error.as_deref().unwrap_or("failed").replace('%', "%25").replace('\n', "%0A");
                self.say(&format!("::error title={}::{error}", step.title));
            }
        }
    }

    fn say_folded<N>(&self, step: &Step<N>, report: &StepReport) {
        let text = report.log.as_deref().map(|path| last_lines(path, FOLDED_LINES)).unwrap_or_default();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.say(&format!("::group::{}\n{text}{end}::endgroup::", headline(&step.title, report)));
    }
}

/// Whether cargo says so: another one holds the lock of the build, or of the packages.
pub fn waits_for_cargo(line: &str) -> bool {
    line.trim_start().starts_with("Blocking waiting for file lock on ")
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = log::end_of(path, FOLDED_BYTES).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    // A line of a log must not be taken for a command of the workflow.
    let lines = lines[lines.len().saturating_sub(count)..].iter().map(|line| line.replacen("::", ": :", 1));
    lines.collect::<Vec<_>>().join("\n")
}

fn headline(title: &str, report: &StepReport) -> String {
    let time = spell(Duration::from_millis(report.duration_ms));
    match report.status {
        Status::Done => format!("✓ {title} {time}"),
        Status::AlreadyThere | Status::AlreadyDone => format!("✓ {title} ({})", report.status.words()),
        Status::Failed => format!("✗ {title} {time}"),
        Status::Interrupted | Status::NotStarted => format!("- {title} ({})", report.status.words()),
    }
}

/// Whether it is this program that refused to begin: then nothing was found that the step's remedy is for.
fn could_not_look<N>(step: &Step<N>, report: &StepReport) -> bool {
    let Action::Exec(exec) = &step.action else { return false };
    let own = std::env::current_exe().is_ok_and(|own| own == Path::new(&exec.program));
    own && report.error.as_deref().is_some_and(|error| error.ends_with("exit code 2"))
}

fn failure<N>(step: &Step<N>, report: &StepReport, tail: &[String]) -> String {
    let mut text = String::new();
    let mut add = |label: &str, value: &str| {
        text.push_str(&format!("    {label}{value}\n"));
    };
    tail.iter().for_each(|line| add("| ", line));
    if let Some(error) = &report.error {
        add("error: ", error);
    }
    if let Some(log) = &report.log {
        add("log: ", &log.display().to_string());
    }
    if could_not_look(step, report) {
        add("to do: ", "what its error says");
    } else if let Some(remedy) = &step.remedy {
        add("to do: ", remedy);
    }
    text.truncate(text.trim_end().len());
    text
}
