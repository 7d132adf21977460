//! The rules of the log (ARCHITECTURE.md, docs/reliability.md), explored: the shipped fence, ledger, claims, ids and state table, driven through
//! all interleavings of two routers and two senders in a small world, and through random ones in a large one.
//!
//! `JIXINDA_MODEL_DEPTH=2` (or more) widens the small worlds; a failure of a walk prints its seed.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod broker;
mod check;
mod completion;
mod explorer;
mod fingerprint;
mod kept;
mod large;
mod log;
mod owner;
mod reader;
mod router_owner;
mod seat;
mod sender_owner;
mod small;
mod steps;
mod switches;
mod tables;
mod tracker;
mod walks;
mod words;
mod world;
