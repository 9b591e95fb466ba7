//! Rolls a release out, on whatever engine: a new replica is started in a free slot and proves itself there, before it takes
//! requests and an old one leaves. There is one slot more than replicas. Pure.
//!
//! The order and the checks are the same everywhere. How a replica is started and ended is the engine's, see [`Replicas`].

pub mod contract;
pub mod edge;
pub mod edge_socket;
pub mod places;
pub mod rotation;
pub mod running;
pub mod schema;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, Unit};

use super::process::instance::Instance;
use super::process::lower::BringUp;
use foundation::clock::millis;
use foundation::program_name::PROGRAM;
use runner::plan::action::{Action, Write};
use runner::plan::step::{Step, StepId};

/// The native actions of a roll.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Roll {
    /// Waits until a held replica runs the release and all its checks pass.
    Verify(Replica),
    /// Has a replica pass its smoke alone.
    Smoke(Replica),
    /// Lets it take requests and tasks, and waits until the edge sends it some.
    Admit(Replica),
    /// The edge sends it nothing new; what it has is finished when it ends.
    Withdraw(Replica),
    /// The edge reads its configuration again.
    ReloadEdge,
    /// The edge fetches its certificate from an ACME authority, unless it has one.
    FetchCertificate,
    /// The edge reads this configuration, its earlier one, again.
    RestoreEdge { path: PathBuf, contents: String },
    /// The edge sends it nothing new, if those that are to serve instead still do.
    Drain { replica: Replica, instead: Vec<Replica> },
    /// Has a replica that runs again as it was pass its smoke, and the edge send it requests.
    Return(Replica),
    /// Looks at what serves now for a while.
    Watch { replicas: Vec<Replica>, seconds: u64 },
}

/// A replica as the actions of a roll find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Its name for the engine and for the edge.
    pub name: String,
    /// The release that it runs.
    pub release: String,
}

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Free,
    /// This release, which serves.
    Serving,
    /// This release, which has not proved itself yet.
    Held,
    /// Another release, or other settings, which serves.
    Old,
    /// What has ended, or is given up.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// What is in the slot proves itself and serves.
    Start(usize),
    /// What is in the slot leaves.
    Retire(usize),
}

impl Move {
    fn slot(self) -> usize {
        let (Move::Start(slot) | Move::Retire(slot)) = self;
        slot
    }
}

/// The moves after which so many replicas of this release serve and nothing else runs. An old replica leaves only for a new
/// one that serves, wherever there is a slot for that.
fn sequence(slots: &[Slot], wanted: usize) -> Vec<Move> {
    let of = |kind: Slot| (0..slots.len()).filter(move |index| slots[*index] == kind);
    let mut moves: Vec<Move> = of(Slot::Dead).map(Move::Retire).collect();
    let mut open: VecDeque<usize> = of(Slot::Held).chain(of(Slot::Free)).chain(of(Slot::Dead)).collect();
    let mut old: VecDeque<usize> = of(Slot::Old).collect();
    let mut serving: VecDeque<usize> = of(Slot::Serving).collect();
    while serving.len() < wanted {
        if serving.len() + old.len() > wanted || open.is_empty() {
            let Some(leaves) = old.pop_front() else { break };
            moves.push(Move::Retire(leaves));
            open.push_back(leaves);
            continue;
        }
        let Some(next) = open.pop_front() else { break };
        moves.push(Move::Start(next));
        serving.push_back(next);
    }
    let surplus = serving.into_iter().skip(wanted);
    let held = open.into_iter().filter(|index| slots[*index] == Slot::Held);
    moves.extend(old.into_iter().chain(surplus).chain(held).map(Move::Retire));
    moves
}

/// How long a deploy watches what it has done, unless somebody asks for something else.
pub const WATCH: Duration = Duration::from_secs(10);
/// The same where the release that is rolled out served before, as in a rollback. Users suffer under the other one until it is
/// over: it is to take less than 10 s in all, of which replacing two replicas takes 6.
pub const WATCH_OF_PROVEN: Duration = Duration::from_secs(3);
/// The step that looks at what a deploy has done.
pub const WATCHED: &str = "watch";
/// How long a replica may take until it has started and its checks pass. One that needs 20 s is slow, not broken.
pub const START_LIMIT_MS: u64 = 60_000;

/// The same for one that had started before, and took requests: a killed deploy goes on, and it is as it was or broken.
const AGAIN_LIMIT_MS: u64 = 10_000;

