//! The engine's disk is full: the sink holds what it cannot insert, and inserts it once when there is room again.

use std::{
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    end,
    options::{Options, variable},
    plan::MEMBERS,
    settings, traffic, world,
};
use crate::harness::{
    Platform, Settings, eventually,
    load::{Counts, Load, for_a_while},
};

/// Megabytes for the engine's data.
const SIZE: usize = 192;
const FULL_FOR: Duration = Duration::from_secs(15);

/// A file system of a known size; unmounted at the end.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount() -> Self {
        let at = std::env::temp_dir().join(format!("jixinda-chaos-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={SIZE}m"),
                "jixinda-chaos",
            ])
            .arg(&at);
        let done = mount.output().unwrap();
        assert!(
            done.status.success(),
            "the full disk needs a tmpfs, and it cannot be mounted: {}; as root, or without this part by \
             JIXINDA_CHAOS_SKIP_FULL_DISK=1",
            String::from_utf8_lossy(&done.stderr)
        );
        Self(at)
    }

    /// Takes all the room there is, and what becomes free for a while.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, as the engine may end a moment later.
        let done = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let gone = done.is_ok_and(|status| status.success());
        if !gone || std::fs::remove_dir(&self.0).is_err() {
            eprintln!("chaos: {} stays", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system: `make chaos`"]
async fn a_full_disk_of_the_engine_costs_no_row_and_doubles_none() {
    if variable::<u8>("SKIP_FULL_DISK") == Some(1) {
        eprintln!("chaos: the full disk was SKIPPED, as JIXINDA_CHAOS_SKIP_FULL_DISK says");
        return;
    }
    let options = Options {
        rate: 200,
        ..Options::short()
    };
    let disk = Tmpfs::mount();
    let settings = Settings {
        engine_data: Some(disk.0.join("data")),
        ..settings(&options)
    };
    let mut platform = Platform::start_with(world(), &MEMBERS, settings).await;
    let load = Load::of(traffic(&platform, &options));
    let counts = load.counts.clone();
    let delivered = || Counts::get(&counts.accepted);
    eventually(
        "messages are accepted",
        Duration::from_secs(60),
        async || (delivered() > 1_000).then_some(()).ok_or_else(&delivered),
    )
    .await;

    let began = Instant::now();
    let before = delivered();
    while began.elapsed() < FULL_FOR {
        // Merges and old parts give room back meanwhile.
        disk.fill();
        for_a_while(Duration::from_millis(200)).await;
    }
    let refused = platform
        .logs()
        .into_iter()
        .filter(|(name, _)| name.starts_with("analytics"));
    let refused: usize = refused
        .map(|(_, text)| text.matches("insert failed").count())
        .sum();
    assert!(refused > 0, "no insert failed: the disk was not full");
    assert!(
        delivered() > before + 500,
        "a full disk of the engine must not stop what is accepted"
    );
    std::fs::remove_file(disk.0.join("filler")).unwrap();

    for_a_while(Duration::from_secs(3)).await;
    let accepted = load.stop().await;
    let settled = end(&mut platform, &accepted).await;
    eprintln!(
        "chaos: full disk for {FULL_FOR:?}, {refused} inserts failed, {} messages, {} faults",
        accepted.len(),
        settled.faults.len()
    );
    assert!(
        settled.faults.is_empty(),
        "{:?}",
        &settled.faults[..settled.faults.len().min(10)]
    );
    platform.end().await;
}
