//! The plan that makes stand-ins. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::engine::Engine;
use super::stand_in::{self, LEFT_OUT, SECURITY_UPDATES, SUITE, StandIn};
use runner::plan::action::{Action, Exec, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// Names the plan's lock, journal and logs.
pub const TARGET: &str = "images";

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum MakeStandIns {
    InstallTools,
    ClearFolder {
        folder: PathBuf,
    },
    KeepRootFileSystem {
        made: PathBuf,
        place: PathBuf,
        remove: PathBuf,
    },
    GatherContext {
        #[serde(serialize_with = "by_name")]
        stand_in: StandIn,
        context: PathBuf,
        ca: Option<PathBuf>,
    },
    WriteStandInLock {
        stand_ins: Vec<Made>,
    },
}

/// A stand-in that the engine has.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    pub name: &'static str,
    pub tag: String,
    pub image_id: Arg,
}

fn by_name<S: serde::Serializer>(stand_in: &StandIn, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(stand_in.name)
}

impl Native for MakeStandIns {
    fn args(&self) -> Vec<&Arg> {
        match self {
            Self::WriteStandInLock { stand_ins } => stand_ins.iter().map(|made| &made.image_id).collect(),
            Self::InstallTools
            | Self::ClearFolder { .. }
            | Self::KeepRootFileSystem { .. }
            | Self::GatherContext { .. } => vec![],
        }
    }
}

/// One stand-in that is to be there.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub stand_in: StandIn,
    pub tag: String,
    /// Whether the engine has it already.
    pub present: bool,
    pub made_of: Vec<String>,
}

/// Everything the plan depends on.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub engine: &'a Engine,
    pub chosen: &'a [Chosen],
    /// A bundle of certificates in PEM.
    pub ca: Option<&'a Path>,
    /// None is debootstrap's own choice.
    pub mirror: Option<&'a str>,
    pub root_tag: &'a str,
    pub root_present: bool,
    /// The root file system in the user's cache.
    pub root_tar: &'a Path,
    /// Absolute path of `debootstrap`.
    pub debootstrap: &'a Path,
    /// Folder for what is made on the way.
    pub folder: &'a Path,
    /// Makes everything anew.
    pub refresh: bool,
}

/// The step of a stand-in's part.
fn id(part: &str, chosen: &Chosen) -> StepId {
    format!("{part}-{}", chosen.stand_in.name).into()
}

/// The folder of a stand-in's build.
pub fn context(folder: &Path, stand_in: &StandIn) -> PathBuf {
    folder.join("context").join(stand_in.name)
}

/// # Errors
/// The engine cannot build.
pub fn plan(wanted: &Wanted<'_>) -> Result<Plan<MakeStandIns>> {
    let missing: Vec<&Chosen> =
        wanted.chosen.iter().filter(|chosen| wanted.refresh || !chosen.present).collect();
    let mut steps = Vec::new();
    if !missing.is_empty() && (wanted.refresh || !wanted.root_present) {
        steps.extend(root_steps(wanted));
    }
    let root: Vec<StepId> =
        steps.last().map(|step: &Step<MakeStandIns>| step.id.clone()).into_iter().collect();
    if missing.iter().any(|chosen| chosen.stand_in.wheel.is_some()) {
        steps.push(Step {
            time_limit_ms: 1_800_000,
            ..Step::new(
                "tools",
                "install the wheels that go into stand-ins",
                Action::Native(MakeStandIns::InstallTools),
            )
        });
    }
    for chosen in &missing {
        steps.extend(stand_in_steps(wanted, chosen, &root)?);
    }
    let mut made = Vec::new();
    for chosen in wanted.chosen {
        let built = missing.iter().any(|missing| missing.tag == chosen.tag).then(|| id("build", chosen));
        steps.push(Step {
            needs: built.into_iter().collect(),
            ..Step::new(
                id("id", chosen),
                format!("see the {} stand-in", chosen.stand_in.name),
                Action::Exec(Exec {
                    capture_stdout: true,
                    ..wanted.engine.exec(["image", "inspect", "--format", "{{.Id}}", &chosen.tag])
                }),
            )
        });
        made.push(Made {
            name: chosen.stand_in.name,
            tag: chosen.tag.clone(),
            image_id: Arg::output(id("id", chosen), "stdout"),
        });
    }
    steps.push(Step {
        needs: wanted.chosen.iter().map(|chosen| id("id", chosen)).collect(),
        ..Step::new(
            "lock",
            "write the stand-ins' lock file",
            Action::Native(MakeStandIns::WriteStandInLock { stand_ins: made }),
        )
    });
    Ok(Plan {
        intent: "build stand-ins for base images".into(),
        target: TARGET.into(),
        on_failure: OnFailure::Keep,
        steps,
    })
}

