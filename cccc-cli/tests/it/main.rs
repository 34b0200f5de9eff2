//! The wiring of the command line: the built program is run, as a person or a script would. What the
//! rules decide is tested in core; here it is what is passed on, printed, and returned as exit code.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod bundle;
mod careful;
mod coord;
mod demo;
mod doctor;
#[cfg(unix)]
mod doctor_agents;
mod errors;
mod gaps;
mod group;
mod help;
mod hook;
mod hook_safe;
mod hook_who;
mod inbox;
mod join;
mod ledger;
mod life;
mod mcp;
mod memory;
mod message;
mod outside;
mod person;
mod read_only;
mod relay;
mod repair;
#[cfg(unix)]
mod setup;
#[cfg(unix)]
mod setup_hooks;
#[path = "../shared/place.rs"]
mod shared;
mod speaking;
mod statusline;
mod support;
mod task;
mod time;
