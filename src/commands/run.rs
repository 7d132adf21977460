//! The assembly of a process: logging, metrics, admin endpoint, directory, roles; then the way to its end.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, anyhow, bail};
use jixinda_runtime::{
    clock::SystemClock,
    directory::Directory,
    http,
    kafka::{Kafka, admin},
    lifecycle::Lifecycle,
    metrics,
};
use tracing::{error, info, warn};

use super::asked_to_stop_or_orphaned;
use crate::{config::Config, roles::Role};

mod engine_child;

/// What every role is made from.
#[derive(Debug)]
struct Parts<'a> {
    config: &'a Config,
    kafka: &'a Kafka,
    directory: &'a Directory,
    lifecycle: &'a Lifecycle,
}

/// `jixinda run`
pub(super) async fn run(
    file: Option<&Path>,
    roles: &[Role],
    child: bool,
) -> anyhow::Result<ExitCode> {
    let config = super::load(file)?;
    let mut roles = if roles.is_empty() {
        config.run.roles.clone()
    } else {
        roles.to_vec()
    };
    roles.sort_unstable();
    roles.dedup();
    let engine = config.run.engine && roles.contains(&Role::Analytics);
    let beside = Beside { engine, child };
    serve(file, config, &roles, beside).await
}

/// `jixinda ingest` and the like.
pub(super) async fn alone(file: Option<&Path>, role: Role) -> anyhow::Result<ExitCode> {
    let config = super::load(file)?;
    serve(file, config, &[role], Beside::default()).await
}

/// What other processes there are.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    /// The engine, to be started as a child.
    engine: bool,
    /// A parent whose end is ours.
    child: bool,
}

async fn serve(
    file: Option<&Path>,
    config: Config,
    roles: &[Role],
    beside: Beside,
) -> anyhow::Result<ExitCode> {
    config.check(roles)?;
    if roles.is_empty() {
        bail!("no role to run: set run.roles or --roles");
    }
    let recorder = metrics::install()?;
    let lifecycle = Lifecycle::default();
    let stopping = lifecycle.clone();
    tokio::spawn(async move {
        if let Err(error) = asked_to_stop_or_orphaned(beside.child).await {
            error!(%error, "signals cannot be awaited");
        }
        info!("stopping");
        stopping.stop();
    });
    // Until the roles are registered nothing else would keep /readyz from saying yes.
    let starting = lifecycle.component("start");
    let listen = config.admin.listen;
    let (all, handle) = (lifecycle.clone(), lifecycle.component("admin"));
    tokio::spawn(async move {
        if let Err(error) = http::serve_admin(listen, all, recorder, handle).await {
            error!(
                error = &error as &dyn std::error::Error,
                "admin endpoint not served"
            );
        }
    });
    let engine = if beside.engine {
        Some(engine_child::start(
            file,
            &config,
            lifecycle.component("engine"),
        )?)
    } else {
        None
    };
    let started = tokio::select! {
        started = start(&config, roles, &lifecycle) => started,
        () = lifecycle.stopped() => Err(anyhow!("stopped while it started")),
    };
    // A stop that comes before the end of the start is no fault of the start.
    let cut_short = started.is_err() && lifecycle.is_stopping();
    match &started {
        Ok(()) => {
            starting.ready();
            info!(roles = ?roles, admin = %listen, "started");
            lifecycle.stopped().await;
        }
        Err(_) => lifecycle.stop(),
    }
    drop(starting);
    let drained = lifecycle.drained().await;
    // The engine ends after those who write to it.
    if let Some(engine) = engine {
        engine.stop().await;
    }
    if !cut_short {
        started?;
    }
    end(&lifecycle, drained)
}

async fn start(config: &Config, roles: &[Role], lifecycle: &Lifecycle) -> anyhow::Result<()> {
    let kafka = config.kafka()?;
    for role in roles {
        // A senders process serves one pool; the groups of the others are not its concern.
        let pool = std::slice::from_ref(&config.senders.pool);
        admin::verify_ready(&kafka, &role.topics(), role.groups(pool).first())
            .await
            .with_context(|| format!("{} cannot start", role.as_str()))?;
    }
    let directory = Directory::follow(&kafka, lifecycle.component("directory"))
        .await
        .context("the directory cannot be read")?;
    let parts = Parts {
        config,
        kafka: &kafka,
        directory: &directory,
        lifecycle,
    };
    for role in roles {
        start_role(*role, &parts)
            .await
            .with_context(|| format!("{} cannot start", role.as_str()))?;
    }
    Ok(())
}

/// Starts one role as a component of its own.
async fn start_role(role: Role, parts: &Parts<'_>) -> anyhow::Result<()> {
    match role {
        Role::Ingest => {
            let deps = jixinda_ingest::Deps {
                kafka: parts.kafka.clone(),
                directory: parts.directory.clone(),
                platform_key: parts.config.platform_key()?,
                clock: SystemClock::shared(),
            };
            let service = jixinda_ingest::Service::new(parts.config.ingest.clone(), deps).await?;
            spawn(role, service.run(parts.lifecycle.component(role.as_str())));
        }
        Role::Analytics => {
            let deps = jixinda_analytics::Deps {
                kafka: parts.kafka.clone(),
                clock: SystemClock::shared(),
                key: parts.config.platform_key()?,
                directory: parts.directory.clone(),
            };
            let service = jixinda_analytics::Service::new(parts.config.analytics.clone(), deps)?;
            spawn(role, service.run(parts.lifecycle.component(role.as_str())));
        }
        Role::Router => {
            let deps = jixinda_router::Deps {
                kafka: parts.kafka.clone(),
                directory: parts.directory.clone(),
                key: parts.config.platform_key()?,
                clock: SystemClock::shared(),
            };
            let service = jixinda_router::Service::new(parts.config.router.clone(), deps);
            let health = parts.lifecycle.component("health");
            spawn(
                role,
                service.run(parts.lifecycle.component(role.as_str()), health),
            );
        }
        Role::Senders => {
            let deps = jixinda_senders::Deps {
                kafka: parts.kafka.clone(),
                directory: parts.directory.clone(),
                key: parts.config.platform_key()?,
                clock: SystemClock::shared(),
            };
            let service = jixinda_senders::Service::new(parts.config.senders.clone(), deps);
            let receipts = parts.lifecycle.component("receipts");
            let fetching = parts.lifecycle.component("fetching");
            spawn(
                role,
                service.run(parts.lifecycle.component(role.as_str()), receipts, fetching),
            );
        }
    }
    Ok(())
}

/// The service tells the lifecycle how it ends; here its error is only logged with all its causes.
fn spawn<E>(role: Role, service: impl Future<Output = Result<(), E>> + Send + 'static)
where
    E: std::error::Error + Send + Sync + 'static,
{
    tokio::spawn(async move {
        if let Err(e) = service.await {
            error!(
                role = role.as_str(),
                error = &e as &dyn std::error::Error,
                "role ended with an error"
            );
        }
    });
}

/// Says who failed, if anybody did.
fn end(lifecycle: &Lifecycle, drained: bool) -> anyhow::Result<ExitCode> {
    let failures = lifecycle.failures();
    for (component, cause) in &failures {
        error!(component, cause, "component failed");
    }
    if !drained {
        warn!("not everything ended in time");
    }
    if let Some((component, cause)) = failures.first() {
        bail!("{component} failed: {cause}");
    }
    if !drained {
        bail!(
            "not everything ended within {} s",
            jixinda_runtime::lifecycle::DRAIN_LIMIT.as_secs()
        );
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}
