//! The handle that every frontend uses: a group as one principal sees it.

mod admin;
mod approval;
mod attachments;
mod awaited;
mod briefing;
mod collect;
mod context;
mod damaged;
mod export;
mod forgotten;
mod handing;
mod history;
mod inbox;
mod label;
mod lost;
mod message;
mod notices;
mod person;
mod pin;
mod policy;
mod push;
mod query;
mod question;
mod relay;
mod reservation;
mod roster;
mod running;
mod schedule;
mod session;
mod standing;
mod task;
mod vote;
mod wait;
mod withdraw;

use std::fmt;
use std::sync::Arc;

pub use admin::{ActorView, AddActorRequest, GroupSummary, RemoveActorRequest, UpdateActorRequest};
pub use approval::{ApprovalRequest, DEFAULT_APPROVAL, IntoApprovalId};
pub use attachments::{AttachmentFault, AttachmentReport, AttachmentState};
pub use briefing::Briefing;
pub use collect::Collected;
pub use context::{AgentStateRequest, SetContextRequest};
pub use export::ExportedLedger;
pub use forgotten::Forgotten;
pub use handing::Handing;
pub use history::{History, HistoryRequest, Watch};
pub use inbox::{Inbox, InboxRequest, Message, Taken};
pub use label::LabelsRequest;
pub use message::{IntoEventRef, SendRequest, Sent};
pub use notices::{NoticesRequest, TakenNotices};
pub use person::{AddPersonRequest, PersonView, RemovePersonRequest};
pub use push::Pushed;
pub use query::ObligationsRequest;
pub use reservation::{DEFAULT_LEASE, IntoReservationId, ReserveRequest};
pub use roster::Roster;
pub use running::{Agent, Running};
pub use schedule::{ScheduleRequest, ScheduleView};
pub use session::{JoinRequest, Joined, LiveSession, Member, SessionView};
pub use standing::{Standing, Voices};
pub use task::{AddTaskRequest, IntoTaskId, TasksRequest, Tracked, TrackedSendRequest, UpdateTaskRequest};
pub use vote::{DEFAULT_VOTE, IntoVoteId, OpenVoteRequest};

use crate::blobs::Blobs;
use crate::blocking::off_thread;
use crate::clock::{Clock, SystemClock};
use crate::command::Command;
use crate::engine::{Engine, Executed};
use crate::error::{Error, Result};
use crate::event::{GroupCreate, Via};
use crate::home::Home;
use crate::id::{GroupId, Principal};
use crate::ledger::{Durability, FileLedger, Ledger, MemoryLedger, Position};
use crate::presence::{Presence, Sighting};
use crate::rule::permission;
use crate::rule::presence::Facts;

/// A group, bound to the principal in whose name everything is done. Cheap to clone.
///
/// *To speak:* [`send`](Self::send), [`reply`](Self::reply), [`ack`](Self::ack), [`read`](Self::read),
/// [`read_through`](Self::read_through). *To take back:* [`cancel`](Self::cancel),
/// [`retract`](Self::retract), [`redact`](Self::redact). *To look:* [`inbox`](Self::inbox) (which hands
/// over), [`receipts`](Self::receipts), [`obligations`](Self::obligations), [`event`](Self::event),
/// [`history`](Self::history), [`watch`](Self::watch), [`summary`](Self::summary), [`relays`](Self::relays)
/// (what has not arrived in other groups). *To run the group:*
/// [`add_actor`](Self::add_actor), [`update_actor`](Self::update_actor),
/// [`remove_actor`](Self::remove_actor), [`add_person`](Self::add_person), [`set_state`](Self::set_state), [`update`](Self::update).
///
/// *To work together:* [`set_context`](Self::set_context), [`decide`](Self::decide), [`note`](Self::note),
/// [`context_digest`](Self::context_digest), [`set_agent_state`](Self::set_agent_state),
/// [`reserve`](Self::reserve), [`release`](Self::release), [`open_vote`](Self::open_vote),
/// [`cast_vote`](Self::cast_vote), [`add_labels`](Self::add_labels).
///
/// *To ask and be answered:* [`option`](SendRequest::option) on what is sent, [`answer`](Self::answer),
/// [`questions`](Self::questions); [`request_approval`](Self::request_approval),
/// [`decide_approval`](Self::decide_approval). *To keep in sight:* [`pin`](Self::pin), [`pins`](Self::pins).
///
/// *Tasks:* [`task_add`](Self::task_add), [`tasks`](Self::tasks), [`task`](Self::task),
/// [`task_update`](Self::task_update), [`tracked_send`](Self::tracked_send).
///
/// Whatever the method, there is one write path: the command is decided by the rules on the newest state,
/// and when the call returns, its events are durable or nothing was written.
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
    by: Principal,
    via: Option<Via>,
    scope_key: Arc<str>,
}

/// What the handles of one group in one process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) blobs: Blobs,
    pub(crate) presence: Presence,
    /// The ledger again, where it is in files.
    pub(crate) files: Option<Arc<FileLedger>>,
    /// Where it is, with its other groups.
    pub(crate) home: Option<Home>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} as {})", self.id(), self.by)
    }
}

impl Group {
    /// A new group that lives in memory only, bound to the user.
    pub async fn in_memory(title: impl Into<String>) -> Result<Self> {
        Self::in_memory_with_clock(title, Arc::new(SystemClock)).await
    }

