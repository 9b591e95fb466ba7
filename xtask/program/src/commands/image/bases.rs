//! `cargo xtask image bases`: the pinned base images, and stand-ins for them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::carry;
use crate::context::Context;
use crate::images::bases::{self, Chosen, Made, MakeStandIns, Wanted};
use crate::images::engine::Engine;
use crate::images::locks::{self, LockedStandIn, StandIns};
use crate::images::stand_in::{self, StandIn, WARNING, stand_ins};
use crate::session::dry_run;
use crate::tools::{Tool, Toolbox};
use foundation::digest;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::runner::cores;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image bases
  cargo xtask image bases --from-packages
  cargo xtask image bases --from-packages --ca /etc/ssl/certs/ca-certificates.crt
  cargo xtask image bases --from-packages --with monitoring
  cargo xtask image bases --from-packages --only node --dry-run")]
pub struct Options {
    /// Build stand-ins from Debian packages and locked programs [default: only list them]
    #[arg(long)]
    from_packages: bool,
    /// Only this stand-in; can be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also the images of this optional part of the platform, such as monitoring; can be repeated
    #[arg(long, value_name = "PART")]
    with: Vec<String>,
    /// Certificates (PEM) that programs in the stand-ins trust, for sites with a private CA
    #[arg(long, value_name = "FILE", requires = "from_packages")]
    ca: Option<PathBuf>,
    /// The mirror for Debian's packages [default: debootstrap's]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Build everything again, with Debian's current packages
    #[arg(long, requires = "from_packages")]
    refresh: bool,
    /// Only show the plan
    #[arg(long, requires = "from_packages")]
    dry_run: bool,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let stand_ins = named(context, &options.only, &options.with)?;
    if !options.from_packages {
        return show(context, &stand_ins);
    }
    let toolbox = Toolbox::open(context)?;
    let ca = options.ca.as_deref().map(read_ca).transpose()?;
    let engine = Engine::find()?;
    engine.build()?;
    let root_tag = stand_in::root_tag(options.mirror.as_deref());
    let mut wheels = BTreeMap::new();
    for stand_in in &stand_ins {
        if let Some(wheel) = stand_in.wheel {
            let folder = toolbox.folder(wheel.tool)?;
            wheels
                .insert(stand_in.name, folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    let digest = ca.as_ref().map(|(_, digest)| digest.as_str());
    let chosen =
        bases::choose(&stand_ins, &wheels, digest, &root_tag, |tag| Ok(engine.inspect(tag)?.is_some()))?;
    let root_present = engine.inspect(&root_tag)?.is_some();
    let key = root_tag.rsplit(':').next().unwrap_or_default();
    let root_tar = toolbox.cache.join("images").join(format!("debian-{}-{key}.tar", stand_in::SUITE));
    let all_there = chosen.iter().all(|chosen| chosen.present);
    let makes_root = options.refresh || !(all_there || root_present || root_tar.is_file());
    let debootstrap =
        if makes_root && !options.dry_run { able_to_bootstrap()? } else { "debootstrap".into() };
    let plan = bases::plan(&Wanted {
        engine: &engine,
        chosen: &chosen,
        ca: ca.as_ref().map(|(path, _)| path.as_path()),
        mirror: options.mirror.as_deref(),
        root_tag: &root_tag,
        root_present,
        root_tar: &root_tar,
        debootstrap: &debootstrap,
        folder: &locks::folder(context.state()),
        refresh: options.refresh,
    })?;
    if options.dry_run {
        eprintln!("{WARNING}");
        return dry_run::show(context, &plan);
    }
    eprintln!("{WARNING}");
    let native =
        |action: &MakeStandIns, step: &StepContext| perform(context, &toolbox, &chosen, action, step);
    let report = carry::carry_out(context, &plan, cores(), &native)?;
    let lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    if context.json {
        stdout::json(&json!({ "lock": lock, "report": report }))?;
    } else if report.steps.iter().all(|step| step.status.is_good()) {
        stdout::text(&text(&lock))?;
    }
    report.into_result()
}

/// The stand-ins of these names; for none, all that are needed with these optional parts.
fn named(context: &Context, names: &[String], with: &[String]) -> Result<Vec<StandIn>> {
    let groups = context.platform.groups();
    if let Some(unknown) = with.iter().find(|name| !groups.iter().any(|group| group.0 == name.as_str())) {
        let known: Vec<_> = groups.iter().map(|group| group.0).collect();
        return Err(refused(format!(
            "--with {unknown}: there is no such part; expected one of {}",
            known.join(", ")
        )));
    }
    let all = stand_ins(context.platform);
    let known: Vec<_> = all.iter().map(|stand_in| stand_in.name).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(&name.as_str())).collect();
    if !unknown.is_empty() {
        let lines: Vec<_> =
            unknown.iter().map(|name| format!("--only {name}: there is no such stand-in")).collect();
        return Err(refused(format!("{}; expected one of {}", lines.join("\n"), known.join(", "))));
    }
    Ok(all
        .into_iter()
        .filter(|known| {
            let is_wanted = known.group.is_none_or(|group| with.iter().any(|name| name == group.0));
            (names.is_empty() && is_wanted) || names.iter().any(|name| name == known.name)
        })
        .collect())
}

/// The bundle's absolute path and the SHA-256 of its contents.
fn read_ca(path: &Path) -> Result<(PathBuf, String)> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        refused(format!("--ca {name}: {error}; expected a bundle of certificates in PEM"))
    })?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(refused(format!(
            "--ca {name}: contains no certificate; expected -----BEGIN CERTIFICATE----- (PEM)"
        )));
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(refused(format!("--ca {name}: contains a private key; expected certificates only")));
    }
    Ok((std::path::absolute(path)?, digest::sha256(text)))
}

