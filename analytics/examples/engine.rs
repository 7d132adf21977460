//! The embedded engine alone, as the tests run it: `engine '{"data_dir":"…"}'`, ended by SIGTERM.

use anyhow::Context as _;
use jixinda_analytics::engine::{Config, serve};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let text = std::env::args()
        .nth(1)
        .context("give the settings as JSON")?;
    let config: Config = serde_json::from_str(&text).context("settings")?;
    let mut term = signal(SignalKind::terminate())?;
    let shutdown = async move {
        term.recv().await;
    };
    serve(config, shutdown).await?;
    Ok(())
}
