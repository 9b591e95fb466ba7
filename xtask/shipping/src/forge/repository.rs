//! Looks at the checkout through `git`: what is released, what came after, what state the tree is in.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::command::{Command, Output, words};
use crate::release::history::{self, Commit, Tag, TagObject};
use foundation::files::temporary;

/// Far longer than any of these questions takes on a local disk.
const LIMIT: Duration = Duration::from_secs(120);

/// As whom GitHub's own workflows commit.
const BOT: [(&str, &str); 2] = [
    ("GIT_COMMITTER_NAME", "github-actions[bot]"),
    ("GIT_COMMITTER_EMAIL", "41898282+github-actions[bot]@users.noreply.github.com"),
];

/// A tag has none, and what is signed on trial needs one.
const AUTHOR: [(&str, &str); 2] = [("GIT_AUTHOR_NAME", "nobody"), ("GIT_AUTHOR_EMAIL", "nobody@localhost")];

/// A git checkout.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    pub root: &'a Path,
}

/// Where a checkout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub commit: String,
    pub subject: String,
    /// None when a commit is checked out and no branch.
    pub branch: Option<String>,
}

impl Repository<'_> {
    fn question(&self, args: &[&str]) -> Command<'_> {
        Command {
            program: "git",
            args: words(args),
            folder: self.root,
            env: vec![],
            stdin: None,
            limit: LIMIT,
        }
    }

    fn ask(&self, args: &[&str]) -> Result<Output> {
        self.question(args).ask(&|| false)
    }

    fn text(&self, args: &[&str]) -> Result<String> {
        Ok(self.ask(args)?.good()?.text().trim_end().to_owned())
    }

    /// # Errors
    /// When the tree is no git checkout, or has no commit yet.
    pub fn head(&self) -> Result<Head> {
        let text = self
            .text(&["log", "-1", "--format=%H%n%s"])
            .context("a release is built from a commit; expected a git checkout with at least one")?;
        let (commit, subject) = text.split_once('\n').unwrap_or((&text, ""));
        let branch = self.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        Ok(Head {
            commit: commit.to_owned(),
            subject: subject.to_owned(),
            branch: branch.status.success().then(|| branch.text().trim().to_owned()),
        })
    }

    /// Whether a part of the history was left out when it was cloned.
    ///
    /// # Errors
    /// When git cannot tell, here and below.
    pub fn is_shallow(&self) -> Result<bool> {
        Ok(self.text(&["rev-parse", "--is-shallow-repository"])? == "true")
    }

    /// Files that differ from the commit, or that it does not have; ignored ones do not count.
    pub fn dirty(&self) -> Result<Vec<String>> {
        let printed = self.ask(&["status", "--porcelain", "-z", "--no-renames"])?.good()?.text();
        Ok(printed.split('\0').filter_map(|line| line.get(3..)).map(str::to_owned).collect())
    }

    /// The tags of releases, the latest version first; only those that `commit` contains, when one is given.
    pub fn tags(&self, commit: Option<&str>) -> Result<Vec<Tag>> {
        let mut args = history::TAGS.to_vec();
        args.extend(commit.iter().flat_map(|commit| ["--merged", commit]));
        Ok(history::tags(&self.text(&args)?))
    }

    /// The commits of a range, such as `v1.0.0..HEAD`.
    pub fn commits(&self, range: &str) -> Result<Vec<Commit>> {
        let mut args = history::LOG.to_vec();
        args.extend([range, "--"]);
        history::commits(&self.ask(&args)?.good()?.out).map_err(|error| anyhow!(error))
    }

    /// How many commits `to` has that `from` has not.
    pub fn count(&self, from: &str, to: &str) -> Result<usize> {
        let text = self.text(&["rev-list", "--count", &format!("{from}..{to}"), "--"])?;
        text.parse().with_context(|| format!("git rev-list printed `{text}`"))
    }

    /// Whether the object is here.
    pub fn has(&self, commit: &str) -> Result<bool> {
        Ok(self.ask(&["cat-file", "-e", &format!("{commit}^{{commit}}")])?.status.success())
    }

    /// What a name stands for, and the commit that it leads to.
    pub fn resolved(&self, name: &str) -> Result<Option<(String, String)>> {
        let one = |name: &str| -> Result<Option<String>> {
            let answer = self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", name])?;
            Ok(answer.status.success().then(|| answer.text().trim().to_owned()))
        };
        Ok(one(name)?.zip(one(&format!("{name}^{{commit}}"))?))
    }

    /// What kind of tag it is; none when there is none of that name.
    pub fn tag_object(&self, tag: &str) -> Result<Option<TagObject>> {
        let format = "--format=%(objecttype) %(objectname) %(contents:signature)";
        Ok(TagObject::read(&self.text(&["for-each-ref", format, &format!("refs/tags/{tag}")])?))
    }

    /// A file as the commit has it; none when it has none.
    pub fn file(&self, commit: &str, path: &str) -> Result<Option<String>> {
        // `./` makes the path relative to the root, which need not be git's own.
        let answer = self.ask(&["show", &format!("{commit}:./{path}")])?;
        Ok(answer.status.success().then(|| answer.text()))
    }

    /// A setting of git's; none when it has no value.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        let answer = self.ask(&["config", "--get", name])?;
        Ok(answer.status.success().then(|| answer.text().trim().to_owned()))
    }

    /// The address that a remote is pushed to.
    pub fn address(&self, remote: &str) -> Result<Option<String>> {
        let answer = self.ask(&["remote", "get-url", "--push", "--", remote])?;
        Ok(answer.status.success().then(|| answer.text().trim().to_owned()))
    }

    /// Makes an annotated tag of a commit, signed with the user's key when wished.
    ///
    /// # Errors
    /// Also when there is one of that name.
    pub fn make_tag(&self, tag: &str, commit: &str, message: &str, signed: bool) -> Result<()> {
        let kind = if signed { "--sign" } else { "--annotate" };
        // Not verbatim: without a line end behind the message git puts a signature where it never finds it again.
        let args = ["tag", kind, "--cleanup=whitespace", "--message", message, "--", tag, commit];
        let mut question = self.question(&args);
        question.env = self.tagger()?;
        question.ask(&|| false)?.good().map(|_| ())
    }

    /// Has git sign something that nobody keeps, as it would sign a tag.
    ///
    /// # Errors
    /// With what git says, when it has no key or cannot use it.
    pub fn try_signing(&self) -> Result<()> {
        let nothing = self.text(&["hash-object", "-t", "tree", "--stdin"])?;
        let nowhere = temporary::folder("flowship-signing-")?;
        let mut question = self.question(&["commit-tree", "--gpg-sign", "-m", "Can I sign?", &nothing]);
        question.env = self.tagger()?;
        question.env.push(("GIT_OBJECT_DIRECTORY", nowhere.path().display().to_string()));
        question.env.extend(AUTHOR.map(|(name, value)| (name, value.to_owned())));
        question.ask(&|| false)?.good().map(|_| ())
    }

    /// As whom to tag: a runner of GitHub has no name of its own.
    fn tagger(&self) -> Result<Vec<(&'static str, String)>> {
        let known = ["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"];
        let on_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let nameless = on_github && !self.ask(&known)?.status.success();
        Ok(if nameless { BOT.map(|(name, value)| (name, value.to_owned())).to_vec() } else { vec![] })
    }
}
