//! The memory of a group, through its handle: what is kept and found, who sees it, and what becomes of it when files
//! are damaged.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod care;
mod damage;
mod model;
mod notes;
mod search;
mod support;
mod transfer;
