//! Which ports a platform gets: a stable block for each checkout, so that two checkouts run side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use super::instance::{Ports, Socket};
use super::port_holder::holder;
use foundation::digest;

/// Blocks begin here, above the ports that services like to claim and below those that the kernel hands out by
/// itself (`net.ipv4.ip_local_port_range` begins at 32768).
const FIRST: u16 = 20_000;
/// All blocks together end below 32000.
const ALL: u16 = 12_000;
/// Ports in a block; a platform with many replicas takes blocks of several times that many.
const BLOCK: usize = 30;

/// The number of ports in a block that holds so many sockets.
fn size(sockets: usize) -> u16 {
    u16::try_from(sockets.max(1).next_multiple_of(BLOCK)).unwrap_or(ALL).min(ALL)
}

/// The first port of a checkout's n-th choice of block of this size.
fn block(root: &Path, size: u16, choice: u16) -> u16 {
    let digest = digest::raw(root.as_os_str().as_encoded_bytes());
    let blocks = ALL / size;
    let start = u16::from_be_bytes([digest[0], digest[1]]) % blocks;
    FIRST + ((start + choice) % blocks) * size
}

/// Numbers for all sockets: those that the site fixed, then those that the running platform has already, the others
/// from the checkout's block; and why it is not the checkout's first block, where it is not. `running` is empty when none
/// runs; `file` is where the site fixes ports.
///
/// # Errors
/// A fixed port is taken (the error names by whom), or no block is free.
pub fn per_checkout(
    root: &Path,
    file: &str,
    sockets: &[Socket],
    running: &Ports,
) -> Result<(Ports, Option<String>)> {
    let is_kept = |number: u16| running.values().any(|own| *own == number);
    let is_free = |number: u16| is_kept(number) || is_free(number);
    let taken = unavailable(file, sockets, running);
    if !taken.is_empty() {
        bail!("{}", taken.join("\n"));
    }
    let mut moved = None;
    let size = size(sockets.len());
    for choice in 0..ALL / size {
        let first = block(root, size, choice);
        let ports = placed(first, sockets, running);
        let clash = ports.iter().find(|(_, number)| !is_free(**number));
        match clash {
            None if ports.values().all(|number| is_kept(*number)) || reserve(first, size) => {
                return Ok((ports, moved));
            }
            None => {
                moved.get_or_insert_with(|| {
                    format!(
                        "another environment takes the ports from {first} on: taking another block of ports"
                    )
                });
            }
            Some((key, number)) if choice == 0 => {
                let by = name_of(*number);
                moved =
                    Some(format!("port {number} for {key} is taken by {by}: taking another block of ports"));
            }
            Some(_) => {}
        }
    }
    bail!("no block of {size} ports is free between {FIRST} and {}", FIRST + ALL)
}

/// Why the numbers that the site fixed cannot be had, one text for each.
pub fn unavailable(file: &str, sockets: &[Socket], running: &Ports) -> Vec<String> {
    let fixed = sockets.iter().filter_map(|socket| Some((socket, socket.fixed?)));
    let others = fixed.filter(|(_, number)| !running.values().any(|own| own == number));
    let problem = |(socket, number): (&Socket, u16)| {
        let Socket { address, setting, .. } = socket;
        let error = TcpListener::bind((*address, number)).err()?;
        Some(format!("{file}: port {number}, which it sets for {setting}, {}", why(&error, *address, number)))
    };
    others.filter_map(problem).collect()
}

/// Why a port cannot be opened, and the ways out.
fn why(error: &io::Error, address: IpAddr, number: u16) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "needs a right that this user lacks: allow it with `sudo sysctl net.ipv4.ip_unprivileged_port_start={number}`, \
                 set a port above 1023 and forward {number} to it, or deploy as root"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("cannot be opened: no interface of this machine has the address {address}; set another")
        }
        ErrorKind::AddrInUse => {
            format!("is taken by {}; end that, or set another", name_of(number))
        }
        _ => format!("cannot be opened on {address}: {error}"),
    }
}

/// What each socket gets where the block begins at `first`. Each has a place of its own in it; where the site gave that
/// number to another socket, one of the block's spare numbers serves. Pure.
fn placed(first: u16, sockets: &[Socket], running: &Ports) -> Ports {
    let fixed: BTreeSet<u16> = sockets.iter().filter_map(|socket| socket.fixed).collect();
    let kept = |socket: &Socket| running.get(&socket.key).copied().filter(|number| !fixed.contains(number));
    let mut used: BTreeSet<u16> = fixed.iter().copied().chain(sockets.iter().filter_map(kept)).collect();
    let mut ports = Ports::new();
    for (socket, place) in sockets.iter().zip(first..) {
        let number = socket.fixed.or_else(|| kept(socket)).unwrap_or_else(|| {
            let spare = first..first + size(sockets.len());
            let mut wanted = std::iter::once(place).chain(spare.rev());
            wanted.find(|number| !used.contains(number)).expect("a platform fits into a block of ports")
        });
        used.insert(number);
        ports.insert(socket.key.clone(), number);
    }
    ports
}

/// Any free ports, for a platform that lives for one run only.
///
/// # Errors
/// When the system hands out none.
pub fn any_free(sockets: &[Socket]) -> Result<Ports> {
    // All are held until all are known, so that none is handed out twice.
    let held: Vec<_> = sockets
        .iter()
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<_>>()?;
    sockets
        .iter()
        .zip(&held)
        .map(|(socket, listener)| Ok((socket.key.clone(), listener.local_addr()?.port())))
        .collect()
}

fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
}