/// Debian's root file system: made once, kept in the user's cache, then imported.
fn root_steps(wanted: &Wanted<'_>) -> Vec<Step<MakeStandIns>> {
    let made = wanted.folder.join("root");
    let part = wanted.folder.join("root.tar");
    let text = |path: &Path| path.display().to_string();
    let there = || (!wanted.refresh).then(|| wanted.root_tar.to_owned());
    // In a name space of its own, so that what it mounts is gone however it ends.
    let debootstrap =
        ["--mount", "--propagation", "private", &text(wanted.debootstrap), "--variant=minbase", SUITE]
            .map(str::to_owned)
            .into_iter()
            .chain([text(&made)])
            .chain(wanted.mirror.map(str::to_owned));
    let tar = ["--sort=name", "--numeric-owner", "--mtime=@0", "--format=pax"]
        .map(str::to_owned)
        .into_iter()
        .chain(["--pax-option=delete=atime,delete=ctime".to_owned()])
        .chain(LEFT_OUT.iter().map(|pattern| format!("--exclude={pattern}")))
        .chain(["-C".to_owned(), text(&made), "-cf".to_owned(), text(&part), ".".to_owned()]);
    let exec = |program: &str, args: Vec<String>| {
        Action::Exec(Exec {
            program: program.to_owned(),
            args: args.into_iter().map(Arg::from).collect(),
            ..Exec::default()
        })
    };
    vec![
        Step {
            unless_exists: there(),
            ..Step::new(
                "root-clear",
                "prepare the folder for Debian's root file system",
                Action::Native(MakeStandIns::ClearFolder { folder: made.clone() }),
            )
        },
        Step {
            needs: vec!["root-clear".into()],
            unless_exists: there(),
            time_limit_ms: 1_800_000,
            remedy: Some(format!(
                "check that {} is reachable, or choose another mirror with --mirror; debootstrap's log: {}",
                wanted.mirror.unwrap_or("Debian's mirror"),
                made.join("debootstrap/debootstrap.log").display()
            )),
            ..Step::new(
                "root-debootstrap",
                format!("build Debian's root file system ({SUITE}, minimal)"),
                exec("unshare", debootstrap.collect()),
            )
        },
        Step {
            needs: vec!["root-debootstrap".into()],
            unless_exists: there(),
            time_limit_ms: 1_800_000,
            remedy: Some(
                "check that Debian's security archive is reachable; beside a mirror that --mirror names, it is expected at \
                 the same address with `-security` at its end"
                    .to_owned(),
            ),
            ..Step::new(
                "root-updates",
                "install Debian's security updates in it",
                exec("unshare", ["--mount", "chroot", &text(&made), "sh", "-euc", SECURITY_UPDATES].map(str::to_owned).into()),
            )
        },
        Step {
            needs: vec!["root-updates".into()],
            unless_exists: there(),
            ..Step::new("root-pack", "pack the root file system", exec("tar", tar.collect()))
        },
        Step {
            needs: vec!["root-pack".into()],
            unless_exists: there(),
            ..Step::new(
                "root-keep",
                "keep the root file system in the cache",
                Action::Native(MakeStandIns::KeepRootFileSystem {
                    made: part,
                    place: wanted.root_tar.to_owned(),
                    remove: made,
                }),
            )
        },
        Step {
            needs: vec!["root-keep".into()],
            ..Step::new(
                "root-import",
                "import the root file system",
                Action::Exec(wanted.engine.exec([
                    "import",
                    "--change",
                    "CMD [\"bash\"]",
                    &text(wanted.root_tar),
                    wanted.root_tag,
                ])),
            )
        },
    ]
}

fn stand_in_steps(wanted: &Wanted<'_>, chosen: &Chosen, root: &[StepId]) -> Result<[Step<MakeStandIns>; 2]> {
    let context = context(wanted.folder, &chosen.stand_in);
    let needs_tools = chosen.stand_in.wheel.is_some().then(|| StepId::from("tools"));
    let mut build = wanted.engine.build()?;
    let refresh = wanted.refresh.then_some("--no-cache");
    build.args.extend(refresh.map(Arg::from));
    build.args.extend(
        [
            "--build-arg".to_owned(),
            format!("DEBIAN={}", wanted.root_tag),
            "--tag".to_owned(),
            chosen.tag.clone(),
        ]
        .map(Arg::from),
    );
    build.args.push(context.display().to_string().into());
    Ok([
        Step {
            needs: needs_tools.into_iter().collect(),
            ..Step::new(
                id("gather", chosen),
                format!("collect the files of the {} stand-in", chosen.stand_in.name),
                Action::Native(MakeStandIns::GatherContext {
                    stand_in: chosen.stand_in,
                    context,
                    ca: wanted.ca.map(Path::to_owned),
                }),
            )
        },
        Step {
            needs: root.iter().cloned().chain([id("gather", chosen)]).collect(),
            time_limit_ms: 1_800_000,
            ..Step::new(
                id("build", chosen),
                format!("build the {} stand-in ({})", chosen.stand_in.name, chosen.stand_in.reference),
                Action::Exec(build),
            )
        },
    ])
}

