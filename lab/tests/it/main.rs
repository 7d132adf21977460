#![allow(clippy::unwrap_used)]

mod admin;
mod auth;
mod client;
mod faults;
mod journal;
mod receipts;
mod receiver;
mod setup;
mod vectors;
