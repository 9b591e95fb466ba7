//! What opens the store is replaced: what each role logs in with, and the keys that unseal it. Each new one is written down before
//! the old one is refused.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::super::secret_store::Text;
use super::{Client, Login, Shares};
use foundation::files;

/// Of what a role logs in with, in bytes.
const LENGTH: u8 = 32;

impl Client {
    /// Gives each role that can log in from here something new to log in with; their names. Whoever has what one logged in with
    /// before is shut out. What was interrupted goes on.
    ///
    /// # Errors
    /// One keeps what it has, or both are accepted: running it again goes on.
    pub fn renew_logins(&self, operator: &str) -> Result<Vec<String>> {
        // What a killed writer has left.
        files::write::remove_left(&self.roles)?;
        let mut roles = self.known_roles()?;
        roles.sort_by_key(|role| (role == operator, role.clone()));
        let token = self.log_in(operator)?;
        for role in &roles {
            self.renew_login(&token, role).with_context(|| format!("the login of {role}"))?;
        }
        self.log_out(&token);
        Ok(roles)
    }

    fn renew_login(&self, token: &Text, role: &str) -> Result<()> {
        let file = self.login_file(role);
        let keep = |login: &Login| files::write::whole(&file, 0o600, json!(login).to_string());
        let mut login = super::read_login(&file)?;
        if login.previous.is_none() {
            let next = match login.next.take() {
                Some(next) => next,
                None => Text::random(LENGTH)?.expose().to_owned(),
            };
            keep(&Login { next: Some(next.clone()), ..login.clone() })?;
            let new = Login { secret_id: next, previous: Some(login.secret_id), ..login };
            if self.accessor(token, role, &new.secret_id)?.is_none() {
                let made = json!({ "secret_id": new.secret_id });
                self.done(
                    Some(token),
                    "POST",
                    &format!("auth/approle/role/{role}/custom-secret-id"),
                    Some(&made),
                )?;
            }
            self.log_out(&self.log_in_with(role, &new)?);
            keep(&new)?;
            login = new;
        }
        let own = self.accessor(token, role, &login.secret_id)?.context("it is not known to the store")?;
        let listed = self.done(Some(token), "LIST", &format!("auth/approle/role/{role}/secret-id"), None)?;
        for other in listed.body["data"]["keys"].as_array().into_iter().flatten().filter(|one| **one != own) {
            let named = json!({ "secret_id_accessor": other });
            let destroy = format!("auth/approle/role/{role}/secret-id-accessor/destroy");
            self.done(Some(token), "POST", &destroy, Some(&named))?;
        }
        if let Some(previous) = login.previous.take() {
            let before = Login { secret_id: previous, ..login.clone() };
            if let Ok(still) = self.log_in_with(role, &before) {
                self.log_out(&still);
                bail!("the old one is still accepted");
            }
        }
        keep(&login)
    }

    /// By what the store names it; none where it does not know it.
    fn accessor(&self, token: &Text, role: &str, secret_id: &str) -> Result<Option<Value>> {
        let path = format!("auth/approle/role/{role}/secret-id/lookup");
        let answer = self.ask(Some(token), "POST", &path, Some(&json!({ "secret_id": secret_id })))?;
        match answer.status {
            200 => Ok(Some(answer.body["data"]["secret_id_accessor"].clone())),
            204 | 404 => Ok(None),
            _ => bail!("{path}: {}", answer.errors()),
        }
    }

    /// Makes new keys that unseal it. `hand_out` gives them to their holders, and returns enough of them as the holders have them:
    /// until these are proven to be the new ones, the old ones hold.
    ///
    /// # Errors
    /// The old ones hold, unless the last answer was lost.
    pub fn rekey(
        &self,
        root: &Text,
        (shares, keys): (Shares, &[Text]),
        hand_out: impl FnOnce(&[Text]) -> Result<Vec<Text>>,
    ) -> Result<()> {
        const AT: &str = "sys/rotate/root";
        // What was interrupted.
        for begun in ["verify", "init"] {
            self.ask(Some(root), "DELETE", &format!("{AT}/{begun}"), None)?;
        }
        let wanted = json!({
            "secret_shares": shares.count,
            "secret_threshold": shares.threshold,
            "require_verification": true,
        });
        let begun = self.done(Some(root), "POST", &format!("{AT}/init"), Some(&wanted))?;
        let given = |what: &str, keys: &[Text], nonce: &Text| {
            for key in keys {
                let given = json!({ "key": key.expose(), "nonce": nonce.expose() });
                let answer = self.done(Some(root), "POST", &format!("{AT}/{what}"), Some(&given))?;
                if answer.body["data"]["complete"] == true {
                    return Ok(answer);
                }
            }
            bail!("{} keys are not enough for the secret store of {}", keys.len(), self.environment)
        };
        let made = given("update", keys, &begun.text("/data/nonce")?)?;
        let new = made.body["data"]["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let new: Vec<Text> = new.map(Text::new).collect();
        let held = hand_out(&new)?;
        given("verify", &held, &made.text("/data/verification_nonce")?).map(|_| ())
    }
}
