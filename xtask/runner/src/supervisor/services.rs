//! All services of one supervisor, and what can be asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::children::Children;
use super::events::Events;
use super::protocol::{HealthState, ServiceStatus, State};
use super::watch::{self, Watching};
use super::worker::{self, Order, Shared, new_status};
use crate::plan::mask::Mask;
use crate::plan::service::{ProcessSpec, ServiceName};

/// The services of this supervisor.
pub struct Services {
    pub events: Arc<Events>,
    shared: Shared,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    services: BTreeMap<ServiceName, Entry>,
    /// Numbers the starts.
    starts: u64,
    closing: bool,
}

struct Entry {
    spec: ProcessSpec,
    mask: Mask,
    status: Arc<Mutex<ServiceStatus>>,
    orders: Sender<Order>,
    started: u64,
    /// Dropping it ends the watching.
    watching: Vec<Watching>,
}

impl Services {
    /// # Errors
    /// When the record of children cannot be written.
    pub fn open(state: &Path) -> Result<Arc<Self>> {
        let events = Arc::new(Events::default());
        let children = Arc::new(Mutex::new(Children::begin(state)?));
        let shared = Shared { events: Arc::clone(&events), children };
        Ok(Arc::new(Self { events, shared, entries: Mutex::default() }))
    }

