//! `secrets init`, `unseal`, `seal`, `render`, `snapshot`, `restore`: the secret store of an environment. Keys come from files
//! or stdin, never from arguments, and go to files that the operator names or to his terminal, once.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use artifacts::secret_policies::{backup, operator};
use serde_json::json;

use crate::context::Context;
use crate::engines::process::secret_files::open_to_containers;
use crate::engines::process::secret_memory::is_used;
use crate::engines::process::secret_store::Text;
use crate::engines::process::vault::{Client, Condition, Shares, read_all, set_up};
use crate::session::host;
use crate::session::secret_server::SecretServer;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use foundation::stdout;

#[derive(Debug, clap::Args)]
pub struct Environment {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
}

#[derive(Debug, clap::Args)]
pub struct Keys {
    /// A file with an unseal key, readable only by you; repeat the option [default: ask for the keys, or read them from stdin, one
    /// a line]
    #[arg(long = "key-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct NewKeys {
    /// Number of new keys
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    shares: u8,
    /// Number of keys that unseal it together
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    threshold: u8,
    /// The file for one new key, which must not exist; repeat the option for each key [default: show them on the terminal]
    #[arg(long = "new-key-file", value_name = "FILE")]
    new_key_files: Vec<PathBuf>,
}

impl NewKeys {
    fn shares(&self) -> Shares {
        Shares { count: self.shares, threshold: self.threshold }
    }
}

#[derive(Debug, clap::Subcommand)]
pub enum Store {
    /// Set up the secret store: keys, policies, a role for each service, a value for each secret
    ///
    /// A new store gets its unseal keys. They are shown once on your terminal, or written to files that you name. Run it again
    /// after a release with other services or secrets: it adds what is missing, asks for keys, and never replaces a value.
    Init {
        #[command(flatten)]
        environment: Environment,
        #[command(flatten)]
        new: NewKeys,
        #[command(flatten)]
        keys: Keys,
    },
    /// Open the secret store with enough of its keys
    Unseal {
        #[command(flatten)]
        environment: Environment,
        #[command(flatten)]
        keys: Keys,
    },
    /// Close the secret store at once: nobody reads a secret from it until it is unsealed
    Seal {
        #[command(flatten)]
        environment: Environment,
    },
    /// Replace what each service logs in to the secret store with; the old logins are refused afterwards
    RenewLogins {
        #[command(flatten)]
        environment: Environment,
    },
    /// Replace the keys that unseal the secret store
    ///
    /// The old keys hold until the new ones are written down and proven: those shown on the terminal are asked for. If it is interrupted, the old ones hold; run it again.
    Rekey {
        #[command(flatten)]
        environment: Environment,
        #[command(flatten)]
        new: NewKeys,
        #[command(flatten)]
        keys: Keys,
    },
    /// Write each service's secrets from the store to the files that it reads, as a start or a deploy does
    Render {
        #[command(flatten)]
        environment: Environment,
    },
    /// Save everything in the store, encrypted with its keys
    Snapshot {
        #[command(flatten)]
        environment: Environment,
        /// The file to write, which must not exist
        file: PathBuf,
    },
    /// Replace everything in the store with a snapshot
    Restore {
        #[command(flatten)]
        environment: Environment,
        /// A file that `secrets snapshot` wrote
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
    },
}

