//! What a caller may ask of a group: one type, whatever the frontend.
//!
//! A command says what is wanted, never who wants it: that is the principal of the handle it is given to.

mod relay;
mod task;

use std::time::Duration;

pub use relay::{RelayCopy, RelayOutcome, RemoteAudience};
pub use task::{AddTask, UpdateTask};

use crate::event::{
    ActorRemove, ActorUpdate, Attachment, Format, GroupAttach, GroupCreate, GroupSetState, GroupUpdate,
    NotIf, PersonRemove, Priority, Role, ScheduleAction, Transport, Witness,
};
use crate::event::{Choice, ContextValue};
use crate::id::{ActorId, EventId, EventRef, GroupId, Label, PersonId, Principal};
use crate::id::{ApprovalId, ContextKey, ReservationId, ScheduleId, Seq, VoteId};
use crate::time::Timestamp;

/// Something to be decided by the rules and, if they agree, written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Begins a ledger.
    CreateGroup(GroupCreate),
    /// Changes title, default address, joining policy or settings.
    UpdateGroup(GroupUpdate),
    /// Adds a directory to the group.
    AttachScope(GroupAttach),
    /// Takes a directory from the group, by its key.
    DetachScope {
        /// The directory's key.
        scope_key: String,
    },
    /// Pauses, resumes, archives...
    SetState(GroupSetState),
    /// Adds an actor.
    AddActor(AddActor),
    /// Changes an actor.
    UpdateActor(ActorUpdate),
    /// Removes an actor.
    RemoveActor(ActorRemove),
    /// Adds a person, or gives one who is there another title.
    AddPerson(AddPerson),
    /// Removes a person.
    RemovePerson(PersonRemove),
    /// Begins a session of the calling actor.
    OpenSession(OpenSession),
    /// Brings the calling actor in: adds it if it is not there, and opens its session.
    Join(JoinGroup),
    /// Removes an ephemeral actor that stayed away; of one that came back, nothing is written.
    RetireActor {
        /// Which.
        actor_id: ActorId,
    },
    /// Does something in the name of a session: what hands messages over is refused to one that a newer
    /// session of the same actor has replaced.
    InSession {
        /// The session.
        session: String,
        /// What it asks for.
        command: Box<Self>,
    },
    /// Ends the calling actor's current session.
    CloseSession {
        /// Which one.
        session: String,
        /// Why.
        reason: Option<String>,
    },
    /// Sends a message, or answers one.
    Send(SendMessage),
    /// Takes note of a message.
    Ack {
        /// The message.
        event: EventRef,
    },
    /// Marks single messages as read.
    MarkRead {
        /// The messages.
        events: Vec<EventRef>,
    },
    /// Marks everything up to an event as read.
    MarkReadThrough {
        /// The event.
        event: EventRef,
    },
    /// Ends what a message asked for.
    Cancel {
        /// The message.
        event: EventRef,
        /// Whose obligations; empty: everyone's.
        recipients: Vec<Principal>,
        /// Why, for people.
        reason: String,
    },
    /// Withdraws a message from those who have not read it.
    Retract {
        /// The message.
        event: EventRef,
        /// Why, for people.
        reason: String,
    },
    /// Removes an event's data for ever.
    Redact {
        /// The event.
        event: EventRef,
        /// Why, for people.
        reason: String,
    },
    /// Hands messages over to the caller itself: what an inbox is made of. Those that may no longer be
    /// handed over are withheld.
    Pull {
        /// The messages, oldest first; those that are not the caller's to take are passed over.
        events: Vec<EventId>,
        /// Whether they are read by that.
        mark_read: bool,
    },
    /// Reserves messages for the caller itself, as [`Pull`](Self::Pull) would hand them over, until
    /// [`SettleTaken`](Self::SettleTaken) says that it has them. Those that may no longer be handed over are
    /// withheld.
    Take {
        /// The messages, oldest first; those that are not the caller's to take are passed over.
        events: Vec<EventId>,
    },
    /// Says that the caller has what it took, and was shown beside it.
    SettleTaken {
        /// What it took: the id of the event that reserved it, if there was something to reserve.
        delivery: Option<EventId>,
        /// Which messages are read by that.
        read: Vec<EventId>,
        /// Up to where it was shown its notices.
        notices: Option<Seq>,
    },
    /// Says that sessions have died, and what they claimed and did not settle may have been handed over or
    /// not. For whoever knows by their locks that they are dead.
    LoseClaims {
        /// The sessions.
        sessions: Vec<String>,
    },
    /// Says that the caller has been shown its notices.
    SeeNotices {
        /// Up to this one.
        through: Seq,
    },
    /// Reserves messages for one deliverer, before it does anything that can be seen outside.
    Claim {
        /// The recipient.
        recipient: Principal,
        /// The messages.
        events: Vec<EventRef>,
        /// The door.
        transport: Transport,
    },
    /// Says how a claimed delivery ended.
    Settle {
        /// The claim: the id of the event that made it.
        delivery: EventId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Says what a policy finds due, once; by the key of its [`Reminder`](crate::rule::policy::Reminder).
    Notify {
        /// The key.
        key: String,
    },
    /// Makes a schedule.
    AddSchedule(AddSchedule),
    /// Lets a schedule run, or rest.
    EnableSchedule {
        /// Which.
        schedule_id: ScheduleId,
        /// Whether it runs.
        enabled: bool,
    },
    /// Removes a schedule.
    RemoveSchedule {
        /// Which.
        schedule_id: ScheduleId,
    },
    /// Removes the schedules that are completed.
    ClearSchedules,
    /// Carries out a schedule whose time has come, once.
    FireSchedule {
        /// Which.
        schedule_id: ScheduleId,
        /// The time that has come.
        scheduled_at: Timestamp,
    },
    /// Makes a task.
    AddTask(AddTask),
    /// Changes a task.
    UpdateTask(UpdateTask),
    /// Makes a task, and sends the message that says so to its owner: both or neither.
    TrackedSend {
        /// The task; its owner is whom the message is for, and its key that of the message.
        task: AddTask,
        /// The message, to exactly one recipient.
        message: SendMessage,
    },
    /// Takes the copy of a message from another group. Only the relay gives this command, in the name of the
    /// message's sender there.
    Relay(Box<RelayCopy>),
    /// Says how the copying of a message into another group ended. Only the system gives this command.
    SettleRelay {
        /// The message.
        event: EventRef,
        /// The other group.
        group: GroupId,
        /// How it ended.
        outcome: RelayOutcome,
    },
    /// Says that the time of a question with options is over.
    CloseQuestion {
        /// The message that asks.
        question: EventRef,
    },
    /// The calling actor asks whether it may do something.
    OpenApproval {
        /// What it wants to do, for people.
        subject: String,
        /// The tool that it would use, as its program names it.
        tool: Option<String>,
        /// What it would give that tool, verbatim.
        input: Option<String>,
        /// For how long from now.
        within: Duration,
        /// The actor's own key.
        client_id: Option<String>,
    },
    /// Decides on a request of an actor.
    DecideApproval {
        /// Which.
        approval: ApprovalId,
        /// Whether the actor may.
        allow: bool,
        /// Why, for people and for the actor.
        reason: String,
    },
    /// Withdraws a request, or says that its time is over.
    CloseApproval {
        /// Which.
        approval: ApprovalId,
        /// Why, for people.
        reason: String,
    },
    /// Keeps a message in the group's sight.
    Pin {
        /// The message.
        event: EventRef,
        /// Why, for people.
        note: String,
    },
    /// Takes a message off what is kept in sight.
    Unpin {
        /// The message.
        event: EventRef,
        /// Why, for people.
        reason: String,
    },
    /// Allows another try at a delivery that ended `ambiguous`.
    Retry {
        /// The message.
        event: EventRef,
        /// The recipient.
        recipient: Principal,
    },
    /// Sets or removes an entry of the shared context.
    SetContext {
        /// Which.
        key: ContextKey,
        /// The version that the caller has read, 0 for none; absent: the caller had set it itself, or it
        /// is not there.
        base: Option<Seq>,
        /// What it shall say; absent: it is removed.
        value: Option<ContextValue>,
    },
    /// Adds a decision or a note to the shared context.
    AppendContext {
        /// Which of the two.
        section: Appendix,
        /// What it says.
        text: String,
    },
    /// Says what an agent is doing.
    SetAgentState {
        /// Whose state; absent: the caller's.
        actor_id: Option<ActorId>,
        /// What it is at; absent stays, empty is cleared.
        focus: Option<String>,
        /// What it will do then; absent stays, empty is cleared.
        next: Option<String>,
        /// What keeps it from going on; absent stays, empty is cleared.
        blocker: Option<String>,
        /// What it waits for: a reservation, a task, or somebody; absent stays, empty is cleared.
        waiting_for: Option<String>,
        /// How long that holds; absent: until it says otherwise.
        until: Option<Timestamp>,
        /// The version that the caller has read; absent: whichever it is.
        base: Option<Seq>,
    },
    /// Reserves paths for the caller.
    Reserve {
        /// Patterns, see [`glob`](crate::rule::glob).
        globs: Vec<String>,
        /// What for, for people.
        purpose: String,
        /// For how long from now.
        lease: Duration,
    },
    /// Says anew how long an own reservation lasts.
    ExtendReservation {
        /// Which.
        reservation: ReservationId,
        /// For how long from now.
        lease: Duration,
    },
    /// Ends a reservation.
    ReleaseReservation {
        /// Which.
        reservation: ReservationId,
        /// Why, for people.
        reason: String,
    },
    /// Puts a question to a vote. `release <actor>` is the question whether to remove that actor, and
    /// `release <actor> to <successor>` names who takes over what it leaves.
    OpenVote {
        /// The question.
        subject: String,
        /// Who votes; empty: every actor, of a release every one but the actor concerned.
        voters: Vec<Principal>,
        /// For how long from now.
        within: Duration,
    },
    /// The caller votes.
    CastVote {
        /// On what.
        vote: VoteId,
        /// How.
        choice: Choice,
        /// Why, for people.
        reason: String,
    },
    /// Calls a vote off, or says that its time is over.
    CloseVote {
        /// Which.
        vote: VoteId,
        /// Why, for people.
        reason: String,
    },
    /// Gives an actor labels and takes others from it.
    ChangeLabels {
        /// Whose; absent: the caller's.
        actor_id: Option<ActorId>,
        /// Labels that it shall have.
        add: Vec<Label>,
        /// Labels that it shall not have.
        remove: Vec<Label>,
    },
}

