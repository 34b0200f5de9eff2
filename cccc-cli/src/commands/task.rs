//! `cccc task`, `cccc tracked-send`

use std::str::FromStr;
use std::time::Duration;

use cccc_core::event::{Evidence, EvidenceKind, TaskOp};
use cccc_core::{Error, EventRef, Group, Seq, TaskStatus, TaskView, Tracked, UpdateTaskRequest};
use clap::{Args, Subcommand, ValueEnum};
use schemars::schema_for;

use super::schema::{Answers, lines, one};
use crate::context::Context;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::{ago, due, names, word};
use crate::table::{Table, plain};
use crate::{duration, input};

/// How much of a title a row of `task list` shows, in characters.
const TITLE_CHARS: usize = 60;

/// Make, look at and change tasks
///
/// A task has an asker, who made it and accepts it, and an owner, who does it. It is named by its id (`t42`)
/// or the number in it (`42`).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc task add \"Fix the parser\" --owner alice --outcome \"tests pass\" --evidence commit
  cccc --as alice task update t42 --start --note \"it is the lexer\"
  cccc --as alice task done t42 \"Fixed\" --evidence commit:1a2b3c4
  cccc task accept t42
  cccc task list --owner alice")]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    Add(AddArgs),
    List(ListArgs),
    Show(ShowArgs),
    Update(UpdateArgs),
    Check(CheckArgs),
    Handoff(HandoffArgs),
    Done(DoneArgs),
    Verify(VerifyArgs),
    /// Say that you will not do a task of yours
    #[command(after_help = "Examples:
  cccc --as alice task decline t42 \"not my part\"")]
    Decline(WordArgs),
    /// Agree that a task you asked for is done
    #[command(after_help = "Examples:
  cccc task accept t42")]
    Accept(WordArgs),
    /// Have a task done after all, or again; evidence has to be given anew
    #[command(after_help = "Examples:
  cccc task reopen t42 \"the tests still fail\"")]
    Reopen(WordArgs),
    /// Say that a task you asked for need not be done any more
    #[command(after_help = "Examples:
  cccc task cancel t42 \"no longer needed\"")]
    Cancel(WordArgs),
}

/// What a new task says of itself.
#[derive(Args, Debug)]
struct TaskFields {
    /// How one sees that it is done
    #[arg(long, value_name = "O", default_value = "", hide_default_value = true)]
    outcome: String,
    /// A kind of evidence without which it is not done, repeatable
    #[arg(long = "evidence", value_enum, value_name = "KIND")]
    requires: Vec<KindArg>,
    /// A task that must be done before, repeatable
    #[arg(long, value_name = "T")]
    depends_on: Vec<String>,
    /// A step of its checklist, repeatable
    #[arg(long = "item", value_name = "TEXT")]
    items: Vec<String>,
    /// Within what time it is due: 90s, 15m, 1h30m, 2d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    due: Option<Duration>,
}

/// Fills in what a new task and a tracked message have in common.
macro_rules! with_fields {
    ($request:expr, $fields:expr) => {{
        let (mut request, fields): (_, TaskFields) = ($request.outcome($fields.outcome.clone()), $fields);
        for kind in fields.requires {
            request = request.requires(kind.into());
        }
        for task in &fields.depends_on {
            request = request.depends_on(task.as_str());
        }
        for item in fields.items {
            request = request.item(item);
        }
        match fields.due {
            Some(time) => request.due_within(time),
            None => request,
        }
    }};
}

/// Make a task
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc task add \"Fix the parser\" --owner alice --outcome \"tests pass\" --evidence commit
  cccc task add \"Release\" --depends-on t42 --due 2d")]
struct AddArgs {
    /// What is to be done, in a line
    title: String,
    /// Who is to do it: an address that means one [default: whoever takes it]
    #[arg(long, value_name = "A")]
    owner: Option<String>,
    /// A key of your own that makes a retry safe
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
    #[command(flatten)]
    fields: TaskFields,
}

/// List the tasks that are going on, oldest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc task list --owner alice
  cccc task list --all --json")]
