//! What a secret store has to have before services can read from it: keys, engines, policies, roles and values. Whatever is
//! there already stays, above all values: one that was rotated is never replaced.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::{Context as _, Result, anyhow, bail};
use artifacts::secret_policies::{self, DatabaseEngine, Policy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use vocabulary::model::Platform;
use vocabulary::problem::listing;

use super::super::resolve::Resolver;
use super::super::secret_files;
use super::super::secret_store::Text;
use super::{Client, Login, read_login};
use foundation::files;

/// How many people hold a key, and how many of them can unseal the store together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub count: u8,
    pub threshold: u8,
}

/// Minutes: a token reads a few secrets, and is given back.
const TOKEN_LIFE: &str = "10m";

/// Sets up what is missing; what was changed, in words. The root token is revoked, whether that succeeds or not, and so is every
/// other one that an interrupted set-up has left.
///
/// # Errors
/// The server does not do something, or a file cannot be written.
pub fn set_up(client: &Client, resolver: &Resolver<'_>, root: &Text) -> Result<Vec<String>> {
    let result = engines(client, resolver.platform, root).and_then(|mut changed| {
        changed.extend(roles(client, resolver, root)?);
        changed.extend(values(client, resolver, root)?);
        Ok(changed)
    });
    let revoked = client.revoke_roots(root);
    let changed = result?;
    revoked.context("a root token is still valid")?;
    Ok(changed)
}

fn engines(client: &Client, platform: &Platform, root: &Text) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let mount = client.model.mount;
    let list =
        |path: &str| Ok::<_, anyhow::Error>(client.done(Some(root), "GET", path, None)?.body["data"].clone());
    if list("sys/audit")?.as_object().is_none_or(serde_json::Map::is_empty) {
        // OpenBao has it from its configuration, and does not let anybody add one.
        let device = json!({ "type": "file", "options": { "file_path": "stdout" } });
        client.done(Some(root), "POST", "sys/audit/file", Some(&device))?;
        changed.push("the store audits to its log".to_owned());
    }
    let mounts = list("sys/mounts")?;
    if let Some(engine) = DatabaseEngine::of(platform, &client.model)
        && mounts[format!("{}/", engine.mount)].is_null()
    {
        let database = json!({ "type": "database" });
        client.done(Some(root), "POST", &format!("sys/mounts/{}", engine.mount), Some(&database))?;
        changed.push(format!("passwords of the database's logins are made in {}/", engine.mount));
    }
    match &mounts[format!("{mount}/")] {
        Value::Null => {
            let engine = json!({ "type": "kv", "options": { "version": "2" } });
            client.done(Some(root), "POST", &format!("sys/mounts/{mount}"), Some(&engine))?;
            changed.push(format!("secrets are kept in {mount}/"));
        }
        found if found["type"] == "kv" && found["options"]["version"] == "2" => {}
        found => bail!("{mount}/ of the store is {}; expected kv, version 2", found["type"]),
    }
    if list("sys/auth")?["approle/"].is_null() {
        client.done(Some(root), "POST", "sys/auth/approle", Some(&json!({ "type": "approle" })))?;
        changed.push("services log in with AppRole".to_owned());
    }
    Ok(changed)
}

/// One role with one policy for each reader.
fn roles(client: &Client, resolver: &Resolver<'_>, root: &Text) -> Result<Vec<String>> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&client.roles)?;
    let policies = secret_policies::policies(resolver.platform, &client.model);
    let mut changed = Vec::new();
    for policy in &policies {
        if client.role(root, policy)? {
            changed.push(format!("{} can log in", policy.name));
        }
    }
    let names: BTreeSet<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    for gone in client.known_roles()?.iter().filter(|name| !names.contains(name.as_str())) {
        client.done(Some(root), "DELETE", &format!("auth/approle/role/{gone}"), None)?;
        client.done(Some(root), "DELETE", &format!("sys/policies/acl/{gone}"), None)?;
        files::remove(&client.login_file(gone))?;
        changed.push(format!("{gone} can no longer log in"));
    }
    changed.extend(people(client, resolver, root)?);
    Ok(changed)
}

/// A policy for each role of people, for the login that the site sets up.
fn people(client: &Client, resolver: &Resolver<'_>, root: &Text) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let listed = client.done(Some(root), "LIST", "sys/policies/acl", None)?;
    let listed = listed.body["data"]["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut left: BTreeSet<&str> = listed.filter(|name| name.starts_with(secret_policies::PEOPLE)).collect();
    for policy in secret_policies::people(resolver.platform, &client.model) {
        left.remove(policy.name.as_str());
        let path = format!("sys/policies/acl/{}", policy.name);
        let text = json!(policy.text().map_err(|problems| anyhow!(listing(&problems)))?);
        if client.ask(Some(root), "GET", &path, None)?.body["data"]["policy"] != text {
            client.done(Some(root), "POST", &path, Some(&json!({ "policy": text })))?;
            changed.push(format!("the policy {} is in the store", policy.name));
        }
    }
    for gone in left {
        client.done(Some(root), "DELETE", &format!("sys/policies/acl/{gone}"), None)?;
        changed.push(format!("the policy {gone} is no longer in the store"));
    }
    Ok(changed)
}

/// A value for each secret that has none: that of its file, which services may already use, or a new one.
fn values(client: &Client, resolver: &Resolver<'_>, root: &Text) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for secret in secret_files::kept(resolver) {
        let path = secret_policies::path(&client.model, secret.name);
        let file = resolver.secret_file(secret.name);
        let value = match files::if_there(files::text(&file, files::TEXT))? {
            Some(text) if !text.trim().is_empty() => Text::new(text),
            _ => secret_files::generated(secret)?,
        };
        if client.create(root, &path, &value)? {
            changed.push(format!("{} is in the store", secret.name));
        }
    }
    Ok(changed)
}

