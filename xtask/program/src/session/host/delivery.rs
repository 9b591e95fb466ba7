//! A release on its way to a host.
//!
//! It travels as one archive, which always has the same bytes: where a connection was cut, the next one goes on. The host
//! checks the sums and runs the release's own program, which checks everything else again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use anyhow::{Context as _, Result};
use vocabulary::model::environment::{Environment, Host};
use vocabulary::problem::Problem;

use super::connection::Connection;
use super::scripts::{self, said};
use crate::context::Context;
use crate::deployment::{Deployed, releases};
use crate::session::deploying::{self, Demands, Wanted};
use crate::session::prerequisites;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::print::quoted;
use runner::plan::show::Show;
use shipping::release::bundle::OPERATOR;
use shipping::release::description::{self, Release};
use shipping::release::sums::{self, Sums};

/// What a host needs to receive a release, and to run its program.
struct Found {
    /// The folder of the environment.
    here: String,
    machine: String,
    writable: bool,
    free: u64,
    lacks: Vec<String>,
    /// Bytes of the archive.
    received: u64,
    /// Everything was received, and its sums are right.
    whole: bool,
}

impl Found {
    fn read(lines: &str) -> Result<Self> {
        let word = |word: &str| said(lines, word).map(str::to_owned);
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // Of the columns that POSIX gives `df -P`, with blocks of 1024 bytes.
        let free = word("free").and_then(|line| line.split_whitespace().nth(3).map(str::to_owned));
        Ok(Self {
            here: word("here").context("the login shell gave no answer; expected a POSIX shell")?,
            machine: word("machine").unwrap_or_default(),
            writable: word("writable").is_some(),
            free: number(free).saturating_mul(1024),
            lacks: lines.lines().filter_map(|line| line.strip_prefix("lacks ")).map(str::to_owned).collect(),
            received: number(word("received")),
            whole: word("whole").is_some(),
        })
    }

    fn problems(&self, name: &str, release: Option<&Release>, needed: u64) -> Vec<Problem> {
        let lacks = self.lacks.iter().map(|program| {
            Problem::new(name, format!("{program} is not installed"))
                .expected("tar, gzip and sha256sum")
                .remedy("install it")
        });
        let machine = release.filter(|release| archives(release, &self.machine).is_none()).map(|release| {
            let targets = release.operators.iter().map(|program| program.target.as_str());
            let known: Vec<_> = std::iter::once(release.target.as_str()).chain(targets).collect();
            Problem::new(name, format!("the release has no program for {}", self.machine))
                .expected(known.join(", "))
        });
        let writable = (!self.writable).then(|| {
            Problem::new(format!("{name}:{}", self.here), "the login user cannot write here").remedy(
                "create the folder and make the user its owner, or set FLOWSHIP_STATE for SSH logins on the host",
            )
        });
        let room = deploying::no_room(&format!("{name}:{}", self.here), self.free, needed);
        lacks.chain(machine).chain(writable).chain(room).collect()
    }
}

/// What is unpacked to get the program for such a machine; none when the release has none.
fn archives(release: &Release, machine: &str) -> Option<Vec<String>> {
    let is_for = |target: &str| target.split('-').next() == Some(machine);
    let bundle = description::bundle(&release.version);
    if is_for(&release.target) {
        return Some(vec![bundle]);
    }
    let program = release.operators.iter().find(|program| is_for(&program.target))?;
    Some(vec![bundle, description::operator(&release.version, &program.target)])
}

/// Has a release deployed on a host: by its own program, which belongs to no connection once it has begun.
///
/// # Errors
/// Reported with every problem at once before anything was changed; otherwise as the deploy there, or when the connection is
/// lost.
pub fn deliver(
    context: &Context,
    environment: &Environment,
    site: &[u8],
    host: &Host,
    source: &Path,
    demands: &Demands,
    wanted: &Wanted,
) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let connection = Connection::to(host);
    let to = connection.name();
    let (verdict, keys, mut problems) = deploying::judged(context, environment, source, demands)?;
    // Another machine than the host has to be asked from here.
    let from = environment.promotes_from.as_deref().filter(|from| super::is_apart(context, from, host));
    if from.is_some() {
        let state = Deployed::of(&environment.name)?.state;
        problems.extend(prerequisites::never_ran(context, &state, environment, &verdict)?);
    }
    let release = verdict.manifest.as_ref().map(|manifest| &manifest.release);
    let digest = verdict.files.get(sums::FILE).cloned().unwrap_or_default();
    let survey = connection.ask(scripts::SURVEY, &[environment.name.clone(), digest.clone()], &interrupt)?;
    let found = Found::read(&survey).context(to.clone())?;
    let archive = Archive::of(source, &verdict.files)?;
    // The archive and what is in it, beside what installing takes.
    let copies = if found.whole { 0 } else { archive.bytes.saturating_mul(2).saturating_sub(found.received) };
    problems.extend(found.problems(
        &to,
        release,
        copies.saturating_add(releases::size(source, &verdict.files)),
    ));
    deploying::refuse(context, &environment.name, &problems)?;
    let release = release.context("a release that was found good has a manifest")?;
    let incoming = format!("{}/incoming/{digest}", found.here);
    let tree = format!("{incoming}/program/{}", description::top(&release.version));
    let mut words = vec![format!("{tree}/{OPERATOR}"), "--root".to_owned(), tree];
    words.extend(["deploy", &environment.name, "--bundle"].map(str::to_owned));
    words.extend([format!("{incoming}/files"), "--site".to_owned(), "-".to_owned()]);
    words.extend(demands.words(keys.as_deref(), from));
    words.extend(context.json.then(|| "--json".to_owned()));
    words.extend(wanted.words());
    if !found.whole {
        let missing = archive.bytes.saturating_sub(found.received);
        if wanted.dry_run {
            return shown(context, &to, &incoming, missing, &words);
        }
        let show = Show::on_stderr();
        show.say(&format!("copying {} to {to}:{incoming}", files::size(missing)));
        let block = found.received.min(archive.bytes) / scripts::BLOCK;
        let mut write = |input: ChildStdin| archive.write(input, block * scripts::BLOCK, &show, &to);
        connection.send(scripts::RECEIVE, &[incoming.clone(), block.to_string()], &mut write, &interrupt)?;
        let mut accepted = vec![incoming.clone(), digest];
        accepted.extend(archives(release, &found.machine).unwrap_or_default());
        connection.ask(scripts::ACCEPT, &accepted, &interrupt)?;
    }
    connection.run(scripts::RUN, &words, site, &interrupt)
}

