//! Values of secrets: read at run time, usable by the action, never shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use anyhow::{Context as _, Result, bail};

use super::argument::{Arg, Secret};
use super::step::StepId;

/// Outputs of one step.
pub type Outputs = BTreeMap<String, String>;

/// Parts of a secret shorter than this many bytes are not masked: they would hide ordinary words.
const SHORTEST: usize = 4;

/// A word whose secret parts are known to it. `Display` and `Debug` show `***` in their place.
#[derive(Clone, PartialEq, Eq)]
pub struct Resolved {
    value: String,
    shown: String,
}

impl Resolved {
    /// The value itself, for the program, file or server that needs it.
    pub fn expose(&self) -> &str {
        &self.value
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

/// The secret values that were read so far; clones share them. Hides them in text that comes from outside.
#[derive(Clone, Default)]
pub struct Mask {
    values: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Mask")
    }
}

impl Mask {
    /// From now on `value`, and each of its lines, is hidden.
    pub fn add(&self, value: &str) {
        let Ok(mut values) = self.values.write() else { return };
        for part in std::iter::once(value.trim()).chain(value.lines().map(str::trim)) {
            if part.len() >= SHORTEST && !values.iter().any(|known| known == part) {
                values.push(part.to_owned());
            }
        }
        // The longest first, so that no value leaves the rest of one that contains it.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    }

    /// `text` with `***` instead of every known value.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Ok(values) = self.values.read() else { return Cow::Borrowed("***") };
        let mut hidden = Cow::Borrowed(text);
        for value in values.iter() {
            if hidden.contains(value.as_str()) {
                hidden = Cow::Owned(hidden.replace(value.as_str(), "***"));
            }
        }
        hidden
    }

    /// Reads a secret and hides its value from now on.
    ///
    /// # Errors
    /// When the file cannot be read, is not text or is empty; names the secret and the file.
    pub fn read(&self, secret: &Secret) -> Result<Resolved> {
        let text = std::fs::read_to_string(&secret.file)
            .with_context(|| format!("cannot read secret {} from {}", secret.name, secret.file.display()))?;
        let value = text.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            bail!("secret {} is empty: put its value into {}", secret.name, secret.file.display());
        }
        self.add(value);
        Ok(Resolved { value: value.to_owned(), shown: "***".to_owned() })
    }

    /// The value of an argument, given the outputs of the steps that ran.
    ///
    /// # Errors
    /// When a secret cannot be read, or an output is not there.
    pub fn resolve(&self, arg: &Arg, outputs: &BTreeMap<StepId, Outputs>) -> Result<Resolved> {
        match arg {
            Arg::Literal(text) => Ok(Resolved { value: text.clone(), shown: self.hide(text).into_owned() }),
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
                Ok(Resolved { value: value.clone(), shown: self.hide(value).into_owned() })
            }
            Arg::Joined(parts) => {
                let mut joined = Resolved { value: String::new(), shown: String::new() };
                for part in parts {
                    let part = self.resolve(part, outputs)?;
                    joined.value.push_str(&part.value);
                    joined.shown.push_str(&part.shown);
                }
                Ok(joined)
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        mask.add("-----BEGIN-----\nMIIBabcdef\n-----END-----\n");
        mask.add("of");
        mask.add("secret");
        mask.add("secret-longer");
        assert_eq!(mask.hide("line MIIBabcdef of secret-longer secret"), "line *** of *** ***");
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
