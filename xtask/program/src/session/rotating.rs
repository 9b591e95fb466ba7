//! The native actions that change a secret, see [`crate::engines::roll::rotation`]: they write its file, and ask those who
//! accept it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use vocabulary::model::{Secret, SecretRef, Unit};

use super::edge_client;
use super::fetched_certificate;
use super::opened::Opened;
use super::rolling;
use crate::engines::process::certificate;
use crate::engines::process::instance::{ADDRESS, edge_address};
use crate::engines::process::secret_store::{self, Other, Text, Value};
use crate::engines::roll::rotation::Rotate;
use artifacts::containers::secret_file;
use foundation::files;
use foundation::program_name::PROGRAM;
use runner::plan::http::Request;
use runner::plan::mask::Mask;
use runner::plan::perform::{StepContext, Stopped};

/// How long those who ask for a value may go on accepting the old one.
const DEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long they may take to accept a new one; also a database that is just let in again.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(20);
/// How long the edge may take until it serves another pair.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// # Errors
/// Why the change cannot go on.
pub fn perform(opened: &Opened, action: &Rotate, step: &StepContext) -> Result<()> {
    let change = Changing { opened, step };
    match *action {
        Rotate::Intend { secret } => change.intend(secret),
        Rotate::Accepted { secret } => change.accepted(secret),
        Rotate::Switch { secret } => change.switch(secret),
        Rotate::Retire { secret } => change.retire(secret),
        Rotate::Finish { secret } => change.finish(secret),
        Rotate::Replace { secret } => change.replace(secret),
        Rotate::Mark { secret } => {
            let value = change.read(secret)?;
            change.write(secret, &Value { other: Some(Other::Revoked), ..value })
        }
        Rotate::Pair { secret } => change.pair(secret),
        Rotate::Serve { secret, reload } => change.serve(secret, reload),
    }
}

struct Changing<'a> {
    opened: &'a Opened,
    step: &'a StepContext<'a>,
}