struct ListArgs {
    /// Only those of this owner
    #[arg(long, value_name = "ID")]
    owner: Option<String>,
    /// Only those that this one asked for
    #[arg(long, value_name = "ID")]
    asker: Option<String>,
    /// Only those that nobody owns
    #[arg(long)]
    unowned: bool,
    /// Only those of this status
    #[arg(long, value_enum, value_name = "S")]
    status: Option<StatusArg>,
    /// Also the last 100 that were settled
    #[arg(long)]
    all: bool,
}

/// Show a task of any age, with its notes and its evidence
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc task show t42")]
struct ShowArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
}

/// Change a task: all that is asked for, or nothing
#[derive(Args, Debug)]
#[command(after_help = EVIDENCE_HELP)]
struct UpdateArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// The version that you have seen; if it changed since, you are told what
    #[arg(long, value_name = "N")]
    base_version: Option<u64>,
    /// A new title
    #[arg(long)]
    title: Option<String>,
    /// A new outcome
    #[arg(long)]
    outcome: Option<String>,
    /// Begin it
    #[arg(long, conflicts_with = "plan")]
    start: bool,
    /// Lay it aside
    #[arg(long)]
    plan: bool,
    /// Give it to somebody, or take it yourself if nobody owns it
    #[arg(long, value_name = "ID", conflicts_with = "no_owner")]
    owner: Option<String>,
    /// Let whoever likes take it
    #[arg(long)]
    no_owner: bool,
    /// Add a step, repeatable
    #[arg(long = "item", value_name = "TEXT")]
    items: Vec<String>,
    /// Add a note, repeatable
    #[arg(long = "note", value_name = "TEXT")]
    notes: Vec<String>,
    /// Add evidence, repeatable
    #[arg(long, value_name = "KIND:VALUE")]
    evidence: Vec<EvidenceArg>,
    /// Let it wait for another task, repeatable
    #[arg(long, value_name = "T")]
    depends_on: Vec<String>,
    /// Let it wait no longer for another task, repeatable
    #[arg(long, value_name = "T")]
    no_longer_depends_on: Vec<String>,
}

/// Check off steps of a task of yours
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice task check t42 1 2")]
struct CheckArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// The steps, counted from 1
    #[arg(required = true, value_name = "N")]
    items: Vec<u32>,
    /// They are not done after all
    #[arg(long)]
    undo: bool,
}

/// Hand a task of yours to somebody, who has to accept
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice task handoff t42 --to bob
  cccc --as bob task handoff t42 --accept")]
struct HandoffArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// Offer it to this actor, or `user`
    #[arg(long, value_name = "ID", required_unless_present_any = ["accept", "refuse"])]
    to: Option<String>,
    /// Accept what was offered to you
    #[arg(long, conflicts_with_all = ["to", "refuse"])]
    accept: bool,
    /// Refuse what was offered to you, or take your offer back; say why
    #[arg(long, value_name = "REASON", conflicts_with = "to")]
    refuse: Option<String>,
}

/// Say that a task of yours is done
#[derive(Args, Debug)]
#[command(after_help = EVIDENCE_HELP)]
struct DoneArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// What came of it
    #[arg(default_value = "", hide_default_value = true)]
    text: String,
    /// Check off all its steps
    #[arg(long)]
    all_steps: bool,
    /// Add evidence, repeatable
    #[arg(long, value_name = "KIND:VALUE")]
    evidence: Vec<EvidenceArg>,
}

/// Say whether evidence that was given for a task holds; for the user and services
///
/// Whoever can look at a commit, a file or a command records what it found. What does not hold is as good as
/// not given, and the task's owner and asker are told. `cccc policy due` lists what nobody has looked at.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc task verify t42 57
  cccc task verify t42 57 --fails --found 'there is no such commit'")]
struct VerifyArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// The event that gave the evidence; `cccc task show` has it
    #[arg(value_name = "SEQ")]
    evidence: u64,
    /// It does not hold
    #[arg(long)]
    fails: bool,
    /// What was found, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    found: String,
}

