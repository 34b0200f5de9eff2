//! Registering the MCP server, and hooks, with the agents that a person has.
//!
//! Every agent is a table of `runtimes.toml`; what is registered is the server `cccc`, run by this program.
//! An agent's own command is preferred where it has one, and is not trusted: afterwards its file is read.
//! The hooks of agents that have them are entered beside it, when they are asked for.
//! Nothing here touches a group or a ledger.

pub(crate) mod apply;
pub(crate) mod catalog;
pub(crate) mod detect;
pub(crate) mod edit;
mod edit_json;
mod edit_toml;
mod edit_yaml;
pub(crate) mod entry;
pub(crate) mod hooking;
pub(crate) mod hooks;
pub(crate) mod plan;
pub(crate) mod probe;
mod talk;
mod trust;
