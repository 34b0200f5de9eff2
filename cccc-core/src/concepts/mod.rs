//! The ideas behind the library, a chapter each, with examples that run.
//!
//! - [`ledger`]: what is stored, what is promised about it, and how to follow it
//! - [`delivery`]: how a message reaches its recipient, and what is known about that
//! - [`obligations`]: what is owed, by whom, until when, and how it ends
//! - [`addressing`]: who is in a group, who may do what, and whom an address means
//! - [`sessions`]: which running agent is which actor, who is there, and what becomes of those who go
//! - [`groups`]: what a group can be doing, and how it is copied, moved and tidied up
//! - [`time`]: what happens after a while: limits of talk, waits, reminders, schedules
//! - [`embedding`]: the library inside a program: homes, handles, threads, errors
//!
//! These modules hold no code.

#[doc = include_str!("ledger.md")]
pub mod ledger {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("obligations.md")]
pub mod obligations {}

#[doc = include_str!("addressing.md")]
pub mod addressing {}

#[doc = include_str!("sessions.md")]
pub mod sessions {}

#[doc = include_str!("groups.md")]
pub mod groups {}

#[doc = include_str!("time.md")]
pub mod time {}

#[doc = include_str!("embedding.md")]
pub mod embedding {}
