//! Commands that install packages, and whether they say which versions.

/// What a command installs without a version; nothing when all are pinned, none when it installs nothing.
pub fn unpinned(command: &[String]) -> Option<Vec<String>> {
    let mut words = command
        .iter()
        .map(String::as_str)
        .skip_while(|word| ["sudo", "env", "exec", "time"].contains(word) || word.contains('='));
    let program = words.next()?.rsplit('/').next()?;
    let mut rest: Vec<&str> = words.collect();
    let mut program = program;
    if program.starts_with("python") && rest.starts_with(&["-m", "pip"]) {
        program = "pip";
        rest.drain(..2);
    }
    let verb_at = rest.iter().position(|word| !word.starts_with('-'))?;
    let verb = rest[verb_at];
    let (options, named): (Vec<&str>, Vec<&str>) =
        named(&rest[verb_at + 1..]).into_iter().partition(|word| word.starts_with('-'));
    let without = |mark: &str| {
        named.iter().filter(|name| !name.contains(mark)).map(|name| (*name).to_owned()).collect()
    };
    match (program, verb) {
        ("apt-get" | "apt" | "aptitude", "install") | ("apk", "add") => Some(without("=")),
        ("dnf" | "yum" | "microdnf" | "zypper", "install") => Some(without("-")),
        ("pip" | "pip3", "install") => {
            let locked = options.contains(&"--require-hashes");
            Some(if locked { vec![] } else { without("==") })
        }
        // The lock file says all.
        ("npm", "ci" | "clean-install") => Some(vec![]),
        ("npm", "install" | "i" | "add") if named.is_empty() => {
            Some(vec!["npm install without `ci`".to_owned()])
        }
        ("npm", "install" | "i" | "add") | ("yarn" | "pnpm", "add") => {
            // `@scope/name@1.2.3`
            let pinned = |name: &str| name[1..].rsplit_once('@').is_some_and(|(_, version)| exact(version));
            Some(named.iter().filter(|name| !pinned(name)).map(|name| (*name).to_owned()).collect())
        }
        ("gem", "install") => {
            let pinned = options.iter().any(|option| *option == "-v" || option.starts_with("--version"));
            Some(if pinned { vec![] } else { without(":") })
        }
        ("go", "install") => Some(
            named.iter().filter(|name| name.ends_with("@latest")).map(|name| (*name).to_owned()).collect(),
        ),
        ("cargo", "install") => {
            let pinned =
                options.iter().any(|option| option.starts_with("--version")) && options.contains(&"--locked");
            Some(if pinned { vec![] } else { without("@") })
        }
        _ => None,
    }
}

/// Without the values of options that take one.
fn named<'a>(words: &[&'a str]) -> Vec<&'a str> {
    const WITH_VALUE: &[&str] = &[
        "-t",
        "--target-release",
        "-r",
        "--requirement",
        "-c",
        "--index-url",
        "-i",
        "--repository",
        "-X",
        "--prefix",
    ];
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        kept.push(*word);
        if WITH_VALUE.contains(word) {
            words.next();
        }
    }
    kept
}

fn exact(version: &str) -> bool {
    version.starts_with(|letter: char| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::compliance::shell::commands;

    #[test]
    fn what_is_not_pinned_is_reported() {
        for (text, expected) in [
            ("apt-get install -y --no-install-recommends curl=7.1 git", Some(vec!["git"])),
            ("apk add --no-cache bash=5", Some(vec![])),
            ("python3 -m pip install requests", Some(vec!["requests"])),
            ("pip install --require-hashes -r lock.txt", Some(vec![])),
            ("npm ci --omit=dev", Some(vec![])),
            ("npm install", Some(vec!["npm install without `ci`"])),
            ("npm i -g @a/b@1.2.3 c@latest", Some(vec!["c@latest"])),
            ("cargo install --locked --version=1.0.0 x", Some(vec![])),
            ("echo install", None),
        ] {
            let found = unpinned(&commands(text)[0]);
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{text}");
        }
    }
}
