//! npm's command line, and which folder of installed modules belongs to which lock. Pure.

use std::ffi::OsString;
use std::path::Path;

use vocabulary::formats::npm::CI;

use super::pip::Failure;
use foundation::digest::Hasher;

/// `npm ARGV`: installs the packages of the current folder, those for development too.
pub fn ci(cli: &Path) -> Vec<OsString> {
    let quietly = ["--include=dev", "--no-update-notifier", "--no-progress", "--loglevel=warn"];
    [cli.into()].into_iter().chain(CI.into_iter().chain(quietly).map(OsString::from)).collect()
}

/// `npm ARGV`: prints the registry that npm would ask.
pub fn registry(cli: &Path) -> Vec<OsString> {
    vec![cli.into(), "config".into(), "get".into(), "registry".into()]
}

/// The folder name of installed modules: another manifest, lock, Node.js or processor, another folder.
pub fn key(manifest: &[u8], lock: &[u8], node: &str, architecture: &str) -> String {
    let mut hash = Hasher::default();
    [manifest, lock, node.as_bytes(), architecture.as_bytes()].iter().for_each(|part| hash.part(part));
    format!("modules-{}", &hash.finish()[..16])
}

/// How many packages the lock file will install; what is linked or belongs to other systems counts too.
pub fn packages(lock: &str) -> Option<u64> {
    let lock: serde_json::Value = serde_json::from_str(lock).ok()?;
    let packages = lock.get("packages")?.as_object()?;
    Some(packages.keys().filter(|path| !path.is_empty()).count() as u64)
}

/// Reads the failure off what npm printed.
pub fn failure(log: &str) -> Failure {
    let any = |signs: &[&str]| signs.iter().any(|sign| log.contains(sign));
    if any(&["EINTEGRITY"]) {
        Failure::AnotherFile
    } else if any(&[
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ETIMEDOUT",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "SELF_SIGNED_CERT",
        "UNABLE_TO_",
    ]) {
        Failure::NotReached
    } else if any(&["ETARGET", "E404"]) {
        Failure::NotOffered
    } else {
        Failure::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines() {
        let text = |argv: Vec<OsString>| {
            argv.into_iter().map(|part| part.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            text(ci(Path::new("/n/npm-cli.js"))),
            format!(
                "/n/npm-cli.js {} --include=dev --no-update-notifier --no-progress --loglevel=warn",
                CI.join(" ")
            )
        );
        assert_eq!(text(registry(Path::new("/n/npm-cli.js"))), "/n/npm-cli.js config get registry");
    }

    #[test]
    fn the_key_follows_everything_that_changes_the_modules() {
        let first = key(b"{}", b"{1}", "24", "x86_64");
        assert_eq!(first.len(), "modules-".len() + 16);
        assert_eq!(first, key(b"{}", b"{1}", "24", "x86_64"));
        for other in [
            key(b"{}{", b"1}", "24", "x86_64"),
            key(b"{}", b"{2}", "24", "x86_64"),
            key(b"{}", b"{1}", "25", "x86_64"),
            key(b"{}", b"{1}", "24", "aarch64"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn packages_are_counted() {
        assert_eq!(packages(r#"{"packages":{"":{},"node_modules/a":{},"node_modules/b":{}}}"#), Some(2));
        assert_eq!(packages("{"), None);
    }

    #[test]
    fn failures_are_distinguished() {
        for (log, expected) in [
            ("npm error code EINTEGRITY", Failure::AnotherFile),
            ("npm error code ECONNREFUSED", Failure::NotReached),
            ("npm error code ENOTFOUND", Failure::NotReached),
            ("npm error code E404", Failure::NotOffered),
            ("npm error code EUSAGE", Failure::Other),
        ] {
            assert_eq!(failure(log), expected, "{log}");
        }
    }
}
