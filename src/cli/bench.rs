//! Options of `jixinda bench`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// How many messages a second ingest accepts.
    Accept(Accept),
    /// From accept to vendor call, receipt and ClickHouse, at a fixed rate, with the vendor lab.
    E2e(EndToEnd),
}

/// Where the load goes, and what is watched.
#[derive(Debug, Args)]
pub struct Target {
    /// Where ingest listens. Loopback only, as everything here.
    #[arg(long, default_value = "http://127.0.0.1:8771")]
    pub url: String,
    /// Requests at once, each on a connection of its own that is kept open.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// Key id that signs; its secret is in $JIXINDA_BENCH_SECRET.
    #[arg(long, default_value = "bench-1")]
    pub key: String,
    /// A process whose processor time and memory are to be told; may be repeated.
    #[arg(long = "process", value_name = "NAME=PID", value_parser = process)]
    pub processes: Vec<(String, u32)>,
    /// Recipients and nonces follow from it [default: the clock].
    #[arg(long)]
    pub seed: Option<u64>,
    /// An object instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Accept {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Messages a second, whatever the answers; latency then counts from when a message was due. Without it each
    /// connection sends as soon as it has its answer.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=200_000))]
    pub rate: Option<u64>,
}

/// By which door messages come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    Http,
    /// Signed records straight to the topics.
    Kafka,
    /// Every other message.
    Both,
}

#[derive(Debug, Args)]
pub struct EndToEnd {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Messages a second: 10 % otp, 60 % notice, 30 % marketing.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    pub rate: u64,
    #[arg(long, value_enum, default_value_t = Via::Http)]
    pub via: Via,
    /// The app that the key belongs to; direct records name it.
    #[arg(long, default_value = "bench")]
    pub app: String,
    /// Where the vendor lab listens.
    #[arg(long, default_value = "127.0.0.1:8790")]
    pub lab: SocketAddr,
    /// The lab's journal: it tells when each message reached the vendor.
    #[arg(long, value_name = "FILE")]
    pub journal: PathBuf,
}

fn process(text: &str) -> Result<(String, u32), String> {
    let pair = text
        .split_once('=')
        .and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)));
    pair.ok_or_else(|| "write NAME=PID".to_owned())
}