    /// As [`in_memory`](Self::in_memory), with a clock of one's own.
    pub async fn in_memory_with_clock(title: impl Into<String>, clock: Arc<dyn Clock>) -> Result<Self> {
        let id = crate::home::random_group_id()?;
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(id));
        let group = Self::over(ledger, Blobs::in_memory(), clock);
        let create = GroupCreate { title: title.into(), ..GroupCreate::default() };
        group.execute(Command::CreateGroup(create)).await?;
        Ok(group)
    }

    /// A handle over any ledger, bound to the user. A new ledger needs [`Command::CreateGroup`] first.
    #[must_use]
    pub fn over(ledger: Arc<dyn Ledger>, blobs: Blobs, clock: Arc<dyn Clock>) -> Self {
        Self::over_with(ledger, blobs, clock, Presence::in_memory())
    }

    /// As [`over`](Self::over), with a presence that others look at as well: the handles of other ledgers over the
    /// same files, as simulated processes have them.
    #[must_use]
    pub fn over_with(
        ledger: Arc<dyn Ledger>,
        blobs: Blobs,
        clock: Arc<dyn Clock>,
        presence: Presence,
    ) -> Self {
        Self::from_shared(Arc::new(Shared {
            engine: Engine::new(ledger, clock),
            blobs,
            presence,
            files: None,
            home: None,
        }))
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared, by: Principal::User, via: None, scope_key: "".into() }
    }

    /// Every session that left a record, looked for where that holds up nobody: it reads many files.
    async fn sightings(&self) -> Result<Vec<Sighting>> {
        let presence = self.shared.presence.clone();
        off_thread("looking who is present", move || presence.look()).await
    }

    /// As [`sightings`](Self::sightings), as the rules take it.
    async fn presence_facts(&self) -> Result<Facts> {
        let presence = self.shared.presence.clone();
        off_thread("looking who is present", move || presence.facts()).await
    }

    /// Removes what is left of a session: as [`sightings`](Self::sightings), by reading many files.
    async fn forget_session(&self, session: String) -> Result<()> {
        let presence = self.shared.presence.clone();
        off_thread("forgetting a session", move || presence.forget(&session)).await
    }

    /// The group's id.
    #[must_use]
    pub fn id(&self) -> &GroupId {
        self.shared.engine.ledger().group_id()
    }

    /// In whose name this handle acts.
    #[must_use]
    pub fn by(&self) -> &Principal {
        &self.by
    }

    /// The ledger under this group.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        self.shared.engine.ledger()
    }

    /// The ledger's files, for looking after them; `None` if it is not in files.
    #[must_use]
    pub fn files(&self) -> Option<&Arc<FileLedger>> {
        self.shared.files.as_ref()
    }

    /// Where the group's attachments lie.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.shared.blobs
    }

    /// The same group in the name of another principal: `user`, `user:<name>`, `system`, `svc:<name>`, or an actor.
    ///
    /// Binding is attribution among cooperating processes of one person, not authentication.
    ///
    /// # Errors
    /// `Invalid` for a malformed name; `NotFound`, with the nearest names, for an actor or a person that the
    /// group does not have.
    pub async fn bind(&self, principal: impl AsRef<str>) -> Result<Self> {
        let by: Principal = principal.as_ref().parse()?;
        if let Principal::Remote(remote) = &by {
            return Err(Error::refused(format!("{remote} is of another group, and does not speak here"))
                .hint(format!("speak there: `cccc --group {} --as {}`", remote.group(), remote.who())));
        }
        self.shared.engine.query(|state| permission::present(state, &by)).await??;
        Ok(Self { by, ..self.clone() })
    }

    /// The same handle, with the door that commands come in by (`cli`, `mcp`...) put on the ledger.
    #[must_use]
    pub fn through(self, door: impl Into<String>) -> Self {
        let session = self.via.as_ref().and_then(|via| via.session.clone());
        Self { via: Some(Via { door: door.into(), session }), ..self }
    }

    /// The same handle, writing from a scope of the group.
    #[must_use]
    pub fn in_scope(self, scope_key: impl AsRef<str>) -> Self {
        Self { scope_key: scope_key.as_ref().into(), ..self }
    }

    /// Carries out any command; the other methods are written in terms of this one.
    ///
    /// # Errors
    /// A refusal by a rule (`Refused`, `Invalid`, `NotFound`, `Conflict`, `TooLarge`) writes nothing.
    /// After `Unavailable` nothing was written either, and a retry may succeed; where a failing disk leaves
    /// that open, the message says so, and a retry under the same `client_id` is safe in any case.
    pub async fn execute(&self, command: Command) -> Result<Executed> {
        self.execute_with(command, Durability::Durable).await
    }

    /// As [`execute`](Self::execute), with a choice of when to return.
    pub async fn execute_with(&self, command: Command, durability: Durability) -> Result<Executed> {
        let command = self.fenced(command);
        let engine = &self.shared.engine;
        let done = engine
            .execute(self.by.clone(), self.via.clone(), self.scope_key.clone(), command, durability)
            .await?;
        Ok(done)
    }

    /// What hands messages over is decided in the name of the handle's session, if it has one.
    fn fenced(&self, command: Command) -> Command {
        // A service's own session says nothing about that of whom it delivers to.
        let session = self.via.as_ref().filter(|_| self.by.actor().is_some());
        match (session.and_then(|via| via.session.clone()), command) {
            (
                Some(session),
                command @ (Command::Pull { .. } | Command::Claim { .. } | Command::SeeNotices { .. }),
            ) => Command::InSession { session, command: Box::new(command) },
            (_, command) => command,
        }
    }

    /// The end of what is durable: where a [`watch`](Self::watch) for news begins.
    pub async fn position(&self) -> Result<Position> {
        self.shared.engine.position().await
    }
}

/// The event that a command appended, where the rules promise one.
fn appended(done: &Executed) -> Result<&crate::event::Event> {
    done.event().ok_or_else(|| Error::conflict("the command changed nothing"))
}
