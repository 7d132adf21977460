//! One file for each command. Only these print to standard output; logs go to standard error.

mod bench;
mod codes;
mod config;
mod dead_letters;
mod demo;
mod directory;
mod engine;
mod failed;
mod key;
mod lab;
mod query;
mod redrive;
mod run;
mod show;
mod topics;
mod verify;

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use jixinda_runtime::{http, telemetry};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{
    cli::{Cli, Command},
    config::{Config, Invalid, Layers},
    roles::Role,
};

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Runs the command and makes the exit code.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    http::install_crypto();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")
        .and_then(|runtime| {
            let done = runtime.block_on(dispatch(cli));
            // A thread that hangs in a client library does not keep the process.
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            done
        });
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jixinda: {error:#}");
            if error.is::<Invalid>() {
                ExitCode::from(EXIT_CONFIG)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config.as_deref();
    match cli.command {
        Command::Run { roles, child } => Box::pin(run::run(file, &roles, child)).await,
        Command::Demo(options) => Box::pin(demo::demo(file, &options)).await,
        Command::Ingest => Box::pin(run::alone(file, Role::Ingest)).await,
        Command::Router => Box::pin(run::alone(file, Role::Router)).await,
        Command::Senders => Box::pin(run::alone(file, Role::Senders)).await,
        Command::Analytics => Box::pin(run::alone(file, Role::Analytics)).await,
        Command::Engine { child } => engine::serve(load(file)?, child).await,
        Command::Config(command) => config::config(file, &command).await,
        Command::Key(command) => key::key(&command),
        Command::Topics(command) => topics::topics(&load(file)?, &command).await,
        Command::Directory(command) => directory::directory(&load(file)?, command).await,
        Command::Codes(options) => codes::codes(&options),
        Command::Query(options) => query::query(&load(file)?, options).await,
        Command::Verify(options) => Box::pin(verify::verify(&load(file)?, &options)).await,
        Command::DeadLetters(command) => {
            Box::pin(dead_letters::dead_letters(&load(file)?, command)).await
        }
        Command::Failed(command) => Box::pin(failed::failed(&load(file)?, command)).await,
        Command::Lab(command) => lab::lab(file, &command).await,
        Command::Bench(command) => Box::pin(bench::bench(file, command)).await,
    }
}

/// Writes a line to standard output. A reader who has gone away, such as `head`, ends the command without noise.
fn print(line: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// The configuration, with logging started by it.
fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let config = Layers::read(file)?.config()?;
    telemetry::init(&config.telemetry)?;
    Ok(config)
}

/// Resolves on SIGTERM or SIGINT; as a child also when standard input closes, which the parent's end brings about.
async fn asked_to_stop_or_orphaned(child: bool) -> anyhow::Result<()> {
    if !child {
        return asked_to_stop().await;
    }
    let orphaned = input_closed()?;
    tokio::select! {
        asked = asked_to_stop() => asked,
        _ = orphaned => Ok(()),
    }
}

fn input_closed() -> anyhow::Result<oneshot::Receiver<()>> {
    let (closed, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            // Whatever comes is thrown away; an error is an end too.
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            // Nobody listens any more when the service has ended already.
            let _ = closed.send(());
        })
        .context("cannot start a thread")?;
    Ok(receiver)
}

/// Resolves on SIGTERM or SIGINT.
async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
