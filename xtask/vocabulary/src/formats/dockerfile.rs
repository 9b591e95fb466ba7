//! Dockerfiles as values, in the grammar that every builder knows, also one without BuildKit. Wrong things are not
//! sayable (`ADD`, a shell form, a stage by name instead of by handle), or are found by [`Dockerfile::validate`]: a
//! base without a digest, an image that runs as root, a secret in the environment.

use std::collections::BTreeSet;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Base images, each overridable when building.
    pub bases: Vec<Base>,
    pub stages: Vec<Stage>,
}

/// A base image: the default value of a build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Upper case with underscores.
    pub argument: &'static str,
    /// Name and tag.
    pub reference: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub name: &'static str,
    /// Comment lines above it: why it exists.
    pub about: &'static str,
    pub from: From,
    pub instructions: Vec<Instruction>,
    /// Whether it is an image that runs, and so has to hold what [`Dockerfile::validate`] asks of one.
    pub runs: bool,
}

/// What a stage starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The base of this argument.
    Base(&'static str),
    Stage(StageRef),
    Scratch,
}

/// A handle on an earlier stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageRef(&'static str);

impl Stage {
    #[must_use]
    pub fn handle(&self) -> StageRef {
        StageRef(self.name)
    }
}

/// One instruction. `RUN`, `ENTRYPOINT`, `CMD` and `HEALTHCHECK` exist in exec form only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Without a default: unset unless the builder gives it.
    Argument {
        name: &'static str,
        default: Option<&'static str>,
    },
    Environment(Vec<(&'static str, String)>),
    Label(Vec<(&'static str, Text)>),
    WorkDirectory(String),
    Copy {
        from: Option<StageRef>,
        sources: Vec<String>,
        to: String,
        /// Of all of it, folders too; without one, what the files have where they come from.
        mode: Option<u32>,
    },
    Run {
        command: Vec<String>,
        /// Folders that the builder keeps between builds and that are in no layer.
        kept: Vec<&'static str>,
    },
    User {
        uid: u32,
        gid: u32,
    },
    Expose(Vec<u16>),
    StopSignal(&'static str),
    HealthCheck {
        every_seconds: u16,
        limit_seconds: u16,
        start_seconds: u16,
        failures: u16,
        command: Vec<String>,
    },
    /// The image's health is its exit code.
    NoHealthCheck,
    EntryPoint(Vec<String>),
    Command(Vec<String>),
}

/// A label's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Literal(String),
    /// What the build argument of this name holds.
    Argument(&'static str),
}

impl Dockerfile {
    /// Everything that is wrong with it; empty means it can be written.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for base in &self.bases {
            let digits = base.digest.strip_prefix("sha256:").unwrap_or_default();
            if digits.len() != 64 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                problems
                    .push(format!("base {}: {} is not pinned by a digest", base.argument, base.reference));
            }
        }
        for (position, stage) in self.stages.iter().enumerate() {
            let earlier = &self.stages[..position];
            let known = |handle: &StageRef| earlier.iter().any(|candidate| candidate.name == handle.0);
            let mut add = |problem: String| problems.push(format!("stage {}: {problem}", stage.name));
            if earlier.iter().any(|candidate| candidate.name == stage.name) {
                add("the name is taken twice".to_owned());
            }
            match &stage.from {
                From::Stage(from) if !known(from) => {
                    add(format!("starts from {}, which no stage before it is", from.0))
                }
                From::Base(argument) if !self.bases.iter().any(|base| base.argument == *argument) => {
                    add(format!("starts from {argument}, which is no base"));
                }
                _ => {}
            }
            for instruction in &stage.instructions {
                if let Instruction::Copy { from: Some(from), .. } = instruction
                    && !known(from)
                {
                    add(format!("copies from {}, which no stage before it is", from.0));
                }
                instruction.validate(&mut add);
            }
            if stage.runs {
                self.runnable(stage, &mut add);
            }
        }
        problems
    }

    fn runnable(&self, stage: &Stage, add: &mut impl FnMut(String)) {
        let all = self.lineage(stage);
        let last = |wanted: fn(&Instruction) -> bool| all.iter().rev().copied().find(|one| wanted(one));
        match last(|one| matches!(one, Instruction::User { .. })) {
            Some(Instruction::User { uid: 0, .. } | Instruction::User { gid: 0, .. }) => {
                add("runs as root; give it a user and a group of its own".to_owned());
            }
            Some(_) => {}
            None => add("has no user, so it would run as root".to_owned()),
        }
        if last(|one| matches!(one, Instruction::EntryPoint(_))).is_none() {
            add("has no entry point".to_owned());
        }
        if last(|one| matches!(one, Instruction::HealthCheck { .. } | Instruction::NoHealthCheck)).is_none() {
            add("says nothing of its health".to_owned());
        }
        if last(|one| matches!(one, Instruction::Label(_))).is_none() {
            add("has no label".to_owned());
        }
    }

    /// Its instructions and those of the stages that it starts from, the oldest first.
    fn lineage<'a>(&'a self, stage: &'a Stage) -> Vec<&'a Instruction> {
        let mut all = match stage.from {
            From::Stage(from) => self
                .stages
                .iter()
                .take_while(|earlier| earlier.name != stage.name)
                .find(|earlier| earlier.name == from.0)
                .map(|earlier| self.lineage(earlier))
                .unwrap_or_default(),
            From::Base(_) | From::Scratch => vec![],
        };
        all.extend(&stage.instructions);
        all
    }

    /// `header` becomes comment lines at the top.
    #[must_use]
    pub fn write(&self, header: &[String]) -> String {
        let mut out: String = header.iter().map(|line| format!("# {line}\n")).collect();
        out.push('\n');
        for base in &self.bases {
            out.push_str(&format!("ARG {}={}@{}\n", base.argument, base.reference, base.digest));
        }
        for stage in &self.stages {
            out.push('\n');
            out.extend(stage.about.lines().map(|line| format!("# {line}\n")));
            let from = match stage.from {
                From::Base(argument) => format!("${{{argument}}}"),
                From::Stage(from) => from.0.to_owned(),
                From::Scratch => "scratch".to_owned(),
            };
            out.push_str(&format!("FROM {from} AS {}\n", stage.name));
            out.extend(stage.instructions.iter().map(|instruction| instruction.write() + "\n"));
        }
        out
    }

    /// What it copies from the tree that it builds from.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<&str> {
        let instructions = self.stages.iter().flat_map(|stage| &stage.instructions);
        instructions
            .filter_map(|instruction| match instruction {
                Instruction::Copy { from: None, sources, .. } => Some(sources),
                _ => None,
            })
            .flatten()
            .map(String::as_str)
            .collect()
    }

    /// The images that it makes.
    pub fn images(&self) -> impl Iterator<Item = &'static str> {
        self.stages.iter().filter(|stage| stage.runs).map(|stage| stage.name)
    }
}

