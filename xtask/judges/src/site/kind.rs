//! What a setting's value may be. Pure.

use std::net::IpAddr;

use toml::de::DeValue;
use vocabulary::model::environment::Remote;

/// The type of a setting, narrow enough that a good value needs no further check of its own.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number in a range, both ends included.
    Integer {
        min: i64,
        max: i64,
        unit: &'static str,
    },
    /// A number from 0 to `max`, with decimals if need be.
    Amount {
        max: u32,
        unit: &'static str,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    Text(Text),
    /// Names of the platform's gates.
    Gates,
    /// Texts of one shape, at least one.
    List(Text),
}

/// The shapes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// What is free, but not empty.
    Words,
    /// Lower-case letters, digits and dashes, beginning with a letter; at most 63 characters (RFC 1123 label).
    Label,
    DnsName,
    /// An IP address or a DNS name.
    Address,
    IpAddress,
    Email,
    /// The base address of an OpenAI-compatible endpoint.
    LlmUrl,
    HttpsUrl,
    Path,
    SlackChannel,
    /// A POSIX login name.
    Login,
    /// An IP address, or one with the length of a network's prefix.
    Network,
    /// A server outside of the platform.
    Remote,
    /// A part of the day.
    Hours,
}

/// A value that its [`Kind`] accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Integer(u32),
    Text(String),
    Names(Vec<String>),
}

impl Value {
    pub fn integer(&self) -> u32 {
        match self {
            Self::Integer(number) => *number,
            Self::Text(_) | Self::Names(_) => 0,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Names(names) => names.join(", "),
        }
    }

    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Names(names) => names.clone(),
            Self::Integer(_) | Self::Text(_) => Vec::new(),
        }
    }
}

impl Kind {
    /// The kind in words: for documentation and for errors, after "expected".
    pub fn words(&self) -> String {
        match self {
            Self::Integer { min, max, unit: "" } => {
                format!("a whole number from {min} to {max}")
            }
            Self::Integer { min, max, unit } => format!("a whole number of {unit} from {min} to {max}"),
            Self::Amount { max, unit } => format!("a number from 0 to {max}, {unit}"),
            Self::Choice(words) => {
                format!(
                    "one of {}",
                    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
                )
            }
            Self::Text(text) => text.words().to_owned(),
            Self::List(text) => format!("an array, not empty, each of it {}", text.words()),
            Self::Gates => "an array of names of gates, such as [\"tests\"]".to_owned(),
        }
    }

    /// Accepts a value, or says what is wrong with it.
    pub fn accept(&self, value: &DeValue<'_>) -> Result<Value, String> {
        match (self, value) {
            (Self::Integer { min, max, .. }, DeValue::Integer(integer)) => {
                match i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Ok(number) if (*min..=*max).contains(&number) => u32::try_from(number)
                        .map(Value::Integer)
                        .map_err(|_| format!("{number} is out of range")),
                    _ => Err(format!("{integer} is out of range")),
                }
            }
            (Self::Amount { max, .. }, DeValue::Integer(_) | DeValue::Float(_)) => {
                let written = match value {
                    DeValue::Float(float) => float.as_str(),
                    DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
                    _ => "",
                };
                match written.parse::<f64>() {
                    Ok(number) if (0.0..=f64::from(*max)).contains(&number) => {
                        Ok(Value::Text((number + 0.0).to_string()))
                    }
                    _ => Err(format!("{} is out of range", if written.is_empty() { "it" } else { written })),
                }
            }
            (Self::Choice(words), DeValue::String(text)) if words.contains(&text.as_ref()) => {
                Ok(Value::Text(text.to_string()))
            }
            (Self::Text(kind), DeValue::String(text)) if kind.holds(text) => {
                Ok(Value::Text(text.to_string()))
            }
            (Self::Gates, DeValue::Array(elements)) => {
                let name = |element: &toml::Spanned<DeValue<'_>>| match element.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    other => Err(format!("found {} in it", article(other.type_str()))),
                };
                elements.iter().map(name).collect::<Result<_, _>>().map(Value::Names)
            }
            (Self::List(kind), DeValue::Array(elements)) if !elements.is_empty() => {
                let accept = |element: &toml::Spanned<DeValue<'_>>| {
                    Self::Text(*kind).accept(element.get_ref()).map(|value| value.text())
                };
                elements.iter().map(accept).collect::<Result<_, _>>().map(Value::Names)
            }
            (Self::List(_), DeValue::Array(_)) => Err("found an empty array".to_owned()),
            (Self::Choice(_) | Self::Text(_), DeValue::String(text)) => {
                Err(format!("\"{}\"", text.escape_debug()))
            }
            (_, other) => Err(format!("found {}", article(other.type_str()))),
        }
    }
}

/// A type's name as TOML says it, with its article.
pub fn article(type_name: &str) -> String {
    let vowel = type_name.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {type_name}", if vowel { "an" } else { "a" })
}

