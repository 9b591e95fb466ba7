//! The version that `Cargo.toml` declares for the whole workspace. Pure.

use semver::Version;

use super::version;

/// Where it stands.
pub const FILE: &str = "Cargo.toml";

/// # Errors
/// When the text is no manifest with a version; names the file and what was expected.
pub fn read(text: &str) -> Result<Version, String> {
    let manifest: toml::Table = text.parse().map_err(|error| format!("{FILE}: {error}"))?;
    let of_workspace = manifest.get("workspace").and_then(|workspace| workspace.get("package"));
    let package = of_workspace.or_else(|| manifest.get("package"));
    let found = package.and_then(|package| package.get("version")).and_then(toml::Value::as_str);
    let found = found.ok_or_else(|| {
        format!("{FILE}: expected `version = \"1.2.0\"` under [workspace.package] or [package]")
    })?;
    version::read(found).map_err(|problem| format!("{FILE}: version {problem}"))
}

/// The manifest with another version; everything else stays as it was written.
///
/// # Errors
/// As [`read`].
pub fn written(text: &str, version: &Version) -> Result<String, String> {
    let before = read(text)?;
    let mut table = "";
    let mut found = false;
    let lines = text.split_inclusive('\n').map(|line| {
        if let Some(name) = line.trim().strip_prefix('[') {
            table = name.split(']').next().unwrap_or_default();
        }
        let declares = ["workspace.package", "package"].contains(&table)
            && line.split('=').next().is_some_and(|key| key.trim() == "version");
        if declares && !found {
            found = true;
            return line.replacen(&before.to_string(), &version.to_string(), 1);
        }
        line.to_owned()
    });
    let written: String = lines.collect();
    match read(&written) {
        Ok(now) if now == *version => Ok(written),
        _ => Err(format!("{FILE}: cannot find where the version is written; change it by hand")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[workspace]\nmembers = [\"a\"]\n\n# version = \"9\"\n[workspace.package]\nversion   = \"0.1.0\" # ours\n\n\
                        [workspace.dependencies]\nserde = { version = \"0.1.0\" }\n";

    #[test]
    fn the_declared_version_is_read_and_only_it_is_written() {
        assert_eq!(read(TEXT).unwrap(), Version::new(0, 1, 0));
        let written = written(TEXT, &Version::new(0, 2, 0)).unwrap();
        assert_eq!(written, TEXT.replacen("version   = \"0.1.0\"", "version   = \"0.2.0\"", 1));
        assert_eq!(read("[package]\nname = \"a\"\nversion = \"1.0.0\"\n").unwrap(), Version::new(1, 0, 0));
    }

    #[test]
    fn a_manifest_without_one_is_reported() {
        assert!(read("[workspace]\n").unwrap_err().contains("expected `version ="));
        assert!(
            read("[package]\nversion = \"1\"\n").unwrap_err().starts_with("Cargo.toml: version `1` is no")
        );
        assert!(read("[package").unwrap_err().starts_with("Cargo.toml: "));
        let dotted = "workspace.package.version = \"1.0.0\"\n";
        assert!(written(dotted, &Version::new(2, 0, 0)).unwrap_err().contains("by hand"));
    }
}
