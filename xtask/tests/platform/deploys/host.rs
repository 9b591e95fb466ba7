//! A host that is reached over a real `sshd`, and connections that are lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use foundation::processes::host_name;
use rustix::process::Signal;

use super::site::Site;
use crate::ended::Ended;
use crate::free_ports;
use crate::processes::Pid;
use crate::until;

/// How much of a copy arrives when it is cut.
const ARRIVES: usize = 5_000_000;

/// Its state is the site's; this machine has another one.
struct Host {
    site: Site,
    server: Child,
}

/// Registries, proxies and caches of a host are those of this test, but for these.
pub fn variables(but: &[&str]) -> String {
    let own = [&["HOME", "USER", "LOGNAME", "SHELL", "FLOWSHIP_STATE", "_"], but].concat();
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_.:,=@+-".contains(&byte));
    let variables = std::env::vars().filter(|(name, value)| !own.contains(&name.as_str()) && plain(value));
    variables.map(|(name, value)| format!(" {name}={value}")).collect()
}

impl Host {
    fn new() -> Self {
        let site = Site::new();
        let path = |name: &str| site.path(name).display().to_string();
        for name in ["host-key", "user-key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)])
                .status();
            assert!(made.unwrap().success());
        }
        let [port] = free_ports::free();
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        let write = |name: &str, text: String| fs::write(site.path(name), text).unwrap();
        write(
            "sshd_config",
            format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PermitRootLogin yes\nSetEnv FLOWSHIP_STATE={}{}\n",
                path("host-key"),
                path("user-key.pub"),
                path("state"),
                variables(&[]),
            ),
        );
        write(
            "ssh_config",
            format!(
                "Host qa-host\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
                path("user-key"),
                path("known_hosts")
            ),
        );
        write("known_hosts", String::new());
        write(
            "known",
            format!("[127.0.0.1]:{port} {}", fs::read_to_string(site.path("host-key.pub")).unwrap()),
        );
        // The user's own `ssh` reads the configuration of the user's home, whatever HOME says.
        fs::create_dir(site.path("bin")).unwrap();
        write(
            "bin/ssh",
            format!(
                "#!/bin/sh\ncd {folder}\necho $$ > ssh.pid\nPATH='{search}'\ncase \"$*\" in *'dd of='*)\n  if [ -e cut ]; then head \
                 -c {ARRIVES} | ssh -F ssh_config \"$@\"; exit 255; fi ;;\nesac\nexec ssh -F ssh_config \"$@\"\n",
                folder = site.path("").display(),
                search = std::env::var("PATH").unwrap()
            ),
        );
        fs::set_permissions(site.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let file = "ops/environments/qa.toml";
        let host = format!("[[hosts]]\nname = \"qa-1\"\naddress = \"qa-host\"\nssh_user = \"{user}\"\n");
        site.write(file, &(site.read(file) + &host));
        // What a service of the system has made.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(site.path("sshd.log")).unwrap();
        let server = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd cannot be run: install openssh-server");
        let host = Self { site, server };
        until("sshd listens", || {
            fs::read_to_string(host.site.path("sshd.log")).unwrap().contains("listening").then_some(())
        });
        host
    }

