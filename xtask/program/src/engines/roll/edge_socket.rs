//! What HAProxy says and does over the sockets in its folder: the runtime API of the worker, and that of its master.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use vocabulary::model::EdgePolicy;

use crate::engines::process::secret_store::Text;
use foundation::files;

/// Between two looks at something that is waited for.
const AGAIN: Duration = Duration::from_millis(20);

/// The sockets of one edge.
#[derive(Debug, Clone)]
pub struct EdgeSocket {
    /// The folder that the edge works in.
    pub folder: PathBuf,
    /// Each answer must be whole within this time.
    pub limit: Duration,
}

/// What a server is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    Ready,
    /// Gets no new requests; its health is still asked for.
    Drain,
}

/// A server as the edge sees it. The numbers count from the start of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub backend: String,
    pub name: String,
    /// `UP`, `DOWN`, `DRAIN`, or on the way between two of them, such as `UP 1/3`.
    pub status: String,
    /// How its last health check ended, such as `L7OK`; empty before the first.
    pub check: String,
    /// Now.
    pub sessions: u64,
    pub total_sessions: u64,
    /// Answers with 5xx.
    pub server_errors: u64,
    /// Connections that it did not take.
    pub connection_errors: u64,
    /// Answers that broke off.
    pub response_errors: u64,
}

/// The processes of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processes {
    pub master: u32,
    /// Reloads so far; the last of them that failed.
    pub reloads: u32,
    pub failed_reloads: u32,
    pub workers: Vec<u32>,
    /// Those that only finish what they have; after a failed reload, in some versions, the one that goes on.
    pub old_workers: Vec<u32>,
}

impl fmt::Display for ServerState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
        })
    }
}

impl EdgeSocket {
    /// Changes what a server is to do, and saves the states of all.
    ///
    /// # Errors
    /// No such server, or the edge does not answer; the error names socket, command and answer.
    pub fn set_state(&self, backend: &str, server: &str, state: ServerState) -> Result<()> {
        self.tell(&format!("set server {backend}/{server} state {state}"))?;
        self.save_states()
    }

    /// Writes what the servers are to do where the edge reads it when it starts or is reloaded.
    ///
    /// # Errors
    /// The edge does not answer, or the file cannot be written.
    pub fn save_states(&self) -> Result<()> {
        const COMMAND: &str = "show servers state";
        let states = self.ask(EdgePolicy::RUNTIME_SOCKET, COMMAND)?;
        if !states.starts_with(EdgePolicy::NO_SERVER_STATES) {
            return Err(self.unexpected(EdgePolicy::RUNTIME_SOCKET, COMMAND, &states));
        }
        // In a container, another user reads it.
        files::write::whole(&self.folder.join(EdgePolicy::SERVER_STATES), 0o644, states)
    }

    /// Every server of every backend.
    ///
    /// # Errors
    /// The edge does not answer, or with something else.
    pub fn servers(&self) -> Result<Vec<Server>> {
        // All proxies, servers only, all of them.
        const COMMAND: &str = "show stat -1 4 -1";
        let answer = self.ask(EdgePolicy::RUNTIME_SOCKET, COMMAND)?;
        servers(&answer).ok_or_else(|| self.unexpected(EdgePolicy::RUNTIME_SOCKET, COMMAND, &answer))
    }

    /// # Errors
    /// The master does not answer, or with something else.
    pub fn processes(&self) -> Result<Processes> {
        const COMMAND: &str = "show proc";
        let answer = self.ask(EdgePolicy::MASTER_SOCKET, COMMAND)?;
        processes(&answer).ok_or_else(|| self.unexpected(EdgePolicy::MASTER_SOCKET, COMMAND, &answer))
    }

    /// The certificate that it serves from this file, which it may have renewed since: PEM, with its key.
    ///
    /// # Errors
    /// The edge does not answer, or has no such certificate.
    pub fn certificate(&self, file: &Path) -> Result<Text> {
        let command = format!("dump ssl cert {}", file.display());
        let answer = self.ask(EdgePolicy::RUNTIME_SOCKET, &command)?;
        // What is unexpected may be half a key.
        if !answer.contains("-----BEGIN CERTIFICATE-----") {
            return Err(self.unexpected(EdgePolicy::RUNTIME_SOCKET, &command, "no certificate"));
        }
        Ok(Text::new(answer))
    }

