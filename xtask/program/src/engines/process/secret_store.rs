//! Where the values of an environment's secrets are kept, and what a value is while it changes.
//!
//! Services read files, whatever the store: one that keeps values elsewhere writes the files too. So a reader needs to know
//! neither the store nor its address, and goes on while the store is away.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use vocabulary::model::SecretRef;
use vocabulary::model::environment::{EngineKind, SecretsIn};

use super::resolve::Resolver;
use super::vault::Vault;
use foundation::exit::refused;
use foundation::{digest, files};
use runner::plan::mask::parts;

/// A text that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// So many bytes of the system's random numbers, in lower-case hexadecimal.
    ///
    /// # Errors
    /// The system gives none.
    pub fn random(bytes: u8) -> Result<Self> {
        let mut random = vec![0; usize::from(bytes)];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        Ok(Self(digest::hex(&random)))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// What is written of a secret: on the first line the value that is used, and while it changes a second line. That line is the
/// intent: after a kill, it says where the change goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub in_use: Text,
    pub other: Option<Other>,
}

/// The second line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// The value that is to be used.
    Next(Text),
    /// The value that was used until just now.
    Previous(Text),
    /// The value in use was revoked, and nothing is in its place yet.
    Revoked,
}

impl Value {
    pub fn parse(text: &Text) -> Self {
        let (in_use, other) = parts(text.expose());
        let other = other.map(|(marker, value)| match marker {
            "next" => Other::Next(Text::new(value)),
            "previous" => Other::Previous(Text::new(value)),
            _ => Other::Revoked,
        });
        Self { in_use: Text::new(in_use), other }
    }

    pub fn text(&self) -> Text {
        let other = match &self.other {
            Some(Other::Next(value)) => format!("next {}\n", value.expose()),
            Some(Other::Previous(value)) => format!("previous {}\n", value.expose()),
            Some(Other::Revoked) => "revoked\n".to_owned(),
            None => String::new(),
        };
        Text::new(format!("{}\n{other}", self.in_use.expose()))
    }

    /// Why it cannot stay so.
    pub fn problem(&self) -> Option<&'static str> {
        match self.other {
            None => None,
            Some(Other::Revoked) => Some("revoked, and not replaced"),
            Some(Other::Next(_) | Other::Previous(_)) => Some("its rotation was interrupted"),
        }
    }
}

/// One way to keep the secrets of an environment.
pub trait SecretStore {
    /// What is kept under this name, as it was written; none where nothing is.
    ///
    /// # Errors
    /// The store cannot be asked, or does not let us.
    fn read(&self, secret: SecretRef) -> Result<Option<Text>>;

    /// Keeps it, durably, where nothing is kept under this name; whether nothing was. A set-up that runs again never replaces
    /// what was rotated meanwhile.
    ///
    /// # Errors
    /// It cannot be kept.
    fn create(&self, secret: SecretRef, text: &Text) -> Result<bool>;

    /// Keeps it, durably, in the place of what was there. When this returns, whoever reads the secret's file gets it; until
    /// then the old text or the new one, never a part.
    ///
    /// # Errors
    /// It cannot be kept; then the old text is.
    fn write(&self, secret: SecretRef, text: &Text) -> Result<()>;

    /// A new password for a login of the database that nobody uses; none where this store does not make them.
    ///
    /// # Errors
    /// The store does not make one; the login's password may be another one then.
    fn issue(&self, _secret: SecretRef, _login: &str) -> Result<Option<Text>> {
        Ok(None)
    }
}

/// The store that the environment chose.
///
/// # Errors
/// Refused while there is none of that kind.
pub fn of<'a>(resolver: &Resolver<'a>) -> Result<Box<dyn SecretStore + 'a>> {
    match resolver.environment.secret_store {
        SecretsIn::Files => Ok(Box::new(Files { resolver: *resolver })),
        SecretsIn::Vault if resolver.environment.engine != EngineKind::Kubernetes => {
            Ok(Box::new(Vault::of(resolver)))
        }
        SecretsIn::Vault => Err(refused(format!(
            "ops/environments/{}.toml: secret_store = \"vault\" on the {} engine, which runs no secret store yet; expected \
             \"files\", or the process or Compose engine",
            resolver.environment.name, resolver.environment.engine
        ))),
    }
}

/// The files that the services read are all there is.
struct Files<'a> {
    resolver: Resolver<'a>,
}

impl SecretStore for Files<'_> {
    fn read(&self, secret: SecretRef) -> Result<Option<Text>> {
        let path = self.resolver.secret_file(secret);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Text(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn create(&self, secret: SecretRef, text: &Text) -> Result<bool> {
        create_file(&self.resolver.secret_file(secret), text)
    }

    fn write(&self, secret: SecretRef, text: &Text) -> Result<()> {
        write_file(&self.resolver.secret_file(secret), text, self.resolver.environment.engine)
    }
}

/// Writes the file that services read where there is none; whether there was none.
///
/// # Errors
/// It cannot be written.
pub fn create_file(path: &Path, text: &Text) -> Result<bool> {
    let folder = path.parent().context("a secret lies in a folder")?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    files::write::new(path, 0o600, text.expose())
}

/// Puts the file that services read in place; its permissions stay as they are.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, text: &Text, engine: EngineKind) -> Result<()> {
    let before = fs::metadata(path).ok();
    match before {
        // Containers have mounted this very file, and would not see another one of its name.
        Some(before) if engine == EngineKind::Compose => {
            in_place(path, text, before.len()).with_context(|| path.display().to_string())
        }
        Some(before) => files::write::whole(path, before.permissions().mode() & 0o777, text.expose()),
        None => files::write::whole(path, 0o600, text.expose()),
    }
}

/// In one write, so that a reader gets the old text or the new one: a shorter one is first padded with newlines, which no
/// reader counts.
fn in_place(path: &Path, text: &Text, length: u64) -> Result<()> {
    let mut bytes = text.expose().as_bytes().to_vec();
    let own = bytes.len();
    bytes.resize(own.max(usize::try_from(length)?), b'\n');
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    if bytes.len() > own {
        file.set_len(u64::try_from(own)?)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_value_is_never_printed() {
        assert_eq!(format!("{:?}", Text::new("abcdef")), "***");
        assert_eq!(Text::random(24).unwrap().expose().len(), 48);
    }

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let text = |text: &str| Text::new(text);
        for (written, in_use, other, problem) in [
            ("a\n", "a", None, false),
            ("a:b\nnext c:d\n", "a:b", Some(Other::Next(text("c:d"))), true),
            ("a\nprevious b\n", "a", Some(Other::Previous(text("b"))), true),
            ("a\nrevoked\n", "a", Some(Other::Revoked), true),
        ] {
            let value = Value::parse(&text(written));
            assert_eq!(value, Value { in_use: text(in_use), other }, "{written}");
            assert_eq!(value.text().expose(), written);
            assert_eq!(value.problem().is_some(), problem, "{written}");
        }
    }

    #[test]
    fn containers_see_the_new_text_in_the_file_that_they_have_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (engine, stays) in [(EngineKind::Compose, true), (EngineKind::Process, false)] {
            write_file(&path, &Text::new("one\n"), engine).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            for text in ["two, and longer\n", "three\n"] {
                let before = fs::metadata(&path).unwrap().ino();
                write_file(&path, &Text::new(text), engine).unwrap();
                let after = fs::metadata(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text, "{engine}");
                assert_eq!((after.ino() == before, after.mode() & 0o777), (stays, 0o640), "{engine}");
            }
        }
    }
}
