//! The tree of commands and the flags that all of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::memory;
use crate::commands::{
    actor, attach, completions, doctor, group, groups, inbox, join, ledger, mark, notices, obligations,
    receipts, schema, send, show, status, tail, task, version, who, withdraw,
};
use crate::commands::{approval, person, pin, question};
use crate::commands::{context as context_command, label, reserve, vote};
use crate::commands::{hook, mcp, statusline};
use crate::commands::{policy, runtime, schedule, setup, waits};
use crate::commands::{relay, retry};
use crate::context::Context;
use crate::demo;
use crate::output::Outcome;

/// Coordinates coding agents over one durable ledger.
///
/// Every message is on disk before `send` returns, and for every message and recipient `receipts` says
/// whether it was delivered, read, acknowledged and answered. Many processes may use a group at once; no
/// daemon is needed.
#[derive(Debug, Parser)]
#[command(
    name = "cccc",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  cccc attach                                   make the group of this directory
  cccc actor add lead                           the first actor becomes the foreman
  cccc actor add alice --label reviewer
  cccc send \"Review src/auth.rs\" --to '#reviewer' --reply-within 15m
  cccc --as alice inbox                         what alice has not read
  cccc --as alice reply 5 \"Two findings\" --file findings.md
  cccc receipts 5                               who got, read and answered it
  cccc demo                                     see it work on this directory, in a throwaway home

