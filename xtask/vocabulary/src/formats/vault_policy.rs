//! Policies of OpenBao and HashiCorp Vault, in HCL as `bao policy fmt` writes it. What no rule allows is denied.

use crate::problem::Problem;

/// What may be done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    /// What the server lets only its administrators do.
    Sudo,
}

impl Capability {
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Read, Self::Update, Self::Patch, Self::Delete, Self::List, Self::Sudo];

    /// As the server spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Sudo => "sudo",
        }
    }
}

/// What a path allows, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub why: String,
    pub path: String,
    pub capabilities: Vec<Capability>,
}

/// # Errors
/// Every path that means more than one place, or that would need quoting.
pub fn write(header: &[String], rules: &[Rule]) -> Result<String, Vec<Problem>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let problems: Vec<Problem> = rules
        .iter()
        .filter(|rule| rule.path.is_empty() || rule.path.starts_with('/') || !rule.path.chars().all(plain))
        .map(|rule| {
            Problem::new(rule.path.as_str(), "this is no path of one place")
                .expected("letters, digits, /, -, _ and ., and no / at its start")
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let comment = |line: &String| format!("# {line}\n");
    let mut text: String = header.iter().map(comment).collect();
    for Rule { why, path, capabilities } in rules {
        let names: Vec<String> =
            capabilities.iter().map(|capability| format!("\"{}\"", capability.name())).collect();
        text += &format!("\n# {why}\npath \"{path}\" {{\n  capabilities = [{}]\n}}\n", names.join(", "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str) -> Rule {
        Rule {
            why: "what for".to_owned(),
            path: path.to_owned(),
            capabilities: vec![Capability::Read, Capability::List],
        }
    }

    #[test]
    fn writes_what_the_server_reads() {
        assert_eq!(
            write(&["a policy".to_owned()], &[rule("kv/data/key")]).unwrap(),
            "# a policy\n\n# what for\npath \"kv/data/key\" {\n  capabilities = [\"read\", \"list\"]\n}\n"
        );
    }

    #[test]
    fn a_path_that_means_more_than_one_place_is_refused() {
        for path in ["", "/kv", "kv/*", "kv/+/key", "kv/{{identity.entity.id}}", "kv/\"", "kv/a b", "kv/a\nb"]
        {
            assert_eq!(write(&[], &[rule(path), rule("kv/key")]).unwrap_err().len(), 1, "{path:?}");
        }
    }
}
