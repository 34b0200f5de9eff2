//! core
#![forbid(unsafe_code)]

mod blobs;
mod blocking;
mod clock;
pub mod command;
pub mod disk;
mod engine;
pub mod error;
pub mod event;
mod group;
mod home;
pub mod id;
pub mod index;
pub mod ledger;
pub mod rule;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;

pub use blobs::{Blobs, MAX_BLOB_BYTES};
pub use blocking::block_on;
pub use clock::{Clock, ManualClock, SystemClock};
pub use command::Command;
pub use engine::Executed;
pub use error::{Damage, Error, ErrorKind, Result};
pub use event::{Body, Event};
pub use group::{
    ActorView, AddActorRequest, Group, GroupSummary, History, HistoryRequest, Inbox, InboxRequest,
    IntoEventRef, Message, ObligationsRequest, RemoveActorRequest, SendRequest, Sent, UpdateActorRequest,
    Watch,
};
pub use home::{Attached, FileSystem, GroupEntry, HOME_VARIABLE, Home, HomeOptions, Scope};
pub use id::{ActorId, EventId, EventRef, GroupId, Label, Principal, Seq};
pub use ledger::{Durability, Ledger, Position};
pub use rule::obligation::ObligationView;
pub use rule::receipt::{DeliveryWord, ObligationWord, Receipt};
pub use state::ObligationKind;
pub use time::Timestamp;
