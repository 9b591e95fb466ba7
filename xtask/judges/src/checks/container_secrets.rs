//! What looks like a secret in a container, its image or its settings, by its name.

/// Parts of names that hold secrets; a name that ends with `_FILE` holds a path.
const SECRET_NAMES: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "ACCESS_KEY",
];
/// Names that look like it and hold none.
const PUBLIC_NAMES: &[&str] = &["GPG_KEY", "NPM_CONFIG_", "NPM_TOKEN_FILE"];
/// File names that hold secrets.
pub const SECRET_FILES: &[&str] =
    &[".npmrc", ".pgpass", ".netrc", ".git-credentials", ".env", "id_rsa", "id_ed25519", "id_ecdsa"];

/// Words of names that count or bound something: what follows them is a number, as in `MAX_TOKENS`.
const COUNTS: &[&str] = &[
    "MAX", "MIN", "LIMIT", "LIMITS", "COUNT", "NUM", "BUDGET", "LENGTH", "SIZE", "TTL", "TIMEOUT",
    "INTERVAL", "LIFETIME", "EXPIRY", "AGE", "SECONDS", "MINUTES", "HOURS", "DAYS", "MS", "PER", "WINDOW",
    "USAGE", "COST", "PRICE",
];
/// Words that end the names of what is only about a secret: where it is, how it is called, what is done with it.
const ABOUT: &[&str] = &[
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "URL",
    "URI",
    "ENDPOINT",
    "HEADER",
    "TYPE",
    "ALGORITHM",
    "POLICY",
    "ENABLED",
    "REQUIRED",
    "ISSUER",
    "AUDIENCE",
    "PARALLELISM",
];

/// Whether a variable of this name holds a secret itself, not the place of one or a number of tokens.
pub fn names_secret(name: &str) -> bool {
    looks_secret(name) && !counts(name)
}

/// The name of `NAME=value` when the value looks like a secret.
pub fn assigned_secret(word: &str) -> Option<&str> {
    let (name, value) = word.split_once('=')?;
    let value = value.trim_matches(['"', '\'']);
    if value.is_empty() || value.starts_with(['$', '<']) || upper(name).ends_with("_FILE") || is_public(name)
    {
        return None;
    }
    let in_url = value.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/')
            .next()
            .and_then(|host| host.split_once('@'))
            .is_some_and(|(user, _)| user.contains(':'))
    });
    let by_name = looks_secret(name) && !(counts(name) && is_amount(value));
    (by_name || in_url || value.contains("PRIVATE KEY-----")).then_some(name)
}

fn upper(name: &str) -> String {
    name.trim_start_matches('-').to_uppercase()
}

fn is_public(name: &str) -> bool {
    let upper = upper(name);
    PUBLIC_NAMES.iter().any(|public| upper.starts_with(public)) && !upper.contains("AUTH")
}

fn looks_secret(name: &str) -> bool {
    // Who makes tokens of a text keeps none.
    let upper = upper(name).replace("TOKENIZ", "");
    let about = upper.rsplit(|letter: char| !letter.is_alphanumeric()).next();
    !is_public(name)
        && !about.is_some_and(|last| upper.len() > last.len() && ABOUT.contains(&last))
        && SECRET_NAMES.iter().any(|part| upper.contains(part))
}

fn counts(name: &str) -> bool {
    upper(name).split(|letter: char| !letter.is_alphanumeric()).any(|word| COUNTS.contains(&word))
}

/// A number, with a unit or without.
fn is_amount(value: &str) -> bool {
    let rest = value.trim_start_matches(|letter: char| letter.is_ascii_digit() || "._-".contains(letter));
    rest.len() < value.len()
        && rest.len() <= 2
        && rest.chars().all(|letter| letter.is_alphabetic() || letter == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_only_look_like_secrets_are_not_found() {
        for harmless in [
            "TOKEN_FILE=/x",
            "PASSWORD=",
            "PASSWORD=$OTHER",
            "URL=https://host/a@b:c",
            "MAX_TOKENS=4096",
            "LLM_MAX_COMPLETION_TOKENS=1_000",
            "TOKENS_PER_MINUTE=90000",
            "TOKEN_TTL=15m",
            "PASSWORD_MIN_LENGTH=12",
            "SECRET_ROTATION_DAYS=30",
            "TOKENIZERS_PARALLELISM=false",
            "TOKENIZER=cl100k",
            "OAUTH_TOKEN_URL=https://login.example/token",
            "SECRET_NAME=db",
            "CREDENTIALS_PATH=/run/secrets",
        ] {
            assert_eq!(assigned_secret(harmless), None, "{harmless}");
        }
        for secret in [
            "DB_PASSWORD=hunter2",
            "PASSWORD=12345678",
            "API_TOKENS=a,b",
            // It holds no number.
            "MAX_TOKEN=hunter2",
            "TOKEN_URL=https://user:word@host/",
            "GITHUBTOKEN=x",
            "NAME_TOKEN=x",
            "MESSAGE_SECRET=1",
        ] {
            assert!(assigned_secret(secret).is_some(), "{secret}");
        }
        for name in ["LLM_API_KEY", "API_TOKENS", "DBPASSWORD", "PATH_TOKEN"] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["LLM_API_KEY_FILE", "GPG_KEY", "MAX_TOKENS", "TOKENIZER", "max_tokens", "token-ttl"] {
            assert!(!names_secret(name), "{name}");
        }
    }
}
