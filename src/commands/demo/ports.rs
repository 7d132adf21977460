//! Who holds a port that we need.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
};

use anyhow::bail;

/// # Errors
/// Names every taken port, the setting that it comes from, and its holder.
pub(super) fn check_free(wanted: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
    let taken: Vec<String> = wanted
        .iter()
        .filter(|(_, address)| TcpListener::bind(address).is_err())
        .map(|(what, address)| {
            let who = holder(address.port())
                .unwrap_or_else(|| "a process that only root or its owner can see".to_owned());
            format!("\n  {address} ({what}) by {who}")
        })
        .collect();
    if !taken.is_empty() {
        bail!(
            "ports are taken; stop their holders first:{}",
            taken.concat()
        );
    }
    Ok(())
}

/// Name and pid of the process that listens on the port.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listeners(&text, port))
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().into_string().unwrap_or_default();
        if !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| {
                let target = target.to_string_lossy();
                inodes
                    .iter()
                    .any(|inode| target == format!("socket:[{inode}]"))
            })
        });
        if holds {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let line: String = line.trim().chars().take(100).collect();
            return Some(format!("`{line}` (pid {pid})"));
        }
    }
    None
}

/// Inodes of the sockets that listen on the port.
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&wanted) && fields[3] == LISTEN)
        .map(|fields| fields[9].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_setting_and_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = check_free(&[("ingest.listen", address)])
            .unwrap_err()
            .to_string();
        let pid = std::process::id();
        assert!(error.contains("ingest.listen"), "{error}");
        assert!(error.contains(&format!("(pid {pid})")), "{error}");
        drop(listener);
        check_free(&[("ingest.listen", address)]).unwrap();
    }
}
