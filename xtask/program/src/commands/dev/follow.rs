//! The foreground: what happens to the services, and what they log, until Ctrl-C.

use std::thread;

use anyhow::Result;

use crate::session::opened::Opened;
use foundation::interrupt::Interrupt;
use runner::plan::show::Show;
use runner::supervisor::log_lines::{self, indented};
use runner::supervisor::{Client, tail};

/// Returns when the user interrupts, or when the supervisor is gone.
///
/// # Errors
/// When the supervisor cannot be asked.
pub fn until_interrupted(opened: &Opened, show: &Show, interrupt: &Interrupt) -> Result<()> {
    let Some(client) = Client::connect(&opened.instance.supervisor())? else { return Ok(()) };
    let (_, since) = client.status()?;
    let names: Vec<String> = opened.units().iter().map(vocabulary::model::Unit::name).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let stop = || interrupt.raised() || ended.load(std::sync::atomic::Ordering::Relaxed);
    thread::scope(|scope| {
        for name in &names {
            let path = opened.instance.log(name);
            let (show, stop) = (show.clone(), &stop);
            scope.spawn(move || {
                let mut each = |line: &str| {
                    if let Some(text) = log_lines::worth_showing(line) {
                        show.say(&format!("{name:<width$} {}", indented(&text, width)));
                    }
                };
                // A log that cannot be read is told by `cargo xtask logs`; following goes on without it.
                let _ = tail(&path, 0, true, stop, &mut each);
            });
        }
        let followed = client.events(since, true, &|| interrupt.raised(), &mut |event| {
            let name = event.service.map_or_else(|| "flowship".to_owned(), |service| service.0);
            show.say(&format!("{name:<width$} {}", indented(&event.text, width)));
            true
        });
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        // A supervisor that is gone is told by the caller, who finds out why.
        if let Err(error) = followed
            && matches!(Client::connect(&opened.instance.supervisor()), Ok(Some(_)))
        {
            show.say(&format!("{error:#}"));
        }
    });
    Ok(())
}
