//! `docs/first-deployment.md`, followed: each of its commands is run as it stands there, in order, by an operator against a
//! host that has nothing of ours. The operator has a home and a name service of their own; the host is a system of its own,
//! with a real `sshd`, its own users and processes, and can be rebooted. Both are namespaces, which only root can make.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::Signal;

use super::host;
use super::site::Site;
use crate::free_ports;
use crate::processes::Pid;
use crate::{PATIENCE, until};

const PAGE: &str = "docs/first-deployment.md";
/// How the page calls the host.
const HOST: &str = "flows.example.com";
/// The file of its environment.
const SETTINGS: &str = "ops/environments/first.toml";
/// A line that bash prints after each command, before its exit code.
const MARK: &str = "-- ended --";

/// `ROOT PORT SETTINGS`: a host. What is of the system is read only; the rest is in this folder. Rebooting ends all of its
/// processes at once and starts `sshd` again.
const SYSTEM: &str = r#"set -eu
cd "$1"
mkdir -p usr proc dev tmp run/sshd var/lib home
chmod 1777 tmp
mount --bind /usr usr
mount -o remount,bind,ro usr
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then cp -P "/$name" .; elif [ -d "/$name" ]; then mkdir -p "$name"; mount --bind "/$name" "$name"; fi
done
cp -a /etc/. etc
mount --rbind /dev dev
mount -t tmpfs none usr/local/sbin
printf '#!/bin/sh\nkill "$(cat /run/sshd.pid)"\n' > usr/local/sbin/reboot
chmod 755 usr/local/sbin/reboot
while :; do
  unshare --mount --pid --uts --fork --kill-child sh -c '
    mount -t proc proc proc
    hostname flows
    chroot . /usr/sbin/sshd -D -e -f /dev/null -o "ListenAddress 127.0.0.1:$1" -o "HostKey /etc/ssh/test-key" -o "UsePAM yes" \
      -o "PermitRootLogin yes" -o "PidFile /run/sshd.pid" -o "SetEnv $2"
    :' sh "$2" "$3" || :
done
"#;

/// `HOME HOSTS`: the operator's shell.
const OPERATOR: &str = r#"set -eu
home=$(getent passwd "$(id -u)" | cut -d: -f6)
mount --bind "$1" "$home"
mount --bind "$2" /etc/hosts
export HOME="$home"
exec bash --norc --noprofile
"#;

/// Something of the page, in its order.
#[derive(Debug)]
enum Part {
    /// A section begins.
    Section(String),
    /// A file to save.
    File {
        path: String,
        text: String,
    },
    Command {
        line: usize,
        text: String,
        shown: Vec<String>,
    },
}

fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut save_as = None;
    let mut lines = page.lines().zip(1..);
    while let Some((line, _)) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            parts.push(Part::Section(heading.to_owned()));
        }
        if let Some((_, rest)) = line.split_once("Save this as `") {
            save_as = rest.split_once('`').map(|(path, _)| path.to_owned());
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block = lines.by_ref().take_while(|(line, _)| *line != "```");
        if kind != "console" {
            let text = block.map(|(line, _)| format!("{line}\n")).collect();
            parts.extend(save_as.take().map(|path| Part::File { path, text }));
            continue;
        }
        for (line, number) in block {
            match (line.strip_prefix("$ "), parts.last_mut()) {
                (Some(text), _) => {
                    parts.push(Part::Command { line: number, text: text.to_owned(), shown: vec![] });
                }
                (None, Some(Part::Command { shown, .. })) => shown.push(line.to_owned()),
                (None, _) => panic!("{PAGE}:{number}: output without a command"),
            }
        }
    }
    parts
}

/// Whether this was printed, when `...` stands for anything, on a line of its own for any lines, and blanks are only blanks.
fn is_shown(shown: &[String], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((line, rest)), _) if line.trim() == "..." => {
            (0..=printed.len()).any(|skipped| is_shown(rest, &printed[skipped..]))
        }
        (Some((line, rest)), Some((first, others))) => {
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            is_like(&words(line), &words(first)) && is_shown(rest, others)
        }
        (Some(_), None) => false,
    }
}

