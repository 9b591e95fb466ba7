//! The control socket: the supervisor's end, and the way to it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::protocol::{Reply, Request, VERSION};
use super::services::Services;

/// A request longer than this many bytes is refused.
const LONGEST_REQUEST: u64 = 4 * 1024 * 1024;
/// How often a follower of events gets an empty line, which finds out whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(2);

const SOCKET: &str = "ctl.sock";

/// Where the socket of the state folder is.
pub fn path_in(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

/// Addresses of Unix sockets are limited to 107 bytes; this one is short however long the path of the folder is.
fn short_path(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

/// Listens in the state folder; only this user can connect.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(state: &Path) -> Result<UnixListener> {
    let place = || format!("cannot listen at {}", path_in(state).display());
    let folder = File::open(state).with_context(place)?;
    let listener = UnixListener::bind(short_path(&folder)).with_context(place)?;
    std::fs::set_permissions(path_in(state), std::fs::Permissions::from_mode(0o600)).with_context(place)?;
    Ok(listener)
}

/// Connects to the supervisor of the state folder; `None` when nobody listens.
///
/// # Errors
/// When the folder or the socket cannot be used.
pub fn connect(state: &Path) -> Result<Option<UnixStream>> {
    let nobody = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    };
    let connected = File::open(state).and_then(|folder| UnixStream::connect(short_path(&folder)));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if nobody(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {}", path_in(state).display())),
    }
}

/// Answers everyone who connects, each in a thread of its own. After a shutdown `quit` is told.
pub fn serve(listener: &UnixListener, services: &Arc<Services>, quit: &Sender<()>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let (services, quit) = (Arc::clone(services), quit.clone());
        let answering = thread::Builder::new().name("control".into()).spawn(move || {
            // A client that goes away in the middle of an answer is its own affair.
            let _ = answer(&stream, &services, &quit);
        });
        if let Err(error) = answering {
            eprintln!("cannot answer a client: {error}");
        }
    }
}

fn answer(stream: &UnixStream, services: &Arc<Services>, quit: &Sender<()>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LONGEST_REQUEST).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                say(stream, &Reply::Error(format!("unknown request: {error}")))?;
                continue;
            }
        };
        match request {
            Request::Events { since, follow } => return tell_events(stream, services, since, follow),
            Request::Shutdown => {
                let reply = services.shutdown().map(|()| Reply::Done);
                say(stream, &reply.unwrap_or_else(|error| Reply::Error(format!("{error:#}"))))?;
                let _ = quit.send(());
                return Ok(());
            }
            request => {
                let reply = carry_out(request, services);
                say(stream, &reply.unwrap_or_else(|error| Reply::Error(format!("{error:#}"))))?;
            }
        }
    }
}

fn carry_out(request: Request, services: &Arc<Services>) -> Result<Reply> {
    let service = |status| Reply::Service(Box::new(status));
    match request {
        Request::Ping => Ok(Reply::Pong { pid: std::process::id(), version: VERSION }),
        Request::Status => {
            let last_event = services.events.last();
            Ok(Reply::Status { services: services.statuses()?, last_event })
        }
        Request::Spec { name } => services.spec(&name).map(|spec| Reply::Spec(Box::new(spec))),
        Request::Start { spec } => services.start(*spec).map(service),
        Request::Stop { name } => services.stop(&name).map(service),
        Request::Restart { name } => services.restart(&name).map(service),
        Request::Remove { name } => services.remove(&name).map(|()| Reply::Done),
        Request::Shutdown | Request::Events { .. } => Ok(Reply::Done),
    }
}

fn tell_events(stream: &UnixStream, services: &Services, mut since: u64, follow: bool) -> io::Result<()> {
    loop {
        let limit = if follow { HEARTBEAT } else { Duration::ZERO };
        let events = services.events.after(since, limit);
        for event in &events {
            since = event.id;
            say(stream, event)?;
        }
        if !follow {
            return Ok(());
        }
        if events.is_empty() {
            (&*stream).write_all(b"\n")?;
        }
    }
}

fn say(mut stream: &UnixStream, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}
