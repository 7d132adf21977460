//! Contract and component tests of the senders; nothing outside this machine is called.
#![allow(clippy::unwrap_used)]

mod aliyun;
mod cassettes;
mod faults;
mod feige;
mod huawei;
mod jdcloud;
mod lexin;
mod montnets;
mod pull;
mod receipts;
mod registry;
mod support;
mod tencent;
mod twilio;
mod vendor_vectors;
mod vonage;
