//! The two servers that are compared: Node-RED as it is, and the same Node-RED in our launcher. Each answers `GET /x` with
//! one flow and nothing else, on loopback. Acts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::tools::{Program, Toolbox};
use foundation::files::temporary;

const LIMIT: Duration = Duration::from_secs(30);

/// Pause between two requests while it starts.
const LOOK: Duration = Duration::from_millis(5);

const FLOW: &str = r#"[{"id":"t","type":"tab","label":"t","disabled":false,"info":""},
    {"id":"i","type":"http in","z":"t","name":"","url":"/x","method":"get","x":100,"y":100,"wires":[["r"]]},
    {"id":"r","type":"http response","z":"t","name":"","statusCode":"","headers":{},"x":300,"y":100,"wires":[]}]"#;

/// A server that is killed when this value is dropped.
pub struct Server {
    child: Child,
    /// What it answers.
    pub url: String,
    /// Its files.
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no state that needs a clean exit.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether bare Node-RED has its editor, which every request passes before it gets to the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Editor {
    AsInstalled,
    /// As in our launcher in production.
    Off,
}

/// Starts bare Node-RED; it may not answer yet.
///
/// # Errors
/// It cannot be started.
pub fn bare(toolbox: &Toolbox, root: &Path, editor: Editor) -> Result<Server> {
    let folder = temporary::folder("flowship-requests-")?;
    if editor == Editor::Off {
        fs::write(folder.path().join("settings.js"), "module.exports = { httpAdminRoot: false };\n")?;
    }
    fs::write(folder.path().join("flows.json"), FLOW)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let child = Command::new(toolbox.path(Program::Node)?)
        .arg(root.join("flows/node_modules/node-red/red.js"))
        .args(["--userDir".as_ref(), folder.path().as_os_str()])
        .args(["--port", &port.to_string(), "flows.json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting Node-RED")?;
    Ok(Server { child, url: format!("http://127.0.0.1:{port}/x"), _folder: folder })
}

/// Starts Node-RED in our launcher, with our nodes, as in production; it may not answer yet.
///
/// # Errors
/// It cannot be started.
pub fn ours(toolbox: &Toolbox, root: &Path) -> Result<Server> {
    let folder = temporary::folder("flowship-requests-")?;
    let here = folder.path();
    for name in ["user", "flows"] {
        fs::create_dir(here.join(name))?;
    }
    fs::write(here.join("flows/flows.json"), FLOW)?;
    fs::write(here.join("flows/test-smoke.json"), "[]")?;
    fs::write(here.join("secret"), "none-of-this-is-asked-for\n")?;
    std::os::unix::fs::symlink(root.join("flows/nodes"), here.join("flows/nodes"))?;
    let mut command = Command::new(toolbox.path(Program::Node)?);
    command.arg(root.join("flows/runtime/main.js")).current_dir(root.join("flows"));
    for listener in ["FLOWS", "READY", "OPS"] {
        command.env(format!("{listener}_HOST"), "127.0.0.1").env(format!("{listener}_PORT"), "0");
    }
    for file in ["POSTGRES_PASSWORD_FILE", "LLM_API_KEY_FILE", "OPS_TOKEN_FILE", "API_KEY_FILE"] {
        command.env(file, here.join("secret"));
    }
    // None of these services run, and the flow does not use them.
    for (name, value) in [
        ("FLOWSHIP_ENVIRONMENT", "production"),
        ("FLOWSHIP_COMPONENT", "node-red"),
        ("FLOWSHIP_REPLICA", "a"),
        ("POSTGRES_HOST", "127.0.0.1"),
        ("POSTGRES_PORT", "1"),
        ("POSTGRES_DB", "none"),
        ("POSTGRES_USER", "none"),
        ("LLM_BASE_URL", "http://127.0.0.1:1/v1"),
        ("LLM_MODEL", "none"),
        ("MCP_SERVERS", "tools=http://127.0.0.1:1/mcp"),
    ] {
        command.env(name, value);
    }
    let mut child = command
        .env("USER_DIR", here.join("user"))
        .env("FLOWS_DIR", here.join("flows"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("starting the launcher")?;
    let said = child.stdout.take().context("the launcher's output")?;
    let mut server = Server { child, url: String::new(), _folder: folder };
    let port = flows_port(said)?;
    server.url = format!("http://127.0.0.1:{port}/x");
    Ok(server)
}

/// The port that the launcher prints for its flows. Keeps reading the output to its end: a full pipe would stop the
/// launcher.
fn flows_port(said: ChildStdout) -> Result<u64> {
    let mut lines = BufReader::new(said).lines();
    let mut told = Vec::new();
    for line in lines.by_ref() {
        let line = line?;
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if value["message"] == "listening" && value["listener"] == "flows" {
            thread::spawn(move || lines.for_each(drop));
            return value["port"].as_u64().context("the launcher prints no port");
        }
        told.push(line);
    }
    bail!("the launcher ended before it listened:\n{}", told.join("\n"))
}

impl Server {
    /// Processor time used so far, in clock ticks of the kernel.
    ///
    /// # Errors
    /// It has ended.
    pub fn processor(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("Node-RED ended")?;
        // The name, in parentheses, may hold anything; after it come the state and eleven others.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
        fields.map(|field| field.parse::<u64>().context("its processor time")).sum()
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It ends, or does not answer within 30 s.
    pub fn answers(&mut self) -> Result<()> {
        let give_up = Instant::now() + LIMIT;
        while Instant::now() < give_up {
            if ureq::get(&self.url).call().is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("Node-RED ended: {status}");
            }
            thread::sleep(LOOK);
        }
        bail!("{}: no answer within {} s", self.url, LIMIT.as_secs())
    }
}
