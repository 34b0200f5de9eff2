//! Durable coordination for coding agents: what SQLite is to databases, this library is to agents that work
//! together.
//!
//! Messages, receipts and obligations stand on a ledger in a directory. Any process that links this library
//! opens the same directory and gets the full semantics, many processes at once, with no server to start. For
//! every message and every recipient it can say whether it was delivered, read, acknowledged and answered,
//! through which door, and if not, why not.
//!
//! ```
//! # use std::time::Duration;
//! # use cccc_core::{Home, Result};
//! #
//! # fn main() -> Result<()> {
//! # // The example speaks of the person's home and of the working directory: here, both are empty ones.
//! # let place = tempfile::tempdir().unwrap();
//! # std::fs::write(place.path().join("findings.md"), "1. unchecked token\n").unwrap();
//! # std::env::set_current_dir(place.path()).unwrap();
//! # // Safe, as no other thread has been started.
//! # unsafe { std::env::set_var("CCCC_HOME", place.path().join("home")) };
//! # cccc_core::block_on(async {
//! let home = Home::open(Home::default_path()?).await?;
//! let user = home.attach(".").await?; // the group of this directory, bound to the user
//! user.add_actor("lead").await?; // the first actor becomes the foreman
//! user.add_actor("alice").label("reviewer").await?;
//! let lead = user.bind("lead").await?; // an actor that does not exist is an error
//! let alice = user.bind("alice").await?;
//!
//! let sent = lead
//!     .send("Review src/auth.rs")
//!     .to("#reviewer")
//!     .reply_within(Duration::from_secs(900))
//!     .client_id("review-1") // sent again under this key, it is still one message
//!     .await?; // durable when this returns
//! for m in &alice.inbox().limit(20).await?.messages {
//!     alice.reply(m, "Reading it").progress().await?;
//!     alice.reply(m, "Two findings").attach("findings.md").await?;
//! }
//! for receipt in lead.receipts(&sent).await? {
//!     println!("{receipt}");
//! }
//! let mut events = lead.watch(sent.position()); // everything since, and then what comes
//! println!("{}", events.next().await?.body.kind());
//! # let again = lead.send("Review src/auth.rs").to("#reviewer").reply_within(Duration::from_secs(900));
//! # assert!(again.client_id("review-1").await?.duplicate);
//! # assert!(lead.obligations().all().await?.is_empty());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`Home`]: the directory of all groups of one person; [`Group`]: the handle for everything else, always
//!   bound to a [`Principal`].
//! - What methods take and give: [`SendRequest`], [`Sent`], [`Inbox`], [`Message`], [`Receipt`],
//!   [`ObligationView`], [`Event`] with its [`Body`], [`History`], [`Watch`], [`GroupSummary`].
//! - [`Error`] with its [`ErrorKind`]; names are types that parse: [`ActorId`], [`GroupId`], [`Label`],
//!   [`EventId`], [`EventRef`], [`Seq`], [`Timestamp`].
//! - [`block_on`], for programs without an async runtime.
//! - [`concepts`]: the ideas, a chapter each. `docs/ledger-format.md` in the repository: the files.
//! - Below that, for other stores, runtimes and tests: [`ledger`], [`runtime`], [`disk`], [`rule`], [`state`],
//!   [`command`].
//!
//! # What it is not
//!
//! - No daemon, no network protocol. Processes on one machine meet in the files of a home.
//! - No runner of agents. It stores, derives and wakes; what starts agents and types into them is a [`Runtime`] that
//!   an embedding program brings.
//! - No protection from hostile code of the same user: names are attribution, roles are guard rails.
//! - No database for anything else. What stands on a ledger is what agents said and did to coordinate.
#![forbid(unsafe_code)]

pub mod answer;
mod blobs;
mod blocking;
mod bundle;
mod clock;
pub mod command;
pub mod concepts;
pub mod disk;
pub mod duration;
mod engine;
mod environment;
pub mod error;
pub mod event;
mod files;
mod group;
mod home;
pub mod id;
pub mod index;
pub mod ledger;
mod opener;
pub mod presence;
pub mod rule;
pub mod runtime;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
pub mod time;

pub use blobs::{BlobState, Blobs, MAX_BLOB_BYTES};
pub use blocking::block_on;
pub use bundle::Exported;
pub use clock::{Clock, ManualClock, SystemClock};
pub use command::Command;
pub use engine::Executed;
pub use environment::{agent_name, variable};
pub use error::{Damage, Error, ErrorKind, Result};
pub use event::{Body, Event};
pub use files::read_file;
pub use group::Collected;
pub use group::Forgotten;
pub use group::Roster;
pub use group::{
    ActorView, AddActorRequest, Group, GroupSummary, History, HistoryRequest, Inbox, InboxRequest,
    IntoEventRef, JoinRequest, Joined, LiveSession, Member, Message, ObligationsRequest, RemoveActorRequest,
    SendRequest, Sent, SessionView, UpdateActorRequest, Watch,
};
pub use group::{AddPersonRequest, PersonView, RemovePersonRequest};
pub use group::{AddTaskRequest, IntoTaskId, TasksRequest, Tracked, TrackedSendRequest, UpdateTaskRequest};
pub use group::{Agent, Briefing, ExportedLedger, Handing, Pushed, Running, Taken};
pub use group::{
    AgentStateRequest, DEFAULT_LEASE, DEFAULT_VOTE, IntoReservationId, IntoVoteId, LabelsRequest,
    OpenVoteRequest, ReserveRequest, SetContextRequest,
};
pub use group::{ApprovalRequest, DEFAULT_APPROVAL, IntoApprovalId};
pub use group::{AttachmentFault, AttachmentReport, AttachmentState};
pub use group::{NoticesRequest, TakenNotices};
pub use group::{ScheduleRequest, ScheduleView};
pub use group::{Standing, Voices};
pub use home::{Attached, FileSystem, GroupEntry, HOME_VARIABLE, Home, HomeOptions, Imported, Scope};
pub use id::{ActorId, EventId, EventRef, GroupId, Label, PersonId, Principal, Remote, Seq};
pub use id::{ApprovalId, ContextKey, ReservationId, ScheduleId, TaskId, VoteId};
pub use ledger::{Durability, Ledger, Position};
pub use presence::Process;
pub use rule::approval::{ApprovalStanding, ApprovalView};
pub use rule::briefing::Moment;
pub use rule::context::{AgentView, EntryView};
pub use rule::label::LabelView;
pub use rule::notice::NoticeView;
pub use rule::obligation::ObligationView;
pub use rule::pin::PinView;
pub use rule::policy::{Effect, Keeping, PolicyView, Reminder};
pub use rule::presence::Upkeep;
pub use rule::question::{AnswerView, QuestionStanding, QuestionView};
pub use rule::receipt::{DeliveryWord, ObligationWord, Receipt};
pub use rule::relay::{DueRelay, RelayView};
pub use rule::reservation::ReservationView;
pub use rule::schedule::Firing;
pub use rule::task::Check;
pub use rule::task::view::{EvidenceView, NoteView, TaskView};
pub use rule::vote::{Voice, VoteStanding, VoteView};
pub use rule::wait::{Cycle, Wait, WaitGraph};
pub use runtime::Runtime;
pub use state::ObligationKind;
pub use state::{CheckItem, TaskStatus};
pub use time::Timestamp;
