//! The operator's program in its bundle, on a machine that has no compiler and no checkout.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::fixture::{BUNDLE, Key, Repository, text};

/// A machine with an unpacked release.
pub struct Machine {
    folder: TempDir,
    pub program: PathBuf,
    path: OsString,
}

impl Machine {
    /// With only these programs on PATH.
    fn new(repository: &Repository, programs: &[&str]) -> Self {
        Self::of(&repository.made().join(BUNDLE), "flowship-1.2.3", programs)
    }

    /// With the archive unpacked, which holds this folder.
    pub fn of(archive: &Path, top: &str, programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unpack =
            Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).output().unwrap();
        assert!(unpack.status.success(), "{}", text(&unpack));
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        for program in programs {
            symlink(real(program), folder.path().join("bin").join(program)).unwrap();
        }
        let program = folder.path().join(top).join("flowship");
        let path = folder.path().join("bin").into_os_string();
        Self { folder, program, path }
    }

    /// With what a system has, too; cargo is not among it.
    pub fn with_system(mut self) -> Self {
        self.path.push(":/usr/bin:/bin");
        self
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .envs(ways_out())
            .output()
            .unwrap()
    }
}

/// How this machine reaches package registries: behind a private CA or a mirror nothing can be installed without.
fn ways_out() -> impl Iterator<Item = (String, String)> {
    const SETTINGS: [&str; 6] = [
        "NODE_EXTRA_CA_CERTS",
        "PIP_CERT",
        "PIP_INDEX_URL",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "npm_config_registry",
    ];
    SETTINGS.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// The interpreter itself: what stands on PATH may be a script that chooses one.
fn real(program: &str) -> PathBuf {
    let found = which::which(program).unwrap();
    let told = Command::new(&found).args(["-c", "import sys; print(sys.executable)"]).output();
    let own =
        told.ok().and_then(|output| String::from_utf8(output.stdout).ok()).map(|text| text.trim().to_owned());
    own.filter(|path| program == "python3" && !path.is_empty()).map_or(found, PathBuf::from)
}

#[test]
fn a_program_from_the_bundle_serves_an_operator_and_sends_developers_to_a_checkout() {
    let key = Key::new();
    let program = std::fs::read(env!("CARGO_BIN_EXE_xtask")).unwrap();
    let repository = Repository::with_operator(&program);
    repository.write("ops/environments/dev.toml", include_str!("../../../../ops/environments/dev.toml"));
    repository.commit("Have an environment");
    let repository = repository.packaged(&key);
    let machine = Machine::new(&repository, &["python3"]);

    let doctor = machine.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", text(&doctor));
    let row =
        |name: &str| text(&doctor).lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(row("cargo ").contains("optional") && row("git ").contains("optional"), "{}", text(&doctor));
    assert!(row("python3").contains("found"), "{}", text(&doctor));
    let bare = Machine::new(&repository, &[]).run(&["doctor"]);
    assert_eq!(bare.status.code(), Some(1), "{}", text(&bare));
    assert!(text(&bare).lines().any(|line| line.starts_with("python3") && line.contains("MISSING")));

    let made = repository.made();
    let (made, public) = (made.to_str().unwrap(), key.public.to_str().unwrap());
    let verify = machine.run(&["release", "verify", made, "--public-key", public]);
    assert!(verify.status.success(), "{}", text(&verify));

    for command in [
        &["ci"][..],
        &["generate", "--check"],
        &["why", "README.md:1"],
        &["alerts", "check"],
        &["alerts", "test"],
        &["alerts", "fire"],
        &["alerts", "route", "production", "severity=critical"],
        &["impact", "services/postgres"],
        &["bench"],
        &["rehearse", "compose"],
        &["check", "secrets"],
        &["check", "licences"],
        &["check", "compliance"],
        &["measure", "requests"],
        &["test", "flows"],
        &["release"],
        &["release", "prepare"],
        &["release", "notes"],
        &["release", "operator"],
        &["release", "package", "--images", "none", "--unsigned"],
        &["release", "publish"],
        &["release", "verify", made, "--public-key", public, "--rebuild"],
    ] {
        let output = machine.run(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
        let told = text(&output);
        assert!(
            told.contains("run `cargo xtask ") && told.contains("` in a checkout"),
            "{command:?}: {told}"
        );
    }
    // What it cannot do is not listed.
    for (command, listed) in [
        (
            &[][..],
            "alerts check contract dashboards deploy dev doctor down drift environment help history image keys lock logs promote release releases reset \
             rollback secrets smoke start status",
        ),
        (&["release"], "help key sign verify"),
        (&["check"], "advisories flows help npm-advisories"),
    ] {
        let help = text(&machine.run(&[command, &["--help"]].concat()));
        let (_, after) = help.split_once("Commands:\n").unwrap();
        let names = after.lines().take_while(|line| !line.is_empty());
        let mut names: Vec<_> = names.filter_map(|line| line.split_whitespace().next()).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), listed, "{help}");
        assert!(!help.contains("cargo xtask") && !help.contains("--bump"), "{help}");
    }
    let help = text(&machine.run(&["release", "verify", "--help"]));
    assert!(!help.contains("--rebuild"), "{help}");
    assert!(help.contains("Usage: flowship release verify") && !help.contains("cargo xtask"), "{help}");
    for (command, code, part) in [
        (&["doctor"][..], 0, "flowship doctor --install"),
        (&["doctor", "--json"], 0, "flowship doctor --install"),
        (&["smoke"], 2, "start it with `flowship dev`"),
        (&["dev", "--dry-run", "--json"], 0, "flowship logs"),
        (&["logs"], 2, "start it with `flowship dev`"),
        (&["image", "save"], 2, "run `flowship image build`"),
        (&["release", "verify", "nowhere"], 2, "as `cargo xtask release package` writes them"),
    ] {
        let output = machine.run(command);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {}", text(&output));
        let told = text(&output);
        assert!(told.contains(part), "{command:?}: {told}");
        // What only a checkout does is named as that.
        let theirs = ["release package", "bench gates", "bench deploys"];
        let others = theirs
            .iter()
            .fold(told.clone(), |told, words| told.replace(&format!("`cargo xtask {words}`"), ""));
        assert!(!others.contains("cargo xtask"), "{command:?}: {told}");
    }
    assert!(Path::new(&machine.program).is_file());
}
