//! `cargo xtask check secrets`: gitleaks over every commit, and over what is changed and not committed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vocabulary::problem::{Place, Problem};

use super::findings_file;
use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::digest;
use foundation::exit::{Reported, refused};
use foundation::files::temporary;
use foundation::stdout;
use judges::checks::leaks::{self, ALLOWANCES, Allowance, At, Judgement, Leak};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask check secrets
  cargo xtask check secrets --all      also search other branches and tags
  cargo xtask check secrets --digests  print what to write into ops/ci/secrets-in-history.toml

A finding names the commit, file, line and rule, never the secret.")]
pub struct Options {
    /// Search all branches and tags [default: the history of HEAD]
    #[arg(long)]
    all: bool,
    /// Print the SHA-256 of each finding, which an allowance needs
    #[arg(long)]
    digests: bool,
}

const TOOL: &str = "gitleaks";

/// # Errors
/// Reported when there is a secret; refused when the allowances cannot be read; otherwise when not everything could be
/// looked through.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let allowances = allowances(context)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Gitleaks, Tool::Git], progress::on_stderr().as_ref())?;
    let scanner = Scanner::new(&toolbox, &context.root)?;
    scanner.control()?;
    let (commits, mut found) = scanner.history(options.all)?;
    let (files, more) = scanner.uncommitted()?;
    found.extend(more);
    let judgement = leaks::judge(found, &allowances);
    let version = toolbox.locked_version(Tool::Gitleaks)?;
    findings_file::write(context, "secrets-in-history", TOOL, &version, &results(&judgement))?;
    if context.json {
        stdout::json(&json!({
            "commits": commits,
            "uncommitted_files": files,
            "allowed": judgement.allowed,
            "findings": judgement.leaks,
            "unused_allowances": judgement.unused.iter().map(unused).collect::<Vec<_>>(),
        }))?;
    } else {
        stdout::text(&text(&judgement, commits, files, options.digests))?;
    }
    match (judgement.leaks.len(), judgement.unused.len()) {
        (0, 0) => Ok(()),
        (0, _) => Err(Reported.into()),
        (count, _) => {
            eprintln!(
                "{count} {}. Everybody with a copy of the repository has it: revoke it where it was issued, then see \
                 docs/security.md. If it is not a secret, allow it with a reason in {ALLOWANCES}; --digests prints \
                 what to write",
                if count == 1 { "secret" } else { "secrets" }
            );
            Err(Reported.into())
        }
    }
}

