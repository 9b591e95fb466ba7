//! The remote as it really is: a git remote, and GitHub through `gh`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::command::{Command, Output, words};
use super::registry::{Image, Registry};
use super::remote::{Check, Draft, Place, Public, Refs, Release, Remote};
use super::repository::Repository;
use foundation::digest;
use foundation::exit::refused;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;

/// The one place that credentials come from.
pub const TOKEN: &str = "GH_TOKEN";

/// Until a question must be answered.
const ANSWERED: Duration = Duration::from_secs(60);
/// Until a file must be there: 1 GiB at 1 MB/s, and some more.
const CARRIED: Duration = Duration::from_secs(1800);

/// A git remote whose host is GitHub.
pub struct GitHub {
    root: PathBuf,
    remote: String,
    name: String,
    /// `[HOST/]OWNER/NAME`; none when the address does not tell, and `gh` has to find out.
    repository: Option<String>,
    /// How git is to call ssh; none when the user has said so himself.
    ssh: Option<&'static str>,
    interrupt: Interrupt,
}

impl GitHub {
    /// # Errors
    /// Refused when the checkout has no such remote.
    pub fn open(root: &Path, remote: &str, interrupt: &Interrupt) -> Result<Self> {
        let address = Repository { root }.address(remote)?.ok_or_else(|| {
            refused(format!(
                "--remote {remote}: this checkout has no such remote; `git remote -v` lists the remotes, `git remote \
                 add {remote} URL` adds one"
            ))
        })?;
        Ok(Self {
            root: root.to_owned(),
            remote: remote.to_owned(),
            name: format!("{remote} ({})", without_secret(&address)),
            repository: repository(&address),
            ssh: quiet_ssh(root)?,
            interrupt: interrupt.clone(),
        })
    }

    fn ask(&self, program: &str, args: Vec<std::ffi::OsString>, more: Asked) -> Result<Output> {
        let mut env = vec![("GIT_TERMINAL_PROMPT", "0".to_owned()), ("GH_PROMPT_DISABLED", "1".to_owned())];
        env.extend(self.ssh.map(|command| ("GIT_SSH_COMMAND", command.to_owned())));
        if let (Some(repository), None) = (&self.repository, std::env::var_os("GH_REPO")) {
            env.push(("GH_REPO", repository.clone()));
        }
        let question =
            Command { program, args, folder: &self.root, env, stdin: more.stdin, limit: more.limit };
        let interrupt = &self.interrupt;
        question.ask(&|| interrupt.raised())?.good()
    }

    /// Where there is a token, git gets it from gh, and asks nobody else.
    fn git(&self, args: &[&str]) -> Result<Output> {
        let with_token = ["-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential"];
        let has_token = std::env::var_os(TOKEN).is_some_and(|token| !token.is_empty());
        let first = if has_token { &with_token[..] } else { &[] };
        let args = words(first.iter().chain(args));
        self.ask("git", args, Asked { stdin: None, limit: ANSWERED })
    }

    /// With the token that GitHub gets: its own registry takes it too.
    fn registry(&self, at: &Place) -> Registry {
        Registry::at(&at.host, std::env::var(TOKEN).ok(), &self.interrupt)
    }

    fn gh(&self, args: &[&str], stdin: Option<Vec<u8>>) -> Result<Output> {
        self.ask("gh", words(args), Asked { stdin, limit: ANSWERED })
    }

    fn api<T: DeserializeOwned>(&self, args: &[&str], stdin: Option<Vec<u8>>) -> Result<T> {
        let answer = self.gh(&[&["api"], args].concat(), stdin)?;
        serde_json::from_slice(&answer.out).with_context(|| unreadable(args, &answer))
    }

    /// Every page: `gh` prints one JSON value after the other, or one long list, by its version.
    fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let args = ["api", "--paginate", path];
        let answer = self.gh(&args, None)?;
        let pages = serde_json::Deserializer::from_slice(&answer.out).into_iter();
        pages.collect::<Result<Vec<T>, _>>().with_context(|| unreadable(&args, &answer))
    }
}

struct Asked {
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

fn unreadable(args: &[&str], answer: &Output) -> String {
    let text = answer.text();
    let start: String = text.chars().take(200).collect();
    format!("gh {}: expected GitHub's JSON, got `{start}`", args.join(" "))
}

impl Remote for GitHub {
    fn name(&self) -> &str {
        &self.name
    }

    fn refs(&self, branch: &str) -> Result<Refs> {
        let branch_ref = format!("refs/heads/{branch}");
        let answer = self.git(&["ls-remote", "--quiet", &self.remote, &branch_ref, "refs/tags/v*"])?;
        Ok(Refs::read(&answer.text(), branch))
    }

    fn push_tag(&self, tag: &str) -> Result<()> {
        let pair = format!("refs/tags/{tag}:refs/tags/{tag}");
        self.git(&["push", "--quiet", "--no-verify", "--atomic", &self.remote, &pair]).map(|_| ())
    }

    fn checks(&self, commit: &str) -> Result<Vec<Check>> {
        #[derive(Deserialize)]
        struct Page {
            check_runs: Vec<Check>,
        }
        let path = format!("repos/{{owner}}/{{repo}}/commits/{commit}/check-runs?filter=latest&per_page=100");
        let pages: Vec<Page> = self.pages(&path)?;
        Ok(pages.into_iter().flat_map(|page| page.check_runs).collect())
    }

