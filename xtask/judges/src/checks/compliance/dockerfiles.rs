//! Rows on Dockerfiles.

use super::dockerfile::{Dockerfile, Instruction, Stage};
use super::install;
use super::interpolation::settled;
use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::shell;
use super::tree::Tree;
use crate::checks::container_secrets::{SECRET_FILES, assigned_secret, names_secret};
use crate::checks::container_user;

pub fn rows() -> Vec<Row> {
    let row = |id, what, sources, also, judge| Row {
        id,
        what,
        sources,
        subject: Subject::Dockerfiles,
        also,
        judge,
    };
    vec![
        row(
            "D1",
            "every image that is built runs as a numeric user other than root",
            &[Source::CisDocker("4.1")],
            &["images", "rehearsal"],
            user,
        ),
        row(
            "D2",
            "every base, and every image that Compose pulls, is named by its digest",
            &[Source::Scorecard("Pinned-Dependencies")],
            &[],
            digests,
        ),
        row(
            "D3",
            "no secret stands in ENV, ARG or RUN, and no file that holds secrets is copied",
            &[Source::CisDocker("4.10")],
            &["images", "rehearsal", "secrets-in-history"],
            secrets,
        ),
        row(
            "D4",
            "every image has a health check, or NONE where it runs once and others wait for its end",
            &[Source::CisDocker("4.6")],
            &["rehearsal"],
            health,
        ),
        row(
            "D5",
            "files are brought in by COPY, never by ADD",
            &[Source::CisDocker("4.9")],
            &["containers"],
            no_add,
        ),
        row(
            "D6",
            "whatever is installed has an exact version or comes from a lock file",
            &[
                Source::Hadolint("DL3008"),
                Source::Hadolint("DL3013"),
                Source::Hadolint("DL3016"),
                Source::Hadolint("DL3018"),
            ],
            &["containers"],
            versions,
        ),
        row(
            "D7",
            "setuid and setgid bits are taken away: by the image itself, or where the root is collected that it stands \
             on (the built images are searched by `cargo xtask image`)",
            &[Source::CisDocker("4.8")],
            &["images"],
            set_user_bits,
        ),
    ]
}

const NONE: &str = "Dockerfile";

/// Each image that is built.
fn targets(tree: &Tree, mut judge: impl FnMut(&mut Inspection, &Dockerfile, &Stage)) -> Verdict {
    let mut look = Inspection::default();
    for dockerfile in tree.dockerfiles() {
        for stage in dockerfile.targets() {
            look.saw();
            judge(&mut look, dockerfile, stage);
        }
    }
    look.verdict(NONE)
}

/// Each instruction.
fn instructions(tree: &Tree, mut judge: impl FnMut(&mut Inspection, &Instruction)) -> Verdict {
    let mut look = Inspection::default();
    for dockerfile in tree.dockerfiles() {
        for instruction in
            dockerfile.arguments.iter().chain(dockerfile.stages.iter().flat_map(|stage| &stage.instructions))
        {
            look.saw();
            judge(&mut look, instruction);
        }
    }
    look.verdict(NONE)
}

fn user(tree: &Tree) -> Verdict {
    targets(tree, |look, dockerfile, stage| {
        let found = dockerfile.effective(stage, "USER");
        let user = found.map_or("", |user| user.rest.as_str());
        if found.is_none() && is_nonroot(lowest_base(dockerfile, stage)) {
            return;
        }
        if let Some(problem) = container_user::problem(user) {
            let place = found.map_or(&stage.place, |user| &user.place);
            look.find(
                place,
                format!("the user of {} {problem}", stage.name),
                "end the stage with USER and numbers, such as USER 10001:10001",
            );
        }
    })
}

/// Whether the tag of a base says that it sets a numbered user which is not root: those of distroless do, such as
/// `static:nonroot` and `static:debug-nonroot-amd64`, and it is 65532.
fn is_nonroot(base: &str) -> bool {
    let name = base.split('@').next().unwrap_or(base);
    let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
    !tag.contains('/') && tag.split(['-', '_', '.']).any(|word| word == "nonroot")
}

fn digests(tree: &Tree) -> Verdict {
    const REMEDY: &str = "name it as NAME:TAG@sha256:DIGEST (ours are in xtask/platform/src/pins.rs)";
    let mut look = Inspection::default();
    for dockerfile in tree.dockerfiles() {
        let own = |name: &str| {
            name.is_empty()
                || name == "scratch"
                || dockerfile.stage(name).is_some()
                || name.parse::<usize>().is_ok_and(|number| number < dockerfile.stages.len())
        };
        if let Some((place, image)) = &dockerfile.syntax {
            judge_image(&mut look, place, image, REMEDY);
        }
        for stage in &dockerfile.stages {
            if !own(&stage.base) {
                judge_image(&mut look, &stage.place, &stage.base, REMEDY);
            } else if stage.base.is_empty() {
                look.find(&stage.place, "the base depends on an argument without a default", REMEDY);
            }
            for copy in stage.instructions.iter().filter(|one| one.keyword == "COPY") {
                if let Some(from) = copy.flag("from").filter(|from| !own(from)) {
                    judge_image(&mut look, &copy.place, from, REMEDY);
                }
            }
        }
    }
    let composed = tree.composed();
    look.broken(&composed.broken);
    for (_, service) in composed.services() {
        let Some(image) = service.get("image").filter(|_| service.get("build").is_none()) else { continue };
        let name = settled(image.text().unwrap_or_default());
        // What the site must give comes from the lock of a release, which holds digests.
        if !name.starts_with(super::interpolation::GIVEN) {
            judge_image(&mut look, &image.place, &name, REMEDY);
        }
    }
    look.verdict("image of others in a Dockerfile or in Compose")
}

