//! Who listens on a port, read off `/proc`.

use std::fs;

/// `NAME (pid N)`; none when nobody listens, or when the process is somebody else's.
pub fn holder(port: u16) -> Option<String> {
    let inodes: Vec<_> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let holds = fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        });
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        holds.then(|| format!("{} (pid {pid})", name.trim()))
    })
}

/// The sockets, as `socket:[INODE]`, that listen on the port. The table's columns are those of proc_pid_net(5).
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let number = columns.get(1)?.rsplit_once(':')?.1;
        let is_it = u16::from_str_radix(number, 16).ok()? == port && *columns.get(3)? == LISTEN;
        is_it.then(|| Some(format!("socket:[{}]", columns.get(9)?))).flatten()
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \u{20}  0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n\
                     \u{20}  1: 0100007F:1538 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(super::listening(table, 0x1538), ["socket:[4242]"]);
        assert!(super::listening(table, 80).is_empty());
    }
}
