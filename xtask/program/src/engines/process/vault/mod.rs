//! The secret store as a client sees it: the API that OpenBao and HashiCorp Vault share.

mod database;
mod read;
mod renew;
mod set_up;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use artifacts::secret_store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;
use ureq::unversioned::transport::DefaultConnector;
use vocabulary::model::SecretStore as Model;

use super::lower::store_certificate;
use super::resolve::Resolver;
use super::secret_store::Text;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use runner::plan::http::{Only, trusting};

pub use read::{Vault, read_all};
pub use set_up::{Shares, set_up};

/// An answer that takes longer counts as none. A snapshot is one, and a server that is just unsealed may take its time.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to serve once it has its keys.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);

/// A client of one server. Tokens and values are sent, and never part of an error.
pub struct Client {
    agent: Agent,
    base: String,
    at: SocketAddr,
    /// For the commands that are named.
    pub environment: String,
    pub model: Model,
    /// The folder with what each role logs in with.
    roles: PathBuf,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    body: Value,
}

/// Whether a server can be asked for secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It has no keys yet.
    New,
    Sealed,
    Open,
}

/// What a role logs in with. While that changes, it says how far the change is: the next one may not be known to the store yet,
/// and the previous one may still be accepted.
#[derive(Clone, Serialize, Deserialize)]
struct Login {
    role_id: String,
    secret_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

impl Answer {
    /// What the server says is wrong.
    fn errors(&self) -> String {
        let said = self.body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let words: Vec<&str> = said.flat_map(str::split_whitespace).collect();
        if words.is_empty() { format!("status {}", self.status) } else { words.join(" ") }
    }

    fn text(&self, pointer: &str) -> Result<Text> {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        Ok(Text::new(found.with_context(|| format!("the store's answer has no {pointer}"))?))
    }
}

impl Client {
    /// Of an answer or a snapshot, in bytes: a snapshot of thousands of secrets is a few megabytes.
    pub const LONGEST: u64 = 1024 * 1024 * 1024;

    /// The server of an environment.
    ///
    /// # Errors
    /// Refused when the environment has none, or it was never started.
    pub fn of(resolver: &Resolver<'_>) -> Result<Self> {
        let environment = &resolver.environment.name;
        let model = resolver.platform.secret_store.context("the platform has no secret store")?;
        let unit = resolver.units.iter().find(|unit| unit.service.id == model.service());
        let Some(unit) = unit else {
            return Err(refused(format!(
                "{environment} has no secret store; set secret_store = \"vault\" in ops/environments/{environment}.toml, \
                 and start or deploy it"
            )));
        };
        let certificate = store_certificate(resolver, unit, &model);
        let configuration = certificate.with_file_name(Model::CONFIGURATION);
        for file in [&certificate, &configuration] {
            if !file.is_file() {
                return Err(refused(format!(
                    "{}: no such file; the secret store of {environment} was never started",
                    file.display()
                )));
            }
        }
        let at = secret_store::answers(&files::text(&configuration, files::TEXT)?)
            .and_then(|at| at.parse().ok())
            .with_context(|| format!("{}: it has no address", configuration.display()))?;
        let agent = Agent::config_builder()
            .tls_config(trusting(&certificate)?)
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        // The certificate is for this name. A container answers at an address of its own.
        let agent = Agent::with_parts(agent, DefaultConnector::default(), Only(at));
        let base = format!("https://localhost:{}/v1", at.port());
        let roles = resolver.instance.folder.join(ROLES);
        Ok(Self { agent, base, at, environment: environment.clone(), model, roles })
    }