/// Keeps other commands from taking a block before its services listen, until this one ends. The names are those of abstract
/// sockets: of all users of this network, like ports, and gone with the process.
fn reserve(first: u16, size: u16) -> bool {
    static HELD: Mutex<BTreeMap<u16, UnixListener>> = Mutex::new(BTreeMap::new());
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    (first..first + size).step_by(BLOCK).all(|number| {
        let bound = || {
            let name = SocketAddr::from_abstract_name(format!("flowship-ports-{number}"))?;
            UnixListener::bind_addr(&name)
        };
        held.contains_key(&number)
            || match bound() {
                Ok(listener) => held.insert(number, listener).is_none(),
                Err(error) => error.kind() != ErrorKind::AddrInUse,
            }
    })
}

fn name_of(number: u16) -> String {
    holder(number).unwrap_or_else(|| "a process of somebody else".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::linux::net::SocketAddrExt as _;
    use std::path::Path;

    use super::{
        ALL, ErrorKind, FIRST, SocketAddr, UnixListener, any_free, block, per_checkout, placed, size,
        unavailable, why,
    };
    use crate::engines::process::instance::{Ports, Socket};

    fn socket(key: &str, fixed: Option<u16>) -> Socket {
        Socket {
            key: key.to_owned(),
            address: Ipv4Addr::LOCALHOST.into(),
            fixed,
            setting: "postgres.sql".to_owned(),
        }
    }

    #[test]
    fn blocks_stay_below_the_ephemeral_ports() {
        for (sockets, wanted) in [(0, 30), (30, 30), (31, 60), (150, 150)] {
            let size = size(sockets);
            assert_eq!(size, wanted);
            for choice in 0..ALL / size {
                let first = block(Path::new("/some/where"), size, choice);
                assert!(first >= FIRST && first + size <= 32_768);
            }
        }
    }

    #[test]
    fn a_fixed_port_that_is_taken_is_reported_with_its_holder() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let sockets = [socket("postgres.sql", Some(number))];
        let error = per_checkout(Path::new("/x"), "dev.toml", &sockets, &Ports::new()).unwrap_err();
        let text = error.to_string();
        for part in
            ["dev.toml", &format!("port {number}"), "postgres.sql", &format!("pid {}", std::process::id())]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
        let running = Ports::from([("postgres.sql".to_owned(), number)]);
        assert_eq!(per_checkout(Path::new("/x"), "dev.toml", &sockets, &running).unwrap(), (running, None));
    }

    #[test]
    fn no_number_is_given_twice_and_a_running_platform_keeps_its_own() {
        let numbers = |fixed: [Option<u16>; 3], running: &[(&str, u16)]| -> Vec<u16> {
            let sockets: Vec<_> =
                ["a", "b", "c"].into_iter().zip(fixed).map(|(key, port)| socket(key, port)).collect();
            let running = running.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect();
            placed(20_000, &sockets, &running).into_values().collect()
        };
        let none: &[(&str, u16)] = &[];
        assert_eq!(numbers([None; 3], none), [20_000, 20_001, 20_002]);
        assert_eq!(numbers([Some(9_000), None, None], none), [9_000, 20_001, 20_002]);
        assert_eq!(numbers([Some(20_002), None, None], none), [20_002, 20_001, 20_029]);
        assert_eq!(numbers([None; 3], &[("a", 25_000), ("b", 25_001)]), [25_000, 25_001, 20_002]);
        assert_eq!(
            numbers([None, None, Some(25_000)], &[("a", 25_000), ("b", 25_001)]),
            [20_000, 25_001, 25_000]
        );
        assert_eq!(numbers([None; 3], &[("b", 20_000)]), [20_029, 20_000, 20_002]);
    }

    #[test]
    fn an_address_that_is_not_ours_and_a_right_that_lacks_are_told_with_the_ways_out() {
        // For documentation (RFC 5737): no machine has it.
        let public = Socket {
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
            setting: "listen.https".to_owned(),
            ..socket("edge.https", Some(8443))
        };
        let told = unavailable("qa.toml", &[public], &Ports::new()).concat();
        for part in ["qa.toml: port 8443", "listen.https", "no interface of this machine", "192.0.2.1"] {
            assert!(told.contains(part), "no {part} in {told}");
        }
        let told = why(&ErrorKind::PermissionDenied.into(), Ipv4Addr::UNSPECIFIED.into(), 443);
        for part in ["ip_unprivileged_port_start=443", "above 1023", "root"] {
            assert!(told.contains(part), "no {part} in {told}");
        }
    }

    #[test]
    fn a_block_that_another_command_takes_is_left_to_it() {
        let (sockets, root) = ([socket("a", None)], Path::new("/left-to-another"));
        let first = block(root, size(1), 0);
        let name = SocketAddr::from_abstract_name(format!("flowship-ports-{first}")).unwrap();
        let other = UnixListener::bind_addr(&name).unwrap();
        let take = |running: &Ports| per_checkout(root, "dev.toml", &sockets, running).unwrap();
        let (ports, moved) = take(&Ports::new());
        assert!(ports["a"] >= first + 30 || ports["a"] < first, "{ports:?}");
        assert!(moved.unwrap().contains(&format!("the ports from {first} on")));
        let kept = Ports::from([("a".to_owned(), first)]);
        assert_eq!(take(&kept).0, kept);
        drop(other);
        assert_eq!(take(&Ports::new()).0["a"], first);
        assert_eq!(take(&Ports::new()).0["a"], first, "this command has it already");
    }

    #[test]
    fn free_ports_differ() {
        let ports = any_free(&[socket("a", None), socket("b", None)]).unwrap();
        assert_ne!(ports["a"], ports["b"]);
    }
}
