//! What proves runtimes right: a contract that every [`Runtime`] is checked against, and [`SimRuntime`], whose agents
//! do what a test says.

mod contract;
mod simulated;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use contract::check;
pub use simulated::{AGAIN, SimRuntime, Way};

use crate::runtime::{Runtime, Started};

/// A runtime under test, with agents that the test can see into and steer.
#[async_trait]
pub trait Subject: fmt::Debug + Send + Sync {
    /// The runtime.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// Starts an agent that does nothing until it is told to.
    async fn start(&self, session: &str) -> Started;

    /// The texts of all messages that have ever got into the agent's turns, in their order.
    async fn heard(&self, session: &str) -> Vec<String>;

    /// Has the agent take a turn with all that waits for it, and answer.
    async fn turn(&self, session: &str);

    /// Has the agent's user clear what waits for it. Answers whether this kind of agent can do that.
    async fn clear(&self, session: &str) -> bool;

    /// Ends the agent at once, as a crash does.
    async fn kill(&self, session: &str);

    /// Has the agent's program not answer from now on. Answers whether this kind of agent can do that.
    async fn stall(&self, session: &str) -> bool;
}
