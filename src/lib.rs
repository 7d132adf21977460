//! Jixinda: the command line, the configuration and the assembly of the roles into processes.
//!
//! What a role does stands in its own crate; here it is only given its settings, its view of the directory and its
//! place in the process's lifecycle.

pub mod cli;
pub mod commands;
pub mod config;
pub mod directory_file;
pub mod roles;
