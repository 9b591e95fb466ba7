//! The command line, in users' words.

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::{
    alerts, bench, check, ci, contract, dashboards, deploy, dev, doctor, down, drift, drill, environment,
    generate, history, image, impact, keys, lock, logs, measure, promote, rehearse, release, releases, reset,
    rollback, secrets, smoke, start, status, supervise, test, why,
};
use crate::context::Global;
use foundation::program_name::{DEVELOPERS, OPERATORS, by_operator};

/// Develop, check and release the Flowship platform (monitoring comes later).
#[derive(Debug, Parser)]
#[command(
    name = "xtask",
    bin_name = DEVELOPERS,
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
    /// The words of the command that was typed: `release verify --rebuild`.
    #[arg(skip)]
    pub words: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the platform on this machine, with hot reload
    Dev(dev::Options),
    /// Roll a release out to an environment, without losing a request or a task
    Deploy(deploy::Options),
    /// Roll out to one environment what another one runs
    Promote(promote::Options),
    /// Roll out what ran before
    Rollback(rollback::Options),
    /// Run the contract migrations, which remove what older releases need
    Contract(contract::Options),
    /// Show what was deployed to an environment, by whom, and how it ended
    History(history::Options),
    /// List the releases that are installed for an environment, or remove old ones
    Releases(releases::Options),
    /// Show how what runs differs from what was deployed
    Drift(drift::Options),
    /// Show who changes an environment at the moment, or clear what a killed command left
    Lock(lock::Options),
    /// Create, list and revoke the API keys of callers
    Keys(keys::Options),
    /// Show who reads each secret, how old it is and when it must be replaced
    Secrets(secrets::Options),
    /// List the alerts, check their rules and run the tests of the rules
    Alerts(alerts::Options),
    /// List the dashboards, and draw them as pictures of an environment
    Dashboards(dashboards::Options),
    /// Show the state of each service
    Status(status::Options),
    /// Print the services' logs
    Logs(logs::Options),
    /// Run the five smoke checks on a platform
    Smoke(smoke::Options),
    /// Stop the platform and keep its data
    Down(down::Options),
    /// Start what was deployed to an environment and does not run
    Start(start::Options),
    /// Stop the platform and remove its data, secrets and logs
    Reset(reset::Options),
    /// Run the flow tests
    Test(test::Options),
    /// Run the quality gates
    Ci(ci::Options),
    /// Start the production stack on this machine, test it and remove it
    Rehearse(rehearse::Options),
    /// Deploy again and again under load, on a private platform, and count what is lost
    Drill(drill::Options),
    /// Measure the figures of docs/performance.md
    Bench(bench::Options),
    /// Measure coverage, instruction counts and request rates, and compare them with thresholds
    Measure(measure::Options),
    /// Write the generated files, or check them, or show the changes
    Generate(generate::Options),
    /// Show which definitions produced a line of a generated file
    Why(why::Options),
    /// List the files and lines that depend on a definition
    Impact(impact::Options),
    /// Check flows, secrets, advisories, licences and compliance
    Check(check::Options),
    /// Build, list, scan, save and verify the container images
    Image(image::Options),
    /// Plan, package, verify and publish a release
    Release(release::Options),
    /// Show and check the settings of the environments
    Environment(environment::Options),
    /// List the external programs: version, location, purpose, how to get missing ones
    Doctor(doctor::Options),
    /// Own the processes of the process engine; started by the commands that need it
    #[command(hide = true)]
    Supervise(supervise::Options),
}

impl Command {
    /// Whether it works on a tree, which must be found.
    pub fn needs_tree(&self) -> bool {
        !matches!(self, Self::Check(options) if !options.needs_tree())
    }
}

