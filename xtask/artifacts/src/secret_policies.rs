//! `ops/secrets/policies/*.hcl`: for each service, which secrets it may read from the secret store, and nothing else. Two more are
//! for the program itself: `PLATFORM-operator` changes secrets and seals the store, `PLATFORM-backup` takes snapshots of it.

use vocabulary::formats::vault_policy::{Capability, Rule, write};
use vocabulary::model::{Platform, SecretRef, SecretStore};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "secret-policies",
    what: "ops/secrets/policies/*.hcl: what each service, operators and backups may do in OpenBao",
    source: file!(),
    make: generate,
};

/// What one reader of the store may do.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Also that of the role that has it.
    pub name: String,
    pub rules: Vec<Rule>,
}

impl Policy {
    /// In HCL.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn text(&self) -> Result<String, Vec<Problem>> {
        let mut header = banner("xtask/platform/src (the services' secrets)");
        header.push(format!("What {} may do. Everything else is denied.", self.name));
        write(&header, &self.rules)
    }
}

/// Where a secret is in the store. Version 2 of the key-value engine has the values below `data`.
pub fn path(store: &SecretStore, secret: SecretRef) -> String {
    format!("{}/data/{secret}", store.mount)
}

/// What is known of a secret without its value.
pub fn metadata(store: &SecretStore, secret: SecretRef) -> String {
    format!("{}/metadata/{secret}", store.mount)
}

/// The role that changes secrets, and seals the store.
pub fn operator(platform: &Platform) -> String {
    format!("{}-operator", platform.name)
}

/// The role that takes snapshots.
pub fn backup(platform: &Platform) -> String {
    format!("{}-backup", platform.name)
}

/// Of every service that reads secrets, and of the program itself.
pub fn policies(platform: &Platform, store: &SecretStore) -> Vec<Policy> {
    let purpose = |secret| platform.secret(secret).map_or("", |secret| secret.purpose);
    let readers = platform.services.iter().filter(|service| !service.secrets.is_empty()).map(|service| {
        let reads = service
            .secrets
            .iter()
            .map(|used| rule(purpose(used.secret), path(store, used.secret), &[Capability::Read]));
        (service.id.to_string(), reads.collect::<Vec<_>>())
    });
    let changes = platform.secrets.iter().flat_map(|secret| {
        let change = [Capability::Create, Capability::Read, Capability::Update];
        let name = secret.name;
        let age = format!("when {name} was changed");
        [
            rule(secret.purpose, path(store, name), &change),
            rule(&age, metadata(store, name), &[Capability::Read]),
        ]
    });
    let seal = rule("seal the store at once", "sys/seal".to_owned(), &[Capability::Update, Capability::Sudo]);
    let snapshot = "sys/storage/raft/snapshot".to_owned();
    let snapshot = rule("everything as it is sealed", snapshot, &[Capability::Read]);
    let own = [("renew", "keep its token alive"), ("revoke", "give its token back when it stops")];
    let own = own.map(|(act, why)| rule(why, format!("auth/token/{act}-self"), &[Capability::Update]));
    readers
        .chain([(operator(platform), changes.chain([seal]).collect()), (backup(platform), vec![snapshot])])
        .map(|(name, rules)| Policy { name, rules: [rules, own.to_vec()].concat() })
        .collect()
}

fn rule(why: &str, path: String, capabilities: &[Capability]) -> Rule {
    Rule { why: why.to_owned(), path, capabilities: capabilities.to_vec() }
}

fn generate(platform: &Platform) -> Made {
    let Some(store) = &platform.secret_store else { return Ok(vec![]) };
    let file = |policy: &Policy| {
        Ok(Artifact::file(format!("ops/secrets/policies/{}.hcl", policy.name), policy.text()?))
    };
    policies(platform, store).iter().map(file).collect()
}
