//! `cccc context ...`, `cccc agent-state`

use std::time::Duration;

use cccc_core::answer::DigestAnswer;
use cccc_core::event::{ContextValue, Service};
use cccc_core::{AgentView, EntryView, Seq};
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::duration;
use crate::input;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::{ago, due, indented};
use crate::table::{Table, plain};

/// How much of the shared context is shown unless a size is given, in bytes.
const SHOWN_BYTES: usize = 16 << 10;

/// Show or change what the group knows together: brief, decisions, notes, services
///
/// Entries have keys (`brief`, `vision`, `sketch`, `milestones`, `decisions/57`, `services/api`, or your own)
/// and versions. Nobody overwrites blindly: name the version that you have read with --base.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc context set brief 'A parser for logs, in Rust'
  cccc context decide 'Errors are values, not panics'
  cccc context show --digest 4000        what an agent should know, in at most 4000 bytes")]
pub(crate) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// Show all of it, or one entry or section in full
    #[command(after_help = "Examples:
  cccc context show
  cccc context show decisions
  cccc context show services/api --json")]
    Show {
        /// An entry or a section
        key: Option<String>,
        /// As one text of at most so many bytes, for an agent's prompt
        #[arg(long, value_name = "BYTES", conflicts_with = "key")]
        digest: Option<usize>,
    },
    /// Set an entry, or remove it
    #[command(after_help = "Examples:
  cccc context set brief - < brief.md
  cccc context set brief 'Build it in Rust' --base 43
  cccc context set services/api --kind http --address http://localhost:8080 --owner alice
  cccc context set notes/57 --remove --base 57")]
    Set {
        /// Its key
        key: String,
        /// What it shall say; `-` reads standard input
        #[arg(required_unless_present_any = ["remove", "kind"], conflicts_with_all = ["remove", "kind"])]
        text: Option<String>,
        /// The version that you have read and replace [default: the present one, if you had set it]
        #[arg(long, value_name = "N")]
        base: Option<u64>,
        /// Remove it
        #[arg(long, conflicts_with = "kind")]
        remove: bool,
        /// Of a service: what it is
        #[arg(long, value_name = "K", requires = "address")]
        kind: Option<String>,
        /// Of a service: where it is reached
        #[arg(long, value_name = "A", requires = "kind")]
        address: Option<String>,
        /// Of a service: who looks after it
        #[arg(long, value_name = "ID", requires = "kind")]
        owner: Option<String>,
    },
    /// Add a decision
    #[command(after_help = "Examples:\n  cccc context decide 'We use tabs'")]
    Decide {
        /// What was decided; `-` reads standard input
        text: String,
    },
    /// Add a note
    #[command(after_help = "Examples:\n  cccc context note 'The tests need the database'")]
    Note {
        /// What is worth knowing; `-` reads standard input
        text: String,
    },
}

pub(crate) async fn cmd_context(context: &Context, args: ContextArgs) -> Outcome {
    match args.command {
        ContextCommand::Show { key, digest } => show(context, key, digest).await,
        ContextCommand::Set { key, text, base, kind, address, owner, .. } => {
            let group = context.group().await?;
            let mut request = match (text, kind, address) {
                (Some(text), ..) => group.set_context(key, input::text(text)?),
                (None, Some(kind), Some(address)) => {
                    let owner = owner.map(|owner| owner.parse()).transpose()?;
                    let service = ContextValue::Service(Service { kind, address, owner });
                    group.set_context_value(key, service)
                }
                (None, ..) => group.remove_context(key),
            };
            if let Some(base) = base {
                request = request.base(Seq(base));
            }
            answer_done(context, &request.await?, "set")
        }
        ContextCommand::Decide { text } => {
            answer_done(context, &context.group().await?.decide(input::text(text)?).await?, "decided")
        }
        ContextCommand::Note { text } => {
            answer_done(context, &context.group().await?.note(input::text(text)?).await?, "noted")
        }
    }
}

async fn show(context: &Context, key: Option<String>, digest: Option<usize>) -> Outcome {
    let group = context.group_to_look().await?;
    if let Some(max_bytes) = digest {
        let answer = DigestAnswer::of(&group, max_bytes).await?;
        return context.out.answer(&answer, || clean(answer.text.trim_end()));
    }
    match key {
        Some(key) => {
            let entries = group.context_of(key).await?;
            context.out.answers(&entries, || {
                entries.iter().map(|entry| in_full(context, entry)).collect::<Vec<_>>().join("\n")
            })
        }
        None if context.out.is_json() => {
            let entries = group.context().await?;
            context.out.answers(&entries, String::new)
        }
        None => {
            let text = group.context_digest(SHOWN_BYTES).await?;
            context.out.line(match text.trim_end() {
                "" => "nothing is known yet: `cccc context set brief TEXT`".to_owned(),
                text => clean(text),
            })
        }
    }
}

