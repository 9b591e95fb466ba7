//! The signature over the sums, in minisign's form: `minisign -Vm SHA256SUMS -p KEY.pub` verifies it too.

use std::io::{Cursor, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};

use secrecy::{ExposeSecret as _, SecretString};

use foundation::exit::refused;
use foundation::files;

/// Its name.
pub const FILE: &str = "SHA256SUMS.minisig";

/// What the signature also covers: which release the sums are of.
pub fn comment(version: &str, commit: &str) -> String {
    format!("flowship {version} of commit {commit}")
}

/// A new pair, as the texts of their files.
pub struct Keys {
    pub secret: SecretString,
    pub public: String,
    /// The public key alone: what begins with RW.
    pub line: String,
}

/// Makes a pair whose secret key has the password in that file, or none.
///
/// # Errors
/// Refused when others can read the password; there is no randomness.
pub fn new_keys(password: Option<&Path>) -> Result<Keys> {
    let told = |error: minisign::PError| anyhow!("making keys: {error}");
    let KeyPair { pk, sk } = match password {
        Some(file) => KeyPair::generate_encrypted_keypair(Some(one_line(&own(file)?))).map_err(told)?,
        None => KeyPair::generate_unencrypted_keypair().map_err(told)?,
    };
    Ok(Keys {
        secret: sk.to_box(Some("secret key of Flowship releases")).map_err(told)?.into_string().into(),
        public: pk.to_box().map_err(told)?.into_string(),
        line: pk.to_base64(),
    })
}

/// Reads a secret key.
///
/// # Errors
/// Refused when others can read it or its password, it is no secret key, or the password does not fit.
pub fn secret_key(file: &Path, password: Option<&Path>) -> Result<SecretKey> {
    let text = own(file)?;
    let key = SecretKeyBox::from_string(text.expose_secret())
        .map_err(|error| refused(format!("{}: {error}; expected a minisign secret key", file.display())))?;
    let key = match password {
        Some(password) => key.into_secret_key(Some(one_line(&own(password)?))),
        None => key.into_unencrypted_secret_key(),
    };
    key.map_err(|error| {
        let what = if password.is_some() {
            "is the password right?"
        } else {
            "a key with a password needs --password-file; a key without one, made by `minisign -G -W` of version 0.11, \
             lacks its checksum: make one with `release key`"
        };
        refused(format!("{}: {error}; {what}", file.display()))
    })
}

/// A password without the end of its line.
fn one_line(text: &SecretString) -> String {
    text.expose_secret().trim_end_matches(['\n', '\r']).to_owned()
}

/// A file that this user alone can read.
fn own(path: &Path) -> Result<SecretString> {
    let place = || path.display().to_string();
    let mut file = files::open_within(path, files::KEY).map_err(|error| refused(error.to_string()))?;
    let facts = file.metadata().with_context(place)?;
    if facts.mode() & 0o077 != 0 {
        return Err(refused(format!(
            "{0}: others can read or write it (mode {1:04o}), so they could sign with it; run chmod 600 {0} and \
             consider a new key",
            place(),
            facts.mode() & 0o7777
        )));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| refused(format!("{}: {error}", place())))?;
    Ok(text.into())
}

/// The signature's file.
///
/// # Errors
/// Signing fails.
pub fn sign(key: &SecretKey, sums: &[u8], comment: &str) -> Result<String> {
    let public = public_of(key)?;
    let signature = minisign::sign(
        Some(&public),
        key,
        Cursor::new(sums),
        Some(comment),
        Some("signature of a Flowship release"),
    )
    .map_err(|error| anyhow!("signing: {error}"))?;
    Ok(signature.into_string())
}

/// The public key that belongs to a secret one.
///
/// # Errors
/// It is none.
pub fn public_of(key: &SecretKey) -> Result<PublicKey> {
    PublicKey::from_secret_key(key).map_err(|error| anyhow!("{error}"))
}

/// Reads a public key: a file of minisign's, or its second line alone.
///
/// # Errors
/// What is expected.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    let text = text.trim();
    let key = if text.contains('\n') {
        PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key)
    } else {
        PublicKey::from_base64(text)
    };
    key.map_err(|error| {
        format!("{error}; expected a minisign public key: its file, or the line that begins with RW")
    })
}

