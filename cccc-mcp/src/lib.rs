//! CCCC for coding agents: tools, an inbox resource and prompts over the Model Context Protocol.
//!
//! An agent's own program starts this server and talks to it over its standard input and output. The server
//! finds the group of its directory, joins it when the agent first needs to be somebody, and is the agent's
//! session for as long as it runs. What may be said to whom, what is owed and what is refused is decided in
//! `cccc-core` and nowhere here: this crate parses, makes one call into core, and answers within bounds.
//!
//! - [`Server`] is the protocol's side; [`serve`] runs it over any pair of streams, [`serve_stdio`] over the
//!   standard ones; [`Options`] say where it works and who it is.
//! - One file per family of tools in `tools/`; `answer` bounds what is answered and says with each answer what
//!   is owed; `seat` is who this server is; `watch` tells of what comes.
#![forbid(unsafe_code)]

mod answer;
mod args;
mod arrival;
mod bounds;
pub mod brief;
mod calls;
mod message;
mod notice;
mod options;
mod packs;
mod prompts;
mod resource;
mod runtime;
mod schema;
mod seat;
mod serve;
mod server;
mod tools;
mod watch;

pub use bounds::{MAX_ANSWER_BYTES, MAX_ITEMS, MAX_TEXT_BYTES};
pub use options::Options;
pub use runtime::{Runtime, Runtimes};
pub use serve::{serve, serve_stdio};
pub use server::Server;
pub use tools::{PackInfo, ToolInfo, catalogue, packs};