/// Everything that makes a root file system, or everything that is missing for it.
fn able_to_bootstrap() -> Result<PathBuf> {
    let mut problems = Vec::new();
    // The folders of the administrator's programs are not on everybody's PATH.
    let found = which::which_in("debootstrap", Some("/usr/sbin:/sbin:/usr/local/sbin:/usr/bin"), "/")
        .or_else(|_| which::which("debootstrap"));
    if found.is_err() {
        problems.push("debootstrap is missing: install it (Debian and Fedora: debootstrap)");
    }
    if !rustix::process::geteuid().is_root() {
        problems.push(
            "debootstrap needs root: run this command as root; every user of the engine can use the result",
        );
    }
    for (program, problem) in
        [("unshare", "unshare is missing: install util-linux"), ("tar", "tar is missing: install tar")]
    {
        if which::which(program).is_err() {
            problems.push(problem);
        }
    }
    if !problems.is_empty() {
        bail!("Debian's root file system cannot be built here\n  {}", problems.join("\n  "));
    }
    Ok(found?)
}

fn perform(
    context: &Context,
    toolbox: &Toolbox,
    chosen: &[Chosen],
    action: &MakeStandIns,
    step: &StepContext,
) -> Result<Outputs> {
    match action {
        MakeStandIns::InstallTools => {
            let tools: Vec<Tool> =
                chosen.iter().filter_map(|chosen| Some(chosen.stand_in.wheel?.tool)).collect();
            toolbox.ensure(&tools, step)?;
        }
        MakeStandIns::ClearFolder { folder } => clear(folder)?,
        MakeStandIns::KeepRootFileSystem { made, place, remove } => {
            let mut from = fs::File::open(made).with_context(|| made.display().to_string())?;
            files::write::with(place, 0o644, |to| Ok(io::copy(&mut from, to)?))?;
            fs::remove_file(made)?;
            clear(remove)?;
        }
        MakeStandIns::GatherContext { stand_in, context, ca } => {
            gather(toolbox, stand_in, context, ca.as_deref())?;
        }
        MakeStandIns::WriteStandInLock { stand_ins } => {
            lock(context, chosen, stand_ins, step)?;
            for chosen in chosen {
                clear(&bases::context(&locks::folder(context.state()), &chosen.stand_in))?;
            }
        }
    }
    Ok(Outputs::new())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(())
}

