use std::process::ExitCode;

use clap::Parser;
use jixinda::{cli::Cli, commands};

/// Millions of small, short-lived pieces: the system's allocator took a quarter of the senders' time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::main(Cli::parse())
}