    fn entries(&self) -> Result<MutexGuard<'_, Entries>> {
        self.entries.lock().map_err(|_| anyhow!("a bug in this program: a thread of the supervisor panicked"))
    }

    /// The value of [`super::children::MARK`] for what is run on behalf of a service.
    ///
    /// # Errors
    /// When another thread panicked, here and below.
    pub fn mark_of(&self, name: &ServiceName) -> Result<String> {
        let children = self.shared.children.lock();
        children
            .map(|children| children.mark_of(name))
            .map_err(|_| anyhow!("a thread of the supervisor panicked"))
    }

    /// Every service, by name.
    ///
    /// # Errors
    /// When another thread panicked, here and below.
    pub fn statuses(&self) -> Result<Vec<ServiceStatus>> {
        let entries = self.entries()?;
        Ok(entries
            .services
            .values()
            .filter_map(|entry| entry.status.lock().ok().map(|status| status.clone()))
            .collect())
    }

    /// One service.
    ///
    /// # Errors
    /// When there is no such service; the error names those that are known.
    pub fn status(&self, name: &ServiceName) -> Result<ServiceStatus> {
        let entries = self.entries()?;
        let entry = entries.find(name)?;
        entry.status.lock().map(|status| status.clone()).map_err(|_| anyhow!("the thread of {name} panicked"))
    }

    /// How a service was asked to run.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn spec(&self, name: &ServiceName) -> Result<ProcessSpec> {
        self.entries()?.find(name).map(|entry| entry.spec.clone())
    }

    /// Starts a service; what runs already with the same spec stays as it is, with another it is replaced. Before whom it
    /// ends, and its log, are no part of the process.
    ///
    /// # Errors
    /// When the spec is wrong, or the program cannot be started.
    pub fn start(self: &Arc<Self>, spec: ProcessSpec) -> Result<ServiceStatus> {
        let problems = spec.validate();
        if !problems.is_empty() {
            bail!("{}", problems.join("; "));
        }
        let name = spec.name.clone();
        let same = self.entries()?.services.get_mut(&name).map(|entry| {
            entry.spec.after.clone_from(&spec.after);
            entry.spec.secrets.clone_from(&spec.secrets);
            entry.spec.log.clone_from(&spec.log);
            (entry.spec == spec, entry.mask.clone())
        });
        let mask = same.as_ref().map(|(_, mask)| mask.clone()).unwrap_or_default();
        spec.secrets.iter().try_for_each(|place| mask.follow(place))?;
        let same = same.map(|(same, _)| same);
        if same == Some(false) {
            self.remove(&name)?;
        }
        let (reply, answer) = channel();
        {
            let mut entries = self.entries()?;
            if entries.closing {
                bail!("the supervisor is ending");
            }
            entries.starts += 1;
            let started = entries.starts;
            if let Some(entry) = entries.services.get_mut(&name) {
                entry.started = started;
            } else {
                let status = Arc::new(Mutex::new(new_status(&spec)));
                let orders =
                    worker::spawn(spec.clone(), mask.clone(), self.shared.clone(), Arc::clone(&status))?;
                entries.services.insert(
                    name.clone(),
                    Entry { spec, mask, status, orders, started, watching: Vec::new() },
                );
            }
            let entry = entries.find(&name)?;
            entry.orders.send(Order::Start(reply)).map_err(|_| anyhow!("the thread of {name} has ended"))?;
        }
        answer.recv().with_context(|| format!("the thread of {name} has ended"))??;
        let mut entries = self.entries()?;
        if let Some(entry) = entries.services.get_mut(&name)
            && entry.watching.is_empty()
        {
            entry.watching = watch::begin(&entry.spec, self)?;
        }
        drop(entries);
        self.status(&name)
    }

    /// Stops a service and waits for its end.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn stop(&self, name: &ServiceName) -> Result<ServiceStatus> {
        let (reply, answer) = channel();
        let watching = {
            let mut entries = self.entries()?;
            entries
                .find(name)?
                .orders
                .send(Order::Stop(reply))
                .map_err(|_| anyhow!("the thread of {name} has ended"))?;
            entries.services.get_mut(name).map(|entry| std::mem::take(&mut entry.watching))
        };
        drop(watching);
        answer.recv().with_context(|| format!("the thread of {name} has ended"))?;
        self.status(name)
    }

    /// Restarts a service, or starts it when it is stopped.
    ///
    /// # Errors
    /// When there is no such service, or it cannot be started.
    pub fn restart(&self, name: &ServiceName) -> Result<ServiceStatus> {
        let (reply, answer) = channel();
        {
            let entries = self.entries()?;
            if entries.closing {
                bail!("the supervisor is ending");
            }
            let entry = entries.find(name)?;
            entry
                .orders
                .send(Order::Restart(reply))
                .map_err(|_| anyhow!("the thread of {name} has ended"))?;
        }
        answer.recv().with_context(|| format!("the thread of {name} has ended"))??;
        self.status(name)
    }

    /// Stops a service and forgets it.
    ///
    /// # Errors
    /// When another thread panicked.
    pub fn remove(&self, name: &ServiceName) -> Result<()> {
        if !self.entries()?.services.contains_key(name) {
            return Ok(());
        }
        if let Err(error) = self.stop(name) {
            // Another command may have removed it meanwhile: one that was killed while it waited for the same.
            let is_there = self.entries()?.services.contains_key(name);
            return if is_there { Err(error) } else { Ok(()) };
        }
        if let Some(entry) = self.entries()?.services.remove(name) {
            let _ = entry.orders.send(Order::Leave);
        }
        Ok(())
    }

    /// Waits until a service is healthy.
    ///
    /// # Errors
    /// When it is given up or does not become healthy within `limit`, or `stop` holds.
    pub fn await_healthy(&self, name: &ServiceName, limit: Duration, stop: &dyn Fn() -> bool) -> Result<()> {
        let give_up = Instant::now() + limit;
        loop {
            let seen = self.events.last();
            let status = self.status(name)?;
            match (status.state, status.health) {
                (_, HealthState::Healthy) => return Ok(()),
                (State::Failed | State::Ended | State::Stopped, _) => {
                    bail!("{name}: {}", status.reason.unwrap_or_else(|| "stopped".to_owned()));
                }
                _ if stop() => bail!("{name}: nobody waits for it any more"),
                _ if Instant::now() >= give_up => {
                    bail!(
                        "{name} is not healthy: {}",
                        status.reason.unwrap_or_else(|| "no answer yet".to_owned())
                    );
                }
                _ => {}
            }
            self.events.after(seen, Duration::from_millis(100));
        }
    }

    /// Ends every process: each after those that use it (`after`), otherwise the last started first.
    ///
    /// # Errors
    /// When another thread panicked.
    pub fn shutdown(&self) -> Result<()> {
        let mut remaining: BTreeMap<ServiceName, (u64, Vec<ServiceName>, Sender<Order>)> = {
            let mut entries = self.entries()?;
            entries.closing = true;
            let watching: Vec<_> =
                entries.services.values_mut().map(|entry| std::mem::take(&mut entry.watching)).collect();
            let services = entries.services.iter();
            let remaining = services
                .map(|(name, entry)| {
                    (name.clone(), (entry.started, entry.spec.after.clone(), entry.orders.clone()))
                })
                .collect();
            drop(entries);
            drop(watching);
            remaining
        };
        let (reply, stopped) = channel();
        let mut asked = BTreeSet::new();
        while !remaining.is_empty() {
            let plan = remaining.iter().map(|(name, (started, after, _))| (name, *started, after.as_slice()));
            for name in next_to_stop(&plan.collect::<Vec<_>>(), &asked) {
                let sent = remaining.get(&name).map(|(_, _, orders)| orders.send(Order::Stop(reply.clone())));
                if !matches!(sent, Some(Ok(()))) {
                    let _ = reply.send(name.clone());
                }
                asked.insert(name);
            }
            let name = stopped.recv().context("no thread is left to stop")?;
            remaining.remove(&name);
        }
        Ok(())
    }
}

