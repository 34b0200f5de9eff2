//! `cccc obligations`

use clap::Args;

use crate::context::Context;
use crate::output::{Outcome, Style};
use crate::render::{due, names};
use crate::table::{Table, plain};

/// List what is owed: by you and to you, oldest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice obligations --mine
  cccc obligations --all --json")]
pub(crate) struct ObligationsArgs {
    /// Only what you owe
    #[arg(long, conflicts_with = "all")]
    mine: bool,
    /// Everyone's
    #[arg(long)]
    all: bool,
}

pub(crate) async fn cmd_obligations(context: &Context, args: ObligationsArgs) -> Outcome {
    // Everyone's are the same whoever asks, so then nobody needs to say who asks.
    let group = if args.all { context.group_to_look().await? } else { context.group().await? };
    let request = group.obligations();
    let obligations = match (args.mine, args.all) {
        (true, _) => request.mine().await?,
        (_, true) => request.all().await?,
        _ => request.await?,
    };
    context.out.answers(&obligations, || {
        let mut table = Table::new(&context.out, &["EVENT", "OWED", "BY", "TO", "DUE", "LEFT BY"]);
        for obligation in &obligations {
            let style = if obligation.overdue { Style::Red } else { Style::Plain };
            table.row([
                plain(obligation.source.seq),
                plain(obligation.kind.as_str()),
                (obligation.debtor.to_string(), Style::Cyan),
                plain(&obligation.creditor),
                (obligation.due_at.map_or_else(|| "whenever".into(), due), style),
                plain(names(&obligation.inherited_from)),
            ]);
        }
        if table.is_empty() { "nothing is owed".into() } else { table.text() }
    })
}
