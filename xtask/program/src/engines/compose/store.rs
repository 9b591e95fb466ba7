//! The secret store in a container: it starts before everything that reads from it. Pure.

use artifacts::secret_store::Place;
use vocabulary::model::topology::Topology;
use vocabulary::model::{Unit, VolumeRef};

use crate::engines::process::lower::{BringUp, Prepare, store, store_configuration};
use crate::engines::process::resolve::Resolver;
use foundation::program_name::PROGRAM;
use runner::plan::step::{Step, StepId};
use vocabulary::model::SecretStore;

/// What gets the secrets into their files, after these steps; where they are in a store, it runs by then. `start` makes the
/// steps that start it, the last of which is done when it answers.
pub fn secrets(
    resolver: &Resolver<'_>,
    address: Option<&str>,
    needs: &[StepId],
    start: impl FnOnce(&Unit<'_>, Vec<StepId>) -> Vec<Step<BringUp>>,
) -> Vec<Step<BringUp>> {
    let read = Prepare::secrets(resolver.environment).step();
    let Some((unit, configured)) = configured(resolver, address) else { return vec![read] };
    let before = needs.iter().chain([&configured.id]).cloned().collect();
    let mut started = start(unit, before);
    for step in &mut started {
        // It is sealed whenever it starts: what it was would be as well, and the next try would find it changed again.
        step.undo = None;
        step.remedy = Some(format!("read `{PROGRAM} logs {} {}`", resolver.environment.name, unit.name()));
    }
    let needs = started.iter().map(|step| step.id.clone()).collect();
    [vec![configured], started, vec![Step { needs, ..read }]].concat()
}

/// The address of its container in the network that it shares with the host alone, which has no way out. It listens at no other.
pub fn address(topology: &Topology<'_>, prefix: &str) -> Option<String> {
    let unit = topology.first(topology.platform.secret_store?.service()).ok()?;
    let network = topology.networks_of(unit).find(|network| network.host)?;
    Some(format!("{prefix}.{}", topology.address(&unit.name(), network)?))
}

/// Writes what the server reads, where the engine mounts it from. Its folder keeps others out.
fn configured<'a>(resolver: &Resolver<'a>, address: Option<&str>) -> Option<(&'a Unit<'a>, Step<BringUp>)> {
    let (store, unit) = store(resolver)?;
    let shape = unit.service.container.shape()?;
    let folder = |volume: VolumeRef| {
        shape.folders.iter().find(|folder| folder.volume == volume.name).map(|folder| folder.path)
    };
    let at = format!("{}:{}", address?, resolver.platform.port(store.api)?.number);
    let place = Place {
        listens: &at,
        answers: &at,
        data: folder(store.data)?,
        certificate: &format!("{}/{}", folder(store.configuration)?, SecretStore::CERTIFICATE),
        node: &unit.name(),
    };
    Some((unit, store_configuration(resolver, unit, &store, (&place, 0o644))))
}
