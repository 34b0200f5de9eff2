//! `cccc attach`

use std::path::PathBuf;

use cccc_core::{Error, GroupId, Principal};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Outcome, clean};

/// Make or find the group of a directory, and print its id
///
/// The group of the nearest directory above counts as well, and a git worktree belongs to its main
/// repository. Only the user makes groups; an actor finds the one that there is.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc attach                           the group of this directory
  cccc attach ~/src/shop --title Shop   with a title, if it is made now")]
pub(crate) struct AttachArgs {
    /// The directory
    #[arg(default_value = ".", hide_default_value = true)]
    path: PathBuf,
    /// What people call the group, if it is made now [default: the directory's name]
    #[arg(long, value_name = "T")]
    title: Option<String>,
}

/// What `cccc attach` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AttachAnswer {
    pub(crate) group_id: GroupId,
    pub(crate) title: String,
    /// Whether it was made just now.
    pub(crate) created: bool,
}

pub(crate) async fn cmd_attach(context: &Context, args: AttachArgs) -> Outcome {
    let speaker = context.speaker().await?;
    let home = context.home().await?;
    let (group, created) = match speaker.principal {
        Principal::User => {
            let attached = home.attach_as(&args.path, args.title).await?;
            (attached.group, attached.created)
        }
        other => match home.find(&args.path).await? {
            Some(group) => (group, false),
            None => return Err(only_the_user(&other, "makes groups").into()),
        },
    };
    let summary = group.summary().await?;
    let answer = AttachAnswer { group_id: summary.group_id, title: summary.title, created };
    context.out.answer(&answer, || {
        let made = if answer.created { "made" } else { "found" };
        let next = match summary.actors.is_empty() {
            true => "\nnext: `cccc actor add lead` adds the first actor, which becomes the foreman",
            false => "",
        };
        format!("{}  {} ({made}){next}", answer.group_id, clean(&answer.title))
    })
}

/// The refusal of what concerns the whole home.
pub(crate) fn only_the_user(speaker: &Principal, does: &str) -> Error {
    Error::refused(format!("only the user {does}, not {speaker}")).hint("ask the user to do it")
}
