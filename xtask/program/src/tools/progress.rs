//! How installing shows itself: events for whoever shows lines, and two ways to show them on stderr.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use foundation::terminal;

/// Receives what happens to a subject (`zizmor 1.32.0`, `npm modules`). Called from several threads.
pub trait Progress: Sync {
    /// Work on the subject begins.
    fn started(&self, subject: &str, text: &str);
    /// So many bytes of so many are there.
    fn advanced(&self, subject: &str, done: u64, total: u64);
    /// The subject waits for somebody else.
    fn waiting(&self, subject: &str, text: &str);
    /// The subject is done; the text has its seconds and size.
    fn finished(&self, subject: &str, text: &str);
    /// The subject failed; the error itself is returned to the caller.
    fn failed(&self, subject: &str);
    /// Asked several times a second: when true, what runs is ended and the call returns an error.
    fn cancelled(&self) -> bool {
        false
    }
}

/// The way that suits stderr: bars on a terminal, lines elsewhere.
pub fn on_stderr() -> Box<dyn Progress> {
    if terminal::on_stderr() { Box::new(Bars::default()) } else { Box::new(Lines) }
}

/// One plain line per event that matters, none while a download advances.
#[derive(Debug, Default)]
pub struct Lines;

impl Progress for Lines {
    fn started(&self, subject: &str, text: &str) {
        eprintln!("{subject}: {text}");
    }

    fn advanced(&self, _subject: &str, _done: u64, _total: u64) {}

    fn waiting(&self, subject: &str, text: &str) {
        eprintln!("{subject}: {text}");
    }

    fn finished(&self, subject: &str, text: &str) {
        eprintln!("{subject}: {text}");
    }

    fn failed(&self, subject: &str) {
        eprintln!("{subject}: failed");
    }
}

/// One bar per subject while it is worked on, one line when it is done.
#[derive(Debug, Default)]
pub struct Bars {
    screen: MultiProgress,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    fn bar(&self, subject: &str) -> ProgressBar {
        let mut bars = self.bars.lock().expect("no thread panics while it holds the bars");
        bars.entry(subject.to_owned())
            .or_insert_with(|| {
                let bar = self.screen.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {prefix} {wide_msg} {elapsed}"));
                bar.set_prefix(subject.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                bar
            })
            .clone()
    }

    fn end(&self, subject: &str, text: &str) {
        self.bar(subject).finish_and_clear();
        self.bars.lock().expect("no thread panics while it holds the bars").remove(subject);
        // A line that cannot be printed is no reason to fail.
        let _ = self.screen.println(format!("{subject}: {text}"));
    }
}

impl Progress for Bars {
    fn started(&self, subject: &str, text: &str) {
        self.bar(subject).set_message(text.to_owned());
    }

    fn advanced(&self, subject: &str, done: u64, total: u64) {
        let bar = self.bar(subject);
        if bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(style("{spinner} {prefix} {wide_bar} {bytes}/{total_bytes} {eta}"));
        }
        bar.set_position(done);
        if done == total {
            bar.set_message("unpacking");
            bar.set_style(style("{spinner} {prefix} {wide_msg} {elapsed}"));
        }
    }

    fn waiting(&self, subject: &str, text: &str) {
        self.bar(subject).set_message(text.to_owned());
    }

    fn finished(&self, subject: &str, text: &str) {
        self.end(subject, text);
    }

    fn failed(&self, subject: &str) {
        self.end(subject, "failed");
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are sound")
}
