//! Rulesets of nftables, as `nft -f` reads them (version 1.0 and newer). A file replaces its own tables in one transaction
//! and touches no others.

use crate::problem::Problem;

/// A table. Its names are letters, digits, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub family: Family,
    pub name: String,
    pub about: &'static str,
    pub sets: Vec<Set>,
    pub chains: Vec<Chain>,
}

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// Frames between the ports of a bridge.
    Bridge,
}

/// Named values that rules ask for; each element has a word for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub name: String,
    pub about: String,
    pub keys: Vec<Key>,
    pub elements: Vec<Vec<String>>,
}

/// What of a packet is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Source,
    Destination,
    Destination6,
    TcpTo,
    TcpFrom,
}

/// Rules that every packet at one place passes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub hook: Hook,
    /// Lower numbers are asked first. A packet that any chain drops is dropped.
    pub priority: i16,
    /// What happens to a packet that no rule decides on.
    pub otherwise: Verdict,
    pub rules: Vec<Rule>,
}

/// Where packets are seen: those for the host, through it, and of the host's own programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Input,
    Forward,
    Output,
}

/// What happens to some packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub when: Vec<Match>,
    pub then: Verdict,
    pub why: &'static str,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Of a connection that was allowed, or an error about one.
    Established,
    /// Of no connection.
    Invalid,
    /// Its destination was translated, such as that of a published port.
    Translated,
    /// What the client asked for before that.
    OriginalTcpTo(Vec<u16>),
    In {
        keys: Vec<Key>,
        set: String,
    },
    /// Networks or addresses of either family.
    From(Networks),
    To(Networks),
    ToTcp(Vec<u16>),
    /// UDP and TCP.
    ToDns,
    FromLoopback,
    ToLoopback,
    Arp,
    /// No packet that opens a TCP connection.
    OpensNothing,
    Icmp(&'static [&'static str]),
    Icmp6(&'static [&'static str]),
    Dhcp6,
    /// The user whose process sent it.
    User(String),
    AtMostPerSecond(u16),
}

/// Addresses, and networks in CIDR notation, of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    V4(Vec<String>),
    V6(Vec<String>),
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    /// The sender gets an error at once.
    Reject,
    /// Written to the kernel's log; the next rule decides.
    Log,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        }
    }
}

impl Key {
    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Source => ["ip saddr", "ipv4_addr"],
            Self::Destination => ["ip daddr", "ipv4_addr"],
            Self::Destination6 => ["ip6 daddr", "ipv6_addr"],
            Self::TcpTo => ["tcp dport", "inet_service"],
            Self::TcpFrom => ["tcp sport", "inet_service"],
        }
    }
}

impl Match {
    fn text(&self) -> String {
        let numbers = |ports: &[u16]| braces(&ports.iter().map(ToString::to_string).collect::<Vec<_>>());
        match self {
            Self::Established => "ct state established,related".to_owned(),
            Self::Invalid => "ct state invalid".to_owned(),
            Self::Translated => "ct status dnat".to_owned(),
            Self::OriginalTcpTo(ports) => {
                format!("meta l4proto tcp ct original proto-dst {}", numbers(ports))
            }
            Self::In { keys, set } => format!("{} @{set}", joined(keys, 0)),
            Self::From(Networks::V4(networks)) => format!("ip saddr {}", braces(networks)),
            Self::From(Networks::V6(networks)) => format!("ip6 saddr {}", braces(networks)),
            Self::To(Networks::V4(networks)) => format!("ip daddr {}", braces(networks)),
            Self::To(Networks::V6(networks)) => format!("ip6 daddr {}", braces(networks)),
            Self::ToTcp(ports) => format!("tcp dport {}", numbers(ports)),
            Self::ToDns => "meta l4proto { tcp, udp } th dport 53".to_owned(),
            Self::FromLoopback => "iif \"lo\"".to_owned(),
            Self::ToLoopback => "oif \"lo\"".to_owned(),
            Self::Arp => "ether type arp".to_owned(),
            Self::OpensNothing => "tcp flags & (syn | ack) != syn".to_owned(),
            Self::Icmp(types) => format!("icmp type {{ {} }}", types.join(", ")),
            Self::Icmp6(types) => format!("icmpv6 type {{ {} }}", types.join(", ")),
            Self::Dhcp6 => "ip6 saddr fe80::/10 udp dport 546".to_owned(),
            Self::User(name) => format!("meta skuid \"{name}\""),
            Self::AtMostPerSecond(count) => format!("limit rate {count}/second"),
        }
    }
}

fn braces(words: &[String]) -> String {
    format!("{{ {} }}", words.join(", "))
}

fn joined(keys: &[Key], word: usize) -> String {
    keys.iter().map(|key| key.words()[word]).collect::<Vec<_>>().join(" . ")
}

/// # Errors
/// Every name that would need quoting, and every element that has another number of words than its set has keys.
pub fn write(header: &[String], tables: &[Table]) -> Result<String, Vec<Problem>> {
    let problems = tables.iter().flat_map(faults).collect::<Vec<_>>();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut text: String = header.iter().map(|line| format!("# {line}\n")).collect();
    for table in tables {
        let named = format!("table {} {}", table.family.name(), table.name);
        // `delete` needs a table that exists; nft 1.0 has no `destroy`.
        text += &format!("\n# {}\n{named}\ndelete {named}\n{named} {{\n", table.about);
        let sets = table.sets.iter().map(set);
        let chains = table.chains.iter().map(|one| chain(&table.name, one));
        text += &sets.chain(chains).collect::<Vec<_>>().join("\n");
        text += "}\n";
    }
    Ok(text)
}

