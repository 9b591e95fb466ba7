//! Installing as part of a plan, shown as lines of its step.

use crate::tools::Progress;
use runner::plan::perform::Call;
use runner::plan::show::Show;

/// Where the lines go.
pub struct Shown<'a> {
    pub show: &'a Show,
    pub call: &'a Call<'a>,
}

impl Progress for Shown<'_> {
    fn started(&self, subject: &str, text: &str) {
        self.call.desk.log.line(&format!("{subject}: {text}"));
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
        self.call.desk.log.line(&format!("{subject}: {text}"));
        self.show.say(&format!("  {subject}: {text}"));
    }

    fn failed(&self, subject: &str) {
        self.show.settled(subject);
        self.call.desk.log.line(&format!("{subject}: failed"));
    }

    fn cancelled(&self) -> bool {
        (self.call.desk.stop)()
    }
}
