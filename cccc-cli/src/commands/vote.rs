//! `cccc vote ...`

use std::time::Duration;

use cccc_core::event::Choice;
use cccc_core::{VoteStanding, VoteView};
use clap::{Args, Subcommand, ValueEnum};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::duration;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::due;
use crate::table::{Table, plain};

/// Ask the group and decide: of two voters both must agree, of more the majority
///
/// The voters are settled when the vote is opened. It is decided as soon as enough said yes, or enough can
/// no longer say it; what is undecided in the end decides nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice vote open 'Merge the parser now?' --for 30m
  cccc --as bob vote cast v57 yes
  cccc --as alice vote open 'release bob'       when accepted, bob is removed from the group
  cccc vote show v57")]
pub(crate) struct VoteArgs {
    #[command(subcommand)]
    command: VoteCommand,
}

#[derive(Debug, Subcommand)]
enum VoteCommand {
    /// Put a question to a vote; `release ID [to SUCCESSOR]` is the question whether to remove a peer
    #[command(after_help = "Examples:
  cccc --as alice vote open 'Tabs?' --voter alice --voter bob --for 10m")]
    Open {
        /// The question
        question: String,
        /// A voter; repeatable [default: every actor; of a release all but the one concerned]
        #[arg(long = "voter", value_name = "ID")]
        voters: Vec<String>,
        /// For how long it is open, at most 30d
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "1h")]
        within: Duration,
    },
    /// Vote; a voice stands once it is given
    #[command(after_help = "Examples:
  cccc --as bob vote cast v57 no --reason 'the tests fail'")]
    Cast {
        /// The vote's id
        #[arg(value_name = "VOTE")]
        vote: String,
        /// How
        choice: ChoiceArg,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Show a vote, open or decided
    #[command(after_help = "Examples:\n  cccc vote show v57 --json")]
    Show {
        /// The vote's id
        #[arg(value_name = "VOTE")]
        vote: String,
    },
    /// List the votes that are not closed
    #[command(after_help = "Examples:\n  cccc vote list\n  cccc vote list --all")]
    List {
        /// Also the last hundred that were closed
        #[arg(long)]
        all: bool,
    },
    /// Call a vote off, or say that its time is over
    #[command(after_help = "Examples:\n  cccc --as alice vote close v57 --reason 'settled otherwise'")]
    Close {
        /// The vote's id
        #[arg(value_name = "VOTE")]
        vote: String,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChoiceArg {
    Yes,
    No,
    Abstain,
}

impl From<ChoiceArg> for Choice {
    fn from(choice: ChoiceArg) -> Self {
        match choice {
            ChoiceArg::Yes => Self::Yes,
            ChoiceArg::No => Self::No,
            ChoiceArg::Abstain => Self::Abstain,
        }
    }
}

pub(crate) async fn cmd_vote(context: &Context, args: VoteArgs) -> Outcome {
    match args.command {
        VoteCommand::Open { question, voters, within } => {
            let group = context.group().await?;
            let request = group.open_vote(question).within(within);
            let vote = voters.iter().fold(request, |request, voter| request.voter(voter)).await?;
            answer(context, &vote)
        }
        VoteCommand::Cast { vote, choice, reason } => {
            let vote = context.group().await?.cast_vote(vote.as_str(), choice.into(), reason).await?;
            answer(context, &vote)
        }
        VoteCommand::Show { vote } => {
            let vote = context.group_to_look().await?.vote(vote.as_str()).await?;
            answer(context, &vote)
        }
        VoteCommand::List { all } => {
            let group = context.group_to_look().await?;
            let votes = if all { group.all_votes().await? } else { group.votes().await? };
            context.out.answers(&votes, || list(context, &votes))
        }
        VoteCommand::Close { vote, reason } => {
            let done = context.group().await?.close_vote(vote.as_str(), reason).await?;
            answer_done(context, &done, "closed")
        }
    }
}

fn tally(vote: &VoteView) -> String {
    format!(
        "{} of {} needed, {} against, {} silent",
        vote.count(Choice::Yes),
        vote.threshold,
        vote.count(Choice::No) + vote.count(Choice::Abstain),
        vote.voices.iter().filter(|voice| voice.choice.is_none()).count()
    )
}

fn standing(vote: &VoteView) -> String {
    match vote.standing {
        VoteStanding::Open => format!("open, ends {}", due(vote.ends_at)),
        standing if vote.reason.is_empty() => standing.as_str().to_owned(),
        standing => format!("{}: {}", standing.as_str(), clean(&vote.reason)),
    }
}

fn answer(context: &Context, vote: &VoteView) -> Outcome {
    context.out.answer(vote, || {
        let voices = vote.voices.iter().map(|voice| {
            let said = voice.choice.map_or("-", Choice::as_str);
            format!("    {:<12} {said}", voice.voter)
        });
        let head = context.out.style(Style::Bold, format!("{}  {}", vote.vote_id, clean(&vote.subject)));
        let lines = [head, format!("{}, asked by {}", standing(vote), vote.opener), tally(vote)];
        lines.into_iter().chain(voices).collect::<Vec<_>>().join("\n")
    })
}

fn list(context: &Context, votes: &[VoteView]) -> String {
    let mut table = Table::new(&context.out, &["ID", "ASKED BY", "STANDS", "YES", "QUESTION"]);
    for vote in votes {
        table.row([
            plain(vote.vote_id),
            (vote.opener.to_string(), Style::Cyan),
            plain(standing(vote)),
            plain(format!("{}/{}", vote.count(Choice::Yes), vote.threshold)),
            plain(first_line(&vote.subject, 60)),
        ]);
    }
    if table.is_empty() { "no vote is open".into() } else { table.text() }
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("vote open", one(schema_for!(VoteView))),
        ("vote cast", one(schema_for!(VoteView))),
        ("vote show", one(schema_for!(VoteView))),
        ("vote list", lines(schema_for!(VoteView))),
        ("vote close", done()),
    ]
}
