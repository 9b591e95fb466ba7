//! Values of secrets: read at run time, usable by the action, never shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context as _, Result, bail};
use secrecy::{ExposeSecret as _, SecretString};
use walkdir::WalkDir;

use super::argument::{Arg, Secret};
use super::encodings;
use super::step::StepId;

/// Outputs of one step.
pub type Outputs = BTreeMap<String, String>;

/// A secret shorter than this many bytes is not masked: it would hide ordinary words.
const SHORTEST: usize = 4;
/// Nor is a line of a longer secret, such as the last one of a key.
const SHORTEST_LINE: usize = 8;
/// What stands in the place of a value.
const HIDDEN: &str = "***";

/// A word whose secret parts are known to it. `Display` and `Debug` show `***` in their place.
#[derive(Clone)]
pub struct Resolved {
    value: SecretString,
    shown: String,
}

impl Resolved {
    /// The value itself, for the program, file or server that needs it.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }
}

impl Default for Resolved {
    fn default() -> Self {
        Self { value: String::new().into(), shown: String::new() }
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, out)
    }
}

/// The value in the text of a secret's file, and while it is rotated what the second line says: `next VALUE`, `previous VALUE`
/// or `revoked`.
#[must_use]
pub fn parts(text: &str) -> (&str, Option<(&str, &str)>) {
    let text = text.trim();
    let second =
        text.split_once('\n').map(|(value, line)| (value, line.split_once(' ').unwrap_or((line, ""))));
    match second {
        Some((value, (marker @ ("next" | "previous" | "revoked"), other))) => (value, Some((marker, other))),
        _ => (text, None),
    }
}

/// The secret values that were read so far; clones share them. Hides them in text that comes from outside.
#[derive(Clone, Default)]
pub struct Mask {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Every form of every value.
    forms: BTreeSet<Vec<u8>>,
    finder: Option<AhoCorasick>,
    /// Files of secrets, and folders of such files.
    places: BTreeSet<PathBuf>,
    /// The files that were read, as they were then.
    files: BTreeMap<PathBuf, Stamp>,
}

/// Differs when a file was written or replaced.
type Stamp = (u64, u64, i64, i64, u64);

/// A longer file holds no secret, and would cost too much to hide.
const LONGEST: u64 = 256 * 1024;

