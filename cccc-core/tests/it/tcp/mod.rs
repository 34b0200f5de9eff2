//! A ledger can be a database: one behind the TCP connections of a server process passes the suites, keeps what was
//! said when the server is killed and connections are cut, and costs few journeys and no threads.

mod client;
mod keeper;
mod server;
mod wire;

mod conform;
mod faults;
mod given_up;
mod journeys;
mod large;
mod scenarios;
#[cfg(target_os = "linux")]
mod threads;
