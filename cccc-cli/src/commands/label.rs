//! `cccc label ...`

use cccc_core::LabelView;
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines};
use crate::context::Context;
use crate::output::{Outcome, Style};
use crate::render::names;
use crate::table::{Table, plain};

/// Take or drop labels; `#label` addresses all who have it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice label add docs frontend
  cccc --as alice label remove docs
  cccc label list")]
pub(crate) struct LabelArgs {
    #[command(subcommand)]
    command: LabelCommand,
}

#[derive(Debug, Subcommand)]
enum LabelCommand {
    /// Take labels; the others stay
    #[command(after_help = "Examples:\n  cccc --as alice label add docs")]
    Add(Change),
    /// Drop labels
    #[command(after_help = "Examples:\n  cccc --as alice label remove docs")]
    Remove(Change),
    /// List the labels with who has them
    #[command(after_help = "Examples:\n  cccc label list --json")]
    List,
}

#[derive(Args, Debug)]
struct Change {
    /// Labels, with or without `#`
    #[arg(value_name = "LABEL", required = true)]
    labels: Vec<String>,
    /// Whose; for the foreman and the user [default: whoever speaks]
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
}

pub(crate) async fn cmd_label(context: &Context, args: LabelArgs) -> Outcome {
    let (change, add) = match args.command {
        LabelCommand::Add(change) => (change, true),
        LabelCommand::Remove(change) => (change, false),
        LabelCommand::List => return list(context).await,
    };
    let group = context.group().await?;
    let mut request = if add { group.add_labels(change.labels) } else { group.remove_labels(change.labels) };
    if let Some(actor) = change.actor {
        request = request.of(actor);
    }
    answer_done(context, &request.await?, if add { "taken" } else { "dropped" })
}

async fn list(context: &Context) -> Outcome {
    let labels = context.group_to_look().await?.labels().await?;
    context.out.answers(&labels, || {
        let mut table = Table::new(&context.out, &["LABEL", "ACTORS", "WHO"]);
        for label in &labels {
            table.row([
                (format!("#{}", label.label), Style::Cyan),
                plain(label.count),
                plain(names(&label.actors)),
            ]);
        }
        if table.is_empty() { "nobody has a label".into() } else { table.text() }
    })
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("label add", done()), ("label remove", done()), ("label list", lines(schema_for!(LabelView)))]
}