fn is_like(shown: &str, printed: &str) -> bool {
    let Some((start, rest)) = shown.split_once("...") else { return shown == printed };
    let Some(printed) = printed.strip_prefix(start) else { return false };
    (0..=printed.len())
        .filter(|skipped| printed.is_char_boundary(*skipped))
        .any(|skipped| is_like(rest, &printed[skipped..]))
}

#[test]
fn what_is_shown_is_compared() {
    let shown = |page: &str, printed: &str| {
        let page: Vec<String> = page.lines().map(str::to_owned).collect();
        is_shown(&page, &printed.lines().collect::<Vec<_>>())
    };
    for (page, printed, expected) in [
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        ("a  b", "a b", true),
        ("runs 1.0.0-...", "runs 1.0.0-ab1 (took 1 s)", true),
        ("runs 1.0.0-... x", "runs 1.0.0-ab1", false),
        ("...\nb", "x\ny\nb", true),
        ("...\nb", "x\nb\ny", false),
        ("a\n...", "a", true),
    ] {
        assert_eq!(shown(page, printed), expected, "{page:?} {printed:?}");
    }
}

/// Programs that end with it, and all that they have started.
struct Apart(Child);

impl Apart {
    fn command(script: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"]);
        command
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The first process of a namespace ends after all others of it.
        let first = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id())).unwrap();
        for process in first.split_whitespace() {
            Pid(process.parse().unwrap()).signal(Signal::KILL);
        }
        self.0.wait().unwrap();
    }
}