/// What is added to the shared context, see [`Command::AppendContext`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appendix {
    /// Something the group has settled.
    Decision,
    /// Something worth knowing.
    Note,
}

impl Appendix {
    /// The section it goes to.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => crate::rule::context::DECISIONS,
            Self::Note => crate::rule::context::NOTES,
        }
    }
}

/// How far a delivery has come, as far as the deliverer can say. Each may be said in turn as more is seen; see
/// [`ladder`](crate::rule::ladder).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport took it; what was really seen of it.
    Handed(serde_json::Value),
    /// The agent's program holds it for a later turn; what was really seen of it.
    Queued(serde_json::Value),
    /// It stands in a turn of the agent.
    Accepted {
        /// Who vouches for it; `None`: the door that was claimed.
        by: Option<Witness>,
        /// What was really seen of it.
        evidence: serde_json::Value,
    },
    /// The model went on from it.
    Answered {
        /// Who vouches for it; `None`: the door that was claimed.
        by: Option<Witness>,
        /// What was really seen of it.
        evidence: serde_json::Value,
    },
    /// The door has it and cannot go on: what holds it up, and who can do what about it.
    Held(String),
    /// The door will not take it, and has not. Another door may.
    Refused(String),
    /// It was taken back before the model saw it. It is told once more.
    Withdrawn(String),
    /// Certainly not handed over.
    Failed(String),
    /// Perhaps.
    Ambiguous(String),
    /// There is nobody to hand it to.
    Bounced(String),
}

