//! Programs that are built from Go modules: which ones a folder locks, the command line, and what its failures mean.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::pip::Failure;
use foundation::digest::Hasher;

/// The folders of the programs, each with a `go.mod`, a `go.sum` and, where the program is ours, its sources.
pub const LOCKS: &str = "ops/ci/tools";

/// Where the pinned Go is inside its tool.
pub const ROOT: &str = "go";

/// Hard-wired into the command line rather than taken from the user, whose settings may change what is built.
const FLAGS: &str = "-mod=readonly -modcacherw -trimpath";

/// A locked program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Of the module that has it, without the `v`.
    pub version: String,
    /// The name of its folder in the cache: another lock, another Go or processor, another folder.
    pub key: String,
}

/// Reads a `go.mod` as `go get -tool PACKAGE@VERSION` writes it; `name` is the folder's, `go` the key of the pinned Go, and
/// `rest` what else the folder has. The version is that of the first tool in it; that of a program of ours, the one of the
/// first module that it requires.
///
/// # Errors
/// It has no tool, or does not require the tool's module; what was expected.
pub fn locked(name: &str, tags: &str, module: &str, rest: &str, go: &str) -> Result<Locked, String> {
    let lines = || module.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = || lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let tool = words()
        .find_map(|line| if let ["tool", package] = line[..] { Some(package.to_owned()) } else { None })
        .ok_or("expected a line `tool PACKAGE`")?;
    let is_ours = words().any(|line| line[..] == ["module", tool.as_str()]);
    let required = || {
        words().filter_map(|line| match line[..] {
            ["require", module, version, ..] | [module, version, ..] if version.starts_with('v') => {
                Some((module.to_owned(), version.to_owned()))
            }
            _ => None,
        })
    };
    let holds = |module: &String| {
        tool.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let nearest = || required().filter(|(module, _)| holds(module)).max_by_key(|(module, _)| module.len());
    let (_, version) = if is_ours { required().next() } else { nearest() }
        .ok_or_else(|| format!("expected a requirement of the module of {tool}, with its version"))?;
    let version = version.trim_start_matches('v').to_owned();
    let mut hash = Hasher::default();
    let tags = Some(tags).filter(|tags| !tags.is_empty());
    [module, rest, go, FLAGS].into_iter().chain(tags).for_each(|part| hash.part(part.as_bytes()));
    Ok(Locked { key: format!("{name}-{version}-{}", &hash.finish()[..12]), version })
}

/// The sources in a folder, by name.
pub fn sources(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.ends_with(".go").then_some(name)
    });
    names.collect()
}

/// Builds the tools that the `go.mod` of the current folder names with these tags, into a folder.
pub fn build(go: &Path, tags: &str, target: &Path) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec![go.into(), "build".into()];
    if !tags.is_empty() {
        argv.push(format!("-tags={tags}").into());
    }
    argv.push("-o".into());
    // With a slash at its end, it is a folder.
    argv.push(target.join("").into());
    argv.push("tool".into());
    argv
}

/// Prints where Go would get modules from.
pub fn proxy(go: &Path) -> Vec<OsString> {
    vec![go.into(), "env".into(), "GOPROXY".into()]
}

/// What that printed, without the credentials that it may have.
pub fn without_credentials(proxies: &str) -> String {
    let one = |proxy: &str| match proxy.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@')))
    {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{host}"),
        _ => proxy.to_owned(),
    };
    proxies.trim().split(',').map(one).collect::<Vec<_>>().join(",")
}

/// What is not the user's to set while one is built: everything that is fetched lies below `work`.
pub fn variables(root: &Path, work: &Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("GOROOT", root.into()),
        ("GOTOOLCHAIN", "local".into()),
        ("GOFLAGS", FLAGS.into()),
        ("GOWORK", "off".into()),
        ("GOOS", "".into()),
        ("GOARCH", "".into()),
        ("CGO_ENABLED", "0".into()),
        ("GOMODCACHE", work.join("modules").into()),
        ("GOCACHE", work.join("built").into()),
        ("GOTMPDIR", work.into()),
    ]
}

