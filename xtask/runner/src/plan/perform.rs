//! Does one action.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::action::{Action, Exec, Http, Probe, ServiceRequest, WaitFor, Write};
use super::argument::Arg;
use super::child::{Command, End, Inherits, Sink};
use super::http::Request;
use super::leftovers;
use super::log::StepLog;
use super::mask::{Mask, Outputs, Resolved};
use super::probe;
use super::service::ServiceName;
use super::show::Show;
use super::step::StepId;
use foundation::clock::spell;
use foundation::files;
use foundation::processes::describe;

/// The variable that names the file in which a program leaves its outputs.
pub const OUTPUT_FILE: &str = "FLOWSHIP_OUTPUT";
/// Captured output beyond this many bytes is an error.
const LONGEST_OUTPUT: usize = 1024 * 1024;

/// The run was told to stop while the action was under way.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// What an action may use while it is under way.
pub struct StepContext<'a> {
    pub mask: &'a Mask,
    /// Of the steps that ran.
    pub outputs: &'a BTreeMap<StepId, Outputs>,
    pub log: Arc<StepLog>,
    /// When the action must have ended.
    pub deadline: Instant,
    /// Whether the run is to stop. Long work asks every now and then.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// From TERM to KILL.
    pub grace: Duration,
    pub show: &'a Show,
    pub supervision: Option<&'a dyn Supervision>,
}

/// Carries out one native action.
pub type Perform<'a, N> = dyn Fn(&N, &StepContext) -> Result<Outputs> + Sync + 'a;

/// The way to a supervisor.
pub trait Supervision: Sync {
    /// Carries out one request; outputs such as `pid`.
    ///
    /// # Errors
    /// When the supervisor cannot be reached or refuses.
    fn request(&self, state: &Path, request: &ServiceRequest, context: &StepContext) -> Result<Outputs>;

    /// Waits until the service is healthy.
    ///
    /// # Errors
    /// When it has failed, or is not healthy by the step's deadline; with the tail of its log.
    fn await_healthy(&self, state: &Path, service: &ServiceName, context: &StepContext) -> Result<()>;
}

/// Does `action`; what it put out.
///
/// # Errors
/// When it fails or its time is over; [`Stopped`] when it was stopped.
pub fn perform<N>(action: &Action<N>, context: &StepContext, native: &Perform<'_, N>) -> Result<Outputs> {
    let done = match action {
        Action::Exec(exec) => run_program(exec, context),
        Action::Http(http) => send_request(http, context),
        Action::Write(write) => write_file(write, context),
        Action::WaitFor(wait) => wait_for(wait, context),
        Action::Supervise(supervise) => {
            let request = match &supervise.request {
                ServiceRequest::Start(spec) => {
                    let mut spec = spec.clone();
                    for arg in spec.argv.iter_mut().chain(spec.env.values_mut()) {
                        insert_outputs(arg, context)?;
                    }
                    ServiceRequest::Start(spec)
                }
                other => other.clone(),
            };
            context.supervision(&supervise.state)?.request(&supervise.state, &request, context)
        }
        Action::Native(action) => native(action, context),
    };
    match done {
        Err(_) if (context.stop)() => Err(Stopped.into()),
        done => done,
    }
}

impl StepContext<'_> {
    /// The value of an argument.
    ///
    /// # Errors
    /// As [`Mask::resolve`].
    pub fn resolve(&self, arg: &Arg) -> Result<Resolved> {
        self.mask.resolve(arg, self.outputs)
    }

    fn resolve_all(&self, args: &BTreeMap<String, Arg>) -> Result<BTreeMap<String, Resolved>> {
        args.iter().map(|(name, arg)| Ok((name.clone(), self.resolve(arg)?))).collect()
    }

    fn supervision(&self, state: &Path) -> Result<&dyn Supervision> {
        self.supervision
            .with_context(|| format!("nothing here can reach the supervisor of {}", state.display()))
    }

    fn log_lines(&self) -> Sink {
        let log = Arc::clone(&self.log);
        Arc::new(move |line| log.line(line))
    }
}

/// Outputs become literals; secrets stay references, because a supervisor reads them itself.
fn insert_outputs(arg: &mut Arg, context: &StepContext) -> Result<()> {
    match arg {
        Arg::Output(_) => *arg = Arg::Literal(context.resolve(arg)?.expose().to_owned()),
        Arg::Joined(parts) => parts.iter_mut().try_for_each(|part| insert_outputs(part, context))?,
        Arg::Literal(_) | Arg::Secret(_) => {}
    }
    Ok(())
}

