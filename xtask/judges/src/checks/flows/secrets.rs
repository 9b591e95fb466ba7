//! Secrets written into the flows. The gate never repeats what it found: a finding names the field only.

use serde_json::{Map, Value};
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::{Rule, finding};

/// Beginnings of keys that providers give out, with the least number of characters that follow. From the providers'
/// own descriptions of their formats.
const KEY_PREFIXES: &[(&str, usize)] = &[
    ("sk-", 20),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xapp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("hf_", 30),
    ("npm_", 30),
    ("pypi-", 30),
    ("dop_v1_", 30),
    ("hvs.", 20),
    ("SG.", 30),
];

/// Words that make a field's or a variable's name one of a secret.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "authtoken",
    "accesstoken",
    "bearertoken",
    "clientsecret",
];

/// Words that secret names may be, but not merely contain.
const SECRET_NAMES: &[&str] = &["token", "pwd", "pass", "authorization", "xapikey"];

/// Endings of names that tell of a secret's place, not the secret.
const HARMLESS_ENDINGS: &[&str] =
    &["file", "path", "type", "env", "name", "header", "length", "url", "id", "field", "property", "count"];

/// Where an object names a field and gives its value in two properties: (name, value, the value's type).
const PAIRS: &[(&str, &str, &str)] = &[
    ("name", "value", "type"),
    ("key", "value", "type"),
    ("p", "v", "vt"),
    ("p", "to", "tot"),
    ("keyValue", "valueValue", "valueType"),
];

/// Judges every text of every node.
pub fn check(flows: &Flows<'_>, findings: &mut Vec<Problem>) {
    for node in &flows.nodes {
        let mut found = Vec::new();
        if let Some(Value::Object(credentials)) = node.fields.get("credentials")
            && !credentials.is_empty()
        {
            found.push(("credentials".to_owned(), "credentials are stored with the node"));
        }
        object(&node.fields, "", &mut found);
        found.dedup_by(|(a, _), (b, _)| a == b);
        findings.extend(found.into_iter().map(|(field, what)| report(flows, node, &field, what)));
    }
}

fn report(flows: &Flows<'_>, node: &Node<'_>, field: &str, what: &str) -> Problem {
    let message = format!(
        "{field}: {what}; put it into a file, name that file with NAME_FILE, and replace the secret, because it is \
         known now"
    );
    finding(flows, node, Rule::Secret, message)
}

type Found = Vec<(String, &'static str)>;

fn object(fields: &Map<String, Value>, place: &str, found: &mut Found) {
    for (name, value) in fields {
        if place.is_empty() && matches!(name.as_str(), "credentials" | "wires" | "links" | "info" | "label") {
            // Documentation is still searched for keys, but not for names.
            if let Value::String(text) = value {
                push(found, name, key_in(text));
            }
            continue;
        }
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        let typed = fields.get(&format!("{name}Type")).and_then(Value::as_str);
        if is_secret_name(name) && is_literal(value, typed) {
            found.push((place, "a value whose name says that it is secret"));
            continue;
        }
        any(value, &place, found);
    }
    for (name, value, kind) in PAIRS {
        let named = fields
            .get(*name)
            .and_then(Value::as_str)
            .map(|path| path.rsplit(['.', '[']).next().unwrap_or(path));
        let typed = fields.get(*kind).and_then(Value::as_str);
        if let (Some(named), Some(value)) = (named, fields.get(*value))
            && is_secret_name(named.trim_matches(['"', '\'', ']']))
            && is_literal(value, typed)
        {
            let place = if place.is_empty() { named.to_owned() } else { format!("{place} ({named})") };
            found.push((place, "a value whose name says that it is secret"));
        }
    }
}

fn any(value: &Value, place: &str, found: &mut Found) {
    match value {
        Value::String(text) => push(found, place, text_fault(text)),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                any(value, &format!("{place}[{index}]"), found);
            }
        }
        Value::Object(fields) => object(fields, place, found),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn push(found: &mut Found, place: &str, fault: Option<&'static str>) {
    found.extend(fault.map(|what| (place.to_owned(), what)));
}

fn text_fault(text: &str) -> Option<&'static str> {
    key_in(text).or_else(|| assigned(text).then_some("a value is assigned to a name that calls it secret"))
}

/// What is a secret by its own look.
fn key_in(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if url_with_password(text) {
        return Some("an address with a password in it");
    }
    if secret_in_query(text) {
        return Some("an address with a key or token in its query");
    }
    if authorization(text) {
        return Some("a value for an Authorization header");
    }
    let mut words = text.split(|character: char| !(is_key_character(character) || character == '.'));
    words.any(is_key).then_some("a key or token")
}

fn is_key_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-".contains(character)
}