/// Reads the failure off what Go printed.
pub fn failure(log: &str) -> Failure {
    let any = |signs: &[&str]| signs.iter().any(|sign| log.contains(sign));
    if any(&["checksum mismatch", "SECURITY ERROR"]) {
        Failure::AnotherFile
    } else if any(&["dial tcp", "i/o timeout", "TLS handshake", "x509:", "connection reset", "GOPROXY=off"]) {
        Failure::NotReached
    } else if any(&["404 Not Found", "410 Gone", "unknown revision"]) {
        Failure::NotOffered
    } else {
        Failure::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "// The version, as it is.\nmodule tools/x\n\ngo 1.27\n\ntool example.org/x/cmd/x\n\nrequire (\n\t\
                          example.org/x v0.9.2 // indirect\n\texample.org/x/cmd v1.2.3-rc.1\n\texample.org/xy v2.0.0\n)\n";

    #[test]
    fn the_version_is_that_of_the_nearest_module() {
        let found = locked("x", "", MODULE, "sums", "go-1").unwrap();
        assert_eq!(found.version, "1.2.3-rc.1");
        assert!(found.key.starts_with("x-1.2.3-rc.1-") && found.key.len() == "x-1.2.3-rc.1-".len() + 12);
        let one_line = "module tools/x\ntool example.org/x\nrequire example.org/x v0.1.0\n";
        assert_eq!(locked("x", "", one_line, "", "").unwrap().version, "0.1.0");
        for (tags, module, sums, go) in [
            ("", one_line, "sums", "go-1"),
            ("", MODULE, "other", "go-1"),
            ("", MODULE, "sums", "go-2"),
            ("small", MODULE, "sums", "go-1"),
        ] {
            assert_ne!(locked("x", tags, module, sums, go).unwrap().key, found.key);
        }
        let ours =
            "module tools/x\ntool tools/x\nrequire (\n\texample.org/a v0.3.0\n\texample.org/b v0.4.0\n)\n";
        assert_eq!(locked("x", "", ours, "", "").unwrap().version, "0.3.0");
        assert!(locked("x", "", "module x\n", "", "").unwrap_err().contains("`tool PACKAGE`"));
        let without = MODULE.replace("tool example.org/x/", "tool example.com/x/");
        assert!(locked("x", "", &without, "", "").unwrap_err().contains("the module of example.com/x/cmd/x"));
    }

    #[test]
    fn the_command_lines() {
        let text = |argv: Vec<OsString>| argv.join(" ".as_ref()).into_string().unwrap();
        assert_eq!(
            text(build(Path::new("/g/bin/go"), "", Path::new("/s/made/bin"))),
            "/g/bin/go build -o /s/made/bin/ tool"
        );
        assert_eq!(
            text(build(Path::new("/g/bin/go"), "a,b", Path::new("/s"))),
            "/g/bin/go build -tags=a,b -o /s/ tool"
        );
        assert_eq!(text(proxy(Path::new("/g/bin/go"))), "/g/bin/go env GOPROXY");
    }

    #[test]
    fn no_password_is_shown() {
        for (proxies, shown) in [
            ("https://me:secret@a.example/go,direct\n", "https://a.example/go,direct"),
            ("https://a.example,https://me@b.example", "https://a.example,https://b.example"),
            ("off", "off"),
        ] {
            assert_eq!(without_credentials(proxies), shown);
        }
    }

    #[test]
    fn failures_are_distinguished() {
        for (log, expected) in [
            ("verifying a@v1: checksum mismatch\n\tdownloaded: h1:x\n\tgo.sum: h1:y", Failure::AnotherFile),
            (
                "a@v1: Get \"http://127.0.0.1:1/a\": dial tcp 127.0.0.1:1: connect: connection refused",
                Failure::NotReached,
            ),
            ("a@v1: module lookup disabled by GOPROXY=off", Failure::NotReached),
            ("a@v1: reading http://x/a/@v/v1.mod: 404 Not Found", Failure::NotOffered),
            ("missing go.sum entry for module providing package a", Failure::Other),
        ] {
            assert_eq!(failure(log), expected, "{log}");
        }
    }
}
