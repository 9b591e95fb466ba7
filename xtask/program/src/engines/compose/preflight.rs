//! Why this machine cannot run an environment in containers. Observes, and changes nothing.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use vocabulary::model::environment::Environment;
use vocabulary::model::{Platform, User};
use vocabulary::problem::Problem;

use super::observe::clients;
use crate::tools::Toolbox;
use judges::site;

/// The oldest engine that is tested: major and minor version.
const OLDEST: (u32, u32) = (20, 10);

/// Every problem, and where the engine keeps its images, if that is here. `folder` is that of the environment.
pub fn unable(
    toolbox: &Toolbox,
    platform: &Platform,
    environment: &Environment,
    folder: &Path,
) -> (Vec<Problem>, Option<PathBuf>) {
    let (mut problems, images) = match clients(toolbox, false) {
        Ok(clients) => {
            let said = clients.engine.ask(&["info", "--format", "{{.DockerRootDir}}"]).ok();
            (too_old(&clients.engine.server_version).into_iter().collect(), said)
        }
        Err(error) => (vec![Problem::new("container engine", format!("{error:#}"))], None),
    };
    if !rustix::process::geteuid().is_root() {
        problems.push(
            Problem::new("user", "you are not root; only root can give the edge's folder to the edge's user")
                .expected("root, on the machine that runs the containers"),
        );
    }
    problems.extend(unreadable(platform, environment, folder));
    let images = images.map(|said| PathBuf::from(said.stdout.trim())).filter(|folder| folder.is_dir());
    (problems, images)
}

fn too_old(version: &str) -> Option<Problem> {
    let mut numbers = version.split(['.', '-', '+']).map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next()?, numbers.next().unwrap_or_default());
    (found < OLDEST).then(|| {
        Problem::new("container engine", format!("version {version}"))
            .expected(format!("Docker {}.{} or newer", OLDEST.0, OLDEST.1))
    })
}

/// The key of the model's provider, where the user of a container cannot read it.
fn unreadable(platform: &Platform, environment: &Environment, folder: &Path) -> Option<Problem> {
    let llm = environment.llm.as_ref()?;
    let setting = format!("{}/{}.toml: api_key_file", site::FOLDER, environment.name);
    let path = folder.join(&llm.api_key_file);
    let facts = match fs::metadata(&path) {
        Ok(facts) => facts,
        Err(error) => return Some(Problem::new(setting, format!("{}: {error}", path.display()))),
    };
    let units = platform.units(environment);
    let readers =
        units.iter().filter(|unit| unit.service.secrets.iter().any(|used| used.secret == platform.llm.key));
    let users = readers.filter_map(|unit| Some(unit.service.container.shape()?.user));
    let kept_out =
        users.into_iter().find(|user| !may_read((facts.uid(), facts.gid(), facts.mode()), *user))?;
    Some(
        Problem::new(
            setting,
            format!(
                "{}: the user {}:{} of the containers cannot read it (mode {:04o}, owner {}:{})",
                path.display(),
                kept_out.uid,
                kept_out.gid,
                facts.mode() & 0o7777,
                facts.uid(),
                facts.gid()
            ),
        )
        .expected("mode 0644, in a folder that only root can enter"),
    )
}

/// Whether a user may read a file of this owner, group and mode. The engine mounts the file itself: its folders do not count.
fn may_read((uid, gid, mode): (u32, u32, u32), user: User) -> bool {
    let bit = if uid == user.uid {
        0o400
    } else if gid == user.gid {
        0o040
    } else {
        0o004
    };
    mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_too_old_is_a_problem() {
        for (version, problem) in [
            ("19.03.15", true),
            ("20.10.24+dfsg1", false),
            ("20.9.0", true),
            ("28.5.2", false),
            ("29", false),
            ("dev", false),
        ] {
            assert_eq!(too_old(version).is_some(), problem, "{version}");
        }
    }

    #[test]
    fn a_file_is_read_by_its_owner_its_group_or_everybody() {
        let user = User { uid: 10_001, gid: 10_002 };
        for (facts, reads) in [
            ((0, 0, 0o100_600), false),
            ((0, 0, 0o100_644), true),
            ((0, 10_002, 0o100_640), true),
            ((10_001, 0, 0o100_400), true),
            // The first that fits decides.
            ((10_001, 10_002, 0o100_044), false),
            ((0, 10_002, 0o100_604), false),
        ] {
            assert_eq!(may_read(facts, user), reads, "{facts:?}");
        }
    }
}