    /// Asks, with a token where one is needed.
    ///
    /// # Errors
    /// There is no answer.
    pub fn ask(
        &self,
        token: Option<&Text>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let (status, bytes) = self.exchange(token, method, path, bytes)?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    fn exchange(
        &self,
        token: Option<&Text>,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>)> {
        let mut request = Request::builder().method(method).uri(format!("{}/{path}", self.base));
        if let Some(token) = token {
            request = request.header("x-vault-token", token.expose());
        }
        let answer = self.agent.run(request.body(body)?);
        let mut answer = answer.map_err(|error| anyhow!("{} does not answer: {error}", self.at))?;
        let bytes = answer.body_mut().with_config().limit(Self::LONGEST).read_to_vec()?;
        Ok((answer.status().as_u16(), bytes))
    }

    /// Asks for something that must be done.
    ///
    /// # Errors
    /// The server does not do it; with its reason.
    pub fn done(
        &self,
        token: Option<&Text>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let answer = self.ask(token, method, path, body)?;
        if answer.status >= 300 {
            bail!("the secret store of {}: {method} {path}: {}", self.environment, answer.errors());
        }
        Ok(answer)
    }

    /// # Errors
    /// It does not answer.
    pub fn condition(&self) -> Result<Condition> {
        let always = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200";
        let said = self.done(None, "GET", always, None)?.body;
        Ok(match (said["initialized"].as_bool(), said["sealed"].as_bool()) {
            (Some(false), _) => Condition::New,
            (_, Some(false)) => Condition::Open,
            _ => Condition::Sealed,
        })
    }

    /// What to do so that it can be asked; nothing when it can.
    ///
    /// # Errors
    /// It does not answer.
    pub fn missing(&self) -> Result<Option<String>> {
        let environment = &self.environment;
        Ok(match self.condition()? {
            Condition::New => Some(format!("is new and has no keys: `{PROGRAM} secrets init {environment}`")),
            Condition::Sealed => Some(format!("is sealed: `{PROGRAM} secrets unseal {environment}`")),
            Condition::Open => None,
        })
    }

    /// Gives it keys until it is open, and waits until it serves.
    ///
    /// # Errors
    /// Refused when they are not enough, or one is none; otherwise when it does not serve.
    pub fn unseal(&self, keys: &[Text]) -> Result<()> {
        // What somebody else began with other keys.
        self.done(None, "POST", "sys/unseal", Some(&json!({ "reset": true })))?;
        for key in keys {
            let answer = self.ask(None, "POST", "sys/unseal", Some(&json!({ "key": key.expose() })))?;
            if answer.status >= 300 {
                return Err(refused(format!("a key was refused: {}", answer.errors())));
            }
            if answer.body["sealed"] == false {
                return self.await_service();
            }
        }
        let needed = self.done(None, "GET", "sys/seal-status", None)?.body["t"].clone();
        Err(refused(format!(
            "{} keys are not enough: the secret store of {} needs {needed} different ones",
            keys.len(),
            self.environment
        )))
    }

    fn await_service(&self) -> Result<()> {
        let give_up = Instant::now() + SERVES_WITHIN;
        while self.ask(None, "GET", "sys/health", None)?.status != 200 {
            if Instant::now() > give_up {
                bail!(
                    "the secret store of {0} is unsealed, and does not serve: `{PROGRAM} logs {0}`",
                    self.environment
                );
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }

    fn login_file(&self, role: &str) -> PathBuf {
        self.roles.join(format!("{role}.json"))
    }

    /// A token of a role.
    ///
    /// # Errors
    /// It has nothing to log in with here, or the server does not accept that.
    pub fn log_in(&self, role: &str) -> Result<Text> {
        let again = format!("`{PROGRAM} secrets init {}` makes a new one", self.environment);
        let file = self.login_file(role);
        let login: Login = read_login(&file).with_context(|| {
            format!("{}: what {role} logs in to the store with cannot be read; {again}", file.display())
        })?;
        self.log_in_with(role, &login)
    }

    fn log_in_with(&self, role: &str, login: &Login) -> Result<Text> {
        let again = format!("`{PROGRAM} secrets init {}` makes a new one", self.environment);
        let sent = json!({ "role_id": login.role_id, "secret_id": login.secret_id });
        let answer = self.ask(None, "POST", "auth/approle/login", Some(&sent))?;
        if answer.status >= 300 {
            if let Some(missing) = self.missing()? {
                bail!("the secret store of {} {missing}", self.environment);
            }
            let said = answer.errors();
            bail!("the store refuses the login of {role}, which may have expired: {said}; {again}");
        }
        answer.text("/auth/client_token")
    }

    /// Gives a token back.
    pub fn log_out(&self, token: &Text) {
        // It ends by itself within minutes.
        let _ = self.ask(Some(token), "POST", "auth/token/revoke-self", None);
    }

    /// Seals it at once: nobody reads a secret until it gets its keys again.
    ///
    /// # Errors
    /// It is not sealed then.
    pub fn seal(&self, operator: &str) -> Result<()> {
        let token = self.log_in(operator)?;
        self.done(Some(&token), "POST", "sys/seal", None).map(|_| ())
    }

    /// Everything in it as it is sealed: only a server with the same keys can read it.
    ///
    /// # Errors
    /// It gives none.
    pub fn snapshot(&self, backup: &str) -> Result<Vec<u8>> {
        let token = self.log_in(backup)?;
        let (status, bytes) = self.exchange(Some(&token), "GET", "sys/storage/raft/snapshot", vec![])?;
        self.log_out(&token);
        if status != 200 || bytes.is_empty() {
            bail!("the secret store of {} gives no snapshot: status {status}", self.environment);
        }
        Ok(bytes)
    }

    /// Puts a snapshot in the place of everything in it. It is sealed then where the snapshot is of other keys.
    ///
    /// # Errors
    /// It does not take it.
    pub fn restore(&self, root: &Text, snapshot: Vec<u8>) -> Result<()> {
        let path = "sys/storage/raft/snapshot-force";
        let (status, bytes) = self.exchange(Some(root), "POST", path, snapshot)?;
        if status >= 300 {
            let answer = Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() };
            bail!("the secret store of {} does not take the snapshot: {}", self.environment, answer.errors());
        }
        Ok(())
    }
}

/// The folder with what each role logs in with, below that of an environment.
pub const ROLES: &str = "roles";

/// Whether a change of what a role logs in with was interrupted.
///
/// # Errors
/// The file cannot be read.
pub fn is_changing(file: &Path) -> Result<bool> {
    let login = read_login(file)?;
    Ok(login.next.is_some() || login.previous.is_some())
}

fn read_login(file: &Path) -> Result<Login> {
    Ok(serde_json::from_str(&files::text(file, files::TEXT)?)?)
}
