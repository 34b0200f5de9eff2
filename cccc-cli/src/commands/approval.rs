//! `cccc approval ...`

use std::time::Duration;

use cccc_core::{ApprovalStanding, ApprovalView};
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::{due, indented, names};
use crate::table::{Table, plain};
use crate::{duration, input};

/// Ask whether you may do something, and decide on what others ask
///
/// Actors ask. The user decides, and the foreman too where the user has set `approval.foreman` to true, though never on
/// its own request. The first verdict counts; what is undecided in the end allows nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice approval open 'Run the migration' --tool Bash --input 'make migrate' --for 5m
  cccc approval list
  cccc approval allow a57
  cccc approval deny a57 --reason 'not on a Friday'
  cccc group update --set approval.foreman=true")]
pub(crate) struct ApprovalArgs {
    #[command(subcommand)]
    command: ApprovalCommand,
}

#[derive(Debug, Subcommand)]
enum ApprovalCommand {
    /// Ask whether you may do something
    #[command(after_help = "Examples:
  cccc --as alice approval open 'Delete the old branch' --for 1h")]
    Open {
        /// What you want to do, for whoever decides
        subject: String,
        /// The tool that you would use
        #[arg(long, value_name = "NAME")]
        tool: Option<String>,
        /// What you would give it, at most 16 KiB; `-` reads standard input
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        input: Option<String>,
        /// For how long it is open, at most 1d
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "10m")]
        within: Duration,
        /// A key of your own, such as the id of the call: asked again under it, it is one request
        #[arg(long, value_name = "KEY")]
        client_id: Option<String>,
    },
    /// Say that the actor may
    #[command(after_help = "Examples:\n  cccc approval allow a57")]
    Allow(VerdictArgs),
    /// Say that it may not
    #[command(after_help = "Examples:\n  cccc approval deny a57 --reason 'not on a Friday'")]
    Deny(VerdictArgs),
    /// Show a request, decided or not
    #[command(after_help = "Examples:\n  cccc approval show a57 --json")]
    Show {
        /// The request's id
        #[arg(value_name = "APPROVAL")]
        approval: String,
    },
    /// List the requests that are not decided
    #[command(after_help = "Examples:\n  cccc approval list\n  cccc approval list --all")]
    List {
        /// Also the last hundred that were decided
        #[arg(long)]
        all: bool,
    },
    /// Withdraw your request, or say that its time is over
    #[command(after_help = "Examples:\n  cccc --as alice approval close a57 --reason 'done otherwise'")]
    Close(VerdictArgs),
}

/// A request, and a word about it.
#[derive(Args, Debug)]
struct VerdictArgs {
    /// The request's id
    #[arg(value_name = "APPROVAL")]
    approval: String,
    /// Why, for people and for the actor
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn cmd_approval(context: &Context, args: ApprovalArgs) -> Outcome {
    match args.command {
        ApprovalCommand::Open { subject, tool, input, within, client_id } => {
            let group = context.group().await?;
            let mut request = group.request_approval(subject).within(within);
            if let Some(tool) = tool {
                request = request.tool(tool);
            }
            if let Some(given) = input {
                request = request.input(input::text(given)?);
            }
            if let Some(key) = client_id {
                request = request.client_id(key);
            }
            answer(context, &request.await?)
        }
        ApprovalCommand::Allow(args) => decide(context, args, true).await,
        ApprovalCommand::Deny(args) => decide(context, args, false).await,
        ApprovalCommand::Show { approval } => {
            let approval = context.group_to_look().await?.approval(approval.as_str()).await?;
            answer(context, &approval)
        }
        ApprovalCommand::List { all } => {
            let group = context.group_to_look().await?;
            let approvals = if all { group.all_approvals().await? } else { group.approvals().await? };
            context.out.answers(&approvals, || list(context, &approvals))
        }
        ApprovalCommand::Close(VerdictArgs { approval, reason }) => {
            let done = context.group().await?.close_approval(approval.as_str(), reason).await?;
            answer_done(context, &done, "closed")
        }
    }
}

async fn decide(context: &Context, args: VerdictArgs, allow: bool) -> Outcome {
    let group = context.group().await?;
    let approval = group.decide_approval(args.approval.as_str(), allow, args.reason).await?;
    answer(context, &approval)
}

fn standing(approval: &ApprovalView) -> String {
    match (approval.standing, &approval.decided_by) {
        (ApprovalStanding::Open, _) => format!("open, ends {}", due(approval.ends_at)),
        (standing, Some(by)) => format!("{} by {by}", standing.as_str()),
        (standing, None) => standing.as_str().to_owned(),
    }
}

fn answer(context: &Context, approval: &ApprovalView) -> Outcome {
    context.out.answer(approval, || {
        let head = format!("{}  {}", approval.approval_id, clean(&approval.subject));
        let mut lines = vec![context.out.style(Style::Bold, head)];
        let deciders = names(&approval.deciders);
        lines.push(format!(
            "{}, asked by {}, for {deciders} to decide",
            standing(approval),
            approval.requester
        ));
        lines.extend(approval.tool.as_ref().map(|tool| format!("tool: {}", clean(tool))));
        lines.extend(approval.input.as_deref().map(indented));
        if !approval.reason.is_empty() {
            lines.push(format!("because: {}", clean(&approval.reason)));
        }
        lines.join("\n")
    })
}

fn list(context: &Context, approvals: &[ApprovalView]) -> String {
    let mut table = Table::new(&context.out, &["ID", "ASKED BY", "STANDS", "TOOL", "WHAT"]);
    for approval in approvals {
        table.row([
            plain(approval.approval_id),
            (approval.requester.to_string(), Style::Cyan),
            plain(standing(approval)),
            plain(approval.tool.as_deref().map(clean).unwrap_or_default()),
            plain(first_line(&approval.subject, 60)),
        ]);
    }
    if table.is_empty() { "nothing is asked for".into() } else { table.text() }
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("approval open", one(schema_for!(ApprovalView))),
        ("approval allow", one(schema_for!(ApprovalView))),
        ("approval deny", one(schema_for!(ApprovalView))),
        ("approval show", one(schema_for!(ApprovalView))),
        ("approval list", lines(schema_for!(ApprovalView))),
        ("approval close", done()),
    ]
}