impl Entries {
    fn find(&self, name: &ServiceName) -> Result<&Entry> {
        self.services.get(name).with_context(|| {
            let known: Vec<_> = self.services.keys().map(|name| name.0.as_str()).collect();
            format!("no service `{name}`; known here: {}", known.join(", "))
        })
    }
}

/// Whose turn it is among the `(name, start number, after)` that still run: nobody that runs uses them. The last started
/// comes first. Services that wait for each other are all stopped at once.
fn next_to_stop(
    running: &[(&ServiceName, u64, &[ServiceName])],
    asked: &BTreeSet<ServiceName>,
) -> Vec<ServiceName> {
    let used = |name: &ServiceName| running.iter().any(|(_, _, after)| after.contains(name));
    let mut next: Vec<_> =
        running.iter().filter(|(name, ..)| !asked.contains(*name) && !used(name)).collect();
    if next.is_empty() && !running.iter().any(|(name, ..)| asked.contains(*name)) {
        next = running.iter().collect();
    }
    next.sort_by_key(|(_, started, _)| std::cmp::Reverse(*started));
    next.into_iter().map(|(name, ..)| (*name).clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_stop_before_what_they_use() {
        let names: Vec<ServiceName> =
            ["postgres", "llm", "node-red-a", "loop-a", "loop-b"].map(Into::into).into();
        let [postgres, llm, node_red, loop_a, loop_b] = names.as_slice() else { unreachable!() };
        let uses = [postgres.clone(), llm.clone()];
        let (uses_a, uses_b) = ([loop_a.clone()], [loop_b.clone()]);
        let none: &[ServiceName] = &[];
        let none_asked = BTreeSet::new();
        let order = |running: &[(&ServiceName, u64, &[ServiceName])], asked: &BTreeSet<ServiceName>| {
            next_to_stop(running, asked).into_iter().map(|name| name.0).collect::<Vec<_>>()
        };
        let all = [(postgres, 1, none), (llm, 2, none), (node_red, 3, &uses[..])];
        assert_eq!(order(&all, &none_asked), ["node-red-a"]);
        assert_eq!(order(&all, &BTreeSet::from([node_red.clone()])), Vec::<String>::new());
        assert_eq!(order(&all[..2], &none_asked), ["llm", "postgres"]);
        let circle = [(loop_a, 1, &uses_b[..]), (loop_b, 2, &uses_a[..])];
        assert_eq!(order(&circle, &none_asked), ["loop-b", "loop-a"]);
    }
}
