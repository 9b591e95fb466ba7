//! Asks one address as fast as it answers, over connections that are kept. Acts.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How many requests were answered with success, and in how many seconds.
///
/// # Errors
/// The first request that fails.
pub fn ask(url: &str, connections: u32, duration: Duration) -> Result<(u64, f64)> {
    let begun = Instant::now();
    let until = begun + duration;
    let answered = thread::scope(|scope| {
        let ask = || -> Result<u64> {
            // An agent keeps its connections: one each, as only one request at a time is made of it.
            let agent = ureq::Agent::new_with_defaults();
            let mut answered = 0;
            while Instant::now() < until {
                let mut answer = agent.get(url).call().with_context(|| url.to_owned())?;
                answer.body_mut().read_to_vec().with_context(|| url.to_owned())?;
                answered += 1;
            }
            Ok(answered)
        };
        let asking: Vec<_> = (0..connections).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().expect("asking does not panic")).sum::<Result<u64>>()
    })?;
    Ok((answered, begun.elapsed().as_secs_f64()))
}
