//! `cccc tail`

use std::collections::VecDeque;

use cccc_core::{Event, Group, Position, Result};
use clap::Args;

use crate::context::Context;
use crate::output::{Outcome, Style};
use crate::render::{event_line, event_text};

/// Show the latest events, and with -f what comes
///
/// With --json each event is printed as it is stored, one a line; in the place of one that is damaged stands a ledger.gap
/// that names the file of the ledger, or after a repair one under `torn`. Following ends with an error if the ledger is cut by
/// a repair or replaced by an older copy meanwhile. If a repair finds an event lost that was shown before, that is said,
/// whatever kinds are wanted; with --json by the ledger.gap that has its number now. It ends at once if the group is
/// deleted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc tail -n 5
  cccc tail -f --kind chat               follow all messages and what is said of them
  cccc tail -f --json | jq -r .kind")]
pub(crate) struct TailArgs {
    /// How many of the latest events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
    lines: usize,
    /// Go on with what comes
    #[arg(short = 'f', long)]
    follow: bool,
    /// Only events of this kind, or of any kind below it (`chat` for all of `chat.*`). Repeatable
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
}

/// Events read at once while looking back.
const PAGE: usize = 1000;

pub(crate) async fn cmd_tail(context: &Context, args: TailArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let position = group.position().await?;
    let shown = latest(&group, position, &args).await?;
    for (event, line) in &shown {
        print(context, event, line)?;
    }
    if !args.follow {
        return Ok(());
    }
    context.out.flush()?;
    let from = shown.front().map_or(position.seq.next(), |(event, _)| event.seq);
    let mut watch = group.watch(position).told_from(from);
    loop {
        let last = watch.position().seq;
        let (event, line) = watch.next_with_line().await?;
        match event.seq > last {
            true if event.is_of_kind(&args.kinds) => print(context, &event, &line)?,
            true => continue,
            false => print_lost(context, &event, &line)?,
        }
        // A follower shows an event when it happens, not when a buffer is full.
        context.out.flush()?;
    }
}

/// The latest wanted events up to a position, oldest first.
async fn latest(group: &Group, up_to: Position, args: &TailArgs) -> Result<VecDeque<(Event, String)>> {
    let mut before = Some(up_to.seq.next());
    let mut latest = VecDeque::new();
    while let Some(seq) = before
        && latest.len() < args.lines
    {
        let request = group.history().before(seq).limit((args.lines - latest.len()).min(PAGE));
        let page = args.kinds.iter().fold(request, |request, kind| request.kind(kind)).await?;
        for entry in page.events.into_iter().zip(page.lines).rev() {
            latest.push_front(entry);
        }
        before = page.next;
    }
    Ok(latest)
}

fn print(context: &Context, event: &Event, line: &str) -> Outcome {
    if context.out.is_json() {
        context.out.line(line)
    } else {
        context.out.line(event_line(&context.out, event))
    }
}

/// Says that an event is lost which was shown before, or passed over.
fn print_lost(context: &Context, gap: &Event, line: &str) -> Outcome {
    if context.out.is_json() {
        return context.out.line(line);
    }
    let lost = context.out.style(Style::Red, "lost");
    context.out.line(format!("event {} has been {lost}: {}", gap.seq, event_text(&context.out, gap)))
}
