//! What happened, for those who ask and those who wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::protocol::{Event, EventKind};
use crate::plan::service::ServiceName;
use foundation::clock::{now_ms, utc};

/// So many events are remembered.
const REMEMBERED: usize = 2_000;

/// The events of this supervisor.
#[derive(Debug, Default)]
pub struct Events {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    events: VecDeque<Event>,
}

impl Events {
    /// Notes an event, here and in the supervisor's log.
    pub fn note(&self, service: Option<&ServiceName>, kind: EventKind, text: impl Into<String>) {
        let text = text.into();
        let at_ms = now_ms();
        let about = service.map_or("supervisor", |name| name.0.as_str());
        eprintln!("{} {about}: {text}", utc(at_ms / 1000));
        let Ok(mut inner) = self.inner.lock() else { return };
        inner.last += 1;
        let event = Event { id: inner.last, at_ms, service: service.cloned(), kind, text };
        if inner.events.len() == REMEMBERED {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
        self.changed.notify_all();
    }

    /// Id of the last one; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.inner.lock().map(|inner| inner.last).unwrap_or_default()
    }

    /// Those after `since`; waits at most `limit` for the first.
    pub fn after(&self, since: u64, limit: Duration) -> Vec<Event> {
        let Ok(inner) = self.inner.lock() else { return Vec::new() };
        let Ok((inner, _)) = self.changed.wait_timeout_while(inner, limit, |inner| inner.last <= since)
        else {
            return Vec::new();
        };
        inner.events.iter().filter(|event| event.id > since).cloned().collect()
    }
}