/// Endings of names whose values would be secrets.
const SECRET_ENDINGS: [&str; 5] = ["PASSWORD", "TOKEN", "SECRET", "API_KEY", "PRIVATE_KEY"];

impl Instruction {
    fn validate(&self, add: &mut impl FnMut(String)) {
        let mut unsafe_name = |name: &str| {
            if SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                add(format!("{name} would hold a secret in the image; hand over {name}_FILE when it runs"));
            }
        };
        match self {
            Instruction::Argument { name, .. } => unsafe_name(name),
            Instruction::Environment(variables) => variables.iter().for_each(|(name, _)| unsafe_name(name)),
            Instruction::WorkDirectory(path) if !path.starts_with('/') => {
                add(format!("the folder {path} is not absolute"));
            }
            Instruction::Copy { from, sources, .. } => {
                let unique: BTreeSet<_> = sources.iter().collect();
                if sources.is_empty() || unique.len() != sources.len() {
                    add("copies nothing, or something twice".to_owned());
                }
                for source in sources {
                    let outside = source.split('/').any(|part| part == "..");
                    if outside || (from.is_none() && source.starts_with('/')) {
                        add(format!("copies {source}, which lies outside of what it builds from"));
                    }
                    if from.is_none() && matches!(source.as_str(), "." | "./") {
                        add("copies the whole tree; name what it needs".to_owned());
                    }
                }
            }
            Instruction::Run { command, .. }
            | Instruction::EntryPoint(command)
            | Instruction::Command(command)
                if command.is_empty() =>
            {
                add("runs nothing".to_owned());
            }
            _ => {}
        }
    }

    fn write(&self) -> String {
        match self {
            Instruction::Argument { name, default: None } => format!("ARG {name}"),
            Instruction::Argument { name, default: Some(default) } => format!("ARG {name}={default}"),
            Instruction::Environment(variables) => {
                let pairs = variables.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
                format!("ENV {}", lines(pairs))
            }
            Instruction::Label(labels) => {
                let pairs = labels.iter().map(|(name, value)| match value {
                    Text::Literal(text) => format!("{name}={}", quoted(text)),
                    Text::Argument(argument) => format!("{name}=\"${{{argument}}}\""),
                });
                format!("LABEL {}", lines(pairs))
            }
            Instruction::WorkDirectory(path) => format!("WORKDIR {path}"),
            Instruction::Copy { from, sources, to, mode } => {
                let from = from.map(|from| format!("--from={} ", from.0)).unwrap_or_default();
                let mode = mode.map(|mode| format!("--chmod={mode:o} ")).unwrap_or_default();
                format!("COPY {from}{mode}{} {to}", sources.join(" "))
            }
            Instruction::Run { command, kept } => {
                let kept: String =
                    kept.iter().map(|folder| format!("--mount=type=cache,target={folder} ")).collect();
                format!("RUN {kept}{}", exec(command))
            }
            Instruction::User { uid, gid } => format!("USER {uid}:{gid}"),
            Instruction::Expose(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                format!("EXPOSE {}", ports.join(" "))
            }
            Instruction::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
            Instruction::HealthCheck { every_seconds, limit_seconds, start_seconds, failures, command } => {
                format!(
                    "HEALTHCHECK --interval={every_seconds}s --timeout={limit_seconds}s --start-period={start_seconds}s \
                 --retries={failures} \\\n    CMD {}",
                    exec(command)
                )
            }
            Instruction::NoHealthCheck => "HEALTHCHECK NONE".to_owned(),
            Instruction::EntryPoint(command) => format!("ENTRYPOINT {}", exec(command)),
            Instruction::Command(command) => format!("CMD {}", exec(command)),
        }
    }
}