#[derive(Args, Debug)]
struct WordArgs {
    /// The task
    #[arg(value_name = "T")]
    task: String,
    /// A word about it, or why
    #[arg(default_value = "", hide_default_value = true)]
    text: String,
}

const EVIDENCE_HELP: &str = "Examples:
  cccc --as alice task update t42 --start --note \"it is the lexer\"
  cccc --as alice task done t42 \"Fixed\" --evidence commit:1a2b3c4

Evidence is written KIND:VALUE:
  commit:1a2b3c4         a commit
  file:src/auth.rs       a file, with the hash that it has now
  command:\"cargo test\"   a command that you ran and that ended with 0
  event:57               an event of this group
  text:\"seen by bob\"     words";

/// Send a message with a task for the one it is for: both, or neither
///
/// The recipient owes the task until it is done, and then you owe its acceptance.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc tracked-send \"The parser drops commas, see issue 7\" --to alice --title \"Fix the parser\" \\
      --outcome \"the tests pass\" --evidence commit")]
pub(crate) struct TrackedSendArgs {
    /// What is said, at most 1 MiB; `-` reads standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// To whom: an address that means one
    #[arg(long, value_name = "A")]
    to: String,
    /// What is to be done, in a line
    #[arg(long, value_name = "T")]
    title: String,
    /// A key of your own that makes a retry safe
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
    #[command(flatten)]
    fields: TaskFields,
}

/// The kinds of evidence.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    Text,
    Event,
    File,
    Commit,
    Command,
}

impl From<KindArg> for EvidenceKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Text => Self::Text,
            KindArg::Event => Self::Event,
            KindArg::File => Self::File,
            KindArg::Commit => Self::Commit,
            KindArg::Command => Self::Command,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusArg {
    Planned,
    Active,
    Done,
    Declined,
    Cancelled,
}

impl From<StatusArg> for TaskStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Planned => Self::Planned,
            StatusArg::Active => Self::Active,
            StatusArg::Done => Self::Done,
            StatusArg::Declined => Self::Declined,
            StatusArg::Cancelled => Self::Cancelled,
        }
    }
}

/// Evidence as it is written on the command line.
#[derive(Clone, Debug)]
enum EvidenceArg {
    File(String),
    Event(EventRef),
    Other(Evidence),
}

impl FromStr for EvidenceArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid("write evidence as commit:HASH, file:PATH, command:LINE, event:N or text:WORDS")
        };
        let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
        let owned = value.to_owned();
        Ok(match kind {
            "commit" => Self::Other(Evidence::Commit { commit: owned }),
            "file" => Self::File(owned),
            "command" => {
                Self::Other(Evidence::Command { command: owned, exit_code: 0, output: String::new() })
            }
            "event" => Self::Event(value.parse()?),
            "text" => Self::Other(Evidence::Text { text: owned }),
            _ => return Err(wrong()),
        })
    }
}

pub(crate) async fn cmd_task(context: &Context, args: TaskArgs) -> Outcome {
    match args.command {
        TaskCommand::Add(args) => add(context, args).await,
        TaskCommand::List(args) => list(context, args).await,
        TaskCommand::Show(args) => {
            let task = context.group_to_look().await?.task(args.task.as_str()).await?;
            context.out.answer(&task, || page(&task))
        }
        TaskCommand::Update(args) => update(context, args).await,
        TaskCommand::Check(args) => {
            let group = context.group().await?;
            let checks = args.items.into_iter().map(|item| TaskOp::Check { item, done: !args.undo });
            answer(
                context,
                &checks.fold(group.task_update(args.task.as_str()), UpdateTaskRequest::change).await?,
            )
        }
        TaskCommand::Handoff(args) => {
            let group = context.group().await?;
            let request = group.task_update(args.task.as_str());
            let request = match (&args.to, args.refuse) {
                (Some(to), _) => request.handoff(to),
                (None, Some(reason)) => request.keep(reason),
                (None, None) => request.take(),
            };
            answer(context, &request.await?)
        }
        TaskCommand::Done(args) => {
            let group = context.group().await?;
            let mut request = group.task_update(args.task.as_str());
            if args.all_steps {
                let steps = group.task(args.task.as_str()).await?.checklist.len();
                request = (1..).take(steps).fold(request, UpdateTaskRequest::check);
            }
            answer(context, &evidenced(request, args.evidence).done(args.text).await?)
        }
        TaskCommand::Verify(args) => {
            let group = context.group().await?;
            let request = group.task_update(args.task.as_str());
            answer(context, &request.checked(Seq(args.evidence), !args.fails, args.found).await?)
        }
        TaskCommand::Decline(args) => say(context, args, |reason| TaskOp::Decline { reason }).await,
        TaskCommand::Accept(args) => say(context, args, |text| TaskOp::Accept { text }).await,
        TaskCommand::Reopen(args) => say(context, args, |reason| TaskOp::Reopen { reason }).await,
        TaskCommand::Cancel(args) => say(context, args, |reason| TaskOp::Cancel { reason }).await,
    }
}

