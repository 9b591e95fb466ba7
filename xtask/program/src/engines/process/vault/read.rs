//! Secrets from the store to the files that services read, and changes of one secret.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use artifacts::secret_policies::{operator, path};
use serde_json::json;
use vocabulary::model::{SecretRef, Service, ServiceId};

use super::super::resolve::Resolver;
use super::super::secret_files;
use super::super::secret_memory;
use super::super::secret_store::{SecretStore, Text, Value, create_file, write_file};
use super::{Answer, Client, database};
use foundation::clock::seconds;
use foundation::files;
use foundation::program_name::PROGRAM;

/// A value, and when it was kept, in seconds since 1970.
struct Kept {
    text: Text,
    at: Option<u64>,
}

/// Every service reads its own secrets, as itself, and they are put into the files that it reads. All of them or none.
/// How many there are.
///
/// # Errors
/// One cannot be read: which, why, and what to do. No file is changed then.
pub fn read_all(resolver: &Resolver<'_>) -> Result<usize> {
    let wanted = wanted(resolver);
    let all: Vec<String> = secret_files::kept(resolver).map(|secret| secret.name.to_string()).collect();
    let all = all.join(", ");
    let client = Client::of(resolver)?;
    let environment = &client.environment;
    let missing = client.missing().with_context(|| {
        format!(
            "cannot read {all}: the secret store of {environment} does not answer; see `{PROGRAM} logs {}`",
            client.model.service()
        )
    })?;
    if let Some(missing) = missing {
        bail!("cannot read {all}: the secret store of {environment} {missing}");
    }
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for (reader, secrets) in wanted {
        match client.read_as(resolver, reader, &secrets) {
            Ok(values) => found.extend(values),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    secret_memory::make(resolver)?;
    for (secret, kept) in &found {
        put(resolver, *secret, kept)?;
    }
    Ok(found.len())
}

/// What each service reads.
fn wanted(resolver: &Resolver<'_>) -> BTreeMap<ServiceId, Vec<SecretRef>> {
    let kept: Vec<SecretRef> = secret_files::kept(resolver).map(|secret| secret.name).collect();
    let reads = |service: &Service| {
        let used = service.secrets.iter().map(|used| used.secret);
        used.filter(|secret| kept.contains(secret)).collect::<Vec<_>>()
    };
    let readers = resolver.units.iter().map(|unit| (unit.service.id, reads(unit.service)));
    readers.filter(|(_, secrets)| !secrets.is_empty()).collect()
}

/// The file is as old as the value, and stays as it is where it has that.
fn put(resolver: &Resolver<'_>, secret: SecretRef, kept: &Kept) -> Result<()> {
    let file = resolver.secret_file(secret);
    match files::if_there(files::text(&file, files::TEXT))? {
        Some(before) if before == kept.text.expose() => return Ok(()),
        Some(_) => write_file(&file, &kept.text, resolver.environment.engine)?,
        None => {
            create_file(&file, &kept.text)?;
        }
    }
    if let Some(at) = kept.at {
        fs::File::open(&file)?.set_modified(UNIX_EPOCH + Duration::from_secs(at))?;
    }
    Ok(())
}

impl Client {
    fn read_as(
        &self,
        resolver: &Resolver<'_>,
        reader: ServiceId,
        secrets: &[SecretRef],
    ) -> Result<Vec<(SecretRef, Kept)>> {
        let names = || secrets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let token = self.log_in(reader.0).with_context(|| format!("{reader} cannot read {}", names()))?;
        let one = |secret: &SecretRef| {
            let mut kept = self.value(&token, reader, *secret)?;
            if let Some(engine) = database::of(resolver, *secret) {
                let whole = database::with_passwords((self, &token), &engine, &kept.text);
                kept.text = whole.with_context(|| format!("{reader} cannot read {secret}"))?;
            }
            Ok((*secret, kept))
        };
        let values: Result<Vec<_>> = secrets.iter().map(one).collect();
        self.log_out(&token);
        values
    }

    fn value(&self, token: &Text, reader: ServiceId, secret: SecretRef) -> Result<Kept> {
        let answer = self.ask(Some(token), "GET", &path(&self.model, secret), None);
        let answer = answer.with_context(|| format!("{reader} cannot read {secret}"))?;
        let init = format!("`{PROGRAM} secrets init {}`", self.environment);
        let kept = match answer.status {
            200 => answer.kept()?,
            403 => bail!(
                "{reader} may not read {secret}: {}: its token has expired, or its policy was changed or removed; {init} \
                 writes policies and roles anew",
                answer.errors()
            ),
            404 => {
                bail!(
                    "{reader} cannot read {secret}: it is not in the store; {init} makes what is missing for the parts \
                     that `with` in the environment's file names"
                )
            }
            _ => bail!("{reader} cannot read {secret}: {}", answer.errors()),
        };
        if kept.text.expose().trim().is_empty() {
            bail!("{reader} cannot read {secret}: its value in the store is empty; put the right one there");
        }
        Ok(kept)
    }
}

impl Answer {
    fn kept(&self) -> Result<Kept> {
        let at = self.body.pointer("/data/metadata/created_time").and_then(|at| at.as_str());
        // Without the fraction of a second.
        let at = at.and_then(|at| seconds(&format!("{}Z", at.get(..19)?)));
        Ok(Kept { text: self.text("/data/data/value")?, at })
    }
}

/// The store of an environment, for whoever changes a secret.
pub struct Vault<'a> {
    resolver: Resolver<'a>,
}

impl<'a> Vault<'a> {
    pub fn of(resolver: &Resolver<'a>) -> Self {
        Self { resolver: *resolver }
    }

    /// Something that the operator's role does.
    fn act<T>(&self, secret: SecretRef, act: impl FnOnce(&Client, &Text, &str) -> Result<T>) -> Result<T> {
        let client = Client::of(&self.resolver)?;
        let done = client.log_in(&operator(self.resolver.platform)).and_then(|token| {
            let done = act(&client, &token, &path(&client.model, secret));
            client.log_out(&token);
            done
        });
        done.with_context(|| secret.to_string())
    }
}

impl SecretStore for Vault<'_> {
    fn read(&self, secret: SecretRef) -> Result<Option<Text>> {
        self.act(secret, |client, token, path| {
            let answer = client.ask(Some(token), "GET", path, None)?;
            match answer.status {
                200 => {
                    let text = answer.kept()?.text;
                    let engine = database::of(&self.resolver, secret);
                    let whole = |engine| database::with_passwords((client, token), &engine, &text);
                    engine.map_or_else(|| Ok(text.clone()), whole).map(Some)
                }
                404 => Ok(None),
                _ => bail!("{}", answer.errors()),
            }
        })
    }

    fn create(&self, secret: SecretRef, text: &Text) -> Result<bool> {
        let is_new = self.act(secret, |client, token, path| client.create(token, path, text))?;
        if is_new {
            put(&self.resolver, secret, &Kept { text: text.clone(), at: None })?;
        }
        Ok(is_new)
    }

    fn write(&self, secret: SecretRef, text: &Text) -> Result<()> {
        self.act(secret, |client, token, path| {
            let kept = match database::of(&self.resolver, secret) {
                Some(engine) => database::without_passwords((client, token), &engine, text)?,
                None => text.clone(),
            };
            let body = json!({ "data": { "value": kept.expose() } });
            client.done(Some(token), "POST", path, Some(&body))
        })?;
        put(&self.resolver, secret, &Kept { text: text.clone(), at: None })
    }

    fn issue(&self, secret: SecretRef, login: &str) -> Result<Option<Text>> {
        let Some(engine) = database::of(&self.resolver, secret) else { return Ok(None) };
        let superuser = database::superuser(&self.resolver)?;
        let password = self.read(superuser)?.with_context(|| format!("{superuser} has no value"))?;
        let password = Value::parse(&password).in_use;
        let made = self.act(secret, |client, token, _| {
            database::issue((client, token), (&self.resolver, &engine), login, &password)
        })?;
        Ok(Some(made))
    }
}
