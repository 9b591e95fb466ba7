//! The database engine of the store: it makes the passwords of the logins that take turns, and sets them in the database. What
//! is kept under the secret's own name is then only whose turn it is: `LOGIN:` without a password.

use anyhow::{Context as _, Result, bail};
use artifacts::secret_policies::DatabaseEngine;
use serde_json::{Value, json};
use vocabulary::model::environment::EngineKind;
use vocabulary::model::{SecretKind, SecretRef};

use super::super::instance::ADDRESS;
use super::super::resolve::Resolver;
use super::super::secret_store::Text;
use super::Client;

/// The engine must change no password by itself: whoever uses it would be shut out. It takes no period without an end.
const NEVER_BY_ITSELF: &str = "876000h";

/// The engine, where it makes the passwords of this secret.
pub(super) fn of(resolver: &Resolver<'_>, secret: SecretRef) -> Option<DatabaseEngine> {
    resolver.platform.secret(secret)?.kind.logins()?;
    DatabaseEngine::of(resolver.platform, resolver.platform.secret_store.as_ref()?)
}

/// Where the store finds the database. The password is not sent, see `password_authentication` below.
fn url(resolver: &Resolver<'_>) -> Result<String> {
    let database = &resolver.platform.database;
    let unit = resolver.units.iter().find(|unit| unit.service.id == database.port.service);
    let unit = unit.context("no database runs here")?;
    let (host, number) = match resolver.environment.engine {
        EngineKind::Compose => (unit.name(), resolver.platform.port(database.port).map(|port| port.number)),
        _ => (ADDRESS.to_owned(), resolver.own_port(unit, database.port)),
    };
    let number = number.context("the database has no port")?;
    Ok(format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@{host}:{number}/{}?sslmode=disable",
        database.name
    ))
}

/// Gives a login that nobody uses a new password, which nothing but the store and the database know. `superuser` has the
/// engine's administrator let in where that cannot connect.
pub(super) fn issue(
    (client, token): (&Client, &Text),
    (resolver, engine): (&Resolver<'_>, &DatabaseEngine),
    login: &str,
    superuser: &Text,
) -> Result<Text> {
    let asks = Asks { client, token, engine };
    asks.connect(&url(resolver)?, superuser)?;
    let role = engine.path("static-roles", login);
    match client.ask(Some(token), "GET", &role, None)?.status {
        404 => asks.post("static-roles", login, &static_role(DatabaseEngine::CONNECTION, login))?,
        _ => asks.post("rotate-role", login, &json!({}))?,
    }
    asks.password(login)
}

fn static_role(connection: &str, login: &str) -> Value {
    json!({ "db_name": connection, "username": login, "rotation_period": NEVER_BY_ITSELF })
}

struct Asks<'a> {
    client: &'a Client,
    token: &'a Text,
    engine: &'a DatabaseEngine,
}

impl Asks<'_> {
    fn post(&self, what: &str, name: &str, body: &Value) -> Result<()> {
        self.client.done(Some(self.token), "POST", &self.engine.path(what, name), Some(body)).map(|_| ())
    }

    fn remove(&self, what: &str, name: &str) -> Result<()> {
        self.client.done(Some(self.token), "DELETE", &self.engine.path(what, name), None).map(|_| ())
    }

    fn password(&self, login: &str) -> Result<Text> {
        password(self.client, self.token, self.engine, login)?
            .with_context(|| format!("the store has no password of {login}"))
    }

    /// Each time, the administrator gets a new password too. That fails where a step before was interrupted, or where the
    /// database or the store came back from a backup: then the administrator begins again.
    fn connect(&self, url: &str, superuser: &Text) -> Result<()> {
        let administrator = self.engine.administrator.as_str();
        // What was interrupted may have left the superuser's connection.
        self.remove("static-roles", administrator)?;
        self.remove("config", DatabaseEngine::SET_UP)?;
        let rotate = self.engine.path("rotate-root", DatabaseEngine::CONNECTION);
        if self.client.ask(Some(self.token), "POST", &rotate, None)?.status < 300 {
            return Ok(());
        }
        let connection = |user: &str, password: &Text, roles: &[String]| {
            json!({
                "plugin_name": "postgresql-database-plugin",
                "connection_url": url,
                "username": user,
                "password": password.expose(),
                "allowed_roles": roles,
                // Hashed here, so that no password reaches the database's log.
                "password_authentication": "scram-sha-256",
            })
        };
        let own = [administrator.to_owned()];
        self.post("config", DatabaseEngine::SET_UP, &connection("postgres", superuser, &own))?;
        self.post("static-roles", administrator, &static_role(DatabaseEngine::SET_UP, administrator))?;
        let first = self.password(administrator)?;
        self.post(
            "config",
            DatabaseEngine::CONNECTION,
            &connection(administrator, &first, &self.engine.logins),
        )?;
        self.remove("static-roles", administrator)?;
        self.remove("config", DatabaseEngine::SET_UP)?;
        self.post("rotate-root", DatabaseEngine::CONNECTION, &json!({}))
    }
}