/// What works on the sources, which a release has not: an operator is sent to a checkout with it.
const FOR_CHECKOUTS: [&str; 27] = [
    "alerts check",
    "alerts fire",
    "alerts route",
    "alerts test",
    "bench",
    "check compliance",
    "check dashboards",
    "check edge",
    "check firewall",
    "check go-advisories",
    "check licences",
    "check secrets",
    "ci",
    "drill",
    "generate",
    "impact",
    "measure",
    "rehearse",
    "release notes",
    "release operator",
    "release package",
    "release plan",
    "release prepare",
    "release publish",
    "release verify --rebuild",
    "test",
    "why",
];

/// The command that works on the sources which these words begin with, if it is one. An option may stand after arguments.
pub fn for_checkouts(words: &str) -> Option<&'static str> {
    FOR_CHECKOUTS.into_iter().find(|command| {
        let (command, option) = command.split_once(" --").unwrap_or((command, ""));
        let line = words.lines().next().unwrap_or_default();
        line.strip_prefix(command).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
                && (option.is_empty() || rest.contains(&format!(" --{option}")))
        })
    })
}

/// Reads this process's arguments; ends it when they are not understood, or ask for help.
pub fn parse() -> Cli {
    let mut command = Cli::command();
    if by_operator() {
        command = for_operators(command.name(OPERATORS), "");
    }
    let matches = command.get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    Cli { words: words(&matches), ..cli }
}

fn words(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut last = matches;
    while let Some((name, below)) = last.subcommand() {
        words.push(name);
        last = below;
    }
    match words[..] {
        ["release"] => words.push("plan"),
        ["release", "verify"] if last.get_flag("rebuild") => words.push("--rebuild"),
        _ => {}
    }
    words.join(" ")
}

/// As an operator types it, without what works on the sources. `words` are those that lead to the command.
fn for_operators(mut command: clap::Command, words: &str) -> clap::Command {
    if let Some(help) = command.get_after_help().map(|help| help_for_operators(&help.to_string())) {
        command = command.after_help(help);
    }
    if let Some(name) = command.get_bin_name().map(|name| name.replace(DEVELOPERS, OPERATORS)) {
        command = command.bin_name(name);
    }
    command = match words {
        // Without a subcommand it plans a release.
        "release" => command.mut_args(|arg| arg.hide(true)),
        "release verify" => command.mut_arg("rebuild", |arg| arg.hide(true)),
        _ => command,
    };
    command.mut_subcommands(|below| {
        let words = format!("{words} {}", below.get_name()).trim_start().to_owned();
        let hidden = below.is_hide_set() || for_checkouts(&words).is_some();
        for_operators(below, &words).hide(hidden)
    })
}

/// The examples of a command's help, without those of what works on the sources.
fn help_for_operators(text: &str) -> String {
    let can = |line: &&str| {
        let mut called = line.split(DEVELOPERS).skip(1);
        !called.any(|words| for_checkouts(words.trim_start()).is_some())
    };
    text.lines().filter(can).collect::<Vec<_>>().join("\n").replace(DEVELOPERS, OPERATORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_checkout_has_is_found_and_hidden_from_operators() {
        for (words, expected) in [
            ("ci format", Some("ci")),
            ("release package", Some("release package")),
            ("release verify X --rebuild", Some("release verify --rebuild")),
            ("release verify X", None),
            ("whyever", None),
            ("dev", None),
        ] {
            assert_eq!(for_checkouts(words), expected, "{words}");
        }
        assert_eq!(
            help_for_operators(
                "Examples:\n  cargo xtask dev\n  cargo xtask ci  all\n  cargo xtask release verify"
            ),
            "Examples:\n  flowship dev\n  flowship release verify"
        );
        let root = Cli::command();
        for command in FOR_CHECKOUTS {
            let (names, option) = command.split_once(" --").unwrap_or((command, ""));
            let below = |command: &clap::Command, name: &str| command.find_subcommand(name).cloned();
            let found = names.split(' ').try_fold(root.clone(), |command, name| below(&command, name));
            let found = found.unwrap_or_else(|| panic!("{command} is no command"));
            let is_option = |argument: &clap::Arg| argument.get_long() == Some(option);
            assert!(option.is_empty() || found.get_arguments().any(is_option), "{command}");
        }
    }
}
