//! The handles of `cccc-core` in a forked child: they say what to do, and opening again works.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod busy;
mod child;
mod handles;
mod zones;