fn allowances(context: &Context) -> Result<Vec<Allowance>> {
    match fs::read_to_string(context.path(ALLOWANCES)) {
        Ok(text) => leaks::allowances(&text).map_err(|problem| {
            refused(format!(
                "{ALLOWANCES}: {problem}; expected [[allow]] with rule, file, sha256 and reason, see docs/security.md"
            ))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(refused(format!("{ALLOWANCES}: {error}"))),
    }
}

fn unused(one: &Allowance) -> String {
    format!("{ALLOWANCES}: {} in {} matches nothing any more: remove it", one.rule, one.file)
}

fn text(judgement: &Judgement, commits: usize, files: usize, digests: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for leak in &judgement.leaks {
        lines.push(leak.to_string());
        if digests {
            lines.push(format!("  sha256 = \"{}\"", leak.sha256));
        }
    }
    lines.extend(judgement.unused.iter().map(unused));
    if lines.is_empty() {
        lines.push("no secrets".to_owned());
    }
    let allowed = judgement.allowed;
    lines.push(format!("searched {commits} commits and {files} uncommitted files; {allowed} allowed"));
    lines.join("\n") + "\n"
}

fn results(judgement: &Judgement) -> Vec<Problem> {
    let of_leak = |leak: &Leak| {
        let what = match &leak.at {
            At::Commit { id, .. } => format!("{} In commit {id}.", leak.about),
            At::Staged | At::Changed => leak.about.clone(),
        };
        Problem::new(Place::line(&*leak.file, leak.line), what).rule(&leak.rule)
    };
    let of_allowance =
        |one: &Allowance| Problem::new(Place::line(ALLOWANCES, 1), unused(one)).rule("unused-allowance");
    judgement.leaks.iter().map(of_leak).chain(judgement.unused.iter().map(of_allowance)).collect()
}

/// gitleaks, kept from everything in the repository, the user's settings and comments that would have it look away.
struct Scanner {
    gitleaks: PathBuf,
    git: PathBuf,
    root: PathBuf,
    /// The repository's own folder; in a worktree not the one of that name.
    git_folder: PathBuf,
    /// Holds the scanner's configuration, and copies of files while these are looked through.
    scratch: tempfile::TempDir,
    environment: BTreeMap<OsString, OsString>,
}

/// What a user's or the repository's own settings of git would do to the output that gitleaks reads.
const PLAIN_GIT: &[(&str, &str)] = &[
    ("color.ui", "false"),
    ("core.quotePath", "true"),
    ("diff.mnemonicPrefix", "false"),
    ("diff.noprefix", "false"),
    ("diff.orderFile", "/dev/null"),
    ("format.pretty", "medium"),
    ("log.date", "default"),
    ("log.decorate", "false"),
    ("log.showSignature", "false"),
];

/// Merges bring what neither side had; attributes and text converters hide files from a plain log.
const WHOLE_LOG: &str =
    "--full-history --diff-merges=first-parent --text --no-ext-diff --no-textconv --no-renames --no-notes";

impl Scanner {
    fn new(toolbox: &Toolbox, root: &Path) -> Result<Self> {
        let scratch = temporary::folder("flowship-secrets-")?;
        fs::write(scratch.path().join("gitleaks.toml"), "[extend]\nuseDefault = true\n")?;
        fs::create_dir(scratch.path().join("nothing"))?;
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        // Inside a hook git names its repository by these, and this one may be another.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GITLEAKS_CONFIG", "GITLEAKS_CONFIG_TOML"]
        {
            environment.remove(&OsString::from(name));
        }
        // The caller may have handed settings to git in the same way: these come after them.
        let count = "GIT_CONFIG_COUNT";
        let given = environment.get(&OsString::from(count)).and_then(|text| text.to_str()?.parse().ok());
        let first: usize = given.unwrap_or(0);
        for (at, (key, value)) in PLAIN_GIT.iter().enumerate() {
            environment.insert(format!("GIT_CONFIG_KEY_{}", first + at).into(), (*key).into());
            environment.insert(format!("GIT_CONFIG_VALUE_{}", first + at).into(), (*value).into());
        }
        environment.insert(count.into(), (first + PLAIN_GIT.len()).to_string().into());
        let mut scanner = Self {
            gitleaks: toolbox.path(Program::Gitleaks)?,
            git: toolbox.path(Program::Git)?,
            root: root.to_owned(),
            git_folder: PathBuf::new(),
            scratch,
            environment,
        };
        scanner.git_folder = scanner.whole_history()?;
        Ok(scanner)
    }

    /// Where the repository keeps its history.
    ///
    /// # Errors
    /// Refused when there is no repository, no commit, or only a part of the history.
    fn whole_history(&self) -> Result<PathBuf> {
        let root = self.root.display();
        if self.git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).is_err() {
            let why = self.git(&["rev-parse", "--git-dir"]).err();
            let why = why.map_or("it has no commit".to_owned(), |error| format!("{error:#}"));
            return Err(refused(format!("{root}: there is no history to search: {why}")));
        }
        if self.git(&["rev-parse", "--is-shallow-repository"])?.trim_ascii() == b"true" {
            return Err(refused(format!(
                "{root}: this clone is shallow, so secrets in older commits would be missed: run `git fetch \
                 --unshallow`; on GitHub set `fetch-depth: 0` for actions/checkout"
            )));
        }
        let folder = self.git(&["rev-parse", "--absolute-git-dir"])?;
        Ok(PathBuf::from(OsStr::from_bytes(folder.trim_ascii_end())))
    }

    /// Has gitleaks find what is certainly there.
    ///
    /// # Errors
    /// It does not: then it would not find anything else either.
    fn control(&self) -> Result<()> {
        // Put together here, so that this source holds nothing that looks like a token.
        let token = &digest::sha256("control")[..36];
        let found = self.gitleaks(&["stdin"], format!("token = ghp_{token}\n").into_bytes())?;
        if found.leaks.is_empty() {
            bail!("gitleaks does not find a planted token, so its results mean nothing");
        }
        Ok(())
    }

    fn history(&self, all: bool) -> Result<(usize, Vec<Leak>)> {
        let from = if all { "--all" } else { "HEAD" };
        let log = format!("--log-opts={WHOLE_LOG} {from}");
        let nothing = self.scratch.path().join("nothing").display().to_string();
        let scan = self.gitleaks(&["git", &log, &nothing], Vec::new())?;
        match scan.commits {
            Some(commits) if commits > 0 => Ok((commits, scan.leaks)),
            _ => bail!("gitleaks searched no commit\n{}", scan.log),
        }
    }

    /// How many files are changed and not committed, and what is in them. What is staged may differ from what lies in
    /// the working tree.
    fn uncommitted(&self) -> Result<(usize, Vec<Leak>)> {
        let names = |arguments: &[&str]| -> Result<Vec<u8>> {
            let fixed = ["diff", "--name-only", "--diff-filter=d", "--no-renames", "-z", "--relative"];
            self.git(&[&fixed, arguments].concat())
        };
        let (staged, changed) = (names(&["--cached"])?, names(&[])?);
        let into = |name: &str| self.scratch.path().join("uncommitted").join(name);
        fs::create_dir_all(into("staged"))?;
        let prefix = format!("--prefix={}/", into("staged").display());
        self.git_with(&["checkout-index", "--force", "-z", "--stdin", &prefix], staged.clone())?;
        let mut count = staged.split(|byte| *byte == 0).filter(|name| !name.is_empty()).count();
        for name in changed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = PathBuf::from(OsStr::from_bytes(name));
            let from = self.root.join(&name);
            if !fs::symlink_metadata(&from).is_ok_and(|found| found.is_file()) {
                continue;
            }
            let to = into("changed").join(&name);
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            fs::copy(&from, &to).with_context(|| from.display().to_string())?;
            count += 1;
        }
        let scan = self.gitleaks(&["dir", &into("").display().to_string()], Vec::new())?;
        fs::remove_dir_all(into(""))?;
        Ok((count, scan.leaks))
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        self.git_with(arguments, Vec::new())
    }

    fn git_with(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>> {
        let output = duct::cmd(&self.git, arguments)
            .dir(&self.root)
            .full_env(&self.environment)
            .stdin_bytes(input)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()?;
        if !output.status.success() {
            bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }

    /// The report stays in memory: what gitleaks writes to a file would hold the secrets.
    fn gitleaks(&self, arguments: &[&str], input: Vec<u8>) -> Result<Scan> {
        let scratch = |name: &str| self.scratch.path().join(name).display().to_string();
        let fixed = [
            &format!("--config={}", scratch("gitleaks.toml")),
            &format!("--gitleaks-ignore-path={}", scratch("nothing")),
            "--ignore-gitleaks-allow",
            "--exit-code=0",
            "--no-banner",
            "--no-color",
            "--report-format=json",
            "--report-path=-",
        ];
        // It heeds a file of ignored findings in the folder that it looks through: so that is an empty one.
        let mut environment = self.environment.clone();
        environment.insert("GIT_DIR".into(), self.git_folder.clone().into());
        let output = duct::cmd(&self.gitleaks, fixed.iter().chain(arguments))
            .dir(self.scratch.path())
            .full_env(&environment)
            .stdin_bytes(input)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()
            .with_context(|| format!("{} cannot be run", self.gitleaks.display()))?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        // It ends with 0 where git failed under it, and says so in a line of its log only.
        let failed = |line: &str| line.contains(" ERR ") || line.contains(" FTL ");
        if !output.status.success() || log.lines().any(failed) {
            bail!("gitleaks could not search everything\n{}", log.trim());
        }
        let leaks = leaks::read(&output.stdout).context("gitleaks' report cannot be read")?;
        Ok(Scan { leaks, commits: log.lines().find_map(commits), log })
    }
}

struct Scan {
    leaks: Vec<Leak>,
    commits: Option<usize>,
    log: String,
}

/// `10:04PM INF 156 commits scanned.`
fn commits(line: &str) -> Option<usize> {
    line.strip_suffix(" commits scanned.")?.rsplit(' ').next()?.parse().ok()
}
