use std::process::ExitCode;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::print;
use crate::cli::KeyCommand;

pub(super) fn key(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Generate => print(STANDARD.encode(rand::random::<[u8; 32]>()))?,
    }
    Ok(ExitCode::SUCCESS)
}