    /// Has the edge fetch the certificate of this file from its ACME authority.
    ///
    /// # Errors
    /// The edge does not answer, or is not configured to.
    pub fn fetch_certificate(&self, file: &Path) -> Result<()> {
        self.tell(&format!("acme renew {}", file.display()))
    }

    /// Whether it is about to.
    ///
    /// # Errors
    /// The edge does not answer.
    pub fn is_fetching(&self, file: &Path) -> Result<bool> {
        let answer = self.ask(EdgePolicy::RUNTIME_SOCKET, "acme status")?;
        let file = file.display().to_string();
        let mut rows = answer.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        Ok(rows.any(|row| row.first() == Some(&file.as_str()) && row.get(2) == Some(&"Running")))
    }

    /// Has the edge read its configuration and its certificate again, in a new worker; the old one finishes what it has.
    /// Servers that were taken out stay out.
    ///
    /// # Errors
    /// The edge does not answer, or refuses what it read and goes on as before.
    pub fn reload(&self) -> Result<()> {
        const COMMAND: &str = "reload";
        self.save_states()?;
        let before = self.processes()?;
        let until = Instant::now() + self.limit;
        let answer = self.ask(EdgePolicy::MASTER_SOCKET, COMMAND)?;
        loop {
            // While the master starts itself again, nobody answers, or it still tells what was before.
            match self.processes() {
                Ok(now) if now.reloads > before.reloads && now.failed_reloads > 0 => {
                    bail!(
                        "{}: the edge refuses its configuration or certificate and goes on with those before; its log \
                         says why. {}",
                        self.folder.join(EdgePolicy::MASTER_SOCKET).display(),
                        answer.trim()
                    );
                }
                Ok(now) if now.workers.iter().any(|worker| !before.workers.contains(worker)) => return Ok(()),
                _ if Instant::now() > until => {
                    return Err(self.unexpected(EdgePolicy::MASTER_SOCKET, COMMAND, &answer));
                }
                _ => sleep(AGAIN),
            }
        }
    }

    fn unexpected(&self, socket: &str, command: &str, answer: &str) -> anyhow::Error {
        let answer = if answer.trim().is_empty() { "nothing" } else { answer.trim() };
        anyhow!("{}: `{command}`: the edge answered: {answer}", self.folder.join(socket).display())
    }

    /// Gives a command whose answer is empty where it is carried out.
    fn tell(&self, command: &str) -> Result<()> {
        let answer = self.ask(EdgePolicy::RUNTIME_SOCKET, command)?;
        if !answer.trim().is_empty() {
            return Err(self.unexpected(EdgePolicy::RUNTIME_SOCKET, command, &answer));
        }
        Ok(())
    }

    /// The whole answer to one command.
    fn ask(&self, socket: &str, command: &str) -> Result<String> {
        let act = || -> Result<String> {
            let until = Instant::now() + self.limit;
            // The path of a socket may have 107 bytes; that of the folder may be longer.
            let folder = File::open(&self.folder)?;
            let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))?;
            stream.set_write_timeout(Some(self.limit))?;
            stream.write_all(format!("{command}\n").as_bytes())?;
            // Some masters end the connection before they have read that.
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let mut part = [0; 16 << 10];
            loop {
                let rest = until.saturating_duration_since(Instant::now());
                if rest.is_zero() {
                    bail!("no whole answer within {} ms", self.limit.as_millis());
                }
                stream.set_read_timeout(Some(rest))?;
                match stream.read(&mut part)? {
                    0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
                    read => answer.extend_from_slice(&part[..read]),
                }
            }
        };
        act().with_context(|| format!("{}: `{command}`", self.folder.join(socket).display()))
    }
}

