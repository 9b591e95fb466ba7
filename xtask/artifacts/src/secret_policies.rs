//! `ops/secrets/policies/*.hcl`: for each service, which secrets it may read from the secret store, and nothing else. Two more are
//! for the program itself: `PLATFORM-operator` changes secrets and seals the store, `PLATFORM-backup` takes snapshots of it. Those
//! of people begin with `people-`.

use vocabulary::formats::vault_policy::{Capability, Rule, write};
use vocabulary::model::{Destination, Platform, Role, Secret, SecretRef, SecretRight, SecretStore};
use vocabulary::problem::Problem;

use super::artifact::{Artifact, Committed, Made, banner};

pub const FAMILY: Committed = Committed {
    name: "secret-policies",
    what: "ops/secrets/policies/*.hcl: what each service, operators, backups and people may do in OpenBao",
    source: file!(),
    make: generate,
};

/// How the names of people's policies begin, so that none is a service's.
pub const PEOPLE: &str = "people-";

/// What one reader of the store may do.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Also that of the role that has it.
    pub name: String,
    /// Where it is defined.
    source: &'static str,
    pub rules: Vec<Rule>,
}

impl Policy {
    /// In HCL.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn text(&self) -> Result<String, Vec<Problem>> {
        let mut header = banner(self.source);
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

/// The store's database engine. It makes the passwords of the logins that take turns, and changes them in the database.
#[derive(Debug, Clone)]
pub struct DatabaseEngine {
    pub mount: String,
    /// The logins whose passwords it makes.
    pub logins: Vec<String>,
    /// As whom it connects to the database. It alone knows the password, which it makes itself.
    pub administrator: String,
}

impl DatabaseEngine {
    /// How it connects, as its administrator.
    pub const CONNECTION: &str = "logins";
    /// How it connects while it has no administrator yet: as the superuser.
    pub const SET_UP: &str = "set-up";

    /// None where the store does not connect to the database.
    #[must_use]
    pub fn of(platform: &Platform, store: &SecretStore) -> Option<Self> {
        let server = platform.service(store.service())?;
        let database = Destination::Port(platform.database.port);
        server.edges.iter().find(|edge| edge.to == database)?;
        let logins: Vec<String> =
            platform.secrets.iter().filter_map(|secret| secret.kind.logins()).flatten().collect();
        let administrator = format!("{}_admin", platform.database.user);
        (!logins.is_empty()).then(|| Self {
            mount: format!("{}-database", store.mount),
            logins,
            administrator,
        })
    }

    /// `what` is one of the engine's own words for what it keeps.
    #[must_use]
    pub fn path(&self, what: &str, name: &str) -> String {
        format!("{}/{what}/{name}", self.mount)
    }

    fn reads(&self, login: &str) -> Rule {
        rule(&format!("the password of {login}"), self.path("static-creds", login), &[Capability::Read])
    }

