//! The vendor lab: faithful fake vendor servers with scripted faults.
//!
//! A call's path: socket ([`Lab`]) → [`calls`] → the vendor's gate (who signed it) and rules (is it a valid message), both
//! behind the seam [`vendor`] → `plan` (what this call is to suffer) → [`journal`] → the answer, and later the
//! receipts, pushed or fetched. The protocol code is written from the vendor fact sheets alone and shares nothing with the
//! senders, so an error there cannot be hidden by the same error here.
//!
//! The journal is the lab's word on what a vendor would know; judges compare it with the platform's own
//! record. It keeps recipients in clear, because they have to be compared: lab data must be test data.

mod account;
mod admin;
mod behaviour;
mod calls;
mod clock;
mod codes;
mod config;
mod dice;
mod error;
mod hub;
pub mod journal;
mod lab;
mod live;
pub mod magic;
mod number;
mod places;
mod plan;
mod receipts;
mod socket;
mod stats;
mod vendor;
pub mod vendors;
pub mod wire;

pub use account::{Account, Secret, Template};
pub use behaviour::{Behaviour, Down, Fault, FaultKind, ReceiptFailure, Spread};
pub use codes::{Code, Condition, End, ReceiptCode};
pub use config::Config;
pub use error::Error;
pub use lab::{Lab, serve};