fn judge_image(look: &mut Inspection, place: &Place, image: &str, remedy: &str) {
    look.saw();
    let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
    let good = digest
        .is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !good {
        look.find(place, format!("{image} may be another image tomorrow"), remedy);
    }
}

fn secrets(tree: &Tree) -> Verdict {
    const REMEDY: &str =
        "hand it to the build with RUN --mount=type=secret, and to the container as a file when it runs";
    instructions(tree, |look, instruction| match instruction.keyword.as_str() {
        "ENV" | "ARG" | "LABEL" => {
            for (name, value) in instruction.assignments() {
                if assigned_secret(&format!("{name}={value}")).is_some() {
                    look.find(&instruction.place, format!("{name} looks like a secret"), REMEDY);
                }
                // Its value would stay in the history of the image.
                if instruction.keyword == "ARG" && value.is_empty() && names_secret(&name) {
                    look.find(&instruction.place, format!("the argument {name} is a secret's"), REMEDY);
                }
            }
        }
        "RUN" => {
            for word in shell::words(&instruction.rest) {
                if let Some(name) = assigned_secret(&word) {
                    look.find(&instruction.place, format!("{name} looks like a secret"), REMEDY);
                }
            }
        }
        "COPY" | "ADD" => {
            for word in instruction.words() {
                let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                if SECRET_FILES.contains(&name) {
                    look.find(
                        &instruction.place,
                        format!("{word} is a file in which secrets are kept"),
                        REMEDY,
                    );
                }
            }
        }
        _ => {}
    })
}

fn health(tree: &Tree) -> Verdict {
    targets(tree, |look, dockerfile, stage| match dockerfile.effective(stage, "HEALTHCHECK") {
        None => look.find(
            &stage.place,
            format!("{} has no HEALTHCHECK", stage.name),
            "say how an engine asks it, or HEALTHCHECK NONE where it runs once",
        ),
        Some(check) if check.rest.trim().eq_ignore_ascii_case("none") => {
            if !tree.composed().runs_once(&stage.name) {
                look.find(
                    &check.place,
                    format!(
                        "nothing waits for the end of {}, so it runs on, and has no health check",
                        stage.name
                    ),
                    "give it a HEALTHCHECK, or have its dependents wait for service_completed_successfully",
                );
            }
        }
        Some(_) => {}
    })
}

fn no_add(tree: &Tree) -> Verdict {
    instructions(tree, |look, instruction| {
        if instruction.keyword == "ADD" {
            look.find(
                &instruction.place,
                "ADD fetches from addresses and unpacks archives",
                "use COPY; fetch with a program that checks a hash",
            );
        }
    })
}

fn versions(tree: &Tree) -> Verdict {
    let mut look = Inspection::default();
    for dockerfile in tree.dockerfiles() {
        let all = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
        for run in all.filter(|one| one.keyword == "RUN") {
            for command in commands(run) {
                let Some(names) = install::unpinned(&command) else { continue };
                look.saw();
                if !names.is_empty() {
                    look.find(
                        &run.place,
                        format!("no version: {}", names.join(", ")),
                        "name exact versions, or install from a lock file with hashes",
                    );
                }
            }
        }
    }
    look.verdict("command in a Dockerfile that installs packages")
}

/// The commands of RUN, in the JSON form or in the shell's.
fn commands(run: &Instruction) -> Vec<Vec<String>> {
    match serde_json::from_str::<Vec<String>>(&run.rest) {
        // `sh -c TEXT`
        Ok(words) if words.get(1).is_some_and(|word| word == "-c") => {
            words.get(2).map(|text| shell::commands(text)).unwrap_or_default()
        }
        Ok(words) => vec![words],
        Err(_) => shell::commands(&run.rest),
    }
}

fn set_user_bits(tree: &Tree) -> Verdict {
    targets(tree, |look, dockerfile, stage| {
        let chain = dockerfile.chain(stage);
        let lowest = chain[chain.len() - 1];
        let roots: Vec<&Stage> = if lowest.base == "scratch" {
            let copies =
                chain.iter().flat_map(|stage| &stage.instructions).filter(|one| one.keyword == "COPY");
            copies
                .filter(|copy| copy.words().last().is_some_and(|to| to == "/"))
                .filter_map(|copy| dockerfile.stage(copy.flag("from")?))
                .collect()
        } else {
            vec![stage]
        };
        for root in roots {
            let mut all = dockerfile.chain(root).into_iter().flat_map(|stage| &stage.instructions);
            if !all.any(|one| one.keyword == "RUN" && clears(tree, one)) {
                look.find(
                    &root.place,
                    format!(
                        "{} keeps the setuid and setgid files of {}",
                        root.name,
                        lowest_base(dockerfile, root)
                    ),
                    "RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +, or start from scratch",
                );
            }
        }
    })
}

fn lowest_base<'a>(dockerfile: &'a Dockerfile, stage: &'a Stage) -> &'a str {
    let chain = dockerfile.chain(stage);
    &chain[chain.len() - 1].base
}

/// Whether a command, or the script of the repository that it runs, takes the bits away.
fn clears(tree: &Tree, run: &Instruction) -> bool {
    let takes = |words: &[String]| {
        let mode = words.iter().skip_while(|word| *word != "chmod").nth(1);
        mode.is_some_and(|mode| mode.split(',').any(|part| part.contains("-s") || part.contains("-xs")))
    };
    commands(run).iter().any(|command| {
        let scripts = command.iter().filter(|word| word.ends_with(".sh")).filter_map(|word| {
            let name = word.rsplit('/').next()?;
            let path = tree.paths().find(|path| path.rsplit('/').next() == Some(name))?;
            tree.text(path)
        });
        takes(command) || scripts.into_iter().any(|text| shell::commands(&text).iter().any(|one| takes(one)))
    })
}