/// What a deploy would do that has nothing to run on the host yet.
fn shown(context: &Context, to: &str, incoming: &str, missing: u64, words: &[String]) -> Result<()> {
    if context.json {
        return stdout::json(&serde_json::json!({
            "host": to, "folder": incoming, "bytes": missing, "command": words,
        }));
    }
    let command = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    stdout::text(&format!(
        "copy {} to {to}:{incoming}\ncheck the checksums there, and unpack the release's program\nrun there: {command}\n\
         --dry-run shows the steps on the host only after the release has been copied there.\n",
        files::size(missing)
    ))
}

/// The files of a release as one archive.
struct Archive {
    /// With their sizes.
    files: Vec<(String, PathBuf, u64)>,
    bytes: u64,
}

impl Archive {
    /// Of what was judged.
    fn of(source: &Path, sums: &Sums) -> Result<Self> {
        let mut files = Vec::new();
        for name in sums.keys() {
            let path = source.join(name);
            let size = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
            files.push((name.clone(), path, size));
        }
        let blocks: u64 = files.iter().map(|(_, _, size)| 1 + size.div_ceil(512)).sum();
        Ok(Self { files, bytes: (blocks + 2) * 512 })
    }

    /// Writes it without its first bytes.
    fn write(&self, to: impl Write, skip: u64, show: &Show, subject: &str) -> Result<()> {
        let mut builder = tar::Builder::new(Rest { to, at: 0, skip, total: self.bytes, show, subject });
        for (name, path, size) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size);
            header.set_mode(0o644);
            match builder.append_data(&mut header, name, files::open(path)?) {
                // The host says why it reads no more.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                done => done.with_context(|| path.display().to_string())?,
            }
        }
        let finished = builder.into_inner();
        show.settled(subject);
        match finished {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// What is written, without its beginning.
struct Rest<'a, W> {
    to: W,
    at: u64,
    skip: u64,
    total: u64,
    show: &'a Show,
    subject: &'a str,
}

impl<W: Write> Write for Rest<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped =
            usize::try_from(self.skip.saturating_sub(self.at)).unwrap_or(usize::MAX).min(bytes.len());
        let written = if skipped > 0 { skipped } else { self.to.write(bytes)? };
        self.at += written as u64;
        self.show.advanced(self.subject, self.at, self.total);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_goes_on_where_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Sums::new();
        for (name, size) in [("a.tar.gz", 100_000), ("b.json", 0), ("c", 512)] {
            std::fs::write(folder.path().join(name), vec![7; size]).unwrap();
            files.insert(name.to_owned(), String::new());
        }
        let archive = Archive::of(folder.path(), &files).unwrap();
        let from = |skip: u64| {
            let mut bytes = Vec::new();
            archive.write(&mut bytes, skip, &Show::on_stderr(), "x").unwrap();
            bytes
        };
        let whole = from(0);
        assert_eq!(whole.len() as u64, archive.bytes);
        for skip in [1, 511, 512, 65_536, archive.bytes - 1, archive.bytes] {
            assert_eq!(from(skip), whole[usize::try_from(skip).unwrap()..], "{skip}");
        }
    }

    #[test]
    fn what_a_host_says_is_read_and_its_greeting_is_not() {
        let found = Found::read(
            "Welcome\nhere /var/lib/flowship/a b\nmachine x86_64\nwritable yes\n\
             free /dev/vda 264210180 83886080 1024 88% /\nlacks gzip\nreceived      70000\n",
        )
        .unwrap();
        assert_eq!(
            (found.here.as_str(), found.free, found.received),
            ("/var/lib/flowship/a b", 1 << 20, 70_000)
        );
        assert!(found.writable && !found.whole && found.lacks == ["gzip"]);
        let told: Vec<_> = found.problems("u@h", None, 2 << 20).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(Found::read("Welcome\n").is_err());
    }
}