/// The keys to trust: the given ones, or those that are built into the program.
///
/// # Errors
/// Refused when there are neither, or one is no key.
pub fn trusted(built_in: &[&str], given: &[String]) -> Result<Vec<PublicKey>> {
    if given.is_empty() && built_in.is_empty() {
        return Err(refused(
            "no public key: this program has none built in; pass --public-key FILE with the key of the project that \
             makes the releases, or --unsigned to check everything else",
        ));
    }
    match given {
        [] => built_in.iter().map(|line| read_key(line)).collect(),
        _ => given.iter().map(|given| read_key(given)).collect(),
    }
}

fn read_key(given: &str) -> Result<PublicKey> {
    if let Ok(key) = public_key(given) {
        return Ok(key);
    }
    let text = files::text(Path::new(given), files::KEY).map_err(|error| {
        refused(format!(
            "--public-key: {error}; expected a minisign public key: its file, or its line that begins with RW"
        ))
    })?;
    public_key(&text).map_err(|problem| refused(format!("--public-key {given}: {problem}")))
}

/// The comment that the signature covers, when it is one of these keys' over these sums.
///
/// # Errors
/// What is wrong with it, for the last key.
pub fn verify(keys: &[PublicKey], sums: &[u8], signature: &str) -> Result<String, String> {
    let told = |error: minisign::PError| format!("{FILE}: {error}");
    let signature = SignatureBox::from_string(signature).map_err(told)?;
    let mut verified = Err(format!("{FILE}: there is no key to trust"));
    for key in keys {
        verified = minisign::verify(key, &signature, Cursor::new(sums), true, false, false).map_err(told);
        if verified.is_ok() {
            break;
        }
    }
    verified?;
    signature.trusted_comment().map_err(told)
}

/// The text of a file of the release, when it is there.
///
/// # Errors
/// It is no regular file, or cannot be read.
pub fn read(folder: &Path) -> Result<Option<String>, files::Error> {
    files::if_there(files::text(&folder.join(FILE), files::KEY))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_key_that_signed_verifies_only_what_it_signed() {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let other = KeyPair::generate_unencrypted_keypair().unwrap().pk;
        let signature = sign(&sk, b"sums", &comment("1.0.0", "abc")).unwrap();
        let (pk, other) = (&[pk], &[other]);
        assert_eq!(verify(pk, b"sums", &signature).unwrap(), "flowship 1.0.0 of commit abc");
        assert!(verify(pk, b"sumz", &signature).is_err());
        assert!(verify(other, b"sums", &signature).is_err());
        assert!(verify(pk, b"sums", &signature.replace("1.0.0", "1.0.1")).is_err(), "the comment is covered");
        assert!(verify(pk, b"sums", "").is_err());
        for both in [[pk[0].clone(), other[0].clone()], [other[0].clone(), pk[0].clone()]] {
            assert!(verify(&both, b"sums", &signature).is_ok());
            assert!(verify(&both, b"sumz", &signature).is_err());
        }
        assert!(verify(&[], b"sums", &signature).is_err());
        let pk = &pk[0];
        for text in [pk.to_base64(), pk.clone().to_box().unwrap().to_string()] {
            assert_eq!(public_key(&text).unwrap().to_base64(), pk.to_base64());
        }
        assert!(public_key("RWx").unwrap_err().contains("expected a minisign public key"));
    }

    #[test]
    fn new_keys_sign_with_their_password() {
        let folder = tempfile::tempdir().unwrap();
        let own = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            file
        };
        let password = own("password", "open sesame\n");
        for password in [None, Some(password.as_path())] {
            let keys = new_keys(password).unwrap();
            let secret = secret_key(&own("key", keys.secret.expose_secret()), password).unwrap();
            let public = public_of(&secret).unwrap();
            assert_eq!(public.to_base64(), keys.line);
            assert_eq!(public_key(&keys.public).unwrap().to_base64(), keys.line);
            let signature = sign(&secret, b"sums", "x").unwrap();
            assert_eq!(verify(&[public], b"sums", &signature).unwrap(), "x");
        }
        let wrong = own("wrong", "sesame\n");
        let keys = new_keys(Some(&password)).unwrap();
        let error =
            secret_key(&own("key", keys.secret.expose_secret()), Some(&wrong)).unwrap_err().to_string();
        assert!(error.contains("is the password right?"), "{error}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let KeyPair { sk, .. } = KeyPair::generate_unencrypted_keypair().unwrap();
        fs::write(&file, sk.to_box(None).unwrap().to_string()).unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let read = secret_key(&file, None);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }
}
