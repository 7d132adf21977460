//! `jixinda demo`: the whole platform at work on one machine, with the vendor lab in the place of vendors.
//!
//! It starts the lab and `jixinda run` as children, applies a directory, sends a few thousand messages while a scenario is
//! played (a channel breaks and is mended), and compares by id what was accepted, what ClickHouse says, and what the lab
//! knows. `jixinda lab run` plays a scenario with what is up already.

mod children;
mod lab;
mod load;
mod messages;
mod play;
mod ports;
mod progress;
mod report;
mod scenario;
mod share;
mod store;
mod verdict;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use jixinda_runtime::{directory::publish, http, kafka::admin};
use tokio::time::sleep;

use self::{children::Children, lab::Lab, play::Stage, scenario::Scenario, store::Store};
use super::{asked_to_stop, directory, print};
use crate::{
    cli::{Apply, Demo, DirectoryCommand, Play},
    config::{Config, Layers},
    roles,
};

/// For the platform to become ready.
const READY: Duration = Duration::from_secs(90);

pub(super) async fn demo(file: Option<&Path>, options: &Demo) -> anyhow::Result<ExitCode> {
    let settings = file.map_or_else(|| options.dir.join("jixinda.toml"), Path::to_owned);
    let config = Layers::read(Some(&settings))?.config()?;
    let advice = "`make run` prepares what the demo needs";
    config.check(&config.run.roles).context(advice)?;
    let journal = std::env::var_os("JIXINDA_DEMO_JOURNAL").context(advice)?;
    let data = PathBuf::from(std::env::var_os("JIXINDA_DATA").unwrap_or_else(|| ".local".into()));
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;

    let scenario = Scenario::read(&options.scenario)?;
    let lab_settings = options.dir.join("lab.toml");
    let lab_address = lab::address(&lab_settings)?;
    ports::check_free(&wanted(&config, lab_address))?;
    let mut children = Children::default();
    children.start(
        "the lab",
        &lab_settings,
        &["lab", "serve", "--child"],
        data.join("lab.log"),
    )?;
    // Told in its own log; what it takes to start is prepared meanwhile.
    let prepared = prepare(&config, options).await;
    let started = prepared.and_then(|()| {
        children.start(
            "the platform",
            &settings,
            &["run", "--child"],
            data.join("run.log"),
        )
    });
    if let Err(error) = started {
        children.stop().await;
        return Err(error);
    }

    let lab = Lab::new(lab_address)?;
    let store = Store::new(&config)?;
    let stage = Stage {
        config: &config,
        lab: &lab,
        store: &store,
        journal: PathBuf::from(journal),
        scenario: &scenario,
        rate: options.rate.unwrap_or(scenario.rate),
    };
    let done = tokio::select! {
        done = show(&stage, options, &data) => done,
        error = children.died() => Err(error),
        asked = asked_to_stop() => asked.map(|()| None),
    };
    eprintln!("stopping");
    children.stop().await;
    match done? {
        Some(false) => Ok(ExitCode::FAILURE),
        // Before the end with --once there is no verdict.
        None if options.once => Ok(ExitCode::FAILURE),
        Some(true) | None => Ok(ExitCode::SUCCESS),
    }
}

/// `jixinda lab run`: a scenario with the platform and the lab that are up, and the report on it.
pub(super) async fn play(file: Option<&Path>, options: &Play) -> anyhow::Result<ExitCode> {
    let settings = file.map_or_else(|| options.dir.join("jixinda.toml"), Path::to_owned);
    let config = Layers::read(Some(&settings))?.config()?;
    let advice = "source the environment of the demo first: `make run` prints how";
    let journal = std::env::var_os("JIXINDA_DEMO_JOURNAL").context(advice)?;
    let scenario = Scenario::read(&options.scenario)?;
    let lab = Lab::new(lab::address(&options.dir.join("lab.toml"))?)?;
    let store = Store::new(&config)?;
    let stage = Stage {
        config: &config,
        lab: &lab,
        store: &store,
        journal: PathBuf::from(journal),
        scenario: &scenario,
        rate: options.rate.unwrap_or(scenario.rate),
    };
    ready(&stage)
        .await
        .context("`make run` starts what a scenario is played with")?;
    let played = stage.play().await?;
    report::figures(stage.store, &played).await?;
    Ok(if played.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wanted(config: &Config, lab: SocketAddr) -> Vec<(&'static str, SocketAddr)> {
    let mut wanted = vec![
        ("ingest.listen", config.ingest.listen),
        ("senders.listen", config.senders.listen),
        ("analytics.listen", config.analytics.listen),
        ("admin.listen", config.admin.listen),
        ("listen of the lab", lab),
    ];
    if config.run.engine {
        wanted.push(("engine.listen", config.engine.listen));
    }
    wanted
}

/// Topics and directory.
async fn prepare(config: &Config, options: &Demo) -> anyhow::Result<()> {
    let kafka = config.kafka()?;
    let applied = admin::apply(&kafka, &roles::groups(config)).await?;
    publish::ensure_log(&kafka).await?;
    eprintln!(
        "topics: {} created, the others were there",
        applied.created.len()
    );
    eprintln!("directory:");
    let apply = Apply {
        file: options.dir.join("directory.toml"),
        prune: false,
        wait: false,
        dry_run: false,
    };
    directory::directory(config, DirectoryCommand::Apply(apply)).await?;
    Ok(())
}

/// Whether all is as it should be. Without --once it does not return.
async fn show(stage: &Stage<'_>, options: &Demo, data: &Path) -> anyhow::Result<Option<bool>> {
    ready(stage).await?;
    let played = stage.play().await?;
    report::figures(stage.store, &played).await?;
    if !options.once {
        report::addresses(stage.config, stage.lab.host(), data)?;
        print("\nIt stays up until ^C.")?;
        std::future::pending::<()>().await;
    }
    Ok(Some(played.passed()))
}

/// Waits until the platform and the lab answer.
async fn ready(stage: &Stage<'_>) -> anyhow::Result<()> {
    let client = http::client(Duration::from_secs(2))?;
    let url = format!("http://{}/readyz", stage.config.admin.listen);
    let began = Instant::now();
    loop {
        let answer = match client.get(&url).send().await {
            Ok(response) if response.status().is_success() => {
                if !stage.lab.answers().await {
                    "the lab does not answer".to_owned()
                } else if let Err(error) = stage.store.has_tables().await {
                    // The platform takes messages without ClickHouse; the demo wants to see them.
                    format!("{error:#}")
                } else {
                    break;
                }
            }
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(error) => format!("{:#}", anyhow::Error::new(error)),
        };
        if began.elapsed() > READY {
            bail!("not ready after {} s: {}", READY.as_secs(), answer.trim());
        }
        sleep(Duration::from_millis(200)).await;
    }
    eprintln!("ready after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
