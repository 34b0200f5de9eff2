//! `cccc group ...`

use std::collections::BTreeMap;
use std::path::PathBuf;

use cccc_core::event::{GroupMode, GroupUpdate, JoinPolicy};
use cccc_core::{Error, GroupId, Principal, Result};
use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::attach::{AttachAnswer, only_the_user};
use super::schedule::StateArg;
use super::{answer_done, bundle, status};
use crate::context::Context;
use crate::output::{Outcome, clean};
use crate::render::word;

/// Make, show, change, pause, archive, move or delete a group
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc group create --title Research      a group that belongs to no directory
  cccc group update --default-to @peers
  cccc group pause --reason 'budget'      sends are stored, nothing is handed over
  cccc group resume
  cccc group scope add ../other-checkout")]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// Make a group that belongs to no directory yet
    #[command(after_help = "Examples:\n  cccc group create --title Research")]
    Create {
        /// What people call it
        #[arg(long, value_name = "T")]
        title: String,
    },
    /// Show the group at a glance
    #[command(after_help = "Examples:\n  cccc --group gh4c1f9k2x group show")]
    Show,
    /// Change title, default address, who may join, or settings
    #[command(after_help = "Examples:
  cccc group update --title Shop --join closed
  cccc group update --default-to @all
  cccc group update --default-to ''        the foreman again
  cccc group update --set nudge_ms=0 --set theme='\"dark\"'")]
    Update(UpdateArgs),
    /// Stop handing messages over; they are still stored
    ///
    /// While a group is paused, an inbox answers that it is, and deadlines stand still.
    #[command(after_help = "Examples:\n  cccc group pause --reason 'until Monday'")]
    Pause(ReasonArgs),
    /// Go on after a pause, a stop or archiving
    #[command(after_help = "Examples:\n  cccc group resume")]
    Resume(ReasonArgs),
    /// Make the group read-only
    #[command(after_help = "Examples:\n  cccc group archive --reason done")]
    Archive(ReasonArgs),
    /// Set the state of the group: one of those above, or `idle` or `stopped`
    ///
    /// In an idle group only schedules run, and nobody is reminded. In a stopped group nothing is handed to
    /// agents, and no schedule runs.
    #[command(after_help = "Examples:\n  cccc group state idle\n  cccc group state stopped --reason night")]
    State {
        /// The state
        state: StateArg,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Delete an archived group with everything in it, for ever
    ///
    /// What is left of one that has no events, as after a crash of an older version, need not be archived.
    #[command(
        after_help = "Examples:\n  cccc --group gh4c1f9k2x group archive && cccc group delete gh4c1f9k2x"
    )]
    Delete {
        /// The group's id, spelled out
        #[arg(value_name = "GROUP")]
        id: String,
    },
    /// Write the group as one file, with which `cccc group import` makes it again elsewhere
    ///
    /// The file has the ledger and the attachments that messages name, and is a tar archive. What is secret
    /// in messages is secret in the file. Others may go on writing meanwhile. Exits with 1 and names them if
    /// attachments are lost that nobody redacted; the file is whole but for them.
    #[command(after_help = "Examples:
  cccc group export shop.tar
  cccc group export - | zstd > shop.tar.zst")]
    Export {
        /// A file that does not exist yet; `-` writes standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make a group of a file that `cccc group export` wrote
    ///
    /// Everything in it is checked before anything of it can be seen. The group is idle, so that nothing
    /// happens in it before `cccc group resume`. It keeps its id, or gets a new one if there is a group of
    /// that id. Directories stay with it if they are here and belong to no other group.
    #[command(after_help = "Examples:
  cccc group import shop.tar
  zstd -dc shop.tar.zst | cccc group import -")]
    Import {
        /// The file; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove attachments that no message names
    ///
    /// These are files that were stored and never sent. One that somebody has stored or used within a day
    /// stays, as a message may be about to name it. Copies that were broken off, as by a crash, go at once.
    #[command(after_help = "Examples:
  cccc group gc --dry-run
  cccc group gc --json | jq .bytes")]
    Gc {
        /// Change nothing, only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Add or remove directories that belong to the group
    #[command(subcommand)]
    Scope(ScopeCommand),
}

#[derive(Args, Debug)]
struct UpdateArgs {
    /// What people call it
    #[arg(long, value_name = "T")]
    title: Option<String>,
    /// Where messages without an address go, repeatable; empty: the foreman
    #[arg(long, value_name = "A")]
    default_to: Vec<String>,
    /// Who may join by itself
    #[arg(long, value_enum)]
    join: Option<Join>,
    /// A setting, its value in JSON; `null` removes it. Repeatable
    #[arg(long, value_name = "NAME=JSON")]
    set: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Join {
    Open,
    Ask,
    Closed,
}

#[derive(Args, Debug)]
struct ReasonArgs {
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Debug, Subcommand)]
enum ScopeCommand {
    /// Add a directory to the group
    #[command(after_help = "Examples:\n  cccc --group gh4c1f9k2x group scope add ~/src/shop")]
    Add {
        /// The directory
        path: PathBuf,
    },
    /// Take a directory from the group
    #[command(after_help = "Examples:\n  cccc group scope remove ~/src/old-shop")]
    Remove {
        /// The directory; it need not exist any more
        path: PathBuf,
    },
}

/// What `cccc group scope add|remove` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ScopeAnswer {
    group_id: GroupId,
    path: PathBuf,
}

/// What `cccc group delete` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeleteAnswer {
    deleted: GroupId,
}

