//! The vendor lab: faithful fake vendor servers with scripted faults.
//!
//! A call's path: socket ([`Lab`]) → `aliyun::server` → `aliyun::gate` (who signed it) → `aliyun::submit`
//! (is it a valid message) → `plan` (what this call is to suffer) → [`journal`] → the answer, and later the
//! receipt push. The protocol code is written from the vendor fact sheet alone and shares nothing with the
//! senders, so an error there cannot be hidden by the same error here.
//!
//! The journal is the lab's word on what a vendor would know; judges compare it with the platform's own
//! record. It keeps recipients in clear, because they have to be compared: lab data must be test data.
//! One vendor so far: Aliyun Dysmsapi, SendSms, ACS3-HMAC-SHA256.

mod account;
mod admin;
pub mod aliyun;
mod behaviour;
mod clock;
mod config;
mod dice;
mod error;
mod hub;
pub mod journal;
mod lab;
mod live;
mod plan;
mod receipts;
mod socket;
mod stats;

pub use account::{Account, Secret, Template};
pub use behaviour::{Behaviour, Down, Fault, FaultKind, ReceiptFailure, Spread};
pub use config::Config;
pub use error::Error;
pub use lab::{Lab, serve};
