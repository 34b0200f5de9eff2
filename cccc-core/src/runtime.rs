//! Runtimes: how messages get into a running agent, and what can be seen of that.
//!
//! A [`Runtime`] knows one way to run agents or to reach those that run: a program in a terminal, a protocol, an inbox
//! of the agent's own. It holds no rule of coordination. Who may be handed what, and when, is decided by the rules; what
//! became of it is written to the ledger by [`Group::push`] and [`Group::record_evidence`]. So a runtime has one duty
//! that matters: to say no more than it has seen.
//!
//! The library comes with none that runs a program. An embedding program brings its own, and
//! `cccc_core::testing::runtime` checks it against this contract.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;

use crate::command::Outcome;
use crate::error::Result;
use crate::event::Witness;
use crate::group::Message;
use crate::id::{ActorId, EventId, GroupId};
use crate::presence::Process;

#[cfg(doc)]
use crate::group::Group;

/// What comes later, in order. It ends with the session.
pub type Later<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// One way to run agents, or to reach those that run. Object-safe; called from any task, many at once.
///
/// # Contract
/// 1. **No copy too many.** The messages of one delivery get into the agent's input at most once, however often
///    [`deliver`](Self::deliver) is called for it: another call answers what is known.
/// 2. **Certain is certain.** After `Failed`, `Refused` or `Withdrawn` the agent has not got them and will not. What is
///    not known is `Ambiguous`, and so is a future that is dropped before it answers.
/// 3. **Steps climb.** What [`evidence`](Self::evidence) yields is of deliveries that were begun in this session, and
///    never says less of one than it said before. Repeating a step is no fault.
/// 4. **Verbatim.** The agent gets each message's text as it is, inside a frame of the runtime's, and `again` marked.
/// 5. **Bounds.** No method waits for the agent's turn to end. Every queue has a bound, beyond which `Refused`.
#[async_trait]
pub trait Runtime: fmt::Debug + Send + Sync {
    /// What it can do. Does not change.
    fn capabilities(&self) -> Capabilities;

    /// Starts an agent, or finds the one that is to be reached.
    ///
    /// # Errors
    /// `Unavailable` if its program is not there or did not start; nothing runs then.
    async fn start(&self, launch: Launch) -> Result<Started>;

    /// Hands messages over. There is no error whose effect is not known: whatever goes wrong is an outcome.
    async fn deliver(&self, session: &str, handoff: Handoff) -> Outcome;

    /// What is seen later of what was handed over, each step by its delivery.
    fn evidence(&self, session: &str) -> Later<(EventId, Outcome)>;

    /// What is known of a delivery of which nobody heard the outcome, because who handed it over died or gave up.
    /// `Failed` only if it is certain that it never arrives.
    async fn settle(&self, session: &str, delivery: EventId) -> Outcome;

    /// What the agent does, for whoever watches. Never written to the ledger; what nobody takes may be lost.
    fn signals(&self, session: &str) -> Later<Signal>;

    /// Ends a session: asks the agent to end, and ends it after the grace. Returns when it is gone; one that was gone
    /// before is no error. What it had not taken is told by [`evidence`](Self::evidence) before that ends.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be ended.
    async fn stop(&self, session: &str, grace: Duration) -> Result<()>;
}

/// What a runtime can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The manners of handing over that it knows. Another is `Refused`.
    pub manners: Vec<Manner>,
    /// The best witness that it has for a message that stands in a turn.
    pub witness: Witness,
    /// Most messages that it takes at a time, in one delivery.
    pub batch: usize,
}

impl Capabilities {
    /// Those of a runtime that hands over when the agent is idle, one message at a time.
    #[must_use]
    pub fn new(witness: Witness) -> Self {
        Self { manners: vec![Manner::WhenIdle], witness, batch: 1 }
    }
}

/// How messages are handed over to an agent that is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Manner {
    /// For its next turn.
    #[default]
    WhenIdle,
    /// Into the turn that it is in.
    Steer,
    /// Its turn is ended for them.
    Interrupt,
}

/// What is to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Launch {
    /// The group.
    pub group_id: GroupId,
    /// Who it embodies.
    pub actor_id: ActorId,
    /// The session's id, by which all other methods name it.
    pub session: String,
    /// Where it works.
    pub directory: PathBuf,
    /// What is set in its environment besides what its parent has. May hold secrets: never shown or logged.
    pub environment: Secrets,
    /// What it is told at first.
    pub briefing: String,
}

impl Launch {
    /// An actor's session in a directory, with nothing else said.
    #[must_use]
    pub fn new(
        group_id: GroupId,
        actor_id: ActorId,
        session: impl Into<String>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            group_id,
            actor_id,
            session: session.into(),
            directory: directory.into(),
            environment: Secrets::default(),
            briefing: String::new(),
        }
    }
}

/// Names and values for an agent's environment. What is shown of it are the names.
#[derive(Clone, Default)]
pub struct Secrets(pub Vec<(String, String)>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Started {
    /// The agent's process, if it has one of its own.
    pub process: Option<Process>,
    /// What the agent's program calls the session.
    pub agent_session_id: Option<String>,
}

/// Messages to be handed over together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handoff {
    /// Which delivery it is: the claim's event, by which evidence speaks of it.
    pub delivery: EventId,
    /// The messages, oldest first. Where [`again`](Message::again) is set, the agent is to be told so.
    pub messages: Vec<Message>,
    /// How.
    pub manner: Manner,
}

impl Handoff {
    /// These messages, for the agent's next turn.
    #[must_use]
    pub fn new(delivery: EventId, messages: Vec<Message>, manner: Manner) -> Self {
        Self { delivery, messages, manner }
    }
}

/// What an agent does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// A turn began.
    Busy,
    /// A turn ended, and nothing waits.
    Idle,
    /// It wrote something.
    Output(String),
    /// It cannot go on without a person.
    Blocked(String),
    /// It ended.
    Ended(String),
}
