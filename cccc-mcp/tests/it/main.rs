//! The server, driven by the protocol's own client library and by raw lines, over streams within this process.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod bounds;
mod document;
mod identity;
mod inbox;
mod memory;
mod notify;
mod protocol;
mod scenario;
mod schemas;
mod support;
mod teamwork;
