//! One Compose project on this machine: its name and its command lines. Pure.

use std::path::{Path, PathBuf};

use foundation::digest;
use runner::plan::action::Exec;
use runner::plan::argument::Arg;

/// A project, and the programs that manage it.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The prefix of its containers' names in `docker ps`.
    pub name: String,
    /// The client of the engine.
    pub docker: String,
    /// `docker compose`, or the standalone program.
    pub compose: Vec<String>,
    /// Where Compose finds the project's files by itself, unless `files` names them.
    pub folder: PathBuf,
    pub files: Vec<PathBuf>,
    /// The settings of the environment, for `--env-file`.
    pub env_file: PathBuf,
}

impl Project {
    /// A Compose command on the project's files.
    pub fn argv(&self, words: &[&str]) -> Vec<String> {
        let mut argv = self.compose.clone();
        argv.extend(["--project-name".to_owned(), self.name.clone()]);
        argv.extend(["--env-file".to_owned(), self.env_file.display().to_string()]);
        // Paths in files from elsewhere start here all the same.
        if !self.files.is_empty() {
            argv.extend(["--project-directory".to_owned(), self.folder.display().to_string()]);
        }
        for file in &self.files {
            argv.extend(["--file".to_owned(), file.display().to_string()]);
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        argv
    }

    /// Removes containers and networks of the project, known by their labels: its files may have changed or gone.
    pub fn down(&self, volumes: bool) -> Exec {
        let mut argv = self.compose.clone();
        argv.extend(["--project-name", &self.name, "down", "--remove-orphans"].map(str::to_owned));
        argv.extend(volumes.then(|| "--volumes".to_owned()));
        // Compose looks for files from its working folder upwards; there are none at the top.
        exec(argv, Some("/".into()))
    }

    /// The engine's name of a unit's container.
    pub fn container(&self, unit: &str) -> String {
        format!("{}-{unit}-1", self.name)
    }
}

/// A name for the projects of one checkout, so that two checkouts run side by side on one engine.
pub fn name(platform: &str, target: &str, root: &Path) -> String {
    format!("{platform}-{target}-{}", short(root))
}

/// The network prefixes that a project may take, its favourite first: `10.204` to `10.249`. The platform's own is not
/// among them: production may run on the same host.
pub fn prefixes(name: &str) -> impl Iterator<Item = String> {
    let start = u16::from(digest::raw(name)[0]);
    (0..46).map(move |step| format!("10.{}", 204 + (start + step) % 46))
}

/// Eight hexadecimal digits that stand for a path.
pub fn short(path: &Path) -> String {
    digest::sha256(path.as_os_str().as_encoded_bytes())[..8].to_owned()
}

fn exec(argv: Vec<String>, cwd: Option<PathBuf>) -> Exec {
    let mut words = argv.into_iter();
    let program = words.next().unwrap_or_default();
    Exec { program, args: words.map(Arg::from).collect(), cwd, ..Exec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkouts_have_projects_of_their_own_in_a_fixed_order_of_prefixes() {
        let (one, two) =
            (name("flowship", "dev", Path::new("/one")), name("flowship", "dev", Path::new("/two")));
        assert_ne!(one, two);
        let all: Vec<_> = prefixes(&one).collect();
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 46);
        assert!(!all.contains(&"10.203".to_owned()));
        assert_eq!(prefixes(&one).next(), prefixes(&one).next());
    }
}
