//! Looks at the world: the observing side of probes and conditions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::action::Probe;
use super::child::{Command, End, Inherits, Sink};
use super::http::Request;
use super::mask::Mask;
use foundation::processes::describe;

/// What a probe's program may take to end after TERM.
const GRACE: Duration = Duration::from_millis(500);

/// Looks once; an error says what is not as wanted.
///
/// # Errors
/// When it is not as wanted, cannot be seen, or takes longer than `limit`. [`Probe::Supervised`] cannot be answered
/// here.
pub fn look(probe: &Probe, limit: Duration, mask: &Mask, stop: &dyn Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    match probe {
        Probe::Http { url, status, trusts } => {
            let url = mask.resolve(&url.as_str().into(), &BTreeMap::new())?;
            let request = Request { trusts: trusts.clone(), ..Request::get(url) };
            let answer = request.send(deadline, stop)?;
            if answer.status != *status {
                let body = answer.body.lines().next().unwrap_or_default();
                bail!(
                    "{} answered {} instead of {status}: {}",
                    request.url,
                    answer.status,
                    cut(&mask.hide(body))
                );
            }
            Ok(())
        }
        Probe::File { path } => {
            if !path.exists() {
                bail!("{} does not exist", path.display());
            }
            Ok(())
        }
        Probe::Exec { argv, env } => {
            let none = BTreeMap::new();
            let command = Command {
                argv: argv.iter().map(|arg| mask.resolve(arg, &none)).collect::<Result<_>>()?,
                env: env
                    .iter()
                    .map(|(name, arg)| Ok((name.clone(), mask.resolve(arg, &none)?)))
                    .collect::<Result<_>>()?,
                inherits: Inherits::Everything,
                mask: mask.clone(),
                ..Command::default()
            };
            let last = Arc::new(Mutex::new(String::new()));
            let written = Arc::clone(&last);
            let sink: Sink = Arc::new(move |line| {
                if let Ok(mut last) = written.lock() {
                    line.clone_into(&mut last);
                }
            });
            let end = command.start(&sink, None)?.finish(deadline, stop, GRACE)?;
            let said = last.lock().map(|last| cut(&last)).unwrap_or_default();
            let program = command.argv.first().map(ToString::to_string).unwrap_or_default();
            match end {
                End::Exited(status) if status.success() => Ok(()),
                End::Exited(status) => Err(anyhow!("{program}: {}: {said}", describe(status))),
                End::TimedOut => Err(anyhow!("{program}: no answer within {limit:?}: {said}")),
                End::Stopped => Err(anyhow!("{program}: stopped")),
            }
        }
        Probe::Supervised { service, .. } => bail!("only its supervisor knows the health of {service}"),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: &dyn Fn() -> bool = &|| false;

    #[test]
    fn probes_say_what_is_wrong() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mask = Mask::default();
        let limit = Duration::from_secs(5);
        let url = format!("http://{address}/readyz");
        let asked = Probe::Http { url: url.clone(), status: 200, trusts: None };
        // The kernel accepts the connection; nobody answers.
        let error = look(&asked, Duration::from_millis(300), &mask, NEVER).unwrap_err();
        assert!(format!("{error:#}").contains(&format!("{url}: no answer within 0.3")), "{error:#}");
        drop(listener);
        let error = look(&asked, limit, &mask, NEVER).unwrap_err();
        assert!(format!("{error:#}").contains(&url), "{error:#}");
        let exec = |script: &str| Probe::Exec {
            argv: vec!["sh".into(), "-c".into(), script.into()],
            env: BTreeMap::new(),
        };
        look(&exec("exit 0"), limit, &mask, NEVER).unwrap();
        let error = look(&exec("echo no database >&2; exit 3"), limit, &mask, NEVER).unwrap_err();
        assert_eq!(error.to_string(), "sh: exit code 3: no database");
        let error = look(&exec("sleep 60"), Duration::from_millis(50), &mask, NEVER).unwrap_err();
        assert!(error.to_string().contains("no answer within 50ms"), "{error}");
    }
}
