//! Load on an installation of this machine, and what it makes of it. `deploy/bench/run.sh` starts one for it.

mod accept;
mod e2e;
mod http;
mod load;
mod messages;
mod platform;
mod report;
mod watch;

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use jixinda_runtime::clock::{Clock as _, SystemClock};
use serde::Serialize;

use self::{messages::Messages, report::Table};
use super::print;
use crate::cli::bench::{BenchCommand, Target};

/// The secret of the key that signs.
const SECRET: &str = "JIXINDA_BENCH_SECRET";

pub(super) async fn bench(file: Option<&Path>, command: BenchCommand) -> anyhow::Result<ExitCode> {
    let (good, json) = match command {
        BenchCommand::Accept(options) => {
            let json = options.target.json;
            (show(&accept::accept(&options).await?, json)?, json)
        }
        BenchCommand::E2e(options) => {
            let config = super::load(file)?;
            let json = options.target.json;
            (
                show(&Box::pin(e2e::e2e(&config, &options)).await?, json)?,
                json,
            )
        }
    };
    if good {
        return Ok(ExitCode::SUCCESS);
    }
    if !json {
        print("NOT GOOD: see above")?;
    }
    Ok(ExitCode::FAILURE)
}

/// What a run found.
trait Report: Serialize {
    /// Nothing was refused, broken, lost or left behind.
    fn is_good(&self) -> bool;
    fn table(&self) -> Table;
}

fn show(report: &impl Report, json: bool) -> anyhow::Result<bool> {
    if json {
        print(serde_json::to_string_pretty(report)?)?;
    } else {
        print(report.table())?;
    }
    Ok(report.is_good())
}

/// Where ingest is, and the messages for it.
fn prepare(target: &Target) -> anyhow::Result<(SocketAddr, Arc<Messages>)> {
    let address = loopback(&target.url)?;
    let secret =
        std::env::var(SECRET).with_context(|| format!("set {SECRET} to the secret of the key"))?;
    let seed = target
        .seed
        .unwrap_or_else(|| SystemClock.now().millis().unsigned_abs());
    let host = address.to_string();
    let messages = Messages::new(seed, &target.key, &secret, &host);
    Ok((address, Arc::new(messages)))
}

/// The address of a plain URL on this machine. Load on others is not this tool's business.
fn loopback(url: &str) -> anyhow::Result<SocketAddr> {
    let authority = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .with_context(|| format!("`{url}`: write http://127.0.0.1:PORT"))?;
    loopback_authority(authority)
}

/// `host:port`, on this machine.
fn loopback_authority(text: &str) -> anyhow::Result<SocketAddr> {
    let numeric = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let Ok(address) = numeric.parse::<SocketAddr>() else {
        bail!("`{text}`: write 127.0.0.1:PORT; load goes to this machine only");
    };
    if !address.ip().is_loopback() {
        bail!("`{text}` is not a loopback address: load goes to this machine only");
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_gets_load() {
        for good in [
            "http://127.0.0.1:8771",
            "http://localhost:1/",
            "http://[::1]:2",
        ] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1:1",
            "http://10.0.0.1:80",
            "http://example.com:80",
            "http://127.0.0.1:80/x",
            "http://127.0.0.1.example.com:80",
            "http://user@127.0.0.1:80",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }
}
