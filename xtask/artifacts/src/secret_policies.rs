//! `ops/secrets/policies/*.hcl`: for each service, which secrets it may read from the secret store. Nobody else may, and
//! nobody may write.

use vocabulary::formats::vault_policy::{Capability, Rule, write};
use vocabulary::model::{Platform, SecretRef, SecretStore, Service};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "secret-policies",
    what: "ops/secrets/policies/*.hcl: the secrets that each service may read from OpenBao",
    source: file!(),
    make: generate,
};

/// Where a secret is in the store. Version 2 of the key-value engine has the values below `data`.
pub fn path(store: &SecretStore, secret: SecretRef) -> String {
    format!("{}/data/{secret}", store.mount)
}

fn generate(platform: &Platform) -> Made {
    let Some(store) = &platform.secret_store else { return Ok(vec![]) };
    let readers = platform.services.iter().filter(|service| !service.secrets.is_empty());
    readers.map(|service| policy(platform, store, service)).collect()
}

fn policy(platform: &Platform, store: &SecretStore, service: &Service) -> Result<Artifact, Vec<Problem>> {
    let mut header = banner("xtask/platform/src (the services' secrets)");
    header.push(format!("What {} may do. Everything else is denied.", service.id));
    let own = [("renew", "keep its token alive"), ("revoke", "give its token back when it stops")];
    let own = own.map(|(act, why)| Rule {
        why: why.to_owned(),
        path: format!("auth/token/{act}-self"),
        capabilities: vec![Capability::Update],
    });
    let reads = service.secrets.iter().map(|used| Rule {
        why: platform.secret(used.secret).map_or("", |secret| secret.purpose).to_owned(),
        path: path(store, used.secret),
        capabilities: vec![Capability::Read],
    });
    let rules: Vec<Rule> = reads.chain(own).collect();
    Ok(Artifact::file(format!("ops/secrets/policies/{}.hcl", service.id), write(&header, &rules)?))
}
