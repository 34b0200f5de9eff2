//! core
#![forbid(unsafe_code)]

pub mod command;
pub mod disk;
pub mod error;
pub mod event;
pub mod id;
pub mod index;
pub mod ledger;
pub mod rule;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;

pub use error::*;
pub use id::*;
pub use time::*;

/// placeholder
#[derive(Debug)]
pub struct Group;
