//! `cccc notices`

use cccc_core::NoticeView;
use clap::Args;
use schemars::schema_for;

use super::schema::{Answers, lines};
use crate::context::Context;
use crate::output::{Outcome, Output, Style, clean};
use crate::render::ago;

/// Show what you were told besides messages: tasks given to you, votes, what is overdue
///
/// Each is shown once, here or by `cccc inbox`. A notice is no message: it is never unread, and nothing is owed
/// by it. The newest 20 wait; all are in `cccc tail --kind system.notify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice notices
  cccc --as alice notices --peek --json")]
pub(crate) struct NoticesArgs {
    /// Look without having seen them
    #[arg(long)]
    peek: bool,
}

pub(crate) async fn cmd_notices(context: &Context, args: NoticesArgs) -> Outcome {
    let group = context.group().await?;
    let request = if args.peek { group.notices().peek() } else { group.notices() };
    let taken = request.take().await?;
    let printed = context.out.answers(taken.notices(), || match taken.notices() {
        [] => format!("no notices for {}", group.by()),
        notices => text(&context.out, notices),
    });
    // Seen is what was printed.
    printed
        .and_then(|()| context.out.flush())
        .map_err(|failure| failure.of_what_is_shown_once("the notices are kept: look again"))?;
    Ok(taken.settle().await?)
}

/// Notices, one a line.
pub(crate) fn text(out: &Output, notices: &[NoticeView]) -> String {
    let line = |notice: &NoticeView| {
        let head = out.style(Style::Dim, format!("{}  {}", notice.seq, ago(notice.ts)));
        format!("{head}  {}", clean(&notice.words))
    };
    notices.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("notices", lines(schema_for!(NoticeView)))]
}