/// # Errors
/// Refused when keys are missing or wrong; otherwise when the store does not answer or does not do it.
pub fn run(context: &Context, what: &Store) -> Result<()> {
    match what {
        Store::Init { environment, new, keys } => {
            init(context, here(context, environment)?, new.shares(), &new.new_key_files, keys)
        }
        Store::Unseal { environment, keys } => unseal(context, here(context, environment)?, keys),
        Store::Seal { environment: Environment { environment } } => {
            if let Some(done) = host::forwarded(context, environment, &[]) {
                return done;
            }
            SecretServer::of(context, environment)?.client()?.seal(&operator(context.platform))?;
            said(
                context,
                environment,
                true,
                &format!(
                    "the secret store of {environment} is sealed; what runs keeps its secrets; `{PROGRAM} secrets unseal \
                 {environment}` opens it"
                ),
            )
        }
        Store::Render { environment: Environment { environment } } => {
            if let Some(done) = host::forwarded(context, environment, &[]) {
                return done;
            }
            let server = SecretServer::of(context, environment)?;
            let units = server.units();
            let resolver = server.resolver(&units);
            let count = read_all(&resolver)?;
            open_to_containers(&resolver)?;
            let folder = resolver.instance.secrets();
            let rest = if is_used(&folder) { "in memory" } else { "on disk" };
            said(
                context,
                environment,
                true,
                &format!("{count} secrets are in their files, {rest}: {}", folder.display()),
            )
        }
        Store::RenewLogins { environment: Environment { environment } } => {
            if let Some(done) = host::forwarded(context, environment, &[]) {
                return done;
            }
            let client = SecretServer::of(context, environment)?.client()?;
            let renewed = client.renew_logins(&operator(context.platform))?;
            said(
                context,
                environment,
                true,
                &format!("{} logins are new: {}", renewed.len(), renewed.join(", ")),
            )
        }
        Store::Rekey { environment, new, keys } => {
            rekey(context, here(context, environment)?, new.shares(), &new.new_key_files, keys)
        }
        Store::Snapshot { environment, file } => {
            let name = here(context, environment)?;
            let bytes = SecretServer::of(context, name)?.client()?.snapshot(&backup(context.platform))?;
            if !files::write::new(file, 0o600, &bytes)? {
                return Err(refused(format!("{}: exists already; name another file", file.display())));
            }
            let size = files::size(u64::try_from(bytes.len())?);
            said(context, name, true, &format!("{}: {size}", file.display()))
        }
        Store::Restore { environment, file, keys } => {
            restore(context, here(context, environment)?, file.clone(), keys)
        }
    }
}

/// Keys and snapshots are not sent to another machine.
fn here<'a>(context: &Context, environment: &'a Environment) -> Result<&'a str> {
    let name = &environment.environment;
    match host::of(context, name) {
        None => Ok(name),
        Some(host) => Err(refused(format!(
            "the secret store of {name} is on {}; log in there and run the command there, so that keys and snapshots do not \
             pass through this machine",
            host.address
        ))),
    }
}

fn said(context: &Context, environment: &str, changed: bool, text: &str) -> Result<()> {
    if context.json {
        return stdout::json(&json!({ "environment": environment, "changed": changed }));
    }
    stdout::text(&format!("{text}\n"))
}

fn init(context: &Context, name: &str, shares: Shares, new: &[PathBuf], keys: &Keys) -> Result<()> {
    judge(shares)?;
    let server = SecretServer::started(context, name)?;
    let client = server.client()?;
    let root = match client.condition()? {
        Condition::New => {
            prepare(shares, new)?;
            let (made, root) = client.initialise(shares)?;
            hand_out(&made, new)?;
            server.keys_are_new(shares)?;
            client.unseal(&made[..usize::from(shares.threshold)])?;
            root
        }
        condition => {
            let keys = keys.read()?;
            if condition == Condition::Sealed {
                client.unseal(&keys)?;
            }
            client.root(&keys)?
        }
    };
    let changed = set_up(&client, &server.resolver(&server.units()), &root)?;
    if context.json {
        return stdout::json(&json!({ "environment": name, "changed": changed }));
    }
    let list: String = changed.iter().map(|line| format!("{line}\n")).collect();
    stdout::text(&format!("{list}the secret store of {name} is set up; no root token is left\n"))
}

fn judge(Shares { count, threshold }: Shares) -> Result<()> {
    if threshold > count || (threshold == 1 && count > 1) {
        return Err(refused(format!(
            "--shares {count} --threshold {threshold}: expected a threshold from 2 to the number of shares, or 1 of both"
        )));
    }
    Ok(())
}

/// Before there are keys that could get lost.
fn prepare(Shares { count, .. }: Shares, new: &[PathBuf]) -> Result<()> {
    if new.is_empty() {
        if std::io::stdout().is_terminal() {
            return Ok(());
        }
        return Err(refused(format!(
            "stdout is not a terminal, and keys belong into no log: give --new-key-file FILE once for each of the {count} keys"
        )));
    }
    if new.iter().collect::<BTreeSet<_>>().len() != usize::from(count) || new.len() != usize::from(count) {
        return Err(refused(format!(
            "--new-key-file: {} files for {count} keys; expected another file for each, or --shares {}",
            new.len(),
            new.len()
        )));
    }
    for file in new {
        if !files::write::new(file, 0o600, "")? {
            return Err(refused(format!("{}: exists already; name another file", file.display())));
        }
    }
    Ok(())
}