async fn say(context: &Context, args: WordArgs, op: impl FnOnce(String) -> TaskOp) -> Outcome {
    let group: Group = context.group().await?;
    answer(context, &group.task_update(args.task.as_str()).change(op(args.text)).await?)
}

fn evidenced<'a>(mut request: UpdateTaskRequest<'a>, evidence: Vec<EvidenceArg>) -> UpdateTaskRequest<'a> {
    for one in evidence {
        request = match one {
            EvidenceArg::File(path) => request.evidence_file(path),
            EvidenceArg::Event(event) => request.evidence_event(event),
            EvidenceArg::Other(evidence) => request.evidence(evidence),
        };
    }
    request
}

async fn add(context: &Context, args: AddArgs) -> Outcome {
    let group = context.group().await?;
    let mut request = with_fields!(group.task_add(args.title), args.fields);
    if let Some(owner) = args.owner {
        request = request.owner(owner);
    }
    if let Some(key) = args.client_id {
        request = request.client_id(key);
    }
    answer(context, &request.await?)
}

async fn list(context: &Context, args: ListArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let mut request = group.tasks();
    if let Some(owner) = args.owner {
        request = request.owner(owner);
    }
    if let Some(asker) = args.asker {
        request = request.asker(asker);
    }
    if let Some(status) = args.status {
        request = request.status(status.into());
    }
    if args.unowned {
        request = request.unowned();
    }
    if args.all {
        request = request.settled();
    }
    let tasks = request.await?;
    context.out.answers(&tasks, || {
        let mut table = Table::new(&context.out, &["TASK", "STATUS", "OWNER", "FOR", "DUE", "TITLE"]);
        for task in &tasks {
            let style = if task.overdue { Style::Red } else { Style::Plain };
            let status = if task.blocked { "blocked" } else { task.state_word() };
            table.row([
                plain(task.task_id),
                plain(status),
                (task.owner.as_ref().map_or_else(|| "-".into(), ToString::to_string), Style::Cyan),
                plain(&task.asker),
                (task.due_at.map_or_else(|| "whenever".into(), due), style),
                plain(first_line(&task.title, TITLE_CHARS)),
            ]);
        }
        if table.is_empty() { "no tasks".into() } else { table.text() }
    })
}

async fn update(context: &Context, args: UpdateArgs) -> Outcome {
    let group = context.group().await?;
    let mut request = group.task_update(args.task.as_str());
    if let Some(version) = args.base_version {
        request = request.base_version(version);
    }
    if let Some(title) = args.title {
        request = request.title(title);
    }
    if let Some(outcome) = args.outcome {
        request = request.outcome(outcome);
    }
    if let Some(owner) = &args.owner {
        request = request.assign(owner);
    }
    if args.no_owner {
        request = request.unassign();
    }
    for task in &args.no_longer_depends_on {
        request = request.no_longer_depends_on(task.as_str());
    }
    for task in &args.depends_on {
        request = request.depends_on(task.as_str());
    }
    if args.start {
        request = request.start();
    }
    if args.plan {
        request = request.plan();
    }
    for item in args.items {
        request = request.item(item);
    }
    for note in args.notes {
        request = request.note(note);
    }
    answer(context, &evidenced(request, args.evidence).await?)
}

