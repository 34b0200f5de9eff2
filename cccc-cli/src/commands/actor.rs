//! `cccc actor ...`

use cccc_core::answer::ActorAnswer;
use cccc_core::event::Role;
use clap::{Args, Subcommand, ValueEnum};

use super::{answer_done, who};
use crate::context::Context;
use crate::output::Outcome;
use crate::render::word;

/// Add, list, change or remove the actors of the group
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc actor add lead                     the first actor becomes the foreman
  cccc actor add alice --label reviewer --runtime claude
  cccc actor update alice --label reviewer --label docs
  cccc actor remove alice --successor bob")]
pub(crate) struct ActorArgs {
    #[command(subcommand)]
    command: ActorCommand,
}

#[derive(Debug, Subcommand)]
enum ActorCommand {
    /// Add an actor; the first ever added becomes the foreman
    #[command(after_help = "Examples:\n  cccc actor add alice --label reviewer --title 'Alice, reviews'")]
    Add {
        /// Its id: lower-case letters, digits, `.`, `_`, `-`
        id: String,
        /// A label; `#label` addresses all who have it. Repeatable
        #[arg(long = "label", value_name = "L")]
        labels: Vec<String>,
        /// What people call it
        #[arg(long, value_name = "T")]
        title: Option<String>,
        /// The agent program that embodies it: claude, codex...
        #[arg(long, value_name = "R")]
        runtime: Option<String>,
        /// Its role [default: foreman for the first, peer for the others]
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
    },
    /// List the actors, as `cccc who` does
    #[command(after_help = "Examples:\n  cccc actor list --json")]
    List,
    /// Change an actor; what is not named stays
    #[command(after_help = "Examples:
  cccc actor update alice --role foreman     the former foreman becomes a peer
  cccc actor update alice --label docs       all the labels that it shall have")]
    Update {
        /// Its id
        id: String,
        /// All the labels that it shall have; repeatable, empty for none
        #[arg(long = "label", value_name = "L")]
        labels: Option<Vec<String>>,
        /// What people call it
        #[arg(long, value_name = "T")]
        title: Option<String>,
        /// The agent program that embodies it
        #[arg(long, value_name = "R")]
        runtime: Option<String>,
        /// Its role
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
    },
    /// Remove an actor
    ///
    /// What it owes returns to those it is owed to, and what it has not read bounces, which their senders are
    /// told; or both move to a successor, with its tasks and reservations. What is owed to it is over.
    #[command(after_help = "Examples:\n  cccc actor remove alice --successor bob --reason 'moved on'")]
    Remove {
        /// Its id
        id: String,
        /// Who takes over what it owes, has not read, does and has reserved
        #[arg(long, value_name = "ID")]
        successor: Option<String>,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Foreman,
    Peer,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Foreman => Self::Foreman,
            RoleArg::Peer => Self::Peer,
        }
    }
}

pub(crate) async fn cmd_actor(context: &Context, args: ActorArgs) -> Outcome {
    match args.command {
        ActorCommand::Add { id, labels, title, runtime, role } => {
            let group = context.group().await?;
            let mut request = labels.iter().fold(group.add_actor(&id), |request, label| request.label(label));
            if let Some(title) = title {
                request = request.title(title);
            }
            if let Some(runtime) = runtime {
                request = request.runtime(runtime);
            }
            if let Some(role) = role {
                request = request.role(role.into());
            }
            let answer = ActorAnswer::from(request.await?);
            context.out.answer(&answer, || format!("{} joined as {}", answer.actor_id, word(&answer.role)))
        }
        ActorCommand::List => who::cmd_who(context, who::WhoArgs {}).await,
        ActorCommand::Update { id, labels, title, runtime, role } => {
            let group = context.group().await?;
            let mut request = group.update_actor(&id);
            if let Some(labels) = labels {
                request = request.labels(labels.iter().filter(|label| !label.is_empty()));
            }
            if let Some(title) = title {
                request = request.title(title);
            }
            if let Some(runtime) = runtime {
                request = request.runtime(runtime);
            }
            if let Some(role) = role {
                request = request.role(role.into());
            }
            answer_done(context, &request.await?, "updated")
        }
        ActorCommand::Remove { id, successor, reason } => {
            let group = context.group().await?;
            let mut request = group.remove_actor(&id).reason(reason);
            if let Some(successor) = successor {
                request = request.successor(successor);
            }
            answer_done(context, &request.await?, "removed")
        }
    }
}
