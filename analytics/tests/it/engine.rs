//! The embedded engine as its clients see it: a child process behind ClickHouse's HTTP interface.

mod access;
mod child;
mod inserts;
mod interface;