impl Changing<'_> {
    fn secret(&self, name: SecretRef) -> Result<&'static Secret> {
        self.opened.platform.secret(name).with_context(|| format!("there is no secret {name}"))
    }

    /// Whatever is read is hidden from now on.
    fn read(&self, name: SecretRef) -> Result<Value> {
        let units = self.opened.units();
        let resolver = self.opened.resolver(&units);
        let file = resolver.secret_file(name);
        let text = if file == self.opened.instance.secret(name) {
            secret_store::of(&resolver)?.read(name)?.with_context(|| format!("{name} has no value"))?
        } else {
            // What the site gives as a file stays there.
            Text::new(files::text(&file, files::TEXT)?)
        };
        let value = Value::parse(&text);
        self.hide(&value.in_use);
        if let Some(Other::Next(other) | Other::Previous(other)) = &value.other {
            self.hide(other);
        }
        Ok(value)
    }

    fn hide(&self, text: &Text) {
        self.step.mask.add(text.expose());
    }

    fn write(&self, name: SecretRef, value: &Value) -> Result<()> {
        let units = self.opened.units();
        secret_store::of(&self.opened.resolver(&units))?.write(name, &value.text())
    }

    /// A container keeps the file that it was started with: if another one was put in its place, it would never see the new
    /// value.
    fn is_mounted(&self, name: SecretRef) -> Result<()> {
        if !self.opened.in_containers() {
            return Ok(());
        }
        let Opened { platform, .. } = self.opened;
        let units = self.opened.slots();
        let file = self.opened.resolver(&units).secret_file(name);
        let of = |path: &Path| {
            let found = fs::metadata(path).with_context(|| path.display().to_string())?;
            Ok::<_, anyhow::Error>((found.dev(), found.ino()))
        };
        let own = of(&file)?;
        let reads = |unit: &&Unit<'_>| {
            (platform.is_worker(unit) || platform.is_edge(unit))
                && unit.service.secrets.iter().any(|used| used.secret == name)
        };
        let mut others = Vec::new();
        for unit in units.iter().filter(reads) {
            // A free slot has no process.
            let Some(pid) = self.opened.status(&unit.name()).ok().and_then(|status| status.pid) else {
                continue;
            };
            let inside = format!("/proc/{pid}/root{}", secret_file(&platform.containers, name));
            if of(Path::new(&inside))? != own {
                others.push(unit.name());
            }
        }
        ensure!(
            others.is_empty(),
            "{} was replaced by another file, which {} will not see; expected the same file with another content (`cat NEW > \
             FILE`); restart these containers one by one with `docker restart`, then run the command again",
            file.display(),
            others.join(", ")
        );
        Ok(())
    }

    fn intend(&self, name: SecretRef) -> Result<()> {
        self.is_mounted(name)?;
        let value = self.read(name)?;
        if let Some(Other::Next(_) | Other::Previous(_)) = value.other {
            self.step.log.line("an interrupted rotation goes on");
            // A store is written before the file that services read.
            return self.write(name, &value);
        }
        let next = self.new_value(name, &value.in_use)?;
        self.hide(&next);
        self.write(name, &Value { other: Some(Other::Next(next)), ..value })
    }

    /// That of a login comes from the store's database engine, where it has one.
    fn new_value(&self, name: SecretRef, before: &Text) -> Result<Text> {
        let secret = self.secret(name)?;
        let random = new_value(secret, before)?;
        let Some((login, _)) = random.expose().split_once(':').filter(|_| secret.kind.logins().is_some())
        else {
            return Ok(random);
        };
        let units = self.opened.units();
        let issued = secret_store::of(&self.opened.resolver(&units))?.issue(name, login)?;
        Ok(issued.map_or(random.clone(), |password| Text::new(format!("{login}:{}", password.expose()))))
    }

    fn switch(&self, name: SecretRef) -> Result<()> {
        let value = self.read(name)?;
        let units = self.opened.units();
        let file = self.opened.resolver(&units).secret_file(name);
        ensure!(
            Value::parse(&Text::new(files::text(&file, files::TEXT)?)) == value,
            "{}: the store has another value meanwhile; run the command again",
            file.display()
        );
        let Some(Other::Next(next)) = value.other else { return Ok(()) };
        self.write(name, &Value { in_use: next, other: Some(Other::Previous(value.in_use)) })
    }

    fn finish(&self, name: SecretRef) -> Result<()> {
        let value = self.read(name)?;
        self.write(name, &Value { other: None, ..value })
    }

    fn retire(&self, name: SecretRef) -> Result<()> {
        let value = self.read(name)?;
        self.write(name, &Value { other: None, ..value.clone() })?;
        if let Some(Other::Previous(previous)) = &value.other {
            self.refused(name, previous)?;
        }
        self.accepted(name)
    }

    fn replace(&self, name: SecretRef) -> Result<()> {
        let value = self.read(name)?;
        let next = new_value(self.secret(name)?, &value.in_use)?;
        self.hide(&next);
        self.write(name, &Value { in_use: next, other: None })?;
        self.refused(name, &value.in_use)?;
        match &value.other {
            Some(Other::Next(other) | Other::Previous(other)) => self.refused(name, other),
            Some(Other::Revoked) | None => Ok(()),
        }
    }

    fn accepted(&self, name: SecretRef) -> Result<()> {
        self.is_mounted(name)?;
        let value = self.read(name)?;
        let next = match &value.other {
            Some(Other::Next(next)) => Some(next),
            _ => None,
        };
        for text in std::iter::once(&value.in_use).chain(next) {
            self.until(ACCEPTED_WITHIN, || {
                Ok(match self.accepts(name, text) {
                    Ok(true) => None,
                    Ok(false) => Some(format!("a value of {name} is refused")),
                    Err(error) => Some(format!("{error:#}")),
                })
            })?;
        }
        Ok(())
    }

    fn refused(&self, name: SecretRef, text: &Text) -> Result<()> {
        self.until(DEAD_WITHIN, || {
            Ok(match self.accepts(name, text) {
                Ok(false) => None,
                Ok(true) => Some(format!("the old value of {name} is still accepted")),
                Err(error) => Some(format!("cannot find out whether the old value is refused: {error:#}")),
            })
        })
    }

    /// Whether everybody who asks for a secret accepts this value.
    fn accepts(&self, name: SecretRef, value: &Text) -> Result<bool> {
        let Opened { platform, environment, .. } = self.opened;
        let policy = &platform.workers;
        if name == policy.operations_token {
            let urls = self.workers()?.into_iter().map(|port| format!("http://{ADDRESS}:{port}/keys"));
            // Who may ask is judged first: a database that is away makes no difference.
            let answers = urls.map(|url| Ok(self.ask(&url, value)? != 401)).collect::<Result<Vec<_>>>()?;
            ensure!(
                answers.iter().all(|answer| *answer == answers[0]),
                "some replicas accept a value of {name}, and others do not"
            );
            return Ok(answers[0]);
        }
        if name == policy.api_key {
            return self.through_edge(value);
        }
        match &environment.llm {
            Some(llm) if name == platform.llm.key => {
                let url = format!("{}/models", llm.base_url.trim_end_matches('/'));
                verdict(&url, self.ask(&url, value)?)
            }
            _ => bail!("nothing that runs asks for {name}; it has to be changed by hand"),
        }
    }

    /// The status of the answer.
    fn ask(&self, url: &str, bearer: &Text) -> Result<u16> {
        let mask: &Mask = self.step.mask;
        let known = |text: &str| mask.resolve(&text.into(), &BTreeMap::new());
        let request = Request {
            method: "GET".into(),
            url: known(url)?,
            bearer: Some(known(bearer.expose())?),
            headers: BTreeMap::new(),
            body: None,
            trusts: None,
        };
        Ok(request.send(self.step.deadline.min(Instant::now() + ANSWER), self.step.stop)?.status)
    }

    fn through_edge(&self, key: &Text) -> Result<bool> {
        let environment = &self.opened.environment;
        let at = self.edge()?;
        let url = format!("https://{}:{}/api/v1/queues", certificate::domain(environment), at.port());
        let bearer = format!("Bearer {}", key.expose());
        let answer = edge_client::at(at).get(&url).header("authorization", &bearer).call();
        verdict(&url, answer.with_context(|| url.clone())?.status().as_u16())
    }

    /// The operations ports of the replicas that run.
    fn workers(&self) -> Result<Vec<u16>> {
        let platform = self.opened.platform;
        let slots = self.opened.slots();
        let workers = slots.iter().filter(|unit| platform.is_worker(unit));
        // A free slot has none.
        let found = workers
            .filter_map(|unit| self.opened.status(&unit.name()).ok())
            .filter(|status| status.pid.is_some());
        let ports: Vec<u16> =
            found.filter_map(|status| status.ports.get(platform.workers.operations.name).copied()).collect();
        ensure!(!ports.is_empty(), "no replica runs; `{PROGRAM} start {}` starts them", self.opened.target);
        Ok(ports)
    }

    /// Where the edge listens.
    fn edge(&self) -> Result<SocketAddr> {
        let slots = self.opened.slots();
        let edge = slots.iter().find(|unit: &&Unit<'_>| self.opened.platform.is_edge(unit));
        let status = self.opened.status(&edge.context("no edge runs")?.name())?;
        let port = status.ports.get(self.opened.platform.edge.https.name).copied();
        let address = edge_address(&self.opened.environment).parse()?;
        Ok(SocketAddr::new(address, port.context("the edge has no port")?))
    }

    fn pair(&self, name: SecretRef) -> Result<()> {
        let Opened { environment, instance, .. } = self.opened;
        if let Some(problem) = certificate::problem(environment, instance.site_folder()) {
            bail!("{problem}");
        }
        self.is_mounted(name)?;
        let units = self.opened.units();
        let path = self.opened.resolver(&units).secret_file(name);
        certificate::renew(&path, environment, instance.site_folder())
    }

    fn serve(&self, name: SecretRef, reload: bool) -> Result<()> {
        if reload {
            let edge = rolling::edge(self.opened).context("no edge runs")?;
            self.until(SERVED_WITHIN, || Ok(edge.processes().err().map(|error| format!("{error:#}"))))?;
            edge.reload()?;
        }
        let Opened { platform, environment, instance, .. } = self.opened;
        fetched_certificate::keep(platform, environment, &instance.folder)?;
        let units = self.opened.units();
        let path = self.opened.resolver(&units).secret_file(name);
        let wanted = certificate::intended(&path, environment, instance.site_folder())?;
        let at = self.edge()?;
        self.until(SERVED_WITHIN, || {
            Ok(match certificate::served(at, certificate::domain(environment), self.step.deadline) {
                Ok(served) if served == wanted => None,
                Ok(_) => Some("the edge serves another certificate than its file has".to_owned()),
                Err(error) => Some(format!("{error:#}")),
            })
        })
    }

    /// Looks until `look` finds nothing more that is wrong.
    fn until(&self, limit: Duration, mut look: impl FnMut() -> Result<Option<String>>) -> Result<()> {
        let ends = self.step.deadline.min(Instant::now() + limit);
        loop {
            let Some(wrong) = look()? else { return Ok(()) };
            if Instant::now() >= ends {
                bail!("{wrong} after {} s", limit.as_secs());
            }
            if (self.step.stop)() {
                return Err(Stopped.into());
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

fn verdict(url: &str, status: u16) -> Result<bool> {
    match status {
        200..=299 => Ok(true),
        401 | 403 => Ok(false),
        other => bail!("{url} answers {other}; expected 200, or 401 for a value that it refuses"),
    }
}

/// A new value in the place of this one.
fn new_value(secret: &Secret, before: &Text) -> Result<Text> {
    let random = Text::random(secret.source.bytes())?;
    Ok(match secret.kind.logins() {
        Some([first, second]) => {
            let user = before.expose().split_once(':').map(|(user, _)| user);
            let next = if user == Some(&first) { second } else { first };
            Text::new(format!("{next}:{}", random.expose()))
        }
        None => random,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vocabulary::model::{SecretKind, SecretSource};

    #[test]
    fn two_logins_take_turns() {
        let secret = Secret {
            name: SecretRef("login"),
            purpose: "lets in",
            kind: SecretKind::DatabaseLogin { role: "app" },
            source: SecretSource::Generated { bytes: 16 },
            rotate_after_days: 1,
        };
        for (before, user) in
            [("0123", "app_a:"), ("app:0123", "app_a:"), ("app_a:0123", "app_b:"), ("app_b:0123", "app_a:")]
        {
            let next = new_value(&secret, &Text::new(before)).unwrap();
            assert!(next.expose().starts_with(user) && next.expose().len() == 38, "{before}");
        }
    }
}
