#![allow(clippy::unwrap_used)]

mod admin;
mod auth;
mod client;
mod faults;
mod feige;
mod huawei;
mod jdcloud;
mod journal;
mod lexin;
mod montnets;
mod receipts;
mod receiver;
mod setup;
mod tencent;
mod twilio;
mod vectors;
mod vonage;
