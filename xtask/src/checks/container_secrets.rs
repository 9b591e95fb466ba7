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

/// Whether a variable of this name holds a secret itself, not the place of one.
pub fn names_secret(name: &str) -> bool {
    let upper = name.trim_start_matches('-').to_uppercase();
    let public = PUBLIC_NAMES.iter().any(|public| upper.starts_with(public)) && !upper.contains("AUTH");
    !public && !upper.ends_with("_FILE") && SECRET_NAMES.iter().any(|part| upper.contains(part))
}

/// The name of `NAME=value` when the value looks like a secret.
pub fn assigned_secret(word: &str) -> Option<&str> {
    let (name, value) = word.split_once('=')?;
    let value = value.trim_matches(['"', '\'']);
    let upper = name.trim_start_matches('-').to_uppercase();
    if value.is_empty() || value.starts_with(['$', '<']) || upper.ends_with("_FILE") {
        return None;
    }
    if PUBLIC_NAMES.iter().any(|public| upper.starts_with(public)) && !upper.contains("AUTH") {
        return None;
    }
    let in_url = value.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/')
            .next()
            .and_then(|host| host.split_once('@'))
            .is_some_and(|(user, _)| user.contains(':'))
    });
    (names_secret(name) || in_url || value.contains("PRIVATE KEY-----")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_only_look_like_secrets_are_told_apart() {
        for harmless in ["TOKEN_FILE=/x", "PASSWORD=", "PASSWORD=$OTHER", "URL=https://host/a@b:c"] {
            assert_eq!(assigned_secret(harmless), None, "{harmless}");
        }
        assert_eq!(assigned_secret("DB_PASSWORD=hunter2"), Some("DB_PASSWORD"));
        assert!(names_secret("LLM_API_KEY") && !names_secret("LLM_API_KEY_FILE") && !names_secret("GPG_KEY"));
    }
}