impl Outcome {
    /// It stands in a turn, as the door itself says, with what was really seen of it.
    #[must_use]
    pub fn accepted(evidence: impl Into<serde_json::Value>) -> Self {
        Self::Accepted { by: None, evidence: evidence.into() }
    }
}

/// See [`Command::AddActor`].
#[derive(Clone, Debug)]
pub struct AddActor {
    /// Its id.
    pub actor_id: ActorId,
    /// What people call it.
    pub title: String,
    /// Its labels.
    pub labels: Vec<Label>,
    /// Its role; by default the first actor ever added becomes the foreman, the others peers.
    pub role: Option<Role>,
    /// The program.
    pub runtime: Option<String>,
    /// Whether it joined by itself.
    pub ephemeral: bool,
}

impl AddActor {
    /// An actor with this id and nothing else said.
    #[must_use]
    pub fn new(actor_id: ActorId) -> Self {
        Self {
            actor_id,
            title: String::new(),
            labels: Vec::new(),
            role: None,
            runtime: None,
            ephemeral: false,
        }
    }
}

/// See [`Command::AddPerson`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPerson {
    /// Their name.
    pub person_id: PersonId,
    /// What others call them; absent: nothing else, or what it was.
    pub title: Option<String>,
}

/// See [`Command::AddSchedule`].
#[derive(Clone, Debug, PartialEq)]
pub struct AddSchedule {
    /// Its name; by default `s` and the number of the event that makes it.
    pub schedule_id: Option<ScheduleId>,
    /// When.
    pub when: When,
    /// What.
    pub action: ScheduleAction,
}

