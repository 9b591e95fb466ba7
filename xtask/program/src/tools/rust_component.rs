//! Programs that the Rust toolchain can bring as a component, or a system as a part of its LLVM. Observes.

use std::path::{Path, PathBuf};

use super::system_package::new_enough;

/// Major versions above the least that are looked for by name, such as `llvm-cov-21`.
const NEWER: u32 = 20;

/// The toolchain's own, else the newest of the system's whose major version is at least this.
pub fn find(name: &str, least: u32) -> Option<PathBuf> {
    of_toolchain(name)
        .or_else(|| {
            (least..=least + NEWER).rev().find_map(|major| which::which(format!("{name}-{major}")).ok())
        })
        .or_else(|| {
            which::which(name)
                .ok()
                .filter(|path| new_enough(&[path.into(), "--version".into()], &least.to_string()))
        })
}

fn of_toolchain(name: &str) -> Option<PathBuf> {
    let libraries = duct::cmd!("rustc", "--print", "target-libdir").stdin_null().stderr_null().read().ok()?;
    let file = Path::new(libraries.trim()).parent()?.join("bin").join(name);
    file.is_file().then_some(file)
}