impl Text {
    fn words(self) -> &'static str {
        match self {
            Self::Words => "text on one line, not empty",
            Self::Label => "lower-case letters, digits and dashes, beginning with a letter",
            Self::DnsName => "a DNS name such as \"flowship.example.com\"",
            Self::Address => "an IP address or a DNS name",
            Self::IpAddress => "an IP address, or \"0.0.0.0\" for all of the host",
            Self::Email => "an e-mail address",
            Self::LlmUrl => "an address that ends in /v1, such as \"https://llm.example.com/v1\"",
            Self::HttpsUrl => "an address such as \"https://acme.example.com/directory\"",
            Self::Path => "the path of a file, absolute or from the repository's root",
            Self::SlackChannel => "a Slack channel such as \"#platform-alerts\"",
            Self::Login => "a login name",
            Self::Network => "an IP address or a network such as \"192.0.2.0/24\"",
            Self::Hours => "two times of the day such as \"22:00-07:00\"",
            Self::Remote => "a host and a port such as \"api.example.com:443\"",
        }
    }

    fn holds(self, text: &str) -> bool {
        let one_line = !text.trim().is_empty() && text.trim() == text && !text.chars().any(char::is_control);
        one_line
            && match self {
                Self::Words => true,
                Self::Label => is_label(text) && text.starts_with(|first: char| first.is_ascii_lowercase()),
                Self::IpAddress => text.parse::<IpAddr>().is_ok(),
                Self::DnsName => is_dns_name(text),
                Self::Address => text.parse::<IpAddr>().is_ok() || is_dns_name(text),
                Self::Email => is_email(text),
                Self::LlmUrl => text.strip_suffix("/v1").is_some_and(is_url),
                Self::HttpsUrl => text.starts_with("https://") && is_url(text),
                Self::Path => !text.ends_with('/') && !text.contains("://"),
                Self::SlackChannel => text.strip_prefix('#').is_some_and(is_slack_name),
                Self::Login => is_login(text),
                Self::Network => is_network(text),
                Self::Hours => text
                    .split_once('-')
                    .is_some_and(|(start, end)| start != end && is_time(start) && is_time(end)),
                Self::Remote => Remote::parse(text).is_some_and(|remote| Self::Address.holds(&remote.host)),
            }
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// RFC 1123; a last label of digits alone would be a mistyped IP address.
fn is_dns_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(is_label)
        && text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| !byte.is_ascii_digit()))
}

/// A network is written by its first address: another one would be a mistake in one of the two numbers.
fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return text.parse::<IpAddr>().is_ok() };
    let Ok(length) = length.parse::<u32>() else { return false };
    match address.parse() {
        Ok(IpAddr::V4(address)) => {
            length <= 32 && address.to_bits() & u32::MAX.checked_shr(length).unwrap_or_default() == 0
        }
        Ok(IpAddr::V6(address)) => {
            length <= 128 && address.to_bits() & u128::MAX.checked_shr(length).unwrap_or_default() == 0
        }
        Err(_) => false,
    }
}

fn is_time(text: &str) -> bool {
    let two = |text: &str| Some(text).filter(|text| text.len() == 2)?.parse::<u8>().ok();
    let time = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    time.is_some_and(|(hour, minute)| hour < 24 && minute < 60)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && local
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "._%+-'".contains(character))
            && is_dns_name(&domain.to_lowercase())
    })
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(['@', '?', '#'])
            && !rest.contains(char::is_whitespace)
    })
}

fn is_slack_name(text: &str) -> bool {
    (1..=80).contains(&text.chars().count())
        && text.chars().all(|character| {
            !character.is_uppercase() && (character.is_alphanumeric() || "-_".contains(character))
        })
}

fn is_login(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_text() {
        for (kind, good, bad) in [
            (Text::Words, &["Platform team", "x"][..], &["", " ", " x", "a\nb"][..]),
            (
                Text::Hours,
                &["22:00-07:00", "00:00-23:59"],
                &["22:00", "22-7", "24:00-07:00", "07:60-08:00", "07:00-07:00"],
            ),
            (Text::Label, &["dev", "eu-1"], &["Dev", "1a", "-a", "a-", "a.b", "a_b"]),
            (
                Text::DnsName,
                &["localhost", "a.example.com"],
                &["a..b", "10.0.0.1", "https://a", "a b", "A.b"],
            ),
            (Text::IpAddress, &["10.0.0.1", "::", "0.0.0.0"], &["db.example.com", "*", "10.0.0.1:80"]),
            (Text::Address, &["10.0.0.1", "::1", "db.example.com"], &["10.0.0.256", "10.0.0", "a:80"]),
            (
                Text::Email,
                &["on-call@example.com", "A.b+c@Example.com"],
                &["a", "@b", "a@", "a b@c", "a@b@c"],
            ),
            (
                Text::LlmUrl,
                &["https://api.example.com/v1", "http://127.0.0.1:4010/v1"],
                &[
                    "https://api.example.com",
                    "https://api.example.com/v1/",
                    "ftp://a/v1",
                    "https://k:s@a/v1",
                    "https:///v1",
                ],
            ),
            (
                Text::HttpsUrl,
                &["https://acme.example.com/directory", "https://127.0.0.1:14000/dir"],
                &["http://acme.example.com/directory", "https://", "https://a b", "https://k:s@a/d"],
            ),
            (Text::Path, &["/etc/flowship/key", "secrets/key"], &["", "/etc/", "https://a/b"]),
            (Text::SlackChannel, &["#alerts", "#a_b-1"], &["alerts", "#", "#Alerts", "#a b"]),
            (
                Text::Network,
                &[
                    "192.0.2.1",
                    "192.0.2.0/24",
                    "0.0.0.0/0",
                    "::/0",
                    "2001:db8::/32",
                    "192.0.2.1/32",
                    "::1/128",
                ],
                &["192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "a/24", "2001:db8::1/32", "192.0.2.0/24/1"],
            ),
            (
                Text::Remote,
                &["api.example.com:443", "192.0.2.1:8443", "[2001:db8::1]:443"],
                &[
                    "api.example.com",
                    "https://api.example.com:443",
                    "*.example.com:443",
                    "a:0",
                    "10.0.0.256:1",
                ],
            ),
            (Text::Login, &["deploy", "_svc", "a-b1"], &["Deploy", "1a", "a b", "a@b"]),
        ] {
            for text in good {
                assert!(kind.holds(text), "{kind:?} {text:?}");
            }
            for text in bad {
                assert!(!kind.holds(text), "{kind:?} {text:?}");
            }
        }
    }
}
