//! What proves ledgers right: a simulated machine that fails in every way a disk can, and one suite of
//! checks for every implementation of [`Ledger`](crate::ledger::Ledger). And what proves frontends alike:
//! [`scenario`], stories that all of them must answer in the same way. Besides, what several crates' tests need.
//!
//! Nothing here is used by the library itself. It is compiled with the feature `testing`, so that other
//! crates (a ledger in a database, a runtime) test against the same things.
#![expect(clippy::indexing_slicing, reason = "a broken invariant of the simulation must stop it at once")]

pub mod conformance;
mod layer;
#[cfg(unix)]
mod pipe;
mod random;
mod restore;
pub mod runtime;
pub mod scenario;
pub mod sim;

pub use layer::DiskLayer;
#[cfg(unix)]
pub use pipe::make_pipe;
pub use random::Random;
pub use restore::{restore, save};