fn lines(pairs: impl Iterator<Item = String>) -> String {
    pairs.collect::<Vec<_>>().join(" \\\n    ")
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
    format!("\"{escaped}\"")
}

fn exec(command: &[String]) -> String {
    let words = command.iter().map(|word| serde_json::to_string(word).expect("a text is JSON"));
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Base, Dockerfile, From, Instruction, Stage, StageRef, Text};

    fn stage(name: &'static str, from: From, runs: bool, instructions: Vec<Instruction>) -> Stage {
        Stage { name, about: "why", from, instructions, runs }
    }

    fn runnable() -> Vec<Instruction> {
        vec![
            Instruction::Label(vec![("title", Text::Literal("a \"b\" $c".to_owned()))]),
            Instruction::User { uid: 1, gid: 1 },
            Instruction::NoHealthCheck,
            Instruction::EntryPoint(vec!["node".to_owned(), "a b".to_owned()]),
        ]
    }

    fn file(stages: Vec<Stage>) -> Dockerfile {
        let digest = format!("sha256:{}", "a".repeat(64));
        Dockerfile { bases: vec![Base { argument: "NODE", reference: "node:24".to_owned(), digest }], stages }
    }

    #[test]
    fn writes_what_a_builder_reads() {
        let build = stage(
            "build",
            From::Base("NODE"),
            false,
            vec![Instruction::Run { command: vec!["npm".to_owned(), "ci".to_owned()], kept: vec!["/c"] }],
        );
        let mut instructions = vec![Instruction::Copy {
            from: Some(build.handle()),
            sources: vec!["/a".to_owned()],
            to: "/b/".to_owned(),
            mode: Some(0o644),
        }];
        instructions.extend(runnable());
        let text =
            file(vec![build, stage("app", From::Scratch, true, instructions)]).write(&["head".to_owned()]);
        let digest = "a".repeat(64);
        assert_eq!(
            text,
            format!(
                "# head\n\nARG NODE=node:24@sha256:{digest}\n\n# why\nFROM ${{NODE}} AS build\nRUN --mount=type=cache,target=/c [\"npm\", \"ci\"]\n\n\
                 # why\nFROM scratch AS app\nCOPY --from=build --chmod=644 /a /b/\nLABEL title=\"a \\\"b\\\" \\$c\"\nUSER 1:1\n\
                 HEALTHCHECK NONE\nENTRYPOINT [\"node\", \"a b\"]\n"
            )
        );
    }

    #[test]
    fn an_image_may_inherit_what_it_needs() {
        let parent = stage("parent", From::Base("NODE"), false, runnable());
        let child = stage("child", From::Stage(parent.handle()), true, vec![]);
        assert_eq!(file(vec![parent, child]).validate(), Vec::<String>::new());
    }

    #[test]
    fn finds_what_must_not_be_written() {
        let with = |more: Vec<Instruction>| {
            file(vec![stage("app", From::Base("NODE"), true, [runnable(), more].concat())])
        };
        let text = |text: &str| vec![text.to_owned()];
        let mut unpinned = with(vec![]);
        unpinned.bases[0].digest = "latest".to_owned();
        for (dockerfile, expected) in [
            (with(vec![]), ""),
            (unpinned, "not pinned by a digest"),
            (with(vec![Instruction::User { uid: 0, gid: 1 }]), "runs as root"),
            (file(vec![stage("app", From::Base("NODE"), true, vec![])]), "has no user"),
            (file(vec![stage("app", From::Base("OTHER"), true, runnable())]), "which is no base"),
            (file(vec![stage("app", From::Stage(StageRef("x")), true, runnable())]), "starts from x"),
            (
                with(vec![Instruction::Copy {
                    from: None,
                    sources: text("../x"),
                    to: "/".to_owned(),
                    mode: None,
                }]),
                "lies outside",
            ),
            (
                with(vec![Instruction::Copy {
                    from: None,
                    sources: text("."),
                    to: "/".to_owned(),
                    mode: None,
                }]),
                "whole tree",
            ),
            (
                with(vec![Instruction::Copy {
                    from: Some(StageRef("later")),
                    sources: text("/x"),
                    to: "/".to_owned(),
                    mode: None,
                }]),
                "copies from later",
            ),
            (
                with(vec![Instruction::Environment(vec![("DB_PASSWORD", "x".to_owned())])]),
                "would hold a secret",
            ),
            (with(vec![Instruction::Environment(vec![("DB_PASSWORD_FILE", "/x".to_owned())])]), ""),
            (with(vec![Instruction::Run { command: vec![], kept: vec![] }]), "runs nothing"),
        ] {
            let problems = dockerfile.validate().join("\n");
            if expected.is_empty() {
                assert_eq!(problems, "");
            } else {
                assert!(problems.contains(expected), "{expected}: {problems}");
            }
        }
    }
}