Environment:
  CCCC_HOME, CCCC_GROUP_ID, CCCC_ACTOR_ID       as --home, --group and --as
  (a group is named by its id, by the start of its id, or by its title)
  CCCC_ALLOW_NETWORK_FS=1                       allow a home on NFS, 9p, SMB..., for one machine only
  NO_COLOR                                      no colours, on a terminal neither"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The directory of all groups [default: $CCCC_HOME, else ~/.cccc]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The group [default: $CCCC_GROUP_ID, else that of this directory, else for people the active one]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) group: Option<String>,
    /// In whose name: an actor's id, `user`, or `user:NAME` [default: $CCCC_ACTOR_ID, else for people `user`]
    #[arg(long = "as", global = true, value_name = "ID")]
    pub(crate) speaker: Option<String>,
    /// Print JSON: one object, or one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Attach(attach::AttachArgs),
    Status(status::StatusArgs),
    Who(who::WhoArgs),
    Whoami(who::WhoamiArgs),
    Join(join::JoinArgs),
    Leave(join::LeaveArgs),
    Version(version::VersionArgs),
    Groups(groups::GroupsArgs),
    Use(groups::UseArgs),
    Group(group::GroupArgs),
    Actor(actor::ActorArgs),
    Person(person::PersonArgs),
    Send(send::SendArgs),
    Reply(send::ReplyArgs),
    Answer(question::AnswerArgs),
    Ack(mark::AckArgs),
    Read(mark::ReadArgs),
    Cancel(withdraw::CancelArgs),
    Retract(withdraw::RetractArgs),
    Retry(retry::RetryArgs),
    Redact(withdraw::RedactArgs),
    Inbox(inbox::InboxArgs),
    Notices(notices::NoticesArgs),
    Receipts(receipts::ReceiptsArgs),
    Obligations(obligations::ObligationsArgs),
    Context(context_command::ContextArgs),
    AgentState(context_command::AgentStateArgs),
    Reserve(reserve::ReserveArgs),
    Reservations(reserve::ReservationsArgs),
    Release(reserve::ReleaseArgs),
    Vote(vote::VoteArgs),
    Question(question::QuestionArgs),
    Approval(approval::ApprovalArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Pins(pin::PinsArgs),
    Label(label::LabelArgs),
    Task(task::TaskArgs),
    Memory(memory::MemoryArgs),
    TrackedSend(task::TrackedSendArgs),
    Waits(waits::WaitsArgs),
    Relay(relay::RelayArgs),
    Policy(policy::PolicyArgs),
    Schedule(schedule::ScheduleArgs),
    Mcp(mcp::McpArgs),
    Hook(hook::HookArgs),
    Statusline(statusline::StatuslineArgs),
    Show(show::ShowArgs),
    Tail(tail::TailArgs),
    Ledger(ledger::LedgerArgs),
    Setup(setup::SetupArgs),
    Runtime(runtime::RuntimeArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Schema(schema::SchemaArgs),
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoActor(demo::actor::DemoActorArgs),
    #[command(hide = true)]
    DoctorTouch(doctor::DoctorTouchArgs),
}

impl Command {
    /// Carries the command out.
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Attach(args) => attach::cmd_attach(context, args).await,
            Self::Status(args) => status::cmd_status(context, args).await,
            Self::Who(args) => who::cmd_who(context, args).await,
            Self::Whoami(args) => who::cmd_whoami(context, args).await,
            Self::Join(args) => join::cmd_join(context, args).await,
            Self::Leave(args) => join::cmd_leave(context, args).await,
            Self::Version(args) => version::cmd_version(context, &args),
            Self::Groups(args) => groups::cmd_groups(context, args).await,
            Self::Use(args) => groups::cmd_use(context, args).await,
            Self::Group(args) => group::cmd_group(context, args).await,
            Self::Actor(args) => actor::cmd_actor(context, args).await,
            Self::Person(args) => person::cmd_person(context, args).await,
            Self::Send(args) => send::cmd_send(context, args).await,
            Self::Reply(args) => send::cmd_reply(context, args).await,
            Self::Answer(args) => question::cmd_answer(context, args).await,
            Self::Ack(args) => mark::cmd_ack(context, args).await,
            Self::Read(args) => mark::cmd_read(context, args).await,
            Self::Cancel(args) => withdraw::cmd_cancel(context, args).await,
            Self::Retract(args) => withdraw::cmd_retract(context, args).await,
            Self::Retry(args) => retry::cmd_retry(context, args).await,
            Self::Redact(args) => withdraw::cmd_redact(context, args).await,
            Self::Inbox(args) => inbox::cmd_inbox(context, args).await,
            Self::Notices(args) => notices::cmd_notices(context, args).await,
            Self::Receipts(args) => receipts::cmd_receipts(context, args).await,
            Self::Obligations(args) => obligations::cmd_obligations(context, args).await,
            Self::Context(args) => context_command::cmd_context(context, args).await,
            Self::AgentState(args) => context_command::cmd_agent_state(context, args).await,
            Self::Reserve(args) => reserve::cmd_reserve(context, args).await,
            Self::Reservations(args) => reserve::cmd_reservations(context, args).await,
            Self::Release(args) => reserve::cmd_release(context, args).await,
            Self::Vote(args) => vote::cmd_vote(context, args).await,
            Self::Question(args) => question::cmd_question(context, args).await,
            Self::Approval(args) => approval::cmd_approval(context, args).await,
            Self::Pin(args) => pin::cmd_pin(context, args).await,
            Self::Unpin(args) => pin::cmd_unpin(context, args).await,
            Self::Pins(args) => pin::cmd_pins(context, args).await,
            Self::Label(args) => label::cmd_label(context, args).await,
            Self::Task(args) => task::cmd_task(context, args).await,
            Self::Memory(args) => memory::cmd_memory(context, args).await,
            Self::TrackedSend(args) => task::cmd_tracked_send(context, args).await,
            Self::Waits(args) => waits::cmd_waits(context, args).await,
            Self::Relay(args) => relay::cmd_relay(context, args).await,
            Self::Policy(args) => policy::cmd_policy(context, args).await,
            Self::Schedule(args) => schedule::cmd_schedule(context, args).await,
            Self::Mcp(args) => mcp::cmd_mcp(context, args),
            Self::Hook(args) => hook::cmd_hook(context, args),
            Self::Statusline(args) => statusline::cmd_statusline(context, args).await,
            Self::Show(args) => show::cmd_show(context, args).await,
            Self::Tail(args) => tail::cmd_tail(context, args).await,
            Self::Ledger(args) => ledger::cmd_ledger(context, args).await,
            Self::Setup(args) => setup::cmd_setup(context, args),
            Self::Runtime(args) => runtime::cmd_runtime(context, args),
            Self::Doctor(args) => doctor::cmd_doctor(context, args).await,
            Self::Completions(args) => completions::cmd_completions(context, &args),
            Self::Schema(args) => schema::cmd_schema(context, &args),
            Self::Demo(args) => demo::cmd_demo(context, args).await,
            Self::DemoActor(args) => demo::actor::cmd_demo_actor(context, args).await,
            Self::DoctorTouch(args) => doctor::cmd_doctor_touch(&args),
        }
    }
}