fn hand_out(keys: &[Text], new: &[PathBuf]) -> Result<()> {
    if new.is_empty() {
        let lines: String =
            keys.iter().zip(1..).map(|(key, number)| format!("key {number}: {}\n", key.expose())).collect();
        return stdout::text(&format!("{lines}Give each key to another person. They are not shown again.\n"));
    }
    for (key, file) in keys.iter().zip(new) {
        files::write::whole(file, 0o600, format!("{}\n", key.expose())).context(
            "the keys of the new store are lost: remove its data folder, and run the command again",
        )?;
    }
    Ok(())
}

fn unseal(context: &Context, name: &str, keys: &Keys) -> Result<()> {
    let client = SecretServer::started(context, name)?.client()?;
    match client.condition()? {
        Condition::New => {
            Err(refused(format!("the secret store of {name} is new: `{PROGRAM} secrets init {name}`")))
        }
        Condition::Open => said(context, name, false, &format!("the secret store of {name} is open already")),
        Condition::Sealed => {
            client.unseal(&keys.read()?)?;
            said(context, name, true, &format!("the secret store of {name} is open"))
        }
    }
}

fn rekey(context: &Context, name: &str, shares: Shares, new: &[PathBuf], keys: &Keys) -> Result<()> {
    judge(shares)?;
    let server = SecretServer::of(context, name)?;
    let client = server.client()?;
    if let Some(missing) = client.missing()? {
        return Err(refused(format!("the secret store of {name} {missing}")));
    }
    let keys = keys.read()?;
    let root = client.root(&keys)?;
    let done = prepare(shares, new).and_then(|()| {
        client.rekey(&root, (shares, &keys), |made| {
            hand_out(made, new)?;
            let held = Keys { files: new.to_vec() }.read()?;
            Ok(held.into_iter().take(shares.threshold.into()).collect())
        })
    });
    client.log_out(&root);
    done?;
    server.keys_are_new(shares)?;
    said(
        context,
        name,
        true,
        &format!(
            "the secret store of {name} has new keys; the old ones unseal nothing but snapshots from before: take a new one"
        ),
    )
}

fn restore(context: &Context, name: &str, file: PathBuf, keys: &Keys) -> Result<()> {
    let snapshot = files::read(&file, Client::LONGEST)?.bytes;
    let client = SecretServer::of(context, name)?.client()?;
    let keys = keys.read()?;
    let root = client.root(&keys)?;
    client.restore(&root, snapshot)?;
    client.log_out(&root);
    if client.condition()? == Condition::Sealed {
        client.unseal(&keys)?;
    }
    said(
        context,
        name,
        true,
        &format!(
            "the secret store of {name} is as in {}; `{PROGRAM} secrets render {name}` writes the files of its services",
            file.display()
        ),
    )
}

impl Keys {
    /// # Errors
    /// Refused when there is none, or others can read one.
    fn read(&self) -> Result<Vec<Text>> {
        let keys = if self.files.is_empty() { typed()? } else { self.listed()? };
        if keys.is_empty() {
            return Err(refused(
                "no key was given; expected --key-file FILE, or the keys on stdin, one a line",
            ));
        }
        Ok(keys)
    }

    fn listed(&self) -> Result<Vec<Text>> {
        let key = |file: &PathBuf| {
            let read = files::read(file, files::KEY)?;
            if read.mode & 0o077 != 0 {
                return Err(refused(format!("others can read {0}: `chmod 600 {0}`", file.display())));
            }
            let text = String::from_utf8(read.bytes).ok().filter(|text| !text.trim().is_empty());
            let text = text.ok_or_else(|| refused(format!("{}: expected an unseal key", file.display())))?;
            Ok(Text::new(text.trim()))
        };
        self.files.iter().map(key).collect()
    }
}

fn typed() -> Result<Vec<Text>> {
    let stdin = std::io::stdin();
    let mut keys = Vec::new();
    if !stdin.is_terminal() {
        for line in stdin.lock().lines() {
            keys.push(line?);
        }
    } else {
        loop {
            let key = rpassword::prompt_password(format!("key {} (empty: no more): ", keys.len() + 1))?;
            if key.trim().is_empty() {
                break;
            }
            keys.push(key);
        }
    }
    Ok(keys.iter().map(|key| key.trim()).filter(|key| !key.is_empty()).map(Text::new).collect())
}
