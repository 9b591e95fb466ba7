//! pip's command line, what it says while it works, and what its failures mean. Pure.

use std::ffi::OsString;
use std::path::Path;

/// The program that brings the pinned pip where there is none.
pub const FETCH: &str = include_str!("fetch_pip.py");

/// Ends a child together with the process that started it, even one that is killed: Linux's parent death signal,
/// which has no safe call in Rust. Where the interpreter lacks it, the child ends by itself.
pub const LEASH: &str = "\
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
except (ImportError, AttributeError, OSError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit('the parent process is gone')
os.execv(sys.argv[2], sys.argv[2:])
";

/// `python3 ARGV`: runs the command for as long as the process `parent` lives.
pub fn leashed(parent: u32, command: &[OsString]) -> Vec<OsString> {
    let mut argv: Vec<OsString> =
        vec!["-I".into(), "-S".into(), "-c".into(), LEASH.into(), parent.to_string().into()];
    argv.extend_from_slice(command);
    argv
}

/// `python3 ARGV`: unpacks the wheel of pip into a folder.
pub fn fetch(version: &str, folder: &Path, hashes: &[String]) -> Vec<OsString> {
    let mut argv: Vec<OsString> = ["-I", "-c", FETCH, "fetch", version].map(OsString::from).into();
    argv.push(folder.into());
    argv.extend(hashes.iter().map(OsString::from));
    argv
}

/// `python3 ARGV`: prints the package index that pip would ask.
pub fn index() -> Vec<OsString> {
    ["-I", "-c", FETCH, "index"].map(OsString::from).into()
}

/// `python3 ARGV`: installs exactly the wheels of a requirements file into a folder. What the user configured
/// (index, proxy, certificates) stays in force, except for what would change which files are installed.
pub fn install(pip: &Path, requirements: &Path, target: &Path) -> Vec<OsString> {
    // Bytecode was written when pip was unpacked.
    let mut argv: Vec<OsString> = vec!["-I".into(), "-B".into(), pip.into()];
    argv.extend(
        [
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            "--no-compile",
            "--no-input",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--progress-bar=raw",
            "--target",
        ]
        .map(OsString::from),
    );
    argv.extend([target.into(), "-r".into(), requirements.into()]);
    argv
}

/// What a line of `--progress-bar=raw` says: bytes that are there, bytes in all (0 when the server did not tell).
pub fn progress(line: &str) -> Option<(u64, u64)> {
    let (done, total) = line.trim().strip_prefix("Progress ")?.split_once(" of ")?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

/// Why an installation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A file was offered whose sum is not a locked one.
    AnotherFile,
    /// Nobody answered.
    NotReached,
    /// The index answered, but has no wheel of this version for this machine.
    NotOffered,
    Other,
}

/// Reads the failure off what pip (or [`FETCH`]) printed.
pub fn failure(log: &str) -> Failure {
    let any = |signs: &[&str]| signs.iter().any(|sign| log.contains(sign));
    if any(&["DO NOT MATCH THE HASHES", "not among the locked ones"]) {
        Failure::AnotherFile
    } else if any(&[
        "Retrying (Retry",
        "Max retries exceeded",
        "ConnectionError",
        "ConnectTimeout",
        "ReadTimeout",
        "ProxyError",
        "SSLError",
        "URLError",
        "TimeoutError",
        "Could not fetch URL",
        "Network is unreachable",
    ]) {
        Failure::NotReached
    } else if any(&["No matching distribution found", "no place offers", "HTTPError", "HTTP error"]) {
        Failure::NotOffered
    } else {
        Failure::Other
    }
}

/// The last lines of a log, without progress and with one retry for all, for the end of an error.
pub fn tail(log: &str, lines: usize) -> String {
    let retry = |line: &str| line.contains("Retrying (Retry(");
    let last_retry = log.lines().rev().find(|line| retry(line));
    let told: Vec<_> = log
        .lines()
        .filter(|line| {
            progress(line).is_none() && !line.trim().is_empty() && (!retry(line) || Some(*line) == last_retry)
        })
        .collect();
    told[told.len().saturating_sub(lines)..].iter().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(argv: Vec<OsString>) -> String {
        argv.into_iter().map(|part| part.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_lines() {
        assert_eq!(
            text(install(Path::new("/p/pip/__main__.py"), Path::new("/s/locked.txt"), Path::new("/s/made"))),
            "-I -B /p/pip/__main__.py install --require-hashes --no-deps --only-binary=:all: --no-compile --no-input \
             --disable-pip-version-check --root-user-action=ignore --progress-bar=raw --target /s/made \
             -r /s/locked.txt"
        );
        let fetching = text(fetch("26.3", Path::new("/s/made"), &["aa".into(), "bb".into()]));
        assert!(
            fetching.starts_with("-I -c ") && fetching.ends_with(" fetch 26.3 /s/made aa bb"),
            "{fetching}"
        );
        assert!(text(index()).ends_with(" index"));
        assert!(text(leashed(7, &["/bin/x".into(), "y".into()])).ends_with(" 7 /bin/x y"));
    }

    #[test]
    fn progress_lines() {
        for (line, expected) in [
            ("Progress 262144 of 9722222", Some((262_144, 9_722_222))),
            ("Progress 0 of 0\n", Some((0, 0))),
            ("Progress 1 of", None),
            ("Progress x of 2", None),
            ("Collecting zizmor==1.32.0", None),
        ] {
            assert_eq!(progress(line), expected, "{line}");
        }
    }

    #[test]
    fn failures_are_distinguished() {
        for (log, expected) in [
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
                Failure::AnotherFile,
            ),
            ("x.whl: its SHA-256 is aa, which is not among the locked ones", Failure::AnotherFile),
            (
                "WARNING: Retrying (Retry(total=4)) after ... : /simple/x/\nERROR: No matching distribution found for x",
                Failure::NotReached,
            ),
            ("URLError: <urlopen error [Errno 111] Connection refused>", Failure::NotReached),
            ("ERROR: No matching distribution found for x==1", Failure::NotOffered),
            ("no place offers the wheel of pip 1", Failure::NotOffered),
            ("OSError: [Errno 28] No space left on device", Failure::Other),
        ] {
            assert_eq!(failure(log), expected, "{log}");
        }
    }

    #[test]
    fn the_tail_has_no_progress() {
        assert_eq!(tail("a\nProgress 1 of 2\n\nb\nc\n", 2), "    b\n    c\n");
        assert_eq!(tail("", 2), "");
        let retries = "x Retrying (Retry(total=1, y\nx Retrying (Retry(total=0, y\nERROR: z\n";
        assert_eq!(tail(retries, 5), "    x Retrying (Retry(total=0, y\n    ERROR: z\n");
    }
}