impl Client {
    /// Makes the keys of a new server, and its first root token.
    ///
    /// # Errors
    /// It does not, or has some already.
    pub fn initialise(&self, shares: Shares) -> Result<(Vec<Text>, Text)> {
        let Shares { count, threshold } = shares;
        let wanted = json!({ "secret_shares": count, "secret_threshold": threshold });
        let answer = self.done(None, "POST", "sys/init", Some(&wanted))?;
        let keys = answer.body["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok((keys.map(Text::new).collect(), answer.text("/root_token")?))
    }

    /// A root token, for people who hold enough of the keys.
    ///
    /// # Errors
    /// A key is none, or they are not enough.
    pub fn root(&self, keys: &[Text]) -> Result<Text> {
        // What somebody else began with other keys.
        self.done(None, "DELETE", "sys/generate-root/attempt", None)?;
        let attempt = self.done(None, "POST", "sys/generate-root/attempt", Some(&json!({})))?;
        let (nonce, pad) = (attempt.text("/nonce")?, attempt.text("/otp")?);
        for key in keys {
            let given = json!({ "key": key.expose(), "nonce": nonce.expose() });
            let answer = self.done(None, "POST", "sys/generate-root/update", Some(&given));
            let answer = answer.context("the keys do not make a root token")?;
            if answer.body["complete"] == true {
                let sent = STANDARD_NO_PAD.decode(answer.text("/encoded_token")?.expose())?;
                let plain = sent.iter().zip(pad.expose().bytes()).map(|(one, other)| one ^ other);
                return Ok(Text::new(String::from_utf8(plain.collect())?));
            }
        }
        self.done(None, "DELETE", "sys/generate-root/attempt", None)?;
        bail!("{} keys are not enough to set up the store of {}", keys.len(), self.environment)
    }

    /// Revokes every root token, this one last.
    ///
    /// # Errors
    /// One may still be valid.
    pub fn revoke_roots(&self, root: &Text) -> Result<()> {
        let listed = self.done(Some(root), "LIST", "auth/token/accessors", None)?;
        let own =
            self.done(Some(root), "GET", "auth/token/lookup-self", None)?.body["data"]["accessor"].clone();
        let accessors = listed.body["data"]["keys"].as_array().into_iter().flatten();
        for accessor in accessors.filter(|accessor| **accessor != own) {
            let named = json!({ "accessor": accessor });
            let found = self.ask(Some(root), "POST", "auth/token/lookup-accessor", Some(&named))?;
            let policies = found.body["data"]["policies"].as_array();
            if policies.is_some_and(|policies| policies.iter().any(|policy| policy == "root")) {
                self.done(Some(root), "POST", "auth/token/revoke-accessor", Some(&named))?;
            }
        }
        self.done(Some(root), "POST", "auth/token/revoke-self", None).map(|_| ())
    }

    /// Whether the role got something new to log in with: what works stays.
    fn role(&self, root: &Text, policy: &Policy) -> Result<bool> {
        let name = &policy.name;
        let text = policy.text().map_err(|problems| anyhow!(listing(&problems)))?;
        let rules = json!({ "policy": text });
        self.done(Some(root), "POST", &format!("sys/policies/acl/{name}"), Some(&rules))?;
        let path = format!("auth/approle/role/{name}");
        let wanted = json!({
            "token_policies": [name],
            "token_no_default_policy": true,
            "token_ttl": TOKEN_LIFE,
            "token_max_ttl": TOKEN_LIFE,
            "token_num_uses": 0,
            "secret_id_num_uses": 0,
            "secret_id_ttl": 0,
        });
        self.done(Some(root), "POST", &path, Some(&wanted))?;
        if let Ok(token) = self.log_in(name) {
            self.log_out(&token);
            return Ok(false);
        }
        // Whoever has what it logged in with before is shut out.
        let accessors = format!("{path}/secret-id");
        let before = self.ask(Some(root), "LIST", &accessors, None)?;
        for accessor in before.body["data"]["keys"].as_array().into_iter().flatten() {
            let named = json!({ "secret_id_accessor": accessor });
            self.done(Some(root), "POST", &format!("{path}/secret-id-accessor/destroy"), Some(&named))?;
        }
        let role = self.done(Some(root), "GET", &format!("{path}/role-id"), None)?;
        let secret = self.done(Some(root), "POST", &accessors, None)?;
        let login = Login {
            role_id: role.text("/data/role_id")?.expose().to_owned(),
            secret_id: secret.text("/data/secret_id")?.expose().to_owned(),
            next: None,
            previous: None,
        };
        files::write::whole(&self.login_file(name), 0o600, json!(login).to_string())?;
        Ok(true)
    }

    /// The roles that can log in from here.
    pub(super) fn known_roles(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.roles).with_context(|| self.roles.display().to_string())? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            names.extend(
                name.filter(|name| !name.starts_with('.') && read_login(&path).is_ok()).map(str::to_owned),
            );
        }
        Ok(names)
    }

    /// Keeps a value where there is none; whether there was none.
    ///
    /// # Errors
    /// The server does not keep it.
    pub(super) fn create(&self, token: &Text, path: &str, value: &Text) -> Result<bool> {
        // 0: only where there is no version yet.
        let body = json!({ "options": { "cas": 0 }, "data": { "value": value.expose() } });
        let answer = self.ask(Some(token), "POST", path, Some(&body))?;
        match answer.status {
            200..300 => Ok(true),
            400 if answer.errors().contains("check-and-set") => Ok(false),
            _ => bail!("the secret store of {}: {path}: {}", self.environment, answer.errors()),
        }
    }
}
