use std::process::ExitCode;

use clap::Parser;
use jixinda::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::main(Cli::parse())
}
