//! Which ports a platform gets: a stable block for each checkout, so that two checkouts run side by side.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use super::instance::{Ports, Socket};
use super::port_holder::holder;

/// Blocks begin here, above the ports that services like to claim and below those that the kernel hands out by
/// itself (`net.ipv4.ip_local_port_range` begins at 32768).
const FIRST: u16 = 20_000;
/// Ports in a block; a platform needs at most that many.
const BLOCK: u16 = 30;
const BLOCKS: u16 = 400;

/// The first port of a checkout's n-th choice of block.
fn block(root: &Path, choice: u16) -> u16 {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let start = u16::from_be_bytes([digest[0], digest[1]]) % BLOCKS;
    FIRST + ((start + choice) % BLOCKS) * BLOCK
}

/// Numbers for all sockets: those that the site fixed, the others from the checkout's block.
///
/// # Errors
/// A fixed port is taken (the error names by whom), or no block is free.
pub fn per_checkout(root: &Path, sockets: &[Socket]) -> Result<Ports> {
    let taken: Vec<_> = sockets
        .iter()
        .filter_map(|socket| Some((socket, socket.fixed?)))
        .filter(|(_, number)| !is_free(*number))
        .map(|(socket, number)| {
            let by = holder(number).unwrap_or_else(|| "a process of somebody else".to_owned());
            format!(
                "port {number}, which the environment sets for {}, is taken by {by}; end that, or set another",
                socket.setting
            )
        })
        .collect();
    if !taken.is_empty() {
        bail!("{}", taken.join("\n"));
    }
    assert!(sockets.len() <= usize::from(BLOCK), "a platform fits into a block of ports");
    for choice in 0..BLOCKS {
        let first = block(root, choice);
        let numbers =
            sockets.iter().zip(first..).map(|(socket, number)| (socket, socket.fixed.unwrap_or(number)));
        let ports: Ports = numbers.map(|(socket, number)| (socket.key.clone(), number)).collect();
        let clash = ports.iter().find(|(_, number)| !is_free(**number));
        match clash {
            None => return Ok(ports),
            Some((key, number)) if choice == 0 => {
                let by = holder(*number).unwrap_or_else(|| "a process of somebody else".to_owned());
                eprintln!("port {number} for {key} is taken by {by}: taking another block of ports");
            }
            Some(_) => {}
        }
    }
    bail!("no block of {BLOCK} ports is free between {FIRST} and {}", FIRST + BLOCKS * BLOCK)
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use vocabulary::model::{PortRef, ServiceId};

    use super::{BLOCK, BLOCKS, FIRST, any_free, block, per_checkout};
    use crate::engines::process::instance::Socket;

    fn socket(key: &str, fixed: Option<u16>) -> Socket {
        Socket {
            key: key.to_owned(),
            fixed,
            setting: PortRef { service: ServiceId("postgres"), name: "sql" },
        }
    }

    #[test]
    fn blocks_stay_below_the_ephemeral_ports() {
        for choice in 0..BLOCKS {
            let first = block(Path::new("/some/where"), choice);
            assert!(first >= FIRST && first + BLOCK <= 32_768);
        }
    }

    #[test]
    fn a_fixed_port_that_is_taken_is_told_with_its_holder() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let error = per_checkout(Path::new("/x"), &[socket("postgres.sql", Some(number))]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("port {number}")) && text.contains("postgres.sql"), "{text}");
        assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    }

    #[test]
    fn free_ports_differ() {
        let ports = any_free(&[socket("a", None), socket("b", None)]).unwrap();
        assert_ne!(ports["a"], ports["b"]);
    }
}
