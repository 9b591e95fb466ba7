//! Installing as part of a plan, shown as lines of its step.

use crate::tools::Progress;
use runner::plan::perform::StepContext;

impl Progress for StepContext<'_> {
    fn started(&self, subject: &str, text: &str) {
        self.log.line(&format!("{subject}: {text}"));
        self.show.say(&format!("  {subject}: {text}"));
    }

    fn advanced(&self, subject: &str, done: u64, total: u64) {
        self.show.advanced(subject, done, total);
    }

    fn waiting(&self, subject: &str, text: &str) {
        self.show.say(&format!("  {subject}: {text}"));
    }

    fn finished(&self, subject: &str, text: &str) {
        self.show.settled(subject);
        self.log.line(&format!("{subject}: {text}"));
        self.show.say(&format!("  {subject}: {text}"));
    }

    fn failed(&self, subject: &str) {
        self.show.settled(subject);
        self.log.line(&format!("{subject}: failed"));
    }

    fn cancelled(&self) -> bool {
        (self.stop)()
    }
}
