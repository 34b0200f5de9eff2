//! One fault at each system call of whole programs: the program is killed, stopped, or refused by the disk at
//! the N-th call that touches the home, for every N; and then everything that was promised is looked for.
//!
//! The fault comes from a library that is loaded before the C library, and that this test compiles itself
//! (`shim.rs`): nothing but the Rust toolchain is needed. It is for Linux alone.
//!
//! A run takes a sample of all faults, the same one every time. For another sample, or for all of them:
//!
//!     CCCC_FAULTS_SEED=7 cargo test -p cccc-cli --test faults
//!     CCCC_FAULTS=all cargo test -p cccc-cli --test faults
//!
//! A failure names its fault. To see that one alone, with the calls up to it:
//!
//!     CCCC_FAULTS=send/kill/17 cargo test -p cccc-cli --test faults -- --nocapture send
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may panic, and real processes take real time"
)]

mod afterwards;
mod fault;
mod group;
mod hook;
mod ledger;
mod matrix;
mod message;
mod place;
#[path = "../shared/place.rs"]
mod shared;
