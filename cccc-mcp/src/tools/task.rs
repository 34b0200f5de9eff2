//! Tasks.

use cccc_core::event::{Evidence, EvidenceKind};
use cccc_core::{Error, Result, TaskStatus, TaskView, UpdateTaskRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, Tool, needed};
use crate::args::{Event, Time, names, numbers};
use crate::bounds::page;

/// `cccc_task`
#[derive(Debug)]
pub(crate) enum Task {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    List,
    Show,
    Add,
    Start,
    Plan,
    Note,
    Item,
    Check,
    Uncheck,
    Evidence,
    Done,
    Decline,
    Handoff,
    Take,
    Keep,
    Accept,
    Reopen,
    Cancel,
    Assign,
    Edit,
    Depend,
    Undepend,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskArgs {
    action: Action,
    /// Which, like t5
    task: Option<String>,
    /// add, edit
    title: Option<String>,
    /// add, edit: how one sees that it is done
    outcome: Option<String>,
    /// note, item, done, accept; decline, keep, reopen, cancel: why
    text: Option<String>,
    /// add, assign, handoff: to whom; list: whose [everybody's]
    owner: Option<String>,
    /// list: only these; done also finds settled ones
    status: Option<TaskStatus>,
    /// check, uncheck: which steps, from 1
    #[serde(default, alias = "item", deserialize_with = "numbers")]
    items: Vec<u32>,
    /// done: they all are
    #[serde(default)]
    all_steps: bool,
    /// add, edit: kinds of evidence without which it is not done
    requires: Option<Vec<EvidenceKind>>,
    #[serde(default, deserialize_with = "names")]
    checklist: Vec<String>,
    /// add, depend, undepend
    #[serde(default, deserialize_with = "names")]
    depends_on: Vec<String>,
    /// add: like 2h
    due_within: Option<Time>,
    /// evidence, done: what shows it
    evidence: Option<EvidenceArgs>,
    /// The version you read: refused if it changed since
    base_version: Option<u64>,
    client_id: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
}

/// One of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct EvidenceArgs {
    text: Option<String>,
    commit: Option<String>,
    /// A path
    file: Option<String>,
    /// A message
    event: Option<Event>,
    /// A command line, with how it ended
    command: Option<String>,
    exit_code: Option<i32>,
    output: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Tasked {
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView>>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for Task {
    const NAME: &'static str = "cccc_task";
    const ABOUT: &'static str = "Tasks: list, show, add, and get on with them. Whoever asked accepts what is done. To \
        give work to somebody, prefer cccc_message_send with task.";
    const EFFECT: Effect = Effect::Changes;
    type Args = TaskArgs;
    type Answer = Tasked;

    async fn run(call: &Call, args: TaskArgs) -> Result<Tasked> {
        let seated = call.seated().await?;
        let group = seated.group();
        match args.action {
            Action::List => list(group, args).await,
            Action::Show => {
                let id = needed(args.task, "show", "task")?;
                Ok(one(group.task(id.as_str()).await?))
            }
            Action::Add => add(group, args).await,
            action => change(call, group, action, args).await,
        }
    }
}

fn one(task: TaskView) -> Tasked {
    Tasked { task: Some(task), ..Tasked::default() }
}

async fn list(group: &cccc_core::Group, args: TaskArgs) -> Result<Tasked> {
    let mut request = group.tasks();
    let mut arguments = "\"action\":\"list\"".to_owned();
    if let Some(owner) = args.owner {
        arguments += &format!(",\"owner\":{owner:?}");
        request = request.owner(owner.trim_start_matches('@'));
    }
    if let Some(status) = args.status {
        arguments += &format!(",\"status\":\"{}\"", status.as_str());
        request = request.status(status).settled();
    }
    let page = page(request.await?, args.skip);
    Ok(Tasked { next: page.call(Task::NAME, &arguments), tasks: Some(page.items), task: None })
}

async fn add(group: &cccc_core::Group, args: TaskArgs) -> Result<Tasked> {
    let mut request = group.task_add(needed(args.title, "add", "title")?);
    if let Some(outcome) = args.outcome {
        request = request.outcome(outcome);
    }
    if let Some(owner) = args.owner {
        request = request.owner(owner);
    }
    for kind in args.requires.unwrap_or_default() {
        request = request.requires(kind);
    }
    for item in args.checklist {
        request = request.item(item);
    }
    for before in &args.depends_on {
        request = request.depends_on(before.as_str());
    }
    if let Some(Time(time)) = args.due_within {
        request = request.due_within(time);
    }
    if let Some(key) = args.client_id {
        request = request.client_id(key);
    }
    Ok(one(request.await?))
}

async fn change(call: &Call, group: &cccc_core::Group, action: Action, args: TaskArgs) -> Result<Tasked> {
    let word = format!("{action:?}").to_lowercase();
    let word = word.as_str();
    let id = needed(args.task.as_deref(), word, "task")?;
    let mut request = group.task_update(id);
    if let Some(version) = args.base_version {
        request = request.base_version(version);
    }
    if let Some(evidence) = args.evidence {
        request = match evidence {
            EvidenceArgs { file: Some(path), .. } => {
                request.evidence_file(call.server.seat().options().directory.join(path))
            }
            EvidenceArgs { event: Some(event), .. } => request.evidence_event(event.reference()?),
            other => request.evidence(said(other)?),
        };
    } else if action == Action::Evidence {
        return Err(Error::invalid("evidence needs `evidence`"));
    }
    let text = args.text.clone().unwrap_or_default();
    let owner = || needed(args.owner.as_deref().map(|id| id.trim_start_matches('@')), word, "owner");
    let items = || match args.items.as_slice() {
        [] => Err(Error::invalid(format!("{word} needs `items`"))),
        items => Ok(items.to_vec()),
    };
    request = match action {
        Action::List | Action::Show | Action::Add | Action::Evidence => request,
        Action::Start => request.start(),
        Action::Plan => request.plan(),
        Action::Note => request.note(needed(args.text, word, "text")?),
        Action::Item => request.item(needed(args.text, word, "text")?),
        Action::Check => items()?.into_iter().fold(request, UpdateTaskRequest::check),
        Action::Uncheck => items()?.into_iter().fold(request, UpdateTaskRequest::uncheck),
        Action::Done if args.all_steps => {
            let steps = group.task(id).await?.checklist.len();
            (1..).take(steps).fold(request, UpdateTaskRequest::check).done(text)
        }
        Action::Done => request.done(text),
        Action::Decline => request.decline(text),
        Action::Handoff => request.handoff(owner()?),
        Action::Take => request.take(),
        Action::Keep => request.keep(text),
        Action::Accept => request.accept(text),
        Action::Reopen => request.reopen(text),
        Action::Cancel => request.cancel(text),
        Action::Assign => match args.owner.as_deref() {
            Some("") => request.unassign(),
            _ => request.assign(owner()?),
        },
        Action::Edit => {
            if let Some(title) = args.title {
                request = request.title(title);
            }
            if let Some(outcome) = args.outcome {
                request = request.outcome(outcome);
            }
            match args.requires {
                Some(kinds) => request.requires(kinds),
                None => request,
            }
        }
        Action::Depend => args.depends_on.iter().fold(request, |request, on| request.depends_on(on.as_str())),
        Action::Undepend => {
            args.depends_on.iter().fold(request, |request, on| request.no_longer_depends_on(on.as_str()))
        }
    };
    Ok(one(request.await?))
}

/// Evidence that needs no look outside.
fn said(evidence: EvidenceArgs) -> Result<Evidence> {
    match evidence {
        EvidenceArgs { commit: Some(commit), .. } => Ok(Evidence::Commit { commit }),
        EvidenceArgs { command: Some(command), exit_code, output, .. } => Ok(Evidence::Command {
            command,
            exit_code: needed(exit_code, "evidence of a command", "exit_code")?,
            output: output.unwrap_or_default(),
        }),
        EvidenceArgs { text: Some(text), .. } => Ok(Evidence::Text { text }),
        _ => Err(Error::invalid("evidence needs one of `text`, `commit`, `file`, `event`, `command`")),
    }
}