    fn from(&self, mut command: Command) -> Command {
        let bin = self.site.path("bin").display().to_string();
        command.env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()));
        command.env("FLOWSHIP_STATE", self.site.path("here"));
        command
    }

    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = Ended::of(&self.from(self.site.command(arguments)).output().unwrap());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
        ended
    }

    /// The connection that was made last.
    fn connection(&self) -> Pid {
        Pid(fs::read_to_string(self.site.path("ssh.pid")).unwrap().trim().parse().unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn a_lost_connection_costs_nothing() {
    let host = Host::new();
    let site = &host.site;
    let first = site.package("first", "1.0.0");
    let second = site.package("second", "1.1.0");
    let [secret, _] = site.key("one");
    site.done(&["release", "sign", first.to_str().unwrap(), "--key", &secret]);
    // From the folder of the command, which the host does not know.
    let key = ["--public-key", "../one.pub"];
    let deploy = [&["deploy", "qa", "--watch", "1", "--bundle", first.to_str().unwrap()], &key[..]].concat();

    let unknown = host.ends(2, &deploy);
    assert!(unknown.errors.contains("is not in known_hosts; run `ssh "), "{unknown:#?}");
    fs::rename(site.path("known"), site.path("known_hosts")).unwrap();
    let shown = host.ends(0, &[&deploy[..], &["--dry-run"]].concat());
    assert!(shown.out.contains("run there: "), "{shown:#?}");
    assert!(!site.state().exists() && !site.path("here").exists(), "a dry run changes nothing");

    fs::write(site.path("cut"), "").unwrap();
    host.ends(1, &deploy);
    assert_eq!(received(site), Some(ARRIVES as u64));
    fs::remove_file(site.path("cut")).unwrap();
    let went_on = host.ends(0, &deploy);
    assert!(went_on.out.starts_with("qa runs 1.0.0-"), "{went_on:#?}");
    assert_eq!(received(site), None);
    assert!(!site.path("here").join("qa").exists(), "nothing of it is here");

    let status = host.ends(0, &["status", "qa", "--json"]).json();
    assert!(status["release"].as_str().unwrap().starts_with("1.0.0-"), "{status:#}");
    let history = host.ends(0, &["history", "qa", "--json"]).json();
    assert_eq!(history[0]["host"], host_name());
    assert!(history[0]["command"].as_str().unwrap().contains("deploy qa --watch 1 "), "{history:#}");
    host.ends(2, &["rollback", "qa"]);

    let signed = host.ends(0, &[&["deploy", "qa", "--version", "1.0.0", "--dry-run"], &key[..]].concat());
    assert!(signed.out.contains("node-red"), "{signed:#?}");
    host.ends(2, &["deploy", "qa", "--version", "1.0.0", "--public-key=nowhere"])
        .says(&["--public-key", "nowhere"]);
    promotion_asks_where_it_ran(&host, &first, &second);
    lost_in_the_roll(&host, &first, &second);
}

/// And that may be another machine than the one that it is to run on.
fn promotion_asks_where_it_ran(host: &Host, first: &Path, second: &Path) {
    let site = &host.site;
    let qa = site.read("ops/environments/qa.toml");
    let (_, hosts) = qa.split_once("[[hosts]]").unwrap();
    let hosts = format!("[[hosts]]{hosts}");
    let wants = |name: &str, from: &str, hosts: &str| {
        let file = format!("ops/environments/{name}.toml");
        site.environment(name, "staging");
        site.write(&file, &format!("promotes_from = \"{from}\"\n{}{hosts}", site.read(&file)));
    };
    let shown = |code, to, files| host.ends(code, &[&site.deploy(to, files)[..], &["--dry-run"]].concat());

    wants("qb", "qa", "");
    shown(0, "qb", first);
    shown(1, "qb", second).says(&["nothing was changed in qb", "1.1.0 was never deployed to qa on qa-host"]);
    fs::rename(site.path("known_hosts"), site.path("known")).unwrap();
    shown(1, "qb", first).says(&[
        "could not ask qa-host what was deployed to qa",
        "known_hosts",
        "history qa",
    ]);
    fs::rename(site.path("known"), site.path("known_hosts")).unwrap();

    // There are the files of the first already, so its own program judges them there.
    let incoming = |name: &str| site.of(name).join("incoming");
    fs::create_dir(site.of("qc")).unwrap();
    let copied = Command::new("cp").arg("-r").arg(incoming("qa")).arg(incoming("qc")).status();
    assert!(copied.unwrap().success());
    wants("qc", "qa", &hosts);
    shown(0, "qc", first);
    wants("qc", "qd", &hosts);
    site.environment("qd", "staging");
    shown(1, "qc", first).says(&["1.0.0 was never deployed to qd on this machine"]);
    let here = site.path("here").join("qd");
    fs::create_dir_all(&here).unwrap();
    fs::copy(site.of("qa").join("history.jsonl"), here.join("history.jsonl")).unwrap();
    shown(0, "qc", first);
    fs::remove_dir_all(site.of("qc")).unwrap();
}

/// Bytes of a release that has not come to its end.
fn received(site: &Site) -> Option<u64> {
    let incoming = fs::read_dir(site.of("qa").join("incoming")).unwrap().next().unwrap().unwrap();
    Some(fs::metadata(incoming.path().join("archive.tar")).ok()?.len())
}

/// From an unpacked bundle, which has the environment's file too.
fn lost_in_the_roll(host: &Host, first: &Path, second: &Path) {
    let site = &host.site;
    let unpacked = site.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let bundle = first.join("flowship-1.0.0-bundle.tar.gz");
    let status = Command::new("tar").arg("-xzf").arg(bundle).arg("-C").arg(&unpacked).status().unwrap();
    assert!(status.success());
    let program: PathBuf = unpacked.join("flowship-1.0.0/flowship");
    let begin = |log: &str| {
        let file = fs::File::create(site.path(log)).unwrap();
        let mut command = Command::new(&program);
        command.args(site.deploy("qa", second)).current_dir(program.parent().unwrap()).stdin(Stdio::null());
        host.from(command).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap()
    };
    let printed = |log: &str| fs::read_to_string(site.path(log)).unwrap();

    let mut lost = begin("lost.log");
    until("a replica starts", || {
        assert!(lost.try_wait().unwrap().is_none(), "{}", printed("lost.log"));
        printed("lost.log").contains("start node-red-").then_some(())
    });
    host.connection().signal(Signal::KILL);
    assert_eq!(lost.wait().unwrap().code(), Some(1), "{}", printed("lost.log"));
    assert!(printed("lost.log").contains("the connection to "), "{}", printed("lost.log"));

    let mut again = begin("again.log");
    assert_eq!(again.wait().unwrap().code(), Some(0), "{}", printed("again.log"));
    let text = printed("again.log");
    assert!(text.contains("already running: following it") && !text.contains("copying"), "{text}");
    assert!(text.contains("qa runs 1.1.0-"), "{text}");
    let history = host.ends(0, &["history", "qa", "--json"]).json();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history:#}");
    assert_eq!(history[1]["result"], "done");
}