pub(crate) async fn cmd_tracked_send(context: &Context, args: TrackedSendArgs) -> Outcome {
    let group = context.group().await?;
    let request = group.tracked_send(input::text(args.text)?, args.title).to(args.to);
    let mut request = with_fields!(request, args.fields);
    if let Some(key) = args.client_id {
        request = request.client_id(key);
    }
    let tracked = request.await?;
    context.out.answer(&tracked, || {
        let before = if tracked.sent.duplicate { " (sent before)" } else { "" };
        format!(
            "{} with task {} to {}{before}",
            tracked.sent.event_id,
            tracked.task_id,
            names(&tracked.sent.recipients)
        )
    })
}

fn answer(context: &Context, task: &TaskView) -> Outcome {
    context.out.answer(task, || clean(&task.to_string()))
}

/// All that is known of a task.
fn page(task: &TaskView) -> String {
    let mut lines = vec![task.to_string()];
    if !task.outcome.is_empty() {
        lines.push(format!("outcome: {}", task.outcome));
    }
    if !task.depends_on.is_empty() {
        lines.push(format!("depends on: {}", names(&task.depends_on)));
    }
    if !task.requires.is_empty() {
        let words =
            |kinds: &[EvidenceKind]| names(&kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
        let missing = match task.missing.as_slice() {
            [] => "all given".to_owned(),
            missing => format!("missing {}", words(missing)),
        };
        lines.push(format!("evidence asked for: {} ({missing})", words(&task.requires)));
    }
    if let Some(to) = &task.offered_to {
        lines.push(format!("offered to {to}"));
    }
    if let Some(at) = task.due_at.filter(|_| !task.status.is_closed()) {
        lines.push(format!("due {}", due(at)));
    }
    if !task.reason.is_empty() {
        lines.push(format!("reason: {}", task.reason));
    }
    for (n, item) in task.checklist.iter().enumerate() {
        lines.push(format!("  {} {}. {}", if item.done { "[x]" } else { "[ ]" }, n + 1, item.text));
    }
    for note in &task.notes {
        lines.push(format!("{}, {}: {}", note.by, ago(note.at), note.text));
    }
    for given in &task.evidence {
        let what = match &given.evidence {
            Evidence::Text { text } => text.clone(),
            Evidence::Event { event_id } => format!("event {event_id}"),
            Evidence::File { path, sha256 } => format!("file {path} (sha256 {sha256})"),
            Evidence::Commit { commit } => format!("commit {commit}"),
            Evidence::Command { command, exit_code, .. } => format!("`{command}` ended with {exit_code}"),
            other => word(&other.kind()),
        };
        let found = match given.holds {
            Some(true) => format!(", which holds {}", given.found),
            Some(false) => format!(", which does NOT hold {}", given.found),
            None => String::new(),
        };
        lines.push(format!(
            "{}, {}: evidence {}: {what}{}",
            given.by,
            ago(given.at),
            given.seq,
            found.trim_end()
        ));
    }
    lines.push(format!("version {}, changed by {} {}", task.version, task.changed_by, ago(task.changed_at)));
    clean(&lines.join("\n"))
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("task add", one(schema_for!(TaskView))),
        ("task list", lines(schema_for!(TaskView))),
        ("task show", one(schema_for!(TaskView))),
        ("task update", one(schema_for!(TaskView))),
        ("task check", one(schema_for!(TaskView))),
        ("task handoff", one(schema_for!(TaskView))),
        ("task done", one(schema_for!(TaskView))),
        ("task verify", one(schema_for!(TaskView))),
        ("task decline", one(schema_for!(TaskView))),
        ("task accept", one(schema_for!(TaskView))),
        ("task reopen", one(schema_for!(TaskView))),
        ("task cancel", one(schema_for!(TaskView))),
        ("tracked-send", one(schema_for!(Tracked))),
    ]
}
