//! What testssl.sh finds in the TLS of the edge: nothing at or above LOW.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::Value;
use vocabulary::model::Platform;

use super::{Edge, Setup, VERSIONS};

/// Protocols, ciphers, their order, forward secrecy, the certificate, headers, vulnerabilities.
const EVERYTHING: [&str; 7] = ["-p", "-s", "-P", "-f", "-S", "-h", "-U"];
/// The end of one id of each of these, in the same order.
const LOOKED_AT: [&str; 7] = [
    "TLS1_2",
    "cipherlist_NULL",
    "cipher_order",
    "FS_ECDHE_curves",
    "cert_chain_of_trust",
    "HSTS_time",
    "heartbleed",
];

/// What is no fault of the edge.
const EXPECTED: [&str; 3] = [
    // A key exchange that withstands quantum computers: OpenSSL before 3.5 has none, and refuses a configuration that names one.
    "FS_KEMs",
    // The openssl on PATH has no GOST ciphers.
    "engine_problem",
    // Version 3.0 cannot ask where there are no tickets. Resuming a session is no fault either way.
    "sessionresumption_ticket",
];

/// testssl.sh: the user's own, or Debian's package without what it depends on.
struct Testssl {
    folder: tempfile::TempDir,
    program: PathBuf,
    path: String,
}

impl Testssl {
    /// What it lacks here, as an error.
    fn find() -> Result<Self, &'static str> {
        if ["openssl", "hexdump", "ps"].iter().any(|program| which::which(program).is_err()) {
            return Err("openssl, hexdump or ps is missing");
        }
        let folder = tempfile::tempdir().unwrap();
        let own = ["testssl", "testssl.sh"].iter().find_map(|name| which::which(name).ok());
        let program = own.or_else(|| unpacked(folder.path())).ok_or("apt-get cannot download testssl.sh")?;
        // It wants one to be there, and `--nodns none` asks it nothing.
        let dig = folder.path().join("dig");
        fs::write(&dig, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&dig, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", std::env::var("PATH").unwrap(), folder.path().display());
        Ok(Self { folder, program, path })
    }

    /// Its findings about an edge.
    fn findings(&self, edge: &Edge, name: &str, what: &[&str]) -> Vec<Value> {
        let file = self.folder.path().join(format!("{name}.json"));
        let mut command = Command::new(&self.program);
        let installed = self.folder.path().join("etc/testssl");
        if installed.exists() {
            command.env("TESTSSL_INSTALL_DIR", installed);
        }
        command.args(["--quiet", "--warnings", "batch", "--color", "0", "--nodns", "none", "--add-ca"]);
        command.arg(edge.folder.path().join("edge.pem")).arg("--jsonfile").arg(&file).args(what);
        let output =
            command.arg(format!("127.0.0.1:{}", edge.port)).env("PATH", &self.path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {said}"));
        assert!(found.iter().any(|one| one["id"] == "scanTime"), "it has not come to its end: {said}");
        found
    }
}

fn unpacked(folder: &Path) -> Option<PathBuf> {
    let run = |program: &str, arguments: &[&str]| {
        let ended = Command::new(program).args(arguments).current_dir(folder).output();
        ended.is_ok_and(|output| output.status.success()).then_some(())
    };
    run("apt-get", &["download", "testssl.sh"])?;
    let file = fs::read_dir(folder).unwrap().next()?.unwrap().path();
    run("dpkg-deb", &["--extract", file.to_str()?, "."])?;
    Some(folder.join("usr/bin/testssl"))
}

/// What is at or above LOW, and what could not be looked at.
fn wrong(findings: &[Value]) -> Vec<String> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let is_fine = |one: &&Value| {
        let (id, severity) = (text(one, "id"), text(one, "severity"));
        ["OK", "INFO"].contains(&severity.as_str()) || EXPECTED.contains(&id.as_str())
    };
    let wrong = findings.iter().filter(|one| !is_fine(one));
    wrong.map(|one| ["id", "severity", "finding"].map(|key| text(one, key)).join(": ")).collect()
}

/// As in every environment: the other tests shorten it.
fn patient(platform: &mut Platform) {
    platform.draining.limit_seconds = platform::platform().draining.limit_seconds;
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn testssl_finds_nothing_at_or_above_low() {
    let testssl = match Testssl::find() {
        Ok(testssl) => testssl,
        Err(why) => return eprintln!("testssl.sh could not look at the edge: {why}"),
    };
    thread::scope(|scope| {
        for program in VERSIONS {
            let testssl = &testssl;
            scope.spawn(move || {
                let edge = Edge::with(&Setup { program, change: patient, ..Setup::default() });
                let found = testssl.findings(&edge, program, &EVERYTHING);
                for id in LOOKED_AT {
                    let is = |one: &Value| one["id"].as_str().is_some_and(|found| found.ends_with(id));
                    assert!(found.iter().any(is), "{program}: {id} is not among {found:#?}");
                }
                assert_eq!(wrong(&found), [""; 0], "{program}");
            });
        }
    });
    // A cipher without forward secrecy.
    let planted = Some(["bind-ciphers ", "bind-ciphers AES128-SHA:"]);
    let edge = Edge::with(&Setup { change: patient, planted, ..Setup::default() });
    let found = wrong(&testssl.findings(&edge, "planted", &["-s"]));
    assert!(found.iter().any(|line| line.starts_with("cipherlist_")), "{found:?}");
}