/// When something is to happen, as a caller says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Again and again, first after this time; a minute to a year.
    Every(Duration),
    /// Whenever the clocks of a zone match five fields: minute, hour, day of the month, month, weekday.
    Cron {
        /// `0 9 * * 1-5`
        expr: String,
        /// The zone's IANA name; by default UTC.
        tz: Option<String>,
    },
    /// Once, then.
    At(Timestamp),
    /// Once, when the clocks of a zone next show this.
    AtTime {
        /// `17:00`
        time: String,
        /// The zone's IANA name; by default UTC.
        tz: Option<String>,
    },
}

/// See [`Command::OpenSession`].
#[derive(Clone, Debug, Default)]
pub struct OpenSession {
    /// The session's id, unique within the group.
    pub session: String,
    /// The program.
    pub runtime: String,
    /// The program's own id of its session.
    pub agent_session_id: Option<String>,
    /// Its working directory.
    pub cwd: String,
    /// The git branch there.
    pub branch: Option<String>,
}

/// See [`Command::Join`].
#[derive(Clone, Debug, Default)]
pub struct JoinGroup {
    /// The session that embodies it from now on.
    pub session: OpenSession,
    /// What people call it, if it is added now.
    pub title: String,
    /// Its labels, if it is added now.
    pub labels: Vec<Label>,
    /// How it came to its id.
    pub arrival: Arrival,
}

/// How an actor that joins came to its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// It says who it is; that actor may be there or not.
    #[default]
    Named,
    /// It was recognised as an actor that is there.
    Returning,
    /// It was given a name that nobody has.
    New,
}

/// See [`Command::Send`]. The fields are those of [`ChatMessage`](crate::event::ChatMessage).
#[derive(Clone, Debug, Default)]
pub struct SendMessage {
    /// What is said.
    pub text: String,
    /// How it is written.
    pub format: Format,
    /// Addresses; empty: whoever is answered, else the group's default, else the foreman.
    pub to: Vec<String>,
    /// Low, normal or attention.
    pub priority: Priority,
    /// Whether each recipient owes a reply.
    pub reply_required: bool,
    /// Within what time; implies `reply_required`.
    pub reply_within: Option<Duration>,
    /// The message this answers.
    pub reply_to: Option<EventRef>,
    /// What of it is answered.
    pub quote: Option<String>,
    /// Only word that it is being worked on.
    pub progress: bool,
    /// What it is for.
    pub intent: Option<String>,
    /// What it refers to.
    pub refs: Vec<String>,
    /// Files, already stored as blobs.
    pub attachments: Vec<Attachment>,
    /// The sender's own key.
    pub client_id: Option<String>,
    /// When it is no longer worth handing over.
    pub expires_at: Option<Timestamp>,
    /// The own message that it replaces.
    pub supersedes: Option<EventRef>,
    /// Preconditions at handoff.
    pub not_if: Vec<NotIf>,
    /// What may be answered; implies `reply_required`.
    pub options: Vec<String>,
    /// Of a question that this answers: an option, by its text or its number.
    pub choice: Option<String>,
    /// Whom the addresses in other groups mean there; [`Group::send`](crate::Group::send) fills it in.
    pub remote: Vec<RemoteAudience>,
}
