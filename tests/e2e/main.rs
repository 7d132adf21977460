//! The whole platform as its users run it: the program as processes, a real broker, the real ClickHouse engine, the
//! vendor lab, real HTTP. `make test` starts what these need; every test has its own topics, database and ports.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] need it")]

mod audit;
mod bad_input;
mod bad_records;
mod chaos;
mod corrections;
mod crash;
mod docs;
mod harness;
mod health;
mod hot_plug;
mod outage;
mod paths;
mod rate;
mod redrive;
mod secrets;
mod twins;
mod vendors;
mod verify;