/// The folder that a stand-in is built from.
fn gather(toolbox: &Toolbox, stand_in: &StandIn, context: &Path, ca: Option<&Path>) -> Result<()> {
    clear(context)?;
    fs::create_dir_all(context)?;
    fs::write(context.join("Dockerfile"), stand_in.dockerfile_with(ca.is_some()))?;
    fs::write(context.join("entrypoint.sh"), stand_in.entrypoint)?;
    if let Some(ca) = ca {
        fs::copy(ca, context.join("ca-certificates.crt")).with_context(|| ca.display().to_string())?;
    }
    let Some(wheel) = stand_in.wheel else { return Ok(()) };
    let installed = toolbox.folder(wheel.tool)?;
    for (from, to) in wheel.parts {
        copy(&installed.join(from), &context.join(to))?;
    }
    Ok(())
}

/// Links where it can: both are usually on one file system.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let inside = entry.path().strip_prefix(from)?;
        // Joining an empty path would add a slash.
        let place = if inside.as_os_str().is_empty() { to.to_owned() } else { to.join(inside) };
        if entry.file_type().is_dir() {
            fs::create_dir_all(&place)?;
            continue;
        }
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        if entry.path_is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &place)?;
        } else if fs::hard_link(entry.path(), &place).is_err() {
            fs::copy(entry.path(), &place).with_context(|| place.display().to_string())?;
        }
    }
    Ok(())
}

fn lock(context: &Context, chosen: &[Chosen], made: &[Made], step: &StepContext) -> Result<()> {
    let file = locks::stand_ins_file(context.state());
    let mut lock: StandIns = locks::read(&file)?;
    for (chosen, made) in chosen.iter().zip(made) {
        let name = chosen.stand_in.name;
        lock.stand_ins.retain(|locked| locked.name != name);
        lock.stand_ins.push(LockedStandIn {
            name: name.to_owned(),
            stands_for: chosen.stand_in.reference.to_owned(),
            tag: chosen.tag.clone(),
            image_id: step.resolve(&made.image_id)?.expose().to_owned(),
            made_of: chosen.made_of.clone(),
            differs: chosen.stand_in.differs.iter().map(|text| (*text).to_owned()).collect(),
        });
    }
    lock.stand_ins.sort_by(|one, other| one.name.cmp(&other.name));
    locks::write(&file, &lock)
}

fn show(context: &Context, stand_ins: &[StandIn]) -> Result<()> {
    let mut lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    lock.stand_ins.retain(|locked| stand_ins.iter().any(|stand_in| stand_in.name == locked.name));
    if context.json {
        stdout::json(&lock)?;
        return Ok(());
    }
    for stand_in in stand_ins {
        let StandIn { reference, digest, .. } = *stand_in;
        stdout::text(&format!("{:<17} {reference}@{digest}\n", stand_in.name))?;
        let locked = lock.stand_ins.iter().find(|locked| locked.name == stand_in.name);
        let line = locked.map_or_else(
            || format!("no stand-in; `{PROGRAM} image bases --from-packages` builds one"),
            |locked| format!("stand-in {}", locked.tag),
        );
        stdout::text(&format!("                  {line}\n"))?;
    }
    if !lock.stand_ins.is_empty() {
        stdout::text(&format!("{WARNING}\n"))?;
    }
    Ok(())
}

fn text(lock: &StandIns) -> String {
    let mut text = String::new();
    for locked in &lock.stand_ins {
        text +=
            &format!("{} stands in for {}\n  image   {}\n", locked.tag, locked.stands_for, locked.image_id);
        text += &format!("  made of {}\n", locked.made_of.join(", "));
        locked.differs.iter().for_each(|differs| text += &format!("  differs {differs}\n"));
    }
    text + WARNING + "\n"
}
