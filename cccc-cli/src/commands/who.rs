//! `cccc who`, `cccc whoami`

use cccc_core::event::Role;
use cccc_core::rule::presence::Condition;
use cccc_core::{ActorView, GroupId, Member, Principal};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::person::people_table;
use crate::context::Context;
use crate::output::{Outcome, Output, Style, clean, first_line};
use crate::render::{ago, names, word};
use crate::speaker::{ACTOR_VARIABLE, Source};
use crate::table::{Table, plain};

/// List the actors of the group: whether each is there, what it is at, where it works, what it has not read and owes
///
/// An actor is present while its newest session runs, absent when that has ended, and unknown where nothing
/// on this machine tells. What it is at is its own word (`cccc agent-state`), else the task it has begun. People
/// beside the user are listed below the actors; with --json, `cccc person list` has them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc who
  cccc who --json")]
pub(crate) struct WhoArgs {}

/// Say in whose name commands are carried out here, and how that is known
///
/// Where neither --as nor CCCC_ACTOR_ID says so, it is the user, unless the environment shows that an agent
/// is at work; then everything done in somebody's name is refused, and so it is where CCCC_ACTOR_ID names a
/// person: agents inherit that from whoever starts them. Such marks are: CLAUDECODE,
/// CLAUDE_CODE_ENTRYPOINT, CODEX_THREAD_ID, CODEX_SANDBOX, CODEX_SANDBOX_NETWORK_DISABLED, CODEX_CI,
/// GEMINI_CLI, QWEN_CODE, OPENCODE, CURSOR_AGENT, COPILOT_CLI, GOOSE_TERMINAL, CLINE_ACTIVE,
/// AUGMENT_AGENT, AGENT (amp, goose, 1), AI_AGENT.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc whoami
  cccc --as alice whoami")]
pub(crate) struct WhoamiArgs {}

/// What `cccc whoami` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WhoamiAnswer {
    principal: Principal,
    /// How that is known.
    source: Source,
    group_id: GroupId,
    /// The role in the group, for an actor.
    role: Option<Role>,
}

pub(crate) async fn cmd_who(context: &Context, _: WhoArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let (members, people) = (group.who().await?, group.people().await?);
    context.out.answers(&members, || {
        let table = member_table(&context.out, &members);
        let actors =
            if table.is_empty() { "no actors yet; see `cccc actor add --help`".into() } else { table.text() };
        let people = people_table(&context.out, &people);
        if people.is_empty() { actors } else { format!("{actors}\n\n{}", people.text()) }
    })
}

pub(crate) async fn cmd_whoami(context: &Context, _: WhoamiArgs) -> Outcome {
    let speaker = context.speaker().await?;
    let group = context.group().await?;
    let actors = group.actors().await?;
    let role = actors.iter().find(|actor| Some(&actor.actor_id) == speaker.principal.actor());
    let answer = WhoamiAnswer {
        principal: speaker.principal,
        source: speaker.source,
        group_id: group.id().clone(),
        role: role.map(|actor| actor.role),
    };
    context.out.answer(&answer, || {
        let source = match answer.source {
            Source::Flag => "--as says so".to_owned(),
            Source::Session => "the program that runs this has joined".to_owned(),
            Source::Environment => format!("{ACTOR_VARIABLE} says so"),
            Source::Assumed => "nothing says otherwise, and no agent is at work here".to_owned(),
        };
        let role = answer.role.map(|role| format!(", {}", word(&role))).unwrap_or_default();
        format!("{}{role} in group {}: {source}", answer.principal, answer.group_id)
    })
}

/// Actors with their sessions, for people.
fn member_table<'a>(out: &'a Output, members: &[Member]) -> Table<'a> {
    let columns = [
        "ACTOR",
        "ROLE",
        "PRESENCE",
        "SEEN",
        "UNREAD",
        "OWES",
        "AT",
        "RUNTIME",
        "BRANCH",
        "DIRECTORY",
        "LABELS",
        "TITLE",
    ];
    let mut table = Table::new(out, &columns);
    for Member { actor, presence, session, summary, last_seen, .. } in members {
        let count = |n: u64| if n == 0 { plain(n) } else { (n.to_string(), Style::Yellow) };
        let labels: Vec<String> = actor.labels.iter().map(|label| format!("#{label}")).collect();
        let style = if *presence == Condition::Present { Style::Green } else { Style::Dim };
        let session = session.as_ref().filter(|session| session.open);
        let running = session.map(|session| session.runtime.as_str()).filter(|runtime| !runtime.is_empty());
        table.row([
            (actor.actor_id.to_string(), Style::Cyan),
            plain(word(&actor.role)),
            (word(presence), style),
            plain(ago(*last_seen)),
            count(actor.unread),
            count(actor.owed),
            plain(summary.as_deref().map(|text| first_line(text, 40)).unwrap_or_default()),
            plain(running.or(actor.runtime.as_deref()).map(clean).unwrap_or_default()),
            plain(session.and_then(|session| session.branch.as_deref()).map(clean).unwrap_or_default()),
            plain(session.map(|session| clean(&session.cwd)).unwrap_or_default()),
            plain(names(&labels)),
            plain(clean(&actor.title)),
        ]);
    }
    table
}

/// Actors for people.
pub(crate) fn actor_table<'a>(out: &'a Output, actors: &[ActorView]) -> Table<'a> {
    let mut table = Table::new(out, &["ACTOR", "ROLE", "UNREAD", "OWES", "LABELS", "RUNTIME", "TITLE"]);
    for actor in actors {
        let count = |n: u64| if n == 0 { plain(n) } else { (n.to_string(), Style::Yellow) };
        let labels: Vec<String> = actor.labels.iter().map(|label| format!("#{label}")).collect();
        table.row([
            (actor.actor_id.to_string(), Style::Cyan),
            plain(word(&actor.role)),
            count(actor.unread),
            count(actor.owed),
            plain(names(&labels)),
            plain(actor.runtime.as_deref().map(clean).unwrap_or_default()),
            plain(clean(&actor.title)),
        ]);
    }
    table
}
