//! Contract and component tests of the senders; nothing outside this machine is called.
#![allow(clippy::unwrap_used)]

mod cassettes;
mod faults;
mod receipts;
mod registry;
mod support;
mod vendor_vectors;
