//! The settings that a release runs with: those that are wanted, or its own last ones where it is rolled back to and does not
//! understand them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use foundation::exit::refused;
use foundation::files;
use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;

use crate::deployment::Deployed;
use crate::deployment::history::Change;
use crate::deployment::releases::Installed;

/// What an environment is: a rollback changes none of it.
const STAY: [&str; 2] = ["tier", "engine"];

#[derive(Debug)]
pub struct Settings {
    pub environment: Environment,
    /// The text of the environment's file.
    pub text: Vec<u8>,
    /// What the release does not understand, when it runs with its own last settings instead.
    pub newer: Option<Vec<u8>>,
    /// Why it does, and in what they differ.
    pub why: Option<String>,
}

impl Settings {
    /// # Errors
    /// Refused when the release understands neither, or its own last settings are those of another kind of environment.
    pub fn of(
        platform: &Platform,
        deployed: &Deployed,
        installed: &Installed,
        site: &Path,
        change: Change,
    ) -> Result<Self> {
        let text = files::read(site, files::TEXT)?.bytes;
        let error = match deployed.judged(platform, text.clone()) {
            Ok(environment) => return Ok(Self { environment, text, newer: None, why: None }),
            Err(error) => error,
        };
        let own = files::if_there(files::read(&installed.settings(), files::TEXT))?;
        let Some(own) = own.filter(|_| change == Change::Rollback) else { return Err(error) };
        let differ = differing(&text, &own.bytes)?;
        let problem: String = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
        let because = format!("{} does not understand the current settings ({problem})", installed.id);
        let differ = differ.iter().map(String::as_str).collect::<Vec<_>>();
        if let Some(kind) = STAY.into_iter().find(|key| differ.contains(key)) {
            return Err(refused(format!(
                "{because}, and those that it was last deployed with cannot replace them: they have another {kind}"
            )));
        }
        Ok(Self {
            environment: deployed.judged(platform, own.bytes.clone())?,
            text: own.bytes,
            newer: Some(text),
            why: Some(format!(
                "{because}: it runs with those of its own last deploy, which differ in {}",
                differ.join(", ")
            )),
        })
    }
}

/// The keys at the top of which the values differ.
fn differing(one: &[u8], other: &[u8]) -> Result<BTreeSet<String>> {
    let table = |text: &[u8]| Ok::<toml::Table, anyhow::Error>(toml::from_str(std::str::from_utf8(text)?)?);
    let (one, other) = (table(one)?, table(other)?);
    let keys = one.keys().chain(other.keys());
    Ok(keys.filter(|key| one.get(*key) != other.get(*key)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "tier = 'staging'\nengine = 'process'\ndomain = 'localhost'\n[llm]\n\
                       base_url = 'http://127.0.0.1:9/v1'\nmodel = 'm'\napi_key_file = '/key'\n";

    #[test]
    fn a_rollback_takes_the_last_settings_of_the_release_where_it_does_not_understand_newer_ones() {
        let state = tempfile::tempdir().unwrap();
        let deployed = Deployed { name: "qa".to_owned(), state: state.path().to_owned() };
        let platform = second_platform::platform();
        let installed = Installed::at(&deployed.releases(), "1.0.0-a");
        std::fs::create_dir_all(&installed.folder).unwrap();
        let site = state.path().join("site.toml");
        let of = |change, text: &str| {
            std::fs::write(&site, text).unwrap();
            Settings::of(&platform, &deployed, &installed, &site, change)
        };
        let newer = format!("{}[later]\nx = 1\n", OWN.replace("'m'", "'other'"));
        assert!(of(Change::Rollback, &newer).is_err(), "it was never deployed");
        std::fs::write(installed.settings(), OWN).unwrap();
        assert!(of(Change::Deploy, &newer).is_err(), "somebody wants those");

        let understood = of(Change::Rollback, &OWN.replace("'m'", "'other'")).unwrap();
        assert_eq!(understood.environment.llm.unwrap().model, "other");
        assert_eq!((understood.why, understood.newer), (None, None));

        let own = of(Change::Rollback, &newer).unwrap();
        assert_eq!(own.environment.llm.unwrap().model, "m");
        assert_eq!((own.text, own.newer), (OWN.as_bytes().to_vec(), Some(newer.clone().into_bytes())));
        let why = own.why.unwrap();
        assert!(
            why.contains("1.0.0-a does not understand") && why.ends_with("differ in later, llm"),
            "{why}"
        );

        let kind = of(Change::Rollback, &newer.replace("staging", "production")).unwrap_err().to_string();
        assert!(kind.contains("they have another tier"), "{kind}");
    }
}