fn run_program(exec: &Exec, context: &StepContext) -> Result<Outputs> {
    let left_by_program = files::temporary::file()?;
    let mut argv = vec![context.resolve(&exec.program.as_str().into())?];
    argv.extend(exec.args.iter().map(|arg| context.resolve(arg)).collect::<Result<Vec<_>>>()?);
    let mut env = context.resolve_all(&exec.env)?;
    let path = left_by_program.path().to_string_lossy().into_owned();
    env.insert(OUTPUT_FILE.to_owned(), context.resolve(&path.into())?);
    env.insert(leftovers::MARK.to_owned(), context.resolve(&leftovers::mark().into())?);
    let stdin = exec.stdin.as_ref().map(|arg| context.resolve(arg)).transpose()?;
    let inherits = exec.inherits.clone().map_or(Inherits::Everything, Inherits::Only);
    let mask = context.mask.clone();
    let command = Command { argv, env, inherits, cwd: exec.cwd.clone(), stdin, mask };

    let words: Vec<_> = command.argv.iter().map(ToString::to_string).collect();
    context.log.line(&format!("$ {}", words.join(" ")));
    let captured = Arc::new(Mutex::new(String::new()));
    let capture: Option<Sink> = exec.capture_stdout.then(|| {
        let (captured, log) = (Arc::clone(&captured), Arc::clone(&context.log));
        let sink: Sink = Arc::new(move |line| {
            log.line(line);
            if let Ok(mut captured) = captured.lock()
                && captured.len() <= LONGEST_OUTPUT
            {
                captured.push_str(line);
                captured.push('\n');
            }
        });
        sink
    });
    let child = command.start(&context.log_lines(), capture.as_ref())?;
    match child.finish(context.deadline, context.stop, context.grace)? {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => bail!("{}: {}", exec.program, describe(status)),
        End::TimedOut => bail!("{}: exceeded its time limit", exec.program),
        End::Stopped => return Err(Stopped.into()),
    }
    let text = fs::read_to_string(left_by_program.path())
        .with_context(|| format!("{}: its outputs are not text", exec.program))?;
    let mut outputs = parse_outputs(&text).with_context(|| format!("outputs of {}", exec.program))?;
    if exec.capture_stdout {
        let text =
            captured.lock().map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).unwrap_or_default();
        if text.len() > LONGEST_OUTPUT {
            bail!("{}: wrote more than {LONGEST_OUTPUT} bytes of output", exec.program);
        }
        outputs.insert("stdout".to_owned(), text);
    }
    Ok(outputs)
}

fn parse_outputs(text: &str) -> Result<Outputs> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| match line.split_once('=') {
            Some((key, value)) if !key.is_empty() && !key.contains(char::is_whitespace) => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(anyhow!("line {}: expected key=value", index + 1)),
        })
        .collect()
}

fn send_request(http: &Http, context: &StepContext) -> Result<Outputs> {
    let request = Request {
        method: http.method.clone(),
        url: context.resolve(&http.url)?,
        bearer: http.bearer.as_ref().map(|bearer| context.resolve(bearer)).transpose()?,
        headers: context.resolve_all(&http.headers)?,
        body: http.body.as_ref().map(|body| context.resolve(body)).transpose()?,
        trusts: None,
    };
    context.log.line(&format!("{} {}", request.method, request.url));
    let answer = request.send(context.deadline, context.stop)?;
    context.log.line(&format!("status {}", answer.status));
    answer.body.lines().for_each(|line| context.log.line(line));
    let good = if http.expect.is_empty() {
        (200..300).contains(&answer.status)
    } else {
        http.expect.contains(&answer.status)
    };
    if !good {
        let wanted = if http.expect.is_empty() { "2xx".to_owned() } else { format!("{:?}", http.expect) };
        bail!("{} {} answered {} instead of {wanted}", request.method, request.url, answer.status);
    }
    Ok(Outputs::from([("status".into(), answer.status.to_string()), ("body".into(), answer.body)]))
}

fn write_file(write: &Write, context: &StepContext) -> Result<Outputs> {
    let contents = context.resolve(&write.contents)?;
    files::write::whole(&write.path, write.mode, contents.expose())?;
    context.log.line(&format!("wrote {} ({} bytes)", write.path.display(), contents.expose().len()));
    Ok(Outputs::new())
}

fn wait_for(wait: &WaitFor, context: &StepContext) -> Result<Outputs> {
    let begun = Instant::now();
    let deadline = context.deadline.min(begun + Duration::from_millis(wait.time_limit_ms));
    if let Probe::Supervised { state, service } = &wait.probe {
        let context = StepContext { deadline, log: Arc::clone(&context.log), ..*context };
        return context.supervision(state)?.await_healthy(state, service, &context).map(|()| Outputs::new());
    }
    let interval = Duration::from_millis(wait.interval_ms);
    let mut last = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left.min(Duration::from_secs(2)).max(Duration::from_millis(1));
        match probe::look(&wait.probe, limit, context.mask, context.stop) {
            Ok(()) => return Ok(Outputs::new()),
            Err(error) => {
                let said = format!("{error:#}");
                if said != last {
                    context.log.line(&said);
                    last = said;
                }
            }
        }
        if (context.stop)() {
            return Err(Stopped.into());
        }
        if Instant::now() >= deadline {
            bail!("not reached within {}: {last}", spell(begun.elapsed()));
        }
        let next = Instant::now() + interval.min(deadline.saturating_duration_since(Instant::now()));
        while Instant::now() < next && !(context.stop)() {
            std::thread::sleep(Duration::from_millis(30).min(next.saturating_duration_since(Instant::now())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_lines_of_key_and_value() {
        let outputs = parse_outputs("port=5432\n\nurl=http://x/?a=b\nempty=\n").unwrap();
        let expected = [("port", "5432"), ("url", "http://x/?a=b"), ("empty", "")];
        assert_eq!(outputs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(parse_outputs("a=1\nno value\n").unwrap_err().to_string(), "line 2: expected key=value");
    }
}
