//! Versions as programs print them. Pure.

/// The first version number in what a program prints for `--version`: `v24.19.0` gives `24.19.0`,
/// `PostgreSQL 18.6 (Debian)` gives `18.6`, `valgrind-3.19.0` gives `3.19.0`.
pub fn printed(output: &str) -> Option<&str> {
    output.split(|character: char| character.is_whitespace() || ",()".contains(character)).find_map(|word| {
        // Some put their name before it.
        let word = match word.split_once('-') {
            Some((name, rest)) if name.chars().all(char::is_alphabetic) => rest,
            _ => word,
        };
        let number = word.trim_start_matches(['v', 'V']);
        let number = number.strip_prefix("go").unwrap_or(number);
        let sound = number.starts_with(|first: char| first.is_ascii_digit())
            && number.contains('.')
            && number
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "._+-~".contains(character));
        sound.then_some(number)
    })
}

/// Whether a version is at least another, number by number; a missing number counts as 0.
pub fn at_least(version: &str, minimum: &str) -> bool {
    let numbers = |text: &str| {
        text.split('.')
            .map(|part| {
                let end = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
                part[..end].parse::<u64>().unwrap_or(0)
            })
            .collect::<Vec<_>>()
    };
    let (mut version, mut minimum) = (numbers(version), numbers(minimum));
    let length = version.len().max(minimum.len());
    version.resize(length, 0);
    minimum.resize(length, 0);
    version >= minimum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        for (output, expected) in [
            ("v24.19.0\n", Some("24.19.0")),
            ("postgres (PostgreSQL) 18.6", Some("18.6")),
            ("git version 2.39.5", Some("2.39.5")),
            ("Docker version 20.10.24+dfsg1, build 297e128", Some("20.10.24+dfsg1")),
            ("cc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022", Some("12.2.0-14+deb12u1")),
            ("Client Version: v1.37.0\nKustomize Version: v5.0.7", Some("1.37.0")),
            ("Terraform v1.11.0\non linux_amd64", Some("1.11.0")),
            ("pip 26.3 from /x/pip (python 3.11)", Some("26.3")),
            ("valgrind-3.19.0\n", Some("3.19.0")),
            ("go version go1.27.3 linux/amd64", Some("1.27.3")),
            ("usage: what [--help]", None),
            ("", None),
        ] {
            assert_eq!(printed(output), expected, "{output}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, minimum, expected) in [
            ("3.11.7", "3.11", true),
            ("3.9.2", "3.11", false),
            ("3.11", "3.11.0", true),
            ("1.95.0-nightly", "1.89", true),
            ("4", "3.11", true),
            ("nonsense", "3.11", false),
        ] {
            assert_eq!(at_least(version, minimum), expected, "{version} {minimum}");
        }
    }
}
