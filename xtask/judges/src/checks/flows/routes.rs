//! What an http in asks of Express 4: a method that Node-RED registers, and a path that path-to-regexp 0.1.13 can read.
//! A path is compared by the regular expression that becomes of it, as Express does.

use std::collections::HashMap;

use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::{Rule, finding};

/// Those that Node-RED's http in registers; with any other it stays silent.
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// Judges each enabled http in.
pub fn check(flows: &Flows<'_>, findings: &mut Vec<Problem>) {
    let mut taken: HashMap<(&str, String), &Node<'_>> = HashMap::new();
    for node in flows.nodes.iter().filter(|node| node.kind == "http in" && flows.enabled(node)) {
        let mut add = |message: String| findings.push(finding(flows, node, Rule::Route, message));
        let method = node.text("method").unwrap_or_default();
        if !METHODS.contains(&method) {
            add(format!(
                "its method is \"{method}\", which is never served; expected {}",
                METHODS.join(", ")
            ));
        }
        let Some(url) = node.text("url") else {
            add("it has no URL, so it never gets a request; set one, such as /status, or disable it"
                .to_owned());
            continue;
        };
        // A variable is known only when the flows run.
        if url.contains("${") {
            continue;
        }
        let route = pattern(&if url.starts_with('/') { url.to_owned() } else { format!("/{url}") });
        if let Some(fault) = fault(&route) {
            add(format!(
                "Express refuses its URL {url}: {fault}; put a backslash before special characters such as ( ) [ ] + ?"
            ));
            continue;
        }
        if instances(flows, node) > 1 {
            add(format!(
                "its subflow has several instances, and only the first serves {method} {url}; keep one instance, or \
                 move the http in to a tab"
            ));
        }
        if let Some(first) = taken.get(&(method, without_case(&route))) {
            add(format!(
                "\"{}\" ({}:{}) already serves {method} {url}, so this node never gets a request; change or remove one",
                first.title(),
                first.file,
                first.line
            ));
        } else {
            taken.insert((method, without_case(&route)), node);
        }
    }
}

/// How many enabled instances the subflow has that the node is in; 0 on a tab.
fn instances(flows: &Flows<'_>, node: &Node<'_>) -> usize {
    let instance = |other: &&Node<'_>| other.instance_of().is_some() && other.instance_of() == node.z();
    flows.nodes.iter().filter(instance).filter(|other| flows.enabled(other)).count()
}

/// The pattern in lower case, except for what a backslash gives another meaning.
fn without_case(pattern: &str) -> String {
    let mut escaped = false;
    let lower = |character: char| {
        let keep = escaped;
        escaped = character == '\\' && !keep;
        if keep { character } else { character.to_ascii_lowercase() }
    };
    pattern.chars().map(lower).collect()
}

/// A parameter of a path: `:name`, `:name(what it may be)`, `:name*`, `:name?`.
struct Parameter<'a> {
    slash: bool,
    dot: bool,
    /// With its parentheses.
    capture: Option<&'a str>,
    star: bool,
    optional: bool,
    length: usize,
}

/// What path-to-regexp's `(\/)?(\.)?:(\w+)(\(.*?\))?(\*)?(\?)?` matches at the start.
fn parameter(text: &str) -> Option<Parameter<'_>> {
    let mut rest = text;
    let mut take = |character: char| {
        let after = rest.strip_prefix(character);
        rest = after.unwrap_or(rest);
        after.is_some()
    };
    let (slash, dot) = (take('/'), take('.'));
    if !take(':') {
        return None;
    }
    let name = rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    let (name, mut rest) = rest.split_at(name.unwrap_or(rest.len()));
    if name.is_empty() {
        return None;
    }
    let capture = rest
        .starts_with('(')
        .then(|| rest.find(')').map(|end| &rest[..=end]))
        .flatten()
        .filter(|capture| !capture.contains(is_line_end));
    rest = &rest[capture.map_or(0, str::len)..];
    let star = rest.starts_with('*');
    rest = &rest[usize::from(star)..];
    let optional = rest.starts_with('?');
    rest = &rest[usize::from(optional)..];
    Some(Parameter { slash, dot, capture, star, optional, length: text.len() - rest.len() })
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// A backslash and what it stands before.
fn escape(text: &str) -> Option<&str> {
    let next = text.strip_prefix('\\')?.chars().next().filter(|next| !is_line_end(*next))?;
    Some(&text[..=next.len_utf8()])
}