fn is_key(word: &str) -> bool {
    let by_prefix = KEY_PREFIXES.iter().any(|(prefix, least)| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= *least
                && rest.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        })
    });
    // A JSON web token: two base64url parts of JSON objects, and a signature.
    let parts: Vec<&str> = word.split('.').collect();
    by_prefix
        || (parts.len() >= 3
            && parts[0].starts_with("eyJ")
            && parts[1].starts_with("eyJ")
            && parts[1].len() > 8)
}

/// `scheme://user:password@`, unless the password is filled in from elsewhere.
fn url_with_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = &text[at + 3..];
        let authority = rest.split(['/', '?', '#', ' ', '"', '\'', '`', '\n']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty() && !is_filled_in(password))
    })
}

/// Names of a URL's parameters that providers give keys in, beside those that are secret anywhere.
const QUERY_NAMES: &[&str] = &["appid", "key", "auth", "sig", "signature", "subscriptionkey", "code"];

/// Parts of values that documentation writes in a key's place.
const EXAMPLES: &[&str] = &[
    "your",
    "example",
    "placeholder",
    "insert",
    "replace",
    "change",
    "dummy",
    "demo",
    "xxx",
    "secret",
    "key",
];

/// `?appid=`, `&api_key=` and the like, with a value that is written out: long, and with a digit, as keys have it.
fn secret_in_query(text: &str) -> bool {
    // Each `=` by itself is found fast, and few texts have one.
    text.match_indices('=').any(|(equals, value)| {
        let before = text[..equals].char_indices().rev();
        let mut before = before.skip_while(|(_, next)| is_key_character(*next) || *next == '.');
        let Some((at, mark)) = before.next() else { return false };
        if !(matches!(mark, '?' | '&') || (mark == ';' && text[..=at].ends_with("&amp;"))) {
            return false;
        }
        let (name, value) = (&text[at + 1..equals], &text[equals + value.len()..]);
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let least = if is_secret_name(name) {
            8
        } else if QUERY_NAMES.contains(&plain.as_str()) {
            16
        } else {
            return false;
        };
        let value: String =
            value.chars().take_while(|&next| is_key_character(next) || "%.~+/=".contains(next)).collect();
        let lower = value.to_lowercase();
        value.len() >= least
            && value.bytes().any(|byte| byte.is_ascii_digit())
            && !EXAMPLES.iter().any(|example| lower.contains(example))
            && !is_filled_in(&value)
    })
}

/// `Bearer` or `Basic` and something long that is written out.
fn authorization(text: &str) -> bool {
    ["Bearer ", "bearer ", "Basic ", "basic "].iter().any(|scheme| {
        text.match_indices(scheme).any(|(at, _)| {
            let value: String = text[at + scheme.len()..]
                .chars()
                .take_while(|&character| is_key_character(character) || "+/=.~".contains(character))
                .collect();
            // Prose goes on with plain words; a token of that length has a digit or a capital in it.
            value.len() >= 12
                && value.bytes().skip(1).any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        })
    })
}

/// `password = "..."`, `apiKey: '...'`, `"token": "..."` in code, templates or JSON.
fn assigned(text: &str) -> bool {
    text.match_indices(['=', ':']).any(|(at, _)| {
        let name: String = {
            let before = text[..at].trim_end().trim_end_matches(['"', '\'', '`', ']', '=', '!']);
            let reversed = before.chars().rev().take_while(|&character| is_key_character(character));
            reversed.collect::<Vec<_>>().into_iter().rev().collect()
        };
        if !is_secret_name(&name) || text[..at].trim_end().ends_with(['=', '!', '<', '>']) {
            return false;
        }
        let after = text[at + 1..].trim_start();
        let Some(quote) = after.chars().next().filter(|first| "\"'`".contains(*first)) else { return false };
        let value = after[1..].split(quote).next().unwrap_or_default();
        value.len() >= 4 && !value.contains(char::is_whitespace) && !is_filled_in(value)
    })
}

fn is_secret_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|character| character.is_alphanumeric()).collect::<String>().to_lowercase();
    let harmless = HARMLESS_ENDINGS.iter().any(|ending| plain.ends_with(ending));
    !harmless
        && (SECRET_NAMES.contains(&plain.as_str()) || SECRET_WORDS.iter().any(|word| plain.contains(word)))
}

/// Whether a value is written out, and is not a reference of one of Node-RED's kinds.
fn is_literal(value: &Value, typed: Option<&str>) -> bool {
    let reference = matches!(typed, Some("env" | "msg" | "flow" | "global" | "cred" | "jsonata" | "prop"));
    value.as_str().is_some_and(|text| !reference && !text.trim().is_empty() && !is_filled_in(text))
}

/// `${NAME}`, `{{name}}`, `<name>`, `$NAME`, `***`: a place for a value, not the value.
fn is_filled_in(text: &str) -> bool {
    let text = text.trim();
    text.contains("${")
        || text.contains("{{")
        || text.starts_with(['$', '<', '%'])
        || text.chars().all(|character| "*.x…".contains(character))
        || text.starts_with("process.env")
        || text.starts_with("env.get(")
}