/// A shell that stays open from one command to the next.
struct Operator {
    input: ChildStdin,
    lines: Receiver<String>,
    _shell: Apart,
    /// What the page says, and what it is here.
    here: Vec<(&'static str, String)>,
    /// Everything that was typed and printed.
    transcript: String,
    /// Commands that printed something else than the page shows.
    unlike: Vec<String>,
}

impl Operator {
    /// Runs a command; what it printed, and its exit code.
    #[track_caller]
    fn types(&mut self, command: &str) -> (String, String) {
        writeln!(self.input, "{{ {command}\n}} < /dev/null 2>&1\nprintf '\\n%s %s\\n' '{MARK}' \"$?\"")
            .unwrap();
        let mut printed = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("{command} does not end:\n{}{printed}", self.transcript);
            };
            if let Some(code) = line.strip_prefix(MARK) {
                let printed = printed.trim_end_matches('\n').to_owned();
                writeln!(self.transcript, "$ {command}\n{printed}").unwrap();
                return (printed, code.trim().to_owned());
            }
            writeln!(printed, "{line}").unwrap();
        }
    }

    /// Runs the steps of the workflow as GitHub does, on a machine that has nothing of the operator's but what it is given.
    #[track_caller]
    fn rolls_back_on_github(&mut self, workflow: &Path, site: &Site, ssh_port: u16) {
        let runner = site.path("runner");
        for folder in ["bin", "temp"] {
            fs::create_dir_all(runner.join(folder)).unwrap();
        }
        // Of the same commit, built already.
        let (program, tree) = (env!("CARGO_BIN_EXE_xtask"), site.path("repository"));
        let cargo = format!("#!/bin/sh\nshift\nexec {program} --root {} \"$@\"\n", tree.display());
        fs::write(runner.join("bin/cargo"), cargo).unwrap();
        fs::set_permissions(runner.join("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(site.path("desk/flowship-1.1.0").join(SETTINGS), tree.join(SETTINGS)).unwrap();
        let runner = runner.display();
        let mut ran = Vec::new();
        for Step { name, variables, command } in steps(&fs::read_to_string(workflow).unwrap()) {
            let mut script = format!("cd {runner}\nPATH={runner}/bin:$PATH\n");
            for (name, value) in variables {
                let value = match value.as_str() {
                    "${{ inputs.environment }}" => "first".to_owned(),
                    "${{ inputs.version }}" => "1.1.0".to_owned(),
                    "${{ secrets.FLOWSHIP_SSH_KEY }}" => "$(cat ~/.ssh/id_ed25519)".to_owned(),
                    "${{ vars.FLOWSHIP_KNOWN_HOSTS }}" => "$(cat ~/.ssh/known_hosts)".to_owned(),
                    "${{ vars.FLOWSHIP_SSH_OPTIONS }}" => format!("Port {ssh_port}"),
                    other => other.replace("${{ runner.temp }}", &format!("{runner}/temp")),
                };
                assert!(!value.contains("${{"), "{name}: {value}");
                writeln!(script, "export {name}=\"{value}\"").unwrap();
            }
            fs::write(site.path("runner/step"), command).unwrap();
            let (said, code) = self.types(&format!("({script}bash -e {runner}/step)"));
            assert_eq!(code, "0", "{name}: {said}");
            ran.push(name);
        }
        let expected =
            ["Check the environment", "Write the SSH key to a file", "Roll back", "Remove the SSH key"];
        assert_eq!(ran, expected);
        let (left, _) = self.types(&format!("ls {runner}/temp; ./flowship status first | grep '^release'"));
        assert!(!left.contains("ssh") && left.contains(" 1.1.0-"), "{left}");
    }

    fn here(&self, text: &str) -> String {
        self.here.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    #[track_caller]
    fn follows(&mut self, part: &Part) {
        match part {
            Part::Section(_) => {}
            Part::File { path, text } => {
                let text = self.here(text);
                let (said, code) = self.types(&format!("cat > {path} <<'END'\n{text}END"));
                assert_eq!(code, "0", "{said}");
            }
            Part::Command { line, text, shown } => {
                let (printed, code) = self.types(&self.here(text));
                // Who reboots a machine may lose the connection first.
                let good = code == "0" || (code == "255" && text.ends_with(" reboot"));
                assert!(good, "{PAGE}:{line}: {text}: exit code {code}\n{}", self.transcript);
                let printed: Vec<&str> = printed.lines().collect();
                let shown: Vec<String> = shown.iter().map(|line| self.here(line)).collect();
                if !is_shown(&shown, &printed) {
                    self.unlike
                        .push(format!("{PAGE}:{line}: {text}\nshown: {shown:#?}\nprinted: {printed:#?}"));
                }
            }
        }
    }
}

/// A step of a workflow that runs something, with its variables as they are written.
struct Step {
    name: String,
    variables: Vec<(String, String)>,
    command: String,
}

/// The steps of a generated workflow with one job.
fn steps(workflow: &str) -> Vec<Step> {
    let text = |value: &str| serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
    let mut steps = Vec::new();
    for block in workflow.split("      - name: ").skip(1) {
        let (mut step, mut lines) =
            (Step { name: String::new(), variables: vec![], command: String::new() }, block.lines());
        step.name = lines.next().unwrap().to_owned();
        while let Some(line) = lines.next() {
            if line == "        run: |-" {
                step.command = lines.by_ref().map(|line| format!("{}\n", line.trim())).collect();
            } else if let Some(command) = line.strip_prefix("        run: ") {
                step.command = text(command);
            } else if let Some((name, value)) =
                line.strip_prefix("          ").and_then(|line| line.split_once(": "))
            {
                step.variables.push((name.to_owned(), text(value)));
            }
        }
        if !step.command.is_empty() {
            steps.push(step);
        }
    }
    steps
}

/// The programs that this user has installed before, so that they are not downloaded again.
fn lend_cache(to: &Path) {
    let from = std::env::var("FLOWSHIP_CACHE")
        .or_else(|_| std::env::var("XDG_CACHE_HOME").map(|folder| format!("{folder}/flowship")));
    let from = from.unwrap_or_else(|_| format!("{}/.cache/flowship", std::env::var("HOME").unwrap()));
    let script = "mkdir -p \"$2\"; for part in tools npm verified; do [ ! -d \"$1/$part\" ] || cp -al \"$1/$part\" \"$2\" || cp -a \
                  \"$1/$part\" \"$2\"; done; find \"$2\" -type d -exec chmod 777 {} +";
    let status = Command::new("sh").args(["-euc", script, "sh", &from]).arg(to).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn every_command_of_the_guide_is_run_on_a_bare_host() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can make a host with users of its own");
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(repository.join(PAGE)).unwrap();
    let site = Site::new();
    fs::remove_file(site.path("repository/ops/environments/qa.toml")).unwrap();
    let [secret, public] = site.key("release");
    let operator = site.path("desk");
    for version in ["1.0.0", "1.1.0"] {
        let files = site.package(version, version);
        site.done(&["release", "sign", files.to_str().unwrap(), "--key", &secret]);
        fs::create_dir_all(&operator).unwrap();
        fs::rename(files, operator.join(version)).unwrap();
    }
    fs::copy(public, operator.join("release.pub")).unwrap();
    fs::copy(site.path("provider-key"), operator.join("llm-api-key")).unwrap();

    let [ssh_port, https, http] = free_ports::free();
    let [home, root] = ["home", "host"].map(|name| site.path(name));
    for folder in [home.join(".ssh"), root.join("root/.ssh"), root.join("etc/ssh")] {
        fs::create_dir_all(folder).unwrap();
    }
    for key in [home.join(".ssh/id_ed25519"), root.join("etc/ssh/test-key")] {
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key).status();
        assert!(made.unwrap().success());
    }
    fs::copy(home.join(".ssh/id_ed25519.pub"), root.join("root/.ssh/authorized_keys")).unwrap();
    let host_key = fs::read_to_string(root.join("etc/ssh/test-key.pub")).unwrap();
    fs::write(home.join(".ssh/known_hosts"), format!("[{HOST}]:{ssh_port} {host_key}")).unwrap();
    fs::write(home.join(".ssh/config"), format!("Host {HOST}\n  Port {ssh_port}\n")).unwrap();
    fs::write(site.path("hosts"), format!("127.0.0.1 localhost {HOST}\n")).unwrap();
    lend_cache(&root.join("var/cache/flowship"));

    let log = site.path("sshd.log");
    let settings = format!(
        "FLOWSHIP_CACHE=/var/cache/flowship FLOWSHIP_WATCH=1{}",
        host::variables(&["PATH", "FLOWSHIP_CACHE", "XDG_CACHE_HOME", "TMPDIR"])
    );
    let mut system = Apart::command(SYSTEM);
    system.arg(&root).arg(ssh_port.to_string()).arg(settings);
    system.stdin(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let _system = Apart(system.spawn().unwrap());
    until("sshd listens", || fs::read_to_string(&log).unwrap().contains("listening").then_some(()));

    let mut shell = Apart::command(OPERATOR);
    shell.arg(&home).arg(site.path("hosts")).current_dir(&operator);
    for name in
        ["FLOWSHIP_PUBLIC_KEY", "FLOWSHIP_STATE", "FLOWSHIP_SSH_CONFIG", "GITHUB_ACTIONS", "SSH_AUTH_SOCK"]
    {
        shell.env_remove(name);
    }
    shell.env("USER", "me").env("FLOWSHIP_WATCH", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let (input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut operator = Operator {
        input,
        lines,
        _shell: Apart(shell),
        here: vec![
            ("8443", https.to_string()),
            ("8080", http.to_string()),
            ("https://llm.example.com", site.model_url()),
        ],
        transcript: String::new(),
        unlike: vec![],
    };
    let mut rolled_back = false;
    for part in parts(&page) {
        if matches!(&part, Part::Section(name) if name == "What to back up") {
            operator.rolls_back_on_github(
                &repository.join(".github/workflows/rollback.yml"),
                &site,
                ssh_port,
            );
            rolled_back = true;
        }
        operator.follows(&part);
    }
    assert!(rolled_back);
    assert!(operator.unlike.is_empty(), "{}", operator.unlike.join("\n"));
    assert!(!root.join("home/flowship").exists());
}