/// The tag of each stand-in and what it is made of. `wheels` gives, by the stand-in's name, the folder name of the
/// wheel in the user's cache, which says its version and its hashes.
pub fn choose(
    stand_ins: &[StandIn],
    wheels: &BTreeMap<&str, String>,
    ca: Option<&str>,
    root_tag: &str,
    present: impl Fn(&str) -> Result<bool>,
) -> Result<Vec<Chosen>> {
    stand_ins
        .iter()
        .map(|stand_in| {
            let wheel = wheels.get(stand_in.name).map(String::as_str);
            let dockerfile = stand_in.dockerfile_with(ca.is_some());
            let tag = stand_in.tag(&[
                &dockerfile,
                stand_in.entrypoint,
                wheel.unwrap_or_default(),
                ca.unwrap_or_default(),
                root_tag,
                &format!("{:?}", stand_in.wheel),
            ]);
            let made_of =
                [Some(format!("Debian {}", stand_in::SUITE)), wheel.map(|tool| format!("the locked {tool}"))];
            let certificates = ca.map(|_| "a bundle of certificates given with --ca".to_owned());
            Ok(Chosen {
                stand_in: *stand_in,
                present: present(&tag)?,
                tag,
                made_of: made_of.into_iter().flatten().chain(certificates).collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::engine::Builder;
    use super::super::stand_in::stand_ins;
    use super::*;

    fn engine() -> Engine {
        Engine {
            client: "/usr/bin/docker".into(),
            client_version: "20.10.24".into(),
            server_version: "20.10.24".into(),
            storage_driver: "overlay2".into(),
            builder: Some(Builder::Integrated),
        }
    }

    fn made(present: bool, root_present: bool, refresh: bool) -> Plan<MakeStandIns> {
        let mut stand_ins = stand_ins(&second_platform::platform());
        stand_ins.retain(|stand_in| stand_in.group.is_none());
        let wheels = [("node", "nodejs-1".to_owned()), ("postgres", "pg-1".to_owned())].into();
        let chosen = choose(&stand_ins, &wheels, None, "root:1", |_| Ok(present)).unwrap();
        plan(&Wanted {
            engine: &engine(),
            chosen: &chosen,
            ca: None,
            mirror: Some("http://mirror"),
            root_tag: "root:1",
            root_present,
            root_tar: Path::new("/cache/root.tar"),
            debootstrap: Path::new("/usr/sbin/debootstrap"),
            folder: Path::new("/state/images"),
            refresh,
        })
        .unwrap()
    }

    #[test]
    fn only_what_is_missing_is_made() {
        let ids =
            |plan: &Plan<MakeStandIns>| plan.steps.iter().map(|step| step.id.0.clone()).collect::<Vec<_>>();
        assert_eq!(
            ids(&made(true, true, false)),
            ["id-node", "id-postgres", "id-haproxy", "id-openbao", "lock"]
        );
        assert!(!ids(&made(false, true, false)).contains(&"root-debootstrap".to_owned()));
        for plan in [made(false, false, false), made(true, true, true)] {
            assert!(ids(&plan).contains(&"root-debootstrap".to_owned()));
            assert!(ids(&plan).contains(&"build-haproxy".to_owned()));
            assert!(plan.validate().is_empty(), "{:?}", plan.validate());
        }
    }

    #[test]
    fn a_build_needs_its_root_and_its_context() {
        let text = made(false, false, false).text();
        let build = "DOCKER_BUILDKIT=1 /usr/bin/docker build --progress=plain --build-arg DEBIAN=root:1 --tag \
                     flowship.local/stand-in/node:";
        assert!(text.contains(build), "{text}");
        assert!(text.contains("needs  root-import, gather-node"), "{text}");
        assert!(text.contains(
            "unshare --mount --propagation private /usr/sbin/debootstrap --variant=minbase bookworm"
        ));
    }

    #[test]
    fn a_tag_changes_with_the_wheel_the_certificates_and_the_root() {
        let stand_ins: Vec<_> = stand_ins(&second_platform::platform()).into_iter().take(1).collect();
        let tag = |wheel: &str, ca: Option<&str>, root: &str| {
            let wheels = [("node", wheel.to_owned())].into();
            choose(&stand_ins, &wheels, ca, root, |_| Ok(false)).unwrap()[0].tag.clone()
        };
        let tags = [tag("a", None, "r"), tag("b", None, "r"), tag("a", Some("x"), "r"), tag("a", None, "s")];
        assert_eq!(std::collections::BTreeSet::from(tags).len(), 4);
    }
}