    /// What the operator does with it when a login takes its turn.
    fn operating(&self) -> Vec<Rule> {
        use Capability::{Create, Delete, Read, Update};
        let at = |why: &str, what, name: &str, may: &[Capability]| rule(why, self.path(what, name), may);
        let administrator = self.administrator.as_str();
        let mut rules = vec![
            at("how the engine connects", "config", Self::CONNECTION, &[Create, Update]),
            at("a new password for its administrator", "rotate-root", Self::CONNECTION, &[Update]),
            at("how it connects until it has one", "config", Self::SET_UP, &[Create, Update, Delete]),
            at(
                "the administrator's first password",
                "static-roles",
                administrator,
                &[Create, Update, Delete],
            ),
            self.reads(administrator),
        ];
        for login in &self.logins {
            rules.extend([
                at(&format!("make {login} known"), "static-roles", login, &[Create, Read, Update]),
                at(&format!("a new password for {login}"), "rotate-role", login, &[Update]),
                self.reads(login),
            ]);
        }
        rules
    }
}

/// The passwords that a secret has from the database engine.
fn passwords(platform: &Platform, store: &SecretStore, secret: &Secret) -> Vec<Rule> {
    let Some(engine) = DatabaseEngine::of(platform, store) else { return vec![] };
    secret.kind.logins().iter().flatten().map(|login| engine.reads(login)).collect()
}

/// The role that changes secrets, and seals the store.
pub fn operator(platform: &Platform) -> String {
    format!("{}-operator", platform.name)
}

/// The role that takes snapshots.
pub fn backup(platform: &Platform) -> String {
    format!("{}-backup", platform.name)
}

/// Of every service that reads secrets, and of the program itself: each has a role, and logs in from here.
pub fn policies(platform: &Platform, store: &SecretStore) -> Vec<Policy> {
    let purpose = |secret| platform.secret(secret).map_or("", |secret| secret.purpose);
    let readers = platform.services.iter().filter(|service| !service.secrets.is_empty()).map(|service| {
        let reads = service.secrets.iter().flat_map(|used| {
            let value = rule(purpose(used.secret), path(store, used.secret), &[Capability::Read]);
            let passwords = platform.secret(used.secret).map(|secret| passwords(platform, store, secret));
            [vec![value], passwords.unwrap_or_default()].concat()
        });
        (service.id.to_string(), reads.collect::<Vec<_>>())
    });
    let changes = platform.secrets.iter().flat_map(|secret| {
        let change = [Capability::Create, Capability::Read, Capability::Update];
        [rule(secret.purpose, path(store, secret.name), &change), age(store, secret.name)]
    });
    let engine = DatabaseEngine::of(platform, store).map(|engine| engine.operating()).unwrap_or_default();
    let services = platform.services.iter().filter(|service| !service.secrets.is_empty());
    let roles = services.map(|service| service.id.to_string()).chain([operator(platform), backup(platform)]);
    let logins = roles.flat_map(|role| login(&role));
    let backup_rules = vec![snapshot()];
    readers
        .chain([
            (operator(platform), changes.chain(engine).chain(logins).chain([seal()]).collect()),
            (backup(platform), backup_rules),
        ])
        .map(|(name, rules)| Policy {
            name,
            source: "xtask/platform/src (the services' secrets)",
            rules: [rules, own()].concat(),
        })
        .collect()
}

/// Of every role of people that has rights in the store. How they log in is for the site to set up.
pub fn people(platform: &Platform, store: &SecretStore) -> Vec<Policy> {
    let roles = platform.access.iter().filter(|role| !role.secrets.is_empty());
    roles
        .map(|role| Policy {
            name: format!("{PEOPLE}{}", role.id),
            source: "xtask/platform/src/access.rs",
            rules: [rights(platform, store, role), own()].concat(),
        })
        .collect()
}

fn rights(platform: &Platform, store: &SecretStore, role: &Role) -> Vec<Rule> {
    let may = |right| role.secrets.contains(&right);
    let mut rules = Vec::new();
    if may(SecretRight::List) {
        rules.push(rule(
            "the names of all secrets",
            format!("{}/metadata/", store.mount),
            &[Capability::List],
        ));
    }
    for secret in &platform.secrets {
        let rights = [
            (Capability::Create, SecretRight::Replace),
            (Capability::Read, SecretRight::Read),
            (Capability::Update, SecretRight::Replace),
        ];
        let value: Vec<Capability> =
            rights.into_iter().filter(|(_, right)| may(*right)).map(|(capability, _)| capability).collect();
        if !value.is_empty() {
            rules.push(rule(secret.purpose, path(store, secret.name), &value));
        }
        if may(SecretRight::Read) {
            rules.extend(passwords(platform, store, secret));
        }
        if may(SecretRight::List) {
            rules.push(age(store, secret.name));
        }
    }
    rules.extend(may(SecretRight::Snapshot).then(snapshot));
    rules.extend(may(SecretRight::Seal).then(seal));
    rules
}

fn age(store: &SecretStore, secret: SecretRef) -> Rule {
    rule(&format!("when {secret} was changed"), metadata(store, secret), &[Capability::Read])
}

/// What it takes to replace what a role logs in with.
fn login(role: &str) -> Vec<Rule> {
    let rules = [
        ("make a new login of", "custom-secret-id", Capability::Update),
        ("look at the login of", "secret-id/lookup", Capability::Update),
        ("find the logins of", "secret-id", Capability::List),
        ("end an old login of", "secret-id-accessor/destroy", Capability::Update),
    ];
    let rule =
        |(why, what, may)| rule(&format!("{why} {role}"), format!("auth/approle/role/{role}/{what}"), &[may]);
    rules.map(rule).to_vec()
}

fn seal() -> Rule {
    rule("seal the store at once", "sys/seal".to_owned(), &[Capability::Update, Capability::Sudo])
}

fn snapshot() -> Rule {
    rule("everything as it is sealed", "sys/storage/raft/snapshot".to_owned(), &[Capability::Read])
}

/// What everybody may do with the token that they have.
fn own() -> Vec<Rule> {
    let own = [("renew", "keep its token alive"), ("revoke", "give its token back when it stops")];
    own.map(|(act, why)| rule(why, format!("auth/token/{act}-self"), &[Capability::Update])).to_vec()
}

fn rule(why: &str, path: String, capabilities: &[Capability]) -> Rule {
    Rule { why: why.to_owned(), path, capabilities: capabilities.to_vec() }
}

fn generate(platform: &Platform) -> Made {
    let Some(store) = &platform.secret_store else { return Ok(vec![]) };
    let file = |policy: &Policy| {
        Ok(Artifact::file(format!("ops/secrets/policies/{}.hcl", policy.name), policy.text()?))
    };
    policies(platform, store).iter().chain(&people(platform, store)).map(file).collect()
}