/// What is there now of the files at `places`.
fn seen_at(places: &BTreeSet<PathBuf>) -> std::io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut seen = BTreeMap::new();
    for entry in places.iter().flat_map(|place| WalkDir::new(place).follow_links(true).max_depth(2)) {
        let facts = entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path())));
        match facts.map_err(std::io::Error::from) {
            Ok((facts, path)) if facts.is_file() && facts.size() <= LONGEST => {
                let stamp = (facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.size());
                seen.insert(path, stamp);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

impl Known {
    fn add(&mut self, text: &str) {
        let before = self.forms.len();
        let (value, other) = parts(text);
        for value in std::iter::once(value).chain(other.map(|(_, value)| value)) {
            let lines: Vec<&str> = value.lines().map(str::trim).collect();
            if let [line] = lines[..] {
                // Of USER:PASSWORD also the password alone.
                let password = line.split_once(':').map(|(_, password)| password);
                let secret = std::iter::once(line).chain(password).filter(|line| line.len() >= SHORTEST);
                self.forms.extend(secret.flat_map(encodings::of));
            } else {
                // The frame of a PEM file is no secret.
                let secret =
                    lines.iter().filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
                self.forms.extend(secret.map(|line| line.as_bytes().to_vec()));
            }
        }
        if self.forms.len() > before {
            // The longest first, so that no value leaves the rest of one that contains it.
            let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.forms);
            self.finder = finder.ok();
        }
    }

    /// Reads what has changed since it was read.
    fn read(&mut self, seen: BTreeMap<PathBuf, Stamp>) -> std::io::Result<()> {
        for (path, stamp) in &seen {
            if self.files.get(path) == Some(stamp) {
                continue;
            }
            match fs::read(path) {
                Ok(bytes) => self.add(&String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.files = seen;
        Ok(())
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Mask")
    }
}

impl Mask {
    /// From now on `value`, each of its lines, and what encodings make of it are hidden.
    pub fn add(&self, value: &str) {
        if let Ok(mut known) = self.known.write() {
            known.add(value);
        }
    }

    /// From now on the value in the file, or in each file of the folder, at `place` is hidden, also the next one that is
    /// written there: see [`Mask::refresh`]. It need not be there yet.
    ///
    /// # Errors
    /// When it is there and cannot be read: then its value could not be hidden.
    pub fn follow(&self, place: &Path) -> Result<()> {
        let Ok(mut known) = self.known.write() else { bail!("a thread panicked") };
        known.places.insert(place.to_owned());
        let read = seen_at(&known.places).and_then(|seen| known.read(seen));
        read.with_context(|| format!("cannot read {}, whose values must not be in logs", place.display()))
    }

    /// Reads the followed files that have changed. What cannot be read by now stays as it was.
    pub fn refresh(&self) {
        let Ok(known) = self.known.read() else { return };
        if known.places.is_empty() {
            return;
        }
        let Ok(seen) = seen_at(&known.places) else { return };
        if seen == known.files {
            return;
        }
        drop(known);
        if let Ok(mut known) = self.known.write() {
            let _ = known.read(seen);
        }
    }

    /// `text` with `***` instead of every known value.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Ok(known) = self.known.read() else { return Cow::Borrowed(HIDDEN) };
        let Some(finder) = &known.finder else {
            return Cow::Borrowed(if known.forms.is_empty() { text } else { HIDDEN });
        };
        if !finder.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut hidden = String::with_capacity(text.len());
        finder.replace_all_with(text, &mut hidden, |_, _, hidden| {
            hidden.push_str(HIDDEN);
            true
        });
        Cow::Owned(hidden)
    }

    /// Reads the secret in a file and hides its value from now on.
    ///
    /// # Errors
    /// As [`Mask::read`].
    pub fn read_file(&self, file: &Path) -> Result<Resolved> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.read(&Secret { name, file: file.to_owned() })
    }

    /// Reads a secret and hides its value from now on.
    ///
    /// # Errors
    /// When the file cannot be read, is not text or is empty; names the secret and the file.
    pub fn read(&self, secret: &Secret) -> Result<Resolved> {
        let text = fs::read_to_string(&secret.file)
            .with_context(|| format!("cannot read secret {} from {}", secret.name, secret.file.display()))?;
        let value = parts(&text).0;
        if value.is_empty() {
            bail!("secret {} is empty: put its value into {}", secret.name, secret.file.display());
        }
        self.add(&text);
        Ok(Resolved { value: value.into(), shown: HIDDEN.to_owned() })
    }

    /// The value of an argument, given the outputs of the steps that ran.
    ///
    /// # Errors
    /// When a secret cannot be read, or an output is not there.
    pub fn resolve(&self, arg: &Arg, outputs: &BTreeMap<StepId, Outputs>) -> Result<Resolved> {
        match arg {
            Arg::Literal(text) => {
                Ok(Resolved { value: text.as_str().into(), shown: self.hide(text).into_owned() })
            }
            Arg::Secret(secret) => self.read(secret),
            Arg::Output(from) => {
                let of_step = outputs.get(&from.step);
                let value = of_step.and_then(|of_step| of_step.get(&from.key)).with_context(|| {
                    let there: Vec<_> =
                        of_step.into_iter().flat_map(|of_step| of_step.keys()).cloned().collect();
                    format!(
                        "step {} has no output `{}`; its outputs are: [{}]",
                        from.step,
                        from.key,
                        there.join(", ")
                    )
                })?;
                Ok(Resolved { value: value.as_str().into(), shown: self.hide(value).into_owned() })
            }
            Arg::Joined(parts) => {
                let parts =
                    parts.iter().map(|part| self.resolve(part, outputs)).collect::<Result<Vec<_>>>()?;
                Ok(Resolved {
                    value: parts.iter().map(Resolved::expose).collect::<String>().into(),
                    shown: parts.iter().map(|part| part.shown.as_str()).collect(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use foundation::digest;

    use super::*;

    #[test]
    fn a_secret_is_usable_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "tiger-in-the-night\n").unwrap();
        let url = Arg::Joined(vec!["postgres://app:".into(), Arg::secret("db", &file), "@localhost".into()]);
        let mask = Mask::default();
        let resolved = mask.resolve(&url, &BTreeMap::new()).unwrap();
        assert_eq!(resolved.expose(), "postgres://app:tiger-in-the-night@localhost");
        for shown in [
            format!("{resolved}"),
            format!("{resolved:?}"),
            format!("{url}"),
            format!("{url:?}"),
            format!("{mask:?}"),
            serde_json::to_string(&url).unwrap(),
            mask.hide("it is tiger-in-the-night.").into_owned(),
        ] {
            assert!(!shown.contains("tiger"), "{shown}");
        }
    }

    #[test]
    fn each_line_of_a_long_secret_is_hidden_and_short_words_are_not() {
        let mask = Mask::default();
        mask.add("-----BEGIN KEY-----\nMIIBabcdef\nshort\n-----END KEY-----\n");
        mask.add("of");
        mask.add("secret");
        mask.add("secret-longer");
        assert_eq!(
            mask.hide("-----BEGIN KEY----- MIIBabcdef of secret-longer secret, short"),
            "-----BEGIN KEY----- *** of *** ***, short"
        );
    }

    #[test]
    fn both_values_of_a_rotation_are_hidden_and_the_first_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login");
        for line in ["next app_b:secret-two", "previous app_b:secret-two", "revoked", ""] {
            fs::write(&file, format!("app_a:secret-one\n{line}\n")).unwrap();
            let mask = Mask::default();
            assert_eq!(mask.read_file(&file).unwrap().expose(), "app_a:secret-one", "{line}");
            let two = if line.contains(':') { "***" } else { "secret-two" };
            assert_eq!(mask.hide("app_a secret-one, secret-two"), format!("app_a ***, {two}"), "{line}");
        }
    }

    #[test]
    fn what_encodings_make_of_a_value_is_hidden_too() {
        let value = r#"Pa$$/w"rd ü\n+42"#;
        let mask = Mask::default();
        mask.add(value);
        let base64 = |text: String| base64::prelude::BASE64_STANDARD.encode(text);
        for (shown, hidden) in [
            (value.to_owned(), "***"),
            (serde_json::to_string(value).unwrap(), "\"***\""),
            (
                serde_json::json!({ "a": serde_json::json!({ "b": value }).to_string() }).to_string(),
                r#"{"a":"{\"b\":\"***\"}"}"#,
            ),
            (digest::hex(value.as_bytes()), "***"),
            (digest::hex(value.as_bytes()).to_uppercase(), "***"),
            ("/?key=Pa%24%24%2Fw%22rd%20%C3%BC%5Cn%2B42&x".to_owned(), "/?key=***&x"),
            ("/?key=Pa%24%24%2fw%22rd%20%c3%bc%5cn%2b42&x".to_owned(), "/?key=***&x"),
            ("key=Pa%24%24%2Fw%22rd+%C3%BC%5Cn%2B42".to_owned(), "key=***"),
        ] {
            assert_eq!(mask.hide(&shown), hidden, "{shown}");
        }
        for before in ["", "a", "ab", "app:"] {
            for after in ["", "x", "@db"] {
                let hidden = mask.hide(&base64(format!("{before}{value}{after}"))).into_owned();
                assert!(hidden.contains("***") && hidden.len() <= 3 + 12, "{before} {after} {hidden}");
            }
        }
        assert_eq!(mask.hide("nothing of it"), "nothing of it");
    }

    #[test]
    fn files_are_followed_when_they_are_made_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join("secrets").join(name);
        let outside = folder.path().join("given-key");
        let mask = Mask::default();
        mask.follow(&folder.path().join("secrets")).unwrap();
        mask.follow(&outside).unwrap();
        let text = "first-key second-key other-key";
        assert_eq!(mask.hide(text), text);
        fs::create_dir(folder.path().join("secrets")).unwrap();
        fs::write(in_folder("a"), "first-key\n").unwrap();
        fs::write(&outside, "other-key\n").unwrap();
        mask.refresh();
        assert_eq!(mask.hide(text), "*** second-key ***");
        fs::write(in_folder("next"), "second-key\n").unwrap();
        fs::rename(in_folder("next"), in_folder("a")).unwrap();
        mask.refresh();
        assert_eq!(mask.hide(text), "*** *** ***", "the old value may still be in use");
        std::os::unix::fs::symlink("loop", in_folder("loop")).unwrap();
        let error = format!("{:#}", mask.follow(&in_folder("loop")).unwrap_err());
        assert!(error.contains("whose values must not be in logs"), "{error}");
    }

    #[test]
    fn missing_things_are_reported() {
        let mask = Mask::default();
        let error = mask.resolve(&Arg::secret("api-key", "/nowhere/key"), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            format!("{error:#}").split(": No such").next(),
            Some("cannot read secret api-key from /nowhere/key")
        );
        let outputs = BTreeMap::from([(StepId::from("a"), Outputs::from([("port".into(), "1".into())]))]);
        let error = mask.resolve(&Arg::output("a", "pid"), &outputs).unwrap_err();
        assert_eq!(error.to_string(), "step a has no output `pid`; its outputs are: [port]");
    }
}
