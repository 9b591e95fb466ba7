//! Which variables of a caller outlive its command. A supervisor, and what it runs, live on for months, and their variables
//! can be read in `/proc` and from a dump of their memory: keys and tokens of whoever called do not belong there.

use std::ffi::{OsStr, OsString};

/// What a service gets.
pub const SERVICES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "FLOWSHIP_CACHE",
    "XDG_CACHE_HOME",
];

/// What the supervisor and a deploy get besides.
const OWN: &[&str] = &[
    // How programs of this machine are found and loaded.
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    // Where downloads come from, and whom they trust.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONFIG_FILE",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_USERCONFIG",
    "NPM_CONFIG_CACHE",
    "GOPROXY",
    "GONOPROXY",
    "GOPRIVATE",
    "GOSUMDB",
    "GONOSUMDB",
    "GOFLAGS",
    "GOPATH",
    "GOCACHE",
    "GOMODCACHE",
    // Which container engine.
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    // How output is written.
    "LC_ALL",
    "LC_CTYPE",
    "GITHUB_ACTIONS",
    "RUST_BACKTRACE",
];

/// Settings of ours: paths, names and limits, never values of secrets.
const OUR_SETTINGS: &str = "FLOWSHIP_";

/// The variables of this process that outlive it.
pub fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| outlives(name))
}

/// Some programs read names in lower case, such as `https_proxy` and `npm_config_registry`.
fn outlives(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let known = SERVICES.iter().chain(OWN);
    name.starts_with(OUR_SETTINGS) || known.into_iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_of_the_caller_do_not_outlive_its_command() {
        for (name, expected) in [
            ("PATH", true),
            ("https_proxy", true),
            ("HTTPS_PROXY", true),
            ("npm_config_registry", true),
            ("FLOWSHIP_STATE", true),
            ("DOCKER_HOST", true),
            ("GH_TOKEN", false),
            ("OPENAI_API_KEY", false),
            ("PGPASSWORD", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("NPM_CONFIG_//registry.npmjs.org/:_authToken", false),
            ("NODE_OPTIONS", false),
            ("SSH_AUTH_SOCK", false),
        ] {
            assert_eq!(outlives(OsStr::new(name)), expected, "{name}");
        }
    }
}