/// The title of the step that ends what is in a slot.
pub fn leaves(platform: &Platform, environment: &Environment, unit: &Unit<'_>) -> String {
    let limit = platform.stop_limit_seconds(unit.service, environment.tier);
    format!("{} finishes its work and stops (at most {limit} s)", unit.name())
}

/// Lets these steps wait for all others.
pub fn come_last(steps: &mut [Step<BringUp>], is_last: impl Fn(&Step<BringUp>) -> bool) {
    let (last, others): (Vec<_>, Vec<_>) = steps.iter_mut().partition(|step| is_last(step));
    let others: Vec<StepId> = others.into_iter().map(|step| step.id.clone()).collect();
    last.into_iter().for_each(|step| step.needs.extend(others.iter().cloned()));
}

/// How long an earlier worker of the edge may take to finish what it has: longer than the edge gives it.
pub fn old_edge_ends_ms(platform: &Platform, environment: &Environment) -> u64 {
    let edge = platform.service(platform.edge.service());
    let seconds = edge.map_or(0, |edge| platform.stop_limit_seconds(edge, environment.tier));
    u64::from(seconds) * 1000 + 5_000
}

/// How an engine runs the replicas of the workers.
pub trait Replicas {
    /// What is in the slot of a unit.
    fn slot(&self, unit: &Unit<'_>) -> Slot;

    /// The release of what is in it; empty when there is none.
    fn release(&self, unit: &Unit<'_>) -> String;

    /// Starts the new release in it, held. Undone, the slot is free.
    fn start(&self, unit: &Unit<'_>, needs: Vec<StepId>) -> Vec<Step<BringUp>>;

    /// Ends what is in it. Undone, that runs again as it was, if `comes_back`.
    fn stop(&self, unit: &Unit<'_>, needs: Vec<StepId>, comes_back: bool) -> Vec<Step<BringUp>>;
}

/// What is rolled out, and where.
pub struct Workers<'a> {
    pub platform: &'a Platform,
    pub environment: &'a Environment,
    pub instance: &'a Instance,
    /// The slots.
    pub slots: Vec<Unit<'a>>,
    /// So many replicas are to serve.
    pub wanted: usize,
    pub replicas: &'a dyn Replicas,
}

impl<'a> Workers<'a> {
    pub fn of(
        platform: &'a Platform,
        environment: &'a Environment,
        instance: &'a Instance,
        replicas: &'a dyn Replicas,
    ) -> Self {
        let workers = |units: Vec<Unit<'a>>| {
            units.into_iter().filter(|unit| platform.is_worker(unit)).collect::<Vec<_>>()
        };
        Self {
            platform,
            environment,
            instance,
            slots: workers(platform.slots(environment)),
            wanted: workers(platform.units(environment)).len(),
            replicas,
        }
    }

    pub fn kinds(&self) -> Vec<Slot> {
        self.slots.iter().map(|unit| self.replicas.slot(unit)).collect()
    }

    /// The steps that replace the replicas one by one after these others, and watch the new ones before the last old one
    /// leaves.
    pub fn roll(&self, mut after: Vec<StepId>, watch: Duration) -> Vec<Step<BringUp>> {
        let kinds = self.kinds();
        let mut steps = Vec::new();
        for (unit, _) in self.slots.iter().zip(&kinds).filter(|(_, kind)| **kind == Slot::Serving) {
            let step = Step { time_limit_ms: AGAIN_LIMIT_MS, ..self.admit(unit, &after) };
            after.push(step.id.clone());
            steps.push(step);
        }
        let mut serving: BTreeSet<usize> =
            (0..kinds.len()).filter(|index| kinds[*index] == Slot::Serving).collect();
        let of = |serving: &BTreeSet<usize>| -> Vec<Replica> {
            serving.iter().map(|index| self.replica(&self.slots[*index])).collect()
        };
        let moves = sequence(&kinds, self.wanted);
        let starts = moves.iter().rposition(|one| matches!(one, Move::Start(_))).map_or(0, |last| last + 1);
        for (number, one) in moves.iter().enumerate() {
            // What leaves last is there until the watch is over: a release that turns bad meanwhile leaves no gap.
            if number == starts {
                let stays = moves[starts..].iter().map(|one| one.slot()).collect();
                let watched = self.watch(of(&serving.difference(&stays).copied().collect()), after, watch);
                after = vec![watched.id.clone()];
                steps.push(watched);
            }
            let moved = match *one {
                Move::Start(index) => {
                    serving.insert(index);
                    self.start(&self.slots[index], &after)
                }
                Move::Retire(index) => {
                    serving.remove(&index);
                    self.retire(&self.slots[index], kinds[index], of(&serving), &after)
                }
            };
            after = moved.last().map(|step| vec![step.id.clone()]).unwrap_or_default();
            steps.extend(moved);
        }
        if starts == moves.len() {
            steps.push(self.watch(of(&serving), after, watch));
        }
        steps
    }

    fn watch(&self, replicas: Vec<Replica>, after: Vec<StepId>, watch: Duration) -> Step<BringUp> {
        Step {
            needs: after,
            time_limit_ms: millis(watch).saturating_add(30_000),
            remedy: Some(format!("read `{PROGRAM} logs {}`", self.environment.name)),
            ..Step::new(
                WATCHED,
                format!("watch it for {} s: errors, restarts, readiness", watch.as_secs()),
                Action::Native(BringUp::Roll(Roll::Watch { replicas, seconds: watch.as_secs() })),
            )
        }
    }

    fn new_release(&self) -> &str {
        self.instance.release.as_ref().map_or("", |release| release.id.as_str())
    }

    fn replica(&self, unit: &Unit<'_>) -> Replica {
        Replica { name: unit.name(), release: self.new_release().to_owned() }
    }

    fn start(&self, unit: &Unit<'_>, after: &[StepId]) -> Vec<Step<BringUp>> {
        let (name, release) = (unit.name(), self.new_release());
        let native = |what: &str, title: String, act: fn(Replica) -> Roll, needs: StepId| Step {
            needs: vec![needs],
            remedy: Some(format!("read `{PROGRAM} logs {} {name}`", self.environment.name)),
            ..Step::new(
                format!("{name}.{what}"),
                title,
                Action::Native(BringUp::Roll(act(self.replica(unit)))),
            )
        };
        let hold = format!("{name}.hold");
        let mut steps = vec![Step {
            needs: after.to_vec(),
            ..Step::new(
                hold.clone(),
                format!("hold {name} back: no requests and no tasks yet"),
                Action::Write(Write {
                    path: self.instance.held(&name),
                    contents: release.into(),
                    mode: 0o600,
                }),
            )
        }];
        steps.extend(self.replicas.start(unit, vec![hold.into()]));
        let started = steps[steps.len() - 1].id.clone();
        steps.extend([
            Step {
                time_limit_ms: START_LIMIT_MS,
                ..native(
                    "verify",
                    format!("{name} runs {release}, and its checks pass"),
                    Roll::Verify,
                    started,
                )
            },
            native(
                "smoke",
                format!("{name} passes its smoke, alone"),
                Roll::Smoke,
                format!("{name}.verify").into(),
            ),
            Step {
                undo: Some(Action::Native(BringUp::Roll(Roll::Withdraw(self.replica(unit))))),
                ..self.admit(unit, &[format!("{name}.smoke").into()])
            },
        ]);
        steps
    }

    /// Also for one that serves already: a deploy that was killed may have taken it out of the edge.
    fn admit(&self, unit: &Unit<'_>, needs: &[StepId]) -> Step<BringUp> {
        let name = unit.name();
        Step {
            needs: needs.to_vec(),
            time_limit_ms: START_LIMIT_MS,
            ..Step::new(
                format!("{name}.admit"),
                format!("{name} takes requests and tasks"),
                Action::Native(BringUp::Roll(Roll::Admit(self.replica(unit)))),
            )
        }
    }

    fn retire(
        &self,
        unit: &Unit<'_>,
        kind: Slot,
        instead: Vec<Replica>,
        after: &[StepId],
    ) -> Vec<Step<BringUp>> {
        if !matches!(kind, Slot::Old | Slot::Serving) {
            return self.replicas.stop(unit, after.to_vec(), false);
        }
        let name = unit.name();
        let old = Replica { name: name.clone(), release: self.replicas.release(unit) };
        let native = |act| Action::Native(BringUp::Roll(act));
        let drain = format!("{name}.drain");
        let mut steps = vec![Step {
            needs: after.to_vec(),
            undo: Some(native(Roll::Return(old.clone()))),
            time_limit_ms: old_edge_ends_ms(self.platform, self.environment),
            ..Step::new(
                drain.clone(),
                format!("the edge sends {name} nothing new"),
                native(Roll::Drain { replica: old, instead }),
            )
        }];
        steps.extend(self.replicas.stop(unit, vec![drain.into()], true));
        steps
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use foundation::interrupt::Interrupt;
    use runner::plan::runner::Runner;
    use runner::plan::show::{OutputStyle, Show};
    use runner::plan::step::Plan;
    use runner::plan::target::{Recording, Target};
    use runner::supervisor::protocol::{HealthState, ServiceStatus, State};

    use super::Slot::{Dead, Free, Held, Old, Serving};
    use super::*;

    /// A service that runs and is healthy.
    pub fn healthy(name: &str) -> ServiceStatus {
        ServiceStatus {
            name: name.into(),
            state: State::Running,
            health: HealthState::Healthy,
            pid: Some(1),
            started_ms: Some(1),
            restarts: 0,
            reason: None,
            ports: BTreeMap::new(),
            log: PathBuf::new(),
        }
    }

    /// What is done, in order, when the step with this id fails.
    pub fn done(plan: &Plan<BringUp>, fails: Option<&str>) -> Vec<String> {
        let state = tempfile::tempdir().unwrap();
        let recording = Recording::new(fails.map(|id| (id.into(), Err("it does".to_owned()))));
        let target = Target::Recorded { state: state.path().to_owned(), recording: Arc::clone(&recording) };
        let runner = Runner {
            jobs: 1,
            show: Show::to(OutputStyle::Plain, Box::new(std::io::sink())),
            ..Runner::new(&target, Interrupt::default(), &|_, _| unreachable!("it is recorded"))
        };
        runner.run(plan).unwrap();
        let ids = recording.actions();
        ids.iter().map(|action| action.split(": ").next().unwrap().to_owned()).collect()
    }

    fn spell(slots: &[Slot], wanted: usize) -> String {
        let name = |index: usize| char::from(b'a' + u8::try_from(index).unwrap());
        let one = |one: Move| match one {
            Move::Start(index) => format!("+{}", name(index)),
            Move::Retire(index) => format!("-{}", name(index)),
        };
        sequence(slots, wanted).into_iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_new_replica_serves_before_an_old_one_leaves() {
        for (slots, wanted, moves) in [
            (&[Free, Free, Free][..], 2, "+a +b"),
            (&[Old, Old, Free], 2, "+c -a +a -b"),
            (&[Old, Free], 1, "+b -a"),
            (&[Free, Old, Old], 2, "+a -b +b -c"),
            (&[Old, Old, Old, Free], 3, "+d -a +a -b +b -c"),
            (&[Serving, Serving, Free], 2, ""),
            // Killed after the first was admitted, or before.
            (&[Old, Old, Serving], 2, "-a +a -b"),
            (&[Old, Old, Held], 2, "+c -a +a -b"),
            (&[Serving, Old, Serving], 2, "-b"),
            // One has crashed; a replica more, and one less.
            (&[Dead, Old, Free], 2, "-a +c +a -b"),
            (&[Serving, Serving, Free, Free], 3, "+c"),
            (&[Serving, Serving, Serving], 2, "-c"),
            (&[Serving, Serving, Held], 2, "-c"),
        ] {
            assert_eq!(spell(slots, wanted), moves, "{slots:?}");
        }
    }

    /// Every state of four slots: the end is as wanted, and on the way the number that serves never falls below what it
    /// was at first or what is wanted, as long as a slot is free for that.
    #[test]
    fn nothing_is_lost_on_the_way_whatever_was_found() {
        let kinds = [Free, Serving, Held, Old, Dead];
        for number in 0..kinds.len().pow(4) {
            let mut slots: Vec<Slot> =
                (0..4_u32).map(|at| kinds[number / kinds.len().pow(at) % kinds.len()]).collect();
            let begun = slots.clone();
            let wanted = 3;
            let serve = |slots: &[Slot]| slots.iter().filter(|slot| matches!(slot, Serving | Old)).count();
            let least = serve(&slots).min(wanted);
            for one in sequence(&begun, wanted) {
                match one {
                    Move::Start(index) => {
                        assert!(matches!(slots[index], Free | Held), "{begun:?}");
                        slots[index] = Serving;
                    }
                    Move::Retire(index) => {
                        assert_ne!(slots[index], Free, "{begun:?}");
                        slots[index] = Free;
                    }
                }
                assert!(serve(&slots) >= least, "{begun:?} {slots:?}");
            }
            let serving = slots.iter().filter(|slot| **slot == Serving).count();
            assert_eq!(
                (serving, slots.iter().all(|slot| matches!(slot, Serving | Free))),
                (wanted, true),
                "{begun:?}"
            );
        }
    }
}