/// Reads `show stat`. What is needed stands before the columns that are quoted. Pure.
fn servers(csv: &str) -> Option<Vec<Server>> {
    let mut lines = csv.lines().filter(|line| !line.is_empty());
    let names: Vec<_> = lines.next()?.strip_prefix("# ")?.split(',').collect();
    let server = |line: &str| {
        let row: BTreeMap<_, _> = names.iter().copied().zip(line.split(',')).collect();
        let text = |name: &str| row.get(name).map(|value| (*value).to_owned());
        let number = |name: &str| match *row.get(name)? {
            "" => Some(0),
            value => value.parse().ok(),
        };
        Some(Server {
            backend: text("pxname")?,
            name: text("svname")?,
            status: text("status")?,
            check: text("check_status")?.trim_start_matches("* ").to_owned(),
            sessions: number("scur")?,
            total_sessions: number("stot")?,
            server_errors: number("hrsp_5xx")?,
            connection_errors: number("econ")?,
            response_errors: number("eresp")?,
        })
    };
    lines.map(server).collect()
}

/// Reads `show proc`. Pure.
fn processes(table: &str) -> Option<Processes> {
    let mut found =
        Processes { master: 0, reloads: 0, failed_reloads: 0, workers: vec![], old_workers: vec![] };
    let mut is_old = false;
    for line in table.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            is_old = title.starts_with("old ");
            continue;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let [pid, kind, reloads, rest @ ..] = &words[..] else { continue };
        let Ok(pid) = pid.parse() else { continue };
        match *kind {
            "master" => {
                found.master = pid;
                found.reloads = reloads.parse().ok()?;
                let failed = rest.get(1).filter(|_| rest.first() == Some(&"[failed:"));
                found.failed_reloads = failed.and_then(|count| count.trim_end_matches(']').parse().ok())?;
            }
            "worker" if is_old => found.old_workers.push(pid),
            "worker" => found.workers.push(pid),
            _ => {}
        }
    }
    (found.master != 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::{Child, Command};

    use super::*;
    use crate::context::{Context, Global};
    use crate::tools::progress::Lines;
    use crate::tools::{Program, Tool, Toolbox};

    /// A real HAProxy with a backend of two servers of which nobody is there; it ends with this value.
    struct Edge {
        child: Child,
        socket: EdgeSocket,
        _folder: tempfile::TempDir,
    }

    impl Edge {
        fn new() -> Self {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let platform = Box::leak(Box::new(second_platform::platform()));
            let context = Context::new(&Global { root: Some(root), json: false }, platform).unwrap();
            let toolbox = Toolbox::open(&context).unwrap();
            toolbox.ensure(&[Tool::Haproxy], &Lines).unwrap();
            let temporary = tempfile::tempdir().unwrap();
            // Longer than the path of a socket may be.
            let folder = temporary.path().join("a".repeat(120));
            fs::create_dir(&folder).unwrap();
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let configuration = format!(
                "global\n stats socket unix@{} mode 600 level admin\n server-state-file {}\ndefaults\n mode http\n \
                 timeout connect 1s\n timeout client 1s\n timeout server 1s\n load-server-state-from-file \
                 global\nfrontend in\n bind {free}\n default_backend app\nbackend app\n server a 127.0.0.1:1\n server b \
                 127.0.0.1:1\n",
                EdgePolicy::RUNTIME_SOCKET,
                EdgePolicy::SERVER_STATES
            );
            fs::write(folder.join("haproxy.cfg"), configuration).unwrap();
            fs::write(folder.join(EdgePolicy::SERVER_STATES), EdgePolicy::NO_SERVER_STATES).unwrap();
            let master = format!("unix@{},mode,600", EdgePolicy::MASTER_SOCKET);
            let argv = toolbox.invocation(Program::Haproxy).unwrap().argv([
                "-W",
                "-db",
                "-f",
                "haproxy.cfg",
                "-S",
                &master,
                "-C",
            ]);
            let child = Command::new(&argv[0]).args(&argv[1..]).arg(&folder).spawn().unwrap();
            let socket = EdgeSocket { folder, limit: Duration::from_secs(10) };
            let edge = Self { child, socket, _folder: temporary };
            let until = Instant::now() + Duration::from_secs(20);
            while edge.socket.servers().is_err() || edge.socket.processes().is_err() {
                assert!(Instant::now() < until, "{:?}", edge.socket.servers());
                sleep(AGAIN);
            }
            edge
        }

        fn status(&self, name: &str) -> String {
            let servers = self.socket.servers().unwrap();
            servers.iter().find(|server| server.name == name).unwrap().status.clone()
        }
    }

    impl Drop for Edge {
        fn drop(&mut self) {
            if let Ok(found) = self.socket.processes() {
                for pid in found.workers.into_iter().chain(found.old_workers) {
                    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn servers_are_taken_out_and_stay_out_after_a_reload() {
        let edge = Edge::new();
        let socket = &edge.socket;
        let servers = socket.servers().unwrap();
        let names: Vec<_> = servers.iter().map(|one| format!("{}/{}", one.backend, one.name)).collect();
        assert_eq!(names, ["app/a", "app/b"]);
        assert_eq!((servers[0].sessions, servers[0].total_sessions, servers[0].server_errors), (0, 0, 0));
        socket.set_state("app", "a", ServerState::Drain).unwrap();
        assert_eq!((edge.status("a").as_str(), edge.status("b").as_str()), ("DRAIN", "no check"));

        let before = socket.processes().unwrap();
        assert_eq!((before.workers.len(), before.reloads, before.failed_reloads), (1, 0, 0));
        socket.reload().unwrap();
        let after = socket.processes().unwrap();
        assert_eq!((after.master, after.reloads), (before.master, 1));
        assert_ne!(after.workers, before.workers);
        assert_eq!((edge.status("a").as_str(), edge.status("b").as_str()), ("DRAIN", "no check"));
        socket.set_state("app", "a", ServerState::Ready).unwrap();
        assert!(
            edge.status("a").starts_with("no check") || edge.status("a").starts_with("UP"),
            "{}",
            edge.status("a")
        );

        // A configuration that cannot be read changes nothing.
        fs::write(socket.folder.join("haproxy.cfg"), "nonsense\n").unwrap();
        let workers = |found: Processes| [found.workers, found.old_workers].concat();
        let before = workers(socket.processes().unwrap());
        let refused = socket.reload().unwrap_err().to_string();
        assert!(refused.contains("refuses its configuration"), "{refused}");
        assert_eq!(workers(socket.processes().unwrap()), before);
    }

    #[test]
    fn an_error_names_the_socket_the_command_and_the_answer() {
        let edge = Edge::new();
        let error = edge.socket.set_state("app", "z", ServerState::Drain).unwrap_err().to_string();
        for part in ["runtime.sock", "`set server app/z state drain`", "No such server"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let nobody = EdgeSocket { folder: "/nowhere".into(), limit: Duration::from_secs(1) };
        let error = format!("{:#}", nobody.servers().unwrap_err());
        assert!(error.contains("/nowhere/runtime.sock") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn who_does_not_answer_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let _listens =
            std::os::unix::net::UnixListener::bind(folder.path().join(EdgePolicy::RUNTIME_SOCKET)).unwrap();
        let mute = EdgeSocket { folder: folder.path().to_owned(), limit: Duration::from_millis(100) };
        let begun = Instant::now();
        assert!(mute.servers().is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn old_workers_are_told_from_new_ones() {
        let table = "#<PID>          <type>          <reloads>       <uptime>        <version>\n\
                     10              master          2 [failed: 0]   0d00h00m16s     2.6.12\n# workers\n\
                     12              worker          0               0d00h00m01s     2.6.12\n# old workers\n\
                     11              worker          1               0d00h00m05s     2.6.12\n# programs\n\n";
        let found = processes(table).unwrap();
        assert_eq!((found.master, found.reloads, found.failed_reloads), (10, 2, 0));
        assert_eq!((found.workers, found.old_workers), (vec![12], vec![11]));
        assert_eq!(processes("Unknown command\n"), None);
        assert_eq!(servers("Unknown command\n"), None);
    }
}