/// The regular expression that path-to-regexp 0.1.13 makes of a path, its slips included.
fn pattern(path: &str) -> String {
    let (mut made, mut backtrack) = (String::from("^"), String::new());
    let (mut at, mut passed) = (0, 0);
    while let Some(next) = path[at..].chars().next() {
        let rest = &path[at..];
        let (text, length) = if let Some(escape) = escape(rest) {
            backtrack.push_str(escape);
            passed += escape.len();
            (escape.to_owned(), escape.len())
        } else if let Some(parameter) = parameter(rest) {
            if parameter.slash || parameter.dot {
                backtrack.clear();
            } else {
                backtrack.push_str(path.get(passed..at).unwrap_or_default());
            }
            passed = at + parameter.length;
            (group(&parameter, &std::mem::take(&mut backtrack)), parameter.length)
        } else if next == '.' {
            backtrack.push_str("\\.");
            passed += 1;
            ("\\.".to_owned(), 1)
        } else if next == '*' {
            backtrack.clear();
            passed = at + 1;
            ("(.*)".to_owned(), 1)
        } else if rest.starts_with("/(") {
            backtrack.push_str(path.get(passed..at).unwrap_or_default());
            backtrack.push('/');
            passed = at + 2;
            ("/(?:".to_owned(), 2)
        } else {
            (next.to_string(), next.len_utf8())
        };
        made.push_str(&text);
        at += length;
    }
    made.push_str(if made.ends_with('/') { "?$" } else { "/?$" });
    made
}

fn group(parameter: &Parameter<'_>, backtrack: &str) -> String {
    let dot = if parameter.dot { "\\." } else { "" };
    let capture = match parameter.capture {
        Some(capture) => with_wildcards(capture),
        None if backtrack.is_empty() => format!("([^/{dot}]+?)"),
        None => format!("((?:(?!/|{backtrack}).)+?)"),
    };
    let slash = if parameter.slash { "/" } else { "" };
    let star = if parameter.star { format!("((?:[/{dot}].+?)?)") } else { String::new() };
    let optional = if parameter.optional { "?" } else { "" };
    format!("(?:{dot}{slash}{capture}{star}){optional}")
}

fn with_wildcards(capture: &str) -> String {
    let (mut made, mut at) = (String::new(), 0);
    while let Some(next) = capture[at..].chars().next() {
        let part = escape(&capture[at..]).unwrap_or(&capture[at..at + next.len_utf8()]);
        made.push_str(if part == "*" { "(.*)" } else { part });
        at += part.len();
    }
    made
}

/// Why JavaScript refuses a regular expression (without the flag `u`, in which a lone `]` or `{` is a character).
fn fault(pattern: &str) -> Option<&'static str> {
    let all: Vec<char> = pattern.chars().collect();
    // Whether each open group may be repeated: a look behind may not.
    let mut open: Vec<bool> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let (mut at, mut repeatable) = (0, false);
    while let Some(&next) = all.get(at) {
        at += 1;
        match next {
            '\\' => {
                let Some(escaped) = all.get(at) else { return Some("it ends with a backslash") };
                repeatable = !matches!(escaped, 'b' | 'B');
                at += 1;
            }
            '[' => {
                let Some(length) = class(&all[at..]) else {
                    return Some("a [ without its ], or a range like z-a");
                };
                at += length;
                repeatable = true;
            }
            '(' => {
                let rest = &all[at..];
                let starts = |with: &str| with.chars().eq(rest.iter().copied().take(with.len()));
                let behind = starts("?<=") || starts("?<!");
                if starts("?<") && !behind {
                    let name: String = rest[2..].iter().take_while(|end| **end != '>').collect();
                    let word = |character: char| character.is_alphanumeric() || "_$".contains(character);
                    let numbered = name.starts_with(|first: char| first.is_ascii_digit());
                    if name.is_empty() || numbered || !name.chars().all(word) || names.contains(&name) {
                        return Some("a group whose name is invalid or used twice");
                    }
                    at += name.chars().count() + 3;
                    names.push(name);
                } else if behind {
                    at += 3;
                } else if starts("?") {
                    if !(starts("?:") || starts("?=") || starts("?!")) {
                        return Some("a (? that begins no known kind of group");
                    }
                    at += 2;
                }
                open.push(!behind);
                repeatable = false;
            }
            ')' => match open.pop() {
                Some(group) => repeatable = group,
                None => return Some("a ) without its ("),
            },
            '|' | '^' | '$' => repeatable = false,
            '*' | '+' | '?' | '{' => {
                let length = if next == '{' {
                    match times(&all[at..]) {
                        Ok(Some(length)) => length,
                        Ok(None) => {
                            repeatable = true;
                            continue;
                        }
                        Err(fault) => return Some(fault),
                    }
                } else {
                    0
                };
                if !std::mem::replace(&mut repeatable, false) {
                    return Some("a +, ?, * or {} with nothing before it to repeat");
                }
                at += length;
                at += usize::from(all.get(at) == Some(&'?'));
            }
            _ => repeatable = true,
        }
    }
    (!open.is_empty()).then_some("a ( without its )")
}