/// None where the engine does not know the login.
fn password(client: &Client, token: &Text, engine: &DatabaseEngine, login: &str) -> Result<Option<Text>> {
    let answer = client.ask(Some(token), "GET", &engine.path("static-creds", login), None)?;
    match answer.status {
        200 => answer.text("/data/password").map(Some),
        400 | 404 => Ok(None),
        _ => bail!("the password of {login}: {}", answer.errors()),
    }
}

/// With the passwords that the engine keeps.
pub(super) fn with_passwords(
    (client, token): (&Client, &Text),
    engine: &DatabaseEngine,
    text: &Text,
) -> Result<Text> {
    each_login(engine, text, |login, known| {
        if !known.is_empty() {
            return Ok(known.to_owned());
        }
        let found = password(client, token, engine, login)?;
        Ok(found.with_context(|| format!("the store has no password of {login}"))?.expose().to_owned())
    })
}

/// Without those passwords; any other stays.
pub(super) fn without_passwords(
    (client, token): (&Client, &Text),
    engine: &DatabaseEngine,
    text: &Text,
) -> Result<Text> {
    each_login(engine, text, |login, known| {
        let found = password(client, token, engine, login)?;
        Ok(if found.is_some_and(|found| found.expose() == known) { String::new() } else { known.to_owned() })
    })
}

/// Every `LOGIN:PASSWORD` of the engine's logins with another password.
fn each_login(
    engine: &DatabaseEngine,
    text: &Text,
    change: impl Fn(&str, &str) -> Result<String>,
) -> Result<Text> {
    let mut lines = String::new();
    for line in text.expose().lines() {
        let (marker, value) = line.rsplit_once(' ').map_or(("", line), |(marker, value)| (marker, value));
        let changed = match value.split_once(':') {
            Some((login, password)) if engine.logins.iter().any(|known| known == login) => {
                format!("{login}:{}", change(login, password)?)
            }
            _ => value.to_owned(),
        };
        let gap = if marker.is_empty() { "" } else { " " };
        lines += &format!("{marker}{gap}{changed}\n");
    }
    Ok(Text::new(lines))
}

/// The superuser's password, with which the engine gets its administrator.
pub(super) fn superuser(resolver: &Resolver<'_>) -> Result<SecretRef> {
    let platform = resolver.platform;
    let database = platform.service(platform.database.port.service).context("there is no database")?;
    let is_password = |name: &SecretRef| {
        platform.secret(*name).is_some_and(|one| matches!(one.kind, SecretKind::DatabasePassword { .. }))
    };
    database.secrets.iter().map(|used| used.secret).find(is_password).context("the database has no superuser")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_the_engine_are_put_in_and_taken_out() {
        let engine = DatabaseEngine {
            mount: "m".to_owned(),
            logins: ["app_a", "app_b"].map(str::to_owned).into(),
            administrator: "app_admin".to_owned(),
        };
        let changed = |text: &str| {
            let changed = each_login(&engine, &Text::new(text), |login, password| {
                Ok(if password.is_empty() { format!("of-{login}") } else { String::new() })
            });
            changed.unwrap().expose().to_owned()
        };
        for (without, with) in [
            ("app_a:\n", "app_a:of-app_a\n"),
            ("app_a:\nnext app_b:\n", "app_a:of-app_a\nnext app_b:of-app_b\n"),
            ("app_b:\nrevoked\n", "app_b:of-app_b\nrevoked\n"),
        ] {
            assert_eq!((changed(without).as_str(), changed(with).as_str()), (with, without));
        }
        // From before the engine made them.
        assert_eq!(changed("0123\nnext app_a:\n"), "0123\nnext app_a:of-app_a\n");
        assert_eq!(changed("other:1\n"), "other:1\n");
    }
}