/// Commands that give sets of a table other elements, in one transaction.
///
/// # Errors
/// As [`write`].
pub fn refill(table: &Table, sets: &[&Set]) -> Result<String, Vec<Problem>> {
    let problems = faults(table);
    if !problems.is_empty() {
        return Err(problems);
    }
    let place = format!("{} {}", table.family.name(), table.name);
    Ok(sets
        .iter()
        .map(|set| {
            let flush = format!("flush set {place} {}\n", set.name);
            match elements(set) {
                words if words.is_empty() => flush,
                words => format!("{flush}add element {place} {} {}\n", set.name, braces(&words)),
            }
        })
        .collect())
}

fn elements(set: &Set) -> Vec<String> {
    set.elements.iter().map(|words| words.join(" . ")).collect()
}

fn set(set: &Set) -> String {
    let elements = elements(set);
    let elements = match elements.as_slice() {
        [] => String::new(),
        some => format!("\t\telements = {{\n\t\t\t{}\n\t\t}}\n", some.join(",\n\t\t\t")),
    };
    format!("\t# {}\n\tset {} {{\n\t\ttype {}\n{elements}\t}}\n", set.about, set.name, joined(&set.keys, 1))
}

fn chain(table: &str, chain: &Chain) -> String {
    let name = match chain.hook {
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
    };
    let mut text = format!(
        "\tchain {name} {{\n\t\ttype filter hook {name} priority {}; policy {};\n",
        chain.priority,
        verdict(table, chain.otherwise)
    );
    for Rule { when, then, why } in &chain.rules {
        let words: Vec<String> = when.iter().map(Match::text).chain([verdict(table, *then)]).collect();
        text += &format!("\t\t# {why}\n\t\t{}\n", words.join(" "));
    }
    text + "\t}\n"
}

fn verdict(table: &str, verdict: Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Reject => "reject".to_owned(),
        Verdict::Log => format!("log prefix \"{table} dropped: \""),
    }
}

fn faults(table: &Table) -> Vec<Problem> {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let users = table.chains.iter().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.when);
    let users = users.filter_map(|one| match one {
        Match::User(name) => Some(name.trim_start_matches('_')),
        _ => None,
    });
    let names = [table.name.as_str()].into_iter().chain(table.sets.iter().map(|set| &*set.name)).chain(users);
    let mut problems: Vec<Problem> = names
        .filter(|name| !plain(name))
        .map(|name| {
            Problem::new(name, "this is no name of nftables")
                .expected("a letter, then letters, digits, dashes and underscores")
        })
        .collect();
    let odd = |set: &&Set| set.elements.iter().any(|words| words.len() != set.keys.len());
    problems.extend(table.sets.iter().filter(odd).map(|set| {
        Problem::new(set.name.as_str(), "an element has another number of words than the set has keys")
    }));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, elements: &[&[&str]]) -> Table {
        let words = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let keys = vec![Key::Source, Key::TcpTo];
        Table {
            family: Family::Inet,
            name: name.to_owned(),
            about: "a table",
            sets: vec![Set {
                name: "s".into(),
                about: "a set".into(),
                keys: keys.clone(),
                elements: elements.iter().map(words).collect(),
            }],
            chains: vec![Chain {
                hook: Hook::Input,
                priority: -10,
                otherwise: Verdict::Drop,
                rules: vec![
                    Rule {
                        when: vec![Match::In { keys, set: "s".into() }],
                        then: Verdict::Accept,
                        why: "listed",
                    },
                    Rule { when: vec![Match::AtMostPerSecond(5)], then: Verdict::Log, why: "seen" },
                ],
            }],
        }
    }

    #[test]
    fn writes_what_nft_reads() {
        let one = table("t", &[&["10.0.0.1", "80"], &["10.0.0.2", "81"]]);
        assert_eq!(
            write(&["head".to_owned()], std::slice::from_ref(&one)).unwrap(),
            "# head\n\n# a table\ntable inet t\ndelete table inet t\ntable inet t {\n\t# a set\n\tset s {\n\t\ttype ipv4_addr \
             . inet_service\n\t\telements = {\n\t\t\t10.0.0.1 . 80,\n\t\t\t10.0.0.2 . 81\n\t\t}\n\t}\n\n\tchain input \
             {\n\t\ttype filter hook input priority -10; policy drop;\n\t\t# listed\n\t\tip saddr . tcp dport @s \
             accept\n\t\t# seen\n\t\tlimit rate 5/second log prefix \"t dropped: \"\n\t}\n}\n"
        );
        let sets: Vec<&Set> = one.sets.iter().collect();
        let filled = "flush set inet t s\nadd element inet t s { 10.0.0.1 . 80, 10.0.0.2 . 81 }\n";
        assert_eq!(refill(&one, &sets).unwrap(), filled);
        let empty = table("t", &[]);
        assert_eq!(refill(&empty, &[&empty.sets[0]]).unwrap(), "flush set inet t s\n");
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["", "1", "a b", "a;b", "a\nb", "a\"", "-a"] {
            assert_eq!(write(&[], &[table(name, &[])]).unwrap_err().len(), 1, "{name:?}");
        }
        assert_eq!(write(&[], &[table("t", &[&["10.0.0.1"]])]).unwrap_err().len(), 1);
    }
}
