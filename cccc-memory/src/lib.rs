//! What a group and its actors remember: durable notes, searched by text, with the events they came from.
//!
//! A note outlives the sessions, and the contexts, of the agents that wrote it. It belongs to the group, or to one
//! actor, and then only that actor and the user see it. It may name the events of the ledger that it came from;
//! those are checked to exist, and are shown with who said them.
//!
//! ```
//! use cccc_core::{Home, block_on};
//! use cccc_memory::{Draft, Memory, Query};
//!
//! # let place = tempfile::tempdir().unwrap();
//! # let path = place.path().join("home");
//! # block_on(async {
//! let home = Home::open(&path).await?;
//! let user = home.create_group("parser").await?;
//! user.add_actor("alice").await?;
//! let alice = Memory::of(&user.bind("alice").await?)?;
//! let mut draft = Draft::new("The tests need the database: `just db` starts it");
//! draft.tags = vec!["tests".parse()?];
//! alice.add(draft).await?;
//! let found = alice.search(&Query::text("which database do tests need")).await?;
//! assert_eq!(found.hits.first().map(|hit| hit.note.note_id.to_string()), Some("n1".into()));
//! # Ok::<_, cccc_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! [`Memory`] is the handle, bound to the principal of the [`Group`](cccc_core::Group) it was made of. There is one
//! SQLite database per group, `memory.db` beside the group's ledger, and any number of processes may use it at once.
//! Calls block their thread for as long as the disk takes: on an executor that must go on, give them to a thread
//! that may block. Nothing is kept open between calls.
//!
//! The ledger knows nothing of notes, so they are in no `cccc group export`: [`Memory::export`] writes them. Notes
//! are plain text in a file that only its owner may read; they are no place for secrets.
#![forbid(unsafe_code)]

mod admin;
mod draft;
mod memory;
mod note;
mod query;
mod read;
mod rule;
mod store;
mod transfer;
mod write;

pub use admin::{Compacted, HandedOver, Heir, Owned, Purged, Rebuilt, Stats, Verdict};
pub use draft::{Change, Draft};
pub use memory::Memory;
pub use note::{
    MAX_CLIENT_ID_BYTES, MAX_NOTES, MAX_SOURCES, MAX_SUPERSEDED, MAX_TAGS, MAX_TEXT_BYTES, Note, NoteId,
    Scope, Source,
};
pub use query::{MAX_LIMIT, Matched, Query, Which};
pub use read::{Found, Hit, Page};
pub use store::FILE;
pub use transfer::{Exported, FORMAT, Imported};
pub use write::{Added, Changed};