    fn releases(&self, tag: &str) -> Result<Vec<Release>> {
        // Drafts are not found by their tag, only in the list.
        let pages: Vec<Vec<Release>> = self.pages("repos/{owner}/{repo}/releases?per_page=100")?;
        Ok(pages.into_iter().flatten().filter(|release| release.tag_name == tag).collect())
    }

    fn release(&self, id: u64) -> Result<Release> {
        self.api(&[&format!("repos/{{owner}}/{{repo}}/releases/{id}")], None)
    }

    fn make_draft(&self, draft: &Draft) -> Result<Release> {
        let body = serde_json::to_vec(draft)?;
        self.api(&["--method", "POST", "repos/{owner}/{repo}/releases", "--input", "-"], Some(body))
    }

    fn discard_draft(&self, id: u64) -> Result<()> {
        let path = format!("repos/{{owner}}/{{repo}}/releases/{id}");
        self.gh(&["api", "--method", "DELETE", &path], None).map(|_| ())
    }

    fn upload(&self, tag: &str, file: &Path, replace: bool) -> Result<()> {
        let mut args = words(["release", "upload", tag]);
        args.push(file.as_os_str().to_owned());
        if replace {
            args.push("--clobber".into());
        }
        self.ask("gh", args, Asked { stdin: None, limit: CARRIED }).map(|_| ())
    }

    fn fetched_sha256(&self, tag: &str, name: &str) -> Result<String> {
        let folder = temporary::folder("flowship-github-")?;
        let file = folder.path().join("fetched");
        let mut args = words(["release", "download", tag, "--pattern", name, "--output"]);
        args.push(file.as_os_str().to_owned());
        self.ask("gh", args, Asked { stdin: None, limit: CARRIED })?;
        Ok(digest::of_file(&file)?.sha256)
    }

    fn publish(&self, id: u64, public: &Public) -> Result<Release> {
        let path = format!("repos/{{owner}}/{{repo}}/releases/{id}");
        let body = serde_json::to_vec(public)?;
        self.api(&["--method", "PATCH", &path, "--input", "-"], Some(body))
    }

    fn image_tag(&self, at: &Place, tag: &str) -> Result<Option<String>> {
        self.registry(at).digest(&at.repository, tag)
    }

    fn push_image(&self, at: &Place, image: &Image) -> Result<bool> {
        self.registry(at).push(&at.repository, image)
    }

    fn tag_image(&self, at: &Place, tag: &str, image: &Image) -> Result<()> {
        self.registry(at).tag(&at.repository, tag, image)
    }
}

/// `[HOST/]OWNER/NAME` of an address such as `git@github.com:flowship/flowship.git`; none for a path.
fn repository(address: &str) -> Option<String> {
    let (host, path) = match address.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?,
        Some(_) => return None,
        None => address.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let path = path.trim_matches('/');
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    if owner.is_empty() || name.is_empty() || name.contains('/') {
        return None;
    }
    Some(if host == "github.com" { format!("{owner}/{name}") } else { format!("{host}/{owner}/{name}") })
}

/// An address may hold a secret before its host, which nobody should see: a password, or over HTTP a token as the user.
fn without_secret(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((user, host)) if scheme != "ssh" || user.contains(':') => format!("{scheme}://***@{host}{path}"),
        _ => address.to_owned(),
    }
}

/// What makes ssh ask nobody anything, where the user has not said himself how to call it: `GIT_SSH_COMMAND` would go
/// before his own setting, and that need not be OpenSSH.
fn quiet_ssh(root: &Path) -> Result<Option<&'static str>> {
    let said = ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| std::env::var_os(name).is_some());
    let said = said || Repository { root }.setting("core.sshCommand")?.is_some();
    Ok((!said).then_some("ssh -o BatchMode=yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_derived_from_an_address() {
        for (address, expected) in [
            ("git@github.com:flowship/flowship.git", Some("flowship/flowship")),
            ("https://github.com/flowship/flowship", Some("flowship/flowship")),
            ("https://x:secret@github.com/flowship/flowship.git/", Some("flowship/flowship")),
            ("ssh://git@code.example.org:2222/a/b.git", Some("code.example.org/a/b")),
            ("/srv/git/flowship.git", None),
            ("file:///srv/git/flowship.git", None),
            ("../flowship", None),
            ("git@host:deep/er/path.git", None),
        ] {
            assert_eq!(repository(address).as_deref(), expected, "{address}");
        }
        for (address, shown) in [
            ("https://x:secret@h/a", "https://***@h/a"),
            ("https://ghp_secret@h/a", "https://***@h/a"),
            ("http://x:sec@ret@h:8080/a@b", "http://***@h:8080/a@b"),
            ("https://ghp_secret@h", "https://***@h"),
            ("ssh://git:secret@h/a", "ssh://***@h/a"),
            ("ssh://git@h/a", "ssh://git@h/a"),
            ("https://h/a@b:c", "https://h/a@b:c"),
            ("git@h:a/b", "git@h:a/b"),
        ] {
            assert_eq!(without_secret(address), shown);
        }
    }
}