pub(crate) async fn cmd_group(context: &Context, args: GroupArgs) -> Outcome {
    match args.command {
        GroupCommand::Create { title } => create(context, title).await,
        GroupCommand::Show => status::cmd_status(context, status::StatusArgs {}).await,
        GroupCommand::Update(args) => update(context, args).await,
        GroupCommand::Pause(args) => set(context, GroupMode::Paused, args, "paused").await,
        GroupCommand::Resume(args) => set(context, GroupMode::Active, args, "active").await,
        GroupCommand::Archive(args) => set(context, GroupMode::Archived, args, "archived").await,
        GroupCommand::State { state, reason } => {
            let mode = GroupMode::from(state);
            set(context, mode, reason, &word(&mode)).await
        }
        GroupCommand::Delete { id } => delete(context, &id).await,
        GroupCommand::Export { file } => bundle::export(context, file).await,
        GroupCommand::Import { file } => bundle::import(context, file).await,
        GroupCommand::Gc { dry_run } => bundle::gc(context, dry_run).await,
        GroupCommand::Scope(command) => scope(context, command).await,
    }
}

async fn create(context: &Context, title: String) -> Outcome {
    match context.speaker().await?.principal {
        Principal::User => {}
        other => return Err(only_the_user(&other, "makes groups").into()),
    }
    let group = context.home().await?.create_group(title).await?;
    let summary = group.summary().await?;
    let answer = AttachAnswer { group_id: summary.group_id, title: summary.title, created: true };
    context.out.answer(&answer, || format!("{}  {}", answer.group_id, clean(&answer.title)))
}

async fn update(context: &Context, args: UpdateArgs) -> Outcome {
    let default_to = match args.default_to.as_slice() {
        [] => None,
        [one] if one.is_empty() => Some(Vec::new()),
        addresses => Some(addresses.to_vec()),
    };
    let join = args.join.map(|join| match join {
        Join::Open => JoinPolicy::Open,
        Join::Ask => JoinPolicy::Ask,
        Join::Closed => JoinPolicy::Closed,
    });
    let settings = args.set.iter().map(|text| setting(text)).collect::<Result<BTreeMap<_, _>>>()?;
    let update = GroupUpdate { title: args.title, default_to, join, settings };
    let done = context.group().await?.update(update).await?;
    answer_done(context, &done, "updated")
}

fn setting(text: &str) -> Result<(String, serde_json::Value)> {
    let wrong = |why: String| {
        Error::invalid(format!("{text:?} is not a setting: {why}"))
            .hint("write NAME=JSON, for example nudge_ms=0")
    };
    let (name, json) = text.split_once('=').ok_or_else(|| wrong("there is no `=`".into()))?;
    let value = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
    Ok((name.to_owned(), value))
}

async fn set(context: &Context, mode: GroupMode, args: ReasonArgs, what: &str) -> Outcome {
    let done = context.group().await?.set_state(mode, args.reason).await?;
    answer_done(context, &done, what)
}

async fn delete(context: &Context, id: &str) -> Outcome {
    match context.speaker().await?.principal {
        Principal::User => {}
        other => return Err(only_the_user(&other, "deletes groups").into()),
    }
    let answer = DeleteAnswer { deleted: id.parse()? };
    context.home().await?.delete_group(&answer.deleted).await?;
    context.out.answer(&answer, || format!("{} is gone", answer.deleted))
}

async fn scope(context: &Context, command: ScopeCommand) -> Outcome {
    let home = context.home().await?;
    let group = context.group_in(&home).await?;
    let (path, what) = match command {
        ScopeCommand::Add { path } => (home.add_scope(&group, path).await?, "belongs to"),
        ScopeCommand::Remove { path } => (home.remove_scope(&group, path).await?, "no longer belongs to"),
    };
    let answer = ScopeAnswer { group_id: group.id().clone(), path };
    context.out.answer(&answer, || format!("{} {what} group {}", answer.path.display(), answer.group_id))
}
