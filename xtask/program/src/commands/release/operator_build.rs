//! How the operator's program is built: linked statically, and the same bytes wherever its commit is built.

use std::collections::BTreeMap;
use std::env;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use vocabulary::model::Architecture;

use foundation::exit::refused;
use runner::plan::action::{Action, Exec};
use runner::plan::argument::Arg;
use runner::plan::print::quoted;
use runner::plan::step::{Step, StepId};

/// In the workspace's Cargo.toml.
const PROFILE: &str = "operator";
const LIMIT_MS: u64 = 3_600_000;

/// What decides where programs and downloads come from, not what is built.
const INHERITED: [&str; 21] = [
    "ALL_PROXY",
    "CARGO_HOME",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
    "CARGO_NET_GIT_FETCH_WITH_CLI",
    "CARGO_NET_OFFLINE",
    "CARGO_NET_RETRY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PATH",
    "RUSTUP_AUTO_INSTALL",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
];

/// The machine that is built on, and for.
///
/// # Errors
/// Refused where no release is for such machines.
pub fn own_architecture() -> Result<Architecture> {
    Architecture::named(ARCH)
        .ok_or_else(|| refused(format!("releases are not built on {ARCH}; expected x86_64 or aarch64")))
}

/// What it is built with here: versions by program.
pub fn tools(root: &Path) -> BTreeMap<String, String> {
    [
        ("rustc", "rustc", &["--version"][..]),
        ("cargo", "cargo", &["--version"]),
        ("cc", "cc", &["--version"]),
        ("ld", "ld", &["--version"]),
        ("libc", "getconf", &["GNU_LIBC_VERSION"]),
    ]
    .into_iter()
    .map(|(name, program, arguments)| (name.to_owned(), first_line(root, program, arguments)))
    .collect()
}

fn first_line(root: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").current_dir(root).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned()
        }
        _ => "absent".to_owned(),
    }
}

/// Where cargo leaves it.
pub fn built(root: &Path, architecture: Architecture) -> PathBuf {
    root.join("target").join(architecture.target()).join(PROFILE).join("xtask")
}

/// The step that builds it of the tree at `root`, which was committed at `time`. Not journaled: cargo knows better whether
/// anything is to do.
///
/// # Errors
/// There is no home to look for cargo's folder in.
pub fn step<N>(id: &str, root: &Path, architecture: Architecture, time: u64) -> Result<Step<N>> {
    let target = architecture.target();
    Ok(Step {
        time_limit_ms: LIMIT_MS,
        remedy: Some(format!(
            "a static program needs the C library's archive (libc6-dev) and the Rust target: rustup target add {target}"
        )),
        ..Step::new(
            StepId::from(id),
            format!("build flowship for {target}"),
            Action::Exec(build(root, target, time)?),
        )
    })
}

fn build(root: &Path, target: &str, time: u64) -> Result<Exec> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir().context("no home folder; set CARGO_HOME")?.join(".cargo"),
    };
    let args = ["build", "--locked", "--package", "xtask", "--bin", "xtask", "--profile", PROFILE];
    let mut args: Vec<Arg> = args.iter().map(|word| Arg::from(*word)).collect();
    args.extend(["--target".into(), Arg::from(target)]);
    args.extend(["--target-dir".into(), Arg::from(root.join("target").display().to_string())]);
    Ok(Exec {
        program: "cargo".to_owned(),
        args,
        // A user's own flags, compilers and wrappers would make another program.
        inherits: Some(INHERITED.iter().map(|name| (*name).to_owned()).collect()),
        env: [
            ("CARGO_ENCODED_RUSTFLAGS", flags(root, &cargo_home)),
            ("CFLAGS", c_flags(root, &cargo_home)),
            // Else the crates that compile C would split the flags at the spaces of a path.
            ("CC_SHELL_ESCAPED_FLAGS", "1".to_owned()),
            ("RUSTC_WRAPPER", String::new()),
            ("RUSTC_WORKSPACE_WRAPPER", String::new()),
            ("SOURCE_DATE_EPOCH", time.to_string()),
            ("CARGO_INCREMENTAL", "0".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect(),
        cwd: Some(root.to_owned()),
        ..Exec::default()
    })
}

fn flags(root: &Path, cargo_home: &Path) -> String {
    let remaps = remapped(root, cargo_home).map(|(from, to)| format!("--remap-path-prefix={from}={to}"));
    ["-Ctarget-feature=+crt-static".to_owned(), "-Clink-arg=-Wl,--build-id=none".to_owned()]
        .into_iter()
        .chain(remaps)
        .collect::<Vec<_>>()
        .join("\u{1f}")
}

/// For C code.
fn c_flags(root: &Path, cargo_home: &Path) -> String {
    let remaps =
        remapped(root, cargo_home).map(|(from, to)| quoted(&format!("-ffile-prefix-map={from}={to}")));
    remaps.join(" ")
}

/// Paths of this machine, and what stands for them. Of two that fit the compilers take the last: cargo's folder may lie in
/// the tree.
fn remapped(root: &Path, cargo_home: &Path) -> [(String, &'static str); 2] {
    [(root.display().to_string(), "/flowship"), (cargo_home.display().to_string(), "/cargo")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_user_but_the_ways_to_programs_counts() {
        let step: Step = step("build", Path::new("/a b"), Architecture::X86_64, 7).unwrap();
        let Action::Exec(exec) = step.action else { panic!("{step:?}") };
        let inherited = exec.inherits.unwrap();
        for flag in ["CC", "CFLAGS", "CPATH", "LIBRARY_PATH", "RUSTC", "RUSTFLAGS", "LD_PRELOAD"] {
            assert!(!inherited.iter().any(|name| name == flag), "{flag}");
        }
        assert!(
            !inherited
                .iter()
                .any(|name| name.starts_with("CARGO_PROFILE") || name.starts_with("CARGO_TARGET"))
        );
        let env = |name: &str| exec.env[name].to_string();
        assert_eq!(env("RUSTC_WRAPPER"), "");
        assert_eq!(env("SOURCE_DATE_EPOCH"), "7");
        assert!(env("CFLAGS").starts_with("'-ffile-prefix-map=/a b=/flowship' "), "{}", env("CFLAGS"));
        let flags = env("CARGO_ENCODED_RUSTFLAGS");
        assert!(flags.contains("--remap-path-prefix=/a b=/flowship\u{1f}"), "{flags:?}");
        assert!(flags.ends_with("=/cargo"), "{flags:?}");
    }
}