fn in_full(context: &Context, entry: &EntryView) -> String {
    let head = format!("{}  version {}, by {}, {}", entry.key, entry.version, entry.by, ago(entry.at));
    let text = match &entry.value {
        ContextValue::Text(text) => text.clone(),
        ContextValue::Service(Service { kind, address, owner }) => {
            let owner = owner.as_ref().map(|owner| format!("\nowner: {owner}")).unwrap_or_default();
            format!("kind: {kind}\naddress: {address}{owner}")
        }
    };
    format!("{}\n{}", context.out.style(Style::Bold, head), indented(&text))
}

/// Say what you are doing, or list what all agents say
///
/// What is not named stays, except for how long it holds; an empty text clears.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc agent-state                                        what everyone is doing
  cccc --as alice agent-state --focus 'the parser' --next docs --for 2h
  cccc --as alice agent-state --blocker 'no database'
  cccc --as alice agent-state --waiting-for r57           until that reservation is over
  cccc --as alice agent-state --focus '' --next '' --blocker ''")]
pub(crate) struct AgentStateArgs {
    /// What you are at
    #[arg(long, value_name = "TEXT")]
    focus: Option<String>,
    /// What you will do then
    #[arg(long, value_name = "TEXT")]
    next: Option<String>,
    /// What keeps you from going on
    #[arg(long, value_name = "TEXT")]
    blocker: Option<String>,
    /// What you wait for: a reservation (r57), a task (t41), or somebody; shown by `cccc waits` until that is
    /// over
    #[arg(long, value_name = "ID")]
    waiting_for: Option<String>,
    /// How long that holds [default: until you say otherwise]
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    lasting: Option<Duration>,
    /// The version that you have read
    #[arg(long, value_name = "N")]
    base: Option<u64>,
    /// Of whom it is said; for the foreman and the user [default: whoever speaks]
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
}

pub(crate) async fn cmd_agent_state(context: &Context, args: AgentStateArgs) -> Outcome {
    let AgentStateArgs { focus, next, blocker, waiting_for, lasting, base, actor } = args;
    let said = [&focus, &next, &blocker, &waiting_for].iter().any(|text| text.is_some());
    if !said && lasting.is_none() {
        return agent_states(context, actor).await;
    }
    let group = context.group().await?;
    let mut request = group.set_agent_state();
    if let Some(focus) = focus {
        request = request.focus(focus);
    }
    if let Some(next) = next {
        request = request.next(next);
    }
    if let Some(blocker) = blocker {
        request = request.blocker(blocker);
    }
    if let Some(what) = waiting_for {
        request = request.waiting_for(what);
    }
    if let Some(lasting) = lasting {
        request = request.lasting(lasting);
    }
    if let Some(base) = base {
        request = request.base(Seq(base));
    }
    if let Some(actor) = actor {
        request = request.of(actor);
    }
    answer_done(context, &request.await?, "said")
}

async fn agent_states(context: &Context, actor: Option<String>) -> Outcome {
    let mut states = context.group_to_look().await?.agent_states().await?;
    states.retain(|state| actor.as_deref().is_none_or(|actor| state.actor_id.as_str() == actor));
    context.out.answers(&states, || {
        let mut table =
            Table::new(&context.out, &["AGENT", "SAID", "UNTIL", "FOCUS", "NEXT", "BLOCKER", "WAITS FOR"]);
        for state in &states {
            let style = if state.stale { Style::Dim } else { Style::Plain };
            table.row([
                (state.actor_id.to_string(), Style::Cyan),
                plain(ago(state.at)),
                (state.until.map(due).unwrap_or_default(), style),
                (first_line(&state.focus, 40), style),
                (first_line(&state.next, 40), style),
                (first_line(&state.blocker, 40), Style::Yellow),
                (state.waiting_for.as_ref().map(ToString::to_string).unwrap_or_default(), Style::Yellow),
            ]);
        }
        if table.is_empty() { "nobody says what it is doing".into() } else { table.text() }
    })
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("context show", lines(schema_for!(EntryView))),
        ("context show --digest", one(schema_for!(DigestAnswer))),
        ("context set", done()),
        ("context decide", done()),
        ("context note", done()),
        ("agent-state", lines(schema_for!(AgentView))),
        ("agent-state --focus", done()),
    ]
}
