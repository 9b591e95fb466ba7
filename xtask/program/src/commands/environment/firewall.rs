//! `cargo xtask environment firewall`: the ruleset of an environment's host, with the addresses that the servers outside have
//! at the moment.

use std::net::ToSocketAddrs as _;

use anyhow::{Result, bail};
use artifacts::firewall::{Resolved, addresses, remotes, ruleset};
use clap::Args;
use judges::site::{self, Known};
use vocabulary::model::environment::Environment;
use vocabulary::problem::listing;

use crate::context::Context;
use foundation::exit::refused;
use foundation::stdout;

#[derive(Debug, Args)]
#[command(after_help = "\
Run it on the host, as the services do: names may have other addresses elsewhere.

Examples:
  flowship environment firewall staging > /etc/nftables.d/flowship.nft
  flowship environment firewall staging | nft -f -
  flowship environment firewall staging --addresses | nft -f -    # now and then")]
pub struct Options {
    /// The name of a file in ops/environments, without .toml
    #[arg(value_name = "ENV")]
    name: String,
    /// Print only the addresses of the servers outside, for a ruleset that is loaded
    #[arg(long)]
    addresses: bool,
    /// On Compose: the first two numbers of the containers' addresses, as FLOWSHIP_NETWORK_PREFIX in the deployed
    /// compose.env; the platform's own by default
    #[arg(long, value_name = "N.N", value_parser = prefix)]
    network_prefix: Option<String>,
}

fn prefix(text: &str) -> Result<String, String> {
    let numbers: Vec<Option<u8>> = text.split('.').map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [Some(_), Some(_)] => Ok(text.to_owned()),
        _ => Err("expected two numbers from 0 to 255 joined by a dot, such as 10.203".to_owned()),
    }
}

/// # Errors
/// Refused when the environment has no firewall; else when a name has no address.
pub fn run(context: &Context, options: &Options, known: &Known) -> Result<()> {
    let platform = context.platform;
    let (environment, notes) = site::load_with_notes(&context.root, &options.name, known)?;
    super::warn(&notes);
    let names = platform.services.iter().flat_map(|service| remotes(platform, &environment, service));
    let resolved = resolve(names.map(|remote| remote.host))?;
    let prefix = options.network_prefix.as_deref().unwrap_or(platform.containers.network_prefix);
    let make = if options.addresses { addresses } else { ruleset };
    let made = make(platform, &environment, prefix, &resolved);
    let text = made.map_err(|problems| refused(listing(&problems)))?;
    match text {
        Some(text) => stdout::text(&text),
        None => Err(refused(lacks(&environment, options.addresses))),
    }
}

fn lacks(environment: &Environment, addresses: bool) -> String {
    let place = format!("{}/{}.toml", site::FOLDER, environment.name);
    match environment.firewall {
        None => format!(
            "{place}: no [firewall]; expected firewall.ssh_from, the networks from which operators log in to the host"
        ),
        Some(_) if addresses => format!(
            "{place}: no rule asks for addresses of servers outside: the services run as root (hosts[].ssh_user)"
        ),
        Some(_) => format!("{place}: a ruleset is made for hosts of the process and the compose engine only"),
    }
}

fn resolve(names: impl Iterator<Item = String>) -> Result<Resolved> {
    let mut resolved = Resolved::new();
    let mut without = Vec::new();
    for name in names {
        if resolved.contains_key(&name) {
            continue;
        }
        // The port does not matter.
        match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => {
                let mut addresses: Vec<_> = found.map(|socket| socket.ip()).collect();
                addresses.sort();
                addresses.dedup();
                resolved.insert(name, addresses);
            }
            Err(error) => without.push(format!("{name}: {error}")),
        }
    }
    if !without.is_empty() {
        bail!(
            "names of servers outside have no address here, so no rule can let the services reach them:\n{}\nrun it \
             where the names can be looked up",
            without.join("\n")
        );
    }
    Ok(resolved)
}
