//! Asks at a fixed rate, whatever the answers do: each request is due at its time, and its latency counts from then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::client::Client;
use foundation::clock::millis;

/// How many requests of a kind may be under way.
const CONNECTIONS: usize = 48;

/// One answer; times in microseconds since the load began.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub due: u64,
    pub came: u64,
}

/// A request that did not get the answer that it should.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Milliseconds since the load began.
    pub due_ms: u64,
    pub what: String,
}

/// What the load has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub answers: Vec<Answer>,
    pub failures: Vec<Failure>,
    /// Ids of the tasks that were accepted.
    pub accepted: Vec<String>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.failures.extend(other.failures);
        self.accepted.extend(other.accepted);
    }
}

/// A load that goes on until it is ended.
pub struct Load {
    begun: Instant,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Load {
    /// Nothing is asked for yet.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), stop: Arc::default(), threads: Vec::new() }
    }

    /// Makes one more kind of request from now on, so many a second; `one` gives the id of a task that was accepted.
    ///
    /// # Errors
    /// The certificate of the edge cannot be read.
    pub fn ask<F>(&mut self, client: &Client, rate: u32, one: F) -> Result<()>
    where
        F: Fn(&Client) -> Result<Option<String>> + Clone + Send + 'static,
    {
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..CONNECTIONS.min(rate as usize) {
            // A client of its own: requests do not wait for each other's connections.
            let (client, one, next) = (client.again()?, one.clone(), Arc::clone(&next));
            let (begun, stop) = (self.begun, Arc::clone(&self.stop));
            self.threads.push(thread::spawn(move || {
                let mut seen = Seen::default();
                loop {
                    let due = micros(next.fetch_add(1, Ordering::SeqCst), rate);
                    thread::sleep((begun + due).saturating_duration_since(Instant::now()));
                    if stop.load(Ordering::SeqCst) {
                        return seen;
                    }
                    let answer = one(&client);
                    let came = begun.elapsed();
                    match answer {
                        Ok(task) => {
                            seen.accepted.extend(task);
                            seen.answers.push(Answer { due: whole(due), came: whole(came) });
                        }
                        Err(error) => {
                            seen.failures.push(Failure { due_ms: millis(due), what: format!("{error:#}") });
                        }
                    }
                }
            }));
        }
        Ok(())
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends it, and waits for the answers that are due.
    pub fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for thread in self.threads {
            all.add(thread.join().expect("asking does not panic"));
        }
        all.answers.sort_by_key(|answer| answer.came);
        all.failures.sort_by_key(|failure| failure.due_ms);
        all
    }
}

/// When the n-th request is due.
fn micros(number: u64, rate: u32) -> Duration {
    Duration::from_micros(number.saturating_mul(1_000_000) / u64::from(rate.max(1)))
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;
    use runner::plan::mask::Resolved;

    use super::*;

    #[test]
    fn requests_are_due_at_their_rate_and_each_is_an_answer_or_a_failure() {
        let trusted = tempfile::NamedTempFile::new().unwrap();
        let nobody = Client::new(String::new(), Resolved::default(), trusted.path().to_owned()).unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let mut load = Load::begin();
        let one = move |_: &Client| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            ensure!(!number.is_multiple_of(4), "refused");
            Ok(Some(number.to_string()))
        };
        load.ask(&nobody, 200, one).unwrap();
        while asked.load(Ordering::SeqCst) < 20 {
            thread::sleep(Duration::from_millis(1));
        }
        let seen = load.end();
        let all = asked.load(Ordering::SeqCst);
        assert_eq!((seen.failures.len() + seen.answers.len()) as u64, all);
        assert_eq!(seen.failures.len() as u64, all.div_ceil(4));
        assert_eq!(seen.accepted.len(), seen.answers.len());
        assert!(seen.failures.iter().all(|failure| failure.what == "refused"));
        assert!(seen.failures.is_sorted_by_key(|failure| failure.due_ms));
        assert!(seen.answers.is_sorted_by_key(|answer| answer.came));
        for answer in seen.answers {
            assert!(answer.due.is_multiple_of(5_000) && answer.came >= answer.due, "{answer:?}");
        }
    }
}