/// How long `1,2}` is; `None` when it is text.
fn times(rest: &[char]) -> Result<Option<usize>, &'static str> {
    let Some(end) = rest.iter().position(|end| *end == '}') else { return Ok(None) };
    let inside: String = rest[..end].iter().collect();
    let (least, most) = inside.split_once(',').map_or((&*inside, None), |(least, most)| (least, Some(most)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if least.is_empty() || !digits(least) || !most.is_none_or(digits) {
        return Ok(None);
    }
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    match most.filter(|most| !most.is_empty()) {
        Some(most) if number(most) < number(least) => Err("a {} whose second number is smaller"),
        _ => Ok(Some(end + 1)),
    }
}

/// How many characters a class takes to its `]`; `None` when it has none, or a range goes backwards.
fn class(rest: &[char]) -> Option<usize> {
    // Each character of the class, with its value where a range may begin or end with it.
    let mut inside: Vec<(char, Option<char>)> = Vec::new();
    let mut at = usize::from(rest.first() == Some(&'^'));
    loop {
        let next = *rest.get(at)?;
        at += 1;
        match next {
            ']' => break,
            '\\' => {
                let escaped = *rest.get(at)?;
                at += 1;
                inside.push(('\\', (!escaped.is_ascii_alphanumeric()).then_some(escaped)));
            }
            _ => inside.push((next, Some(next))),
        }
    }
    let mut from = 0;
    while from < inside.len() {
        match inside[from..] {
            [(_, first), ('-', _), (_, last), ..] => {
                if first.zip(last).is_some_and(|(first, last)| first > last) {
                    return None;
                }
                from += 3;
            }
            _ => from += 1,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::{fault, pattern, without_case};

    /// Each row as path-to-regexp 0.1.13 makes it.
    #[test]
    fn paths_become_the_patterns_of_path_to_regexp() {
        for (path, expected) in [
            ("/", r"^/?$"),
            ("/a.b", r"^/a\.b/?$"),
            ("/a/", r"^/a/?$"),
            ("/a/:id", r"^/a(?:/([^/]+?))/?$"),
            ("/a/:id?", r"^/a(?:/([^/]+?))?/?$"),
            ("/a/:id(\\d+)", r"^/a(?:/(\d+))/?$"),
            ("/a-:b-:c", r"^/a-(?:((?:(?!/|/a-).)+?))-(?:((?:(?!/|-).)+?))/?$"),
            ("/a.:b", r"^/a(?:\.([^/\.]+?))/?$"),
            ("/:a*", r"^(?:/([^/]+?)((?:[/].+?)?))/?$"),
            ("/*", r"^/(.*)/?$"),
            ("/(a|b)", r"^/(?:a|b)/?$"),
        ] {
            assert_eq!(pattern(path), expected, "{path}");
        }
    }

    #[test]
    fn express_refuses_what_is_no_regular_expression() {
        for path in
            ["/a)", "/(a", "/a[", "/a[z-b]", "/++", "/a++", "/a{2,1}", "/(?a)", "/(?<1>a)", "/:a((b)", "/a|+"]
        {
            assert!(fault(&pattern(path)).is_some(), "{path}: {}", pattern(path));
        }
        for path in [
            "/a]", "/a{", "/a}", "/a+", "/a?", "/a+?", "/a{1,2}", "/[a-z]", "/\\(a", "/a\\", "/é/:x", "/a|b",
            "/$", "/a+b",
        ] {
            assert_eq!(fault(&pattern(path)), None, "{path}: {}", pattern(path));
        }
    }

    #[test]
    fn case_counts_only_after_a_backslash() {
        assert_eq!(without_case(r"/A\D\\B"), r"/a\D\\b");
    }
}
