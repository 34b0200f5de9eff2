//! `cccc answer`, `cccc question ...`

use cccc_core::{QuestionStanding, QuestionView};
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use super::send::answer_sent;
use crate::context::Context;
use crate::input;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::{due, indented, names};
use crate::table::{Table, plain};

/// Answer a question with one of its options
///
/// The first valid answer counts for everybody who was asked, and meets what they owe. Another one is refused, and
/// says who chose what and when.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc answer 5 yes
  cccc --as alice answer 5 2 \"The other one breaks the tests\"")]
pub(crate) struct AnswerArgs {
    /// The question: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
    /// An option, by its text or its number
    choice: String,
    /// What there is to say about it; `-` reads standard input [default: the option]
    #[arg(allow_hyphen_values = true)]
    text: Option<String>,
    /// A key of your own that makes a retry safe
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
}

/// Look at questions with options, which `cccc send --option` asks
///
/// A question with a deadline (--reply-within) ends unanswered when that is over: nobody owes an answer then, and all
/// whom it concerns are told.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc send \"Deploy now?\" --to user --option yes --option no --reply-within 10m
  cccc question list
  cccc question show 5")]
pub(crate) struct QuestionArgs {
    #[command(subcommand)]
    command: QuestionCommand,
}

#[derive(Debug, Subcommand)]
enum QuestionCommand {
    /// List the questions to which an answer is owed
    #[command(after_help = "Examples:\n  cccc question list --json")]
    List,
    /// Show a question and its answer
    #[command(after_help = "Examples:\n  cccc question show 5")]
    Show {
        /// The question
        #[arg(value_name = "EVENT")]
        event: String,
    },
    /// Say that the time of a question is over; `cccc cancel` calls one off before
    #[command(after_help = "Examples:\n  cccc question close 5")]
    Close {
        /// The question
        #[arg(value_name = "EVENT")]
        event: String,
    },
}

pub(crate) async fn cmd_answer(context: &Context, args: AnswerArgs) -> Outcome {
    let group = context.group().await?;
    let text = args.text.map(input::text).transpose()?.unwrap_or_default();
    let mut request = group.reply(args.event.as_str(), text).choosing(args.choice);
    if let Some(key) = args.client_id {
        request = request.client_id(key);
    }
    answer_sent(context, &request.await?)
}

pub(crate) async fn cmd_question(context: &Context, args: QuestionArgs) -> Outcome {
    match args.command {
        QuestionCommand::List => {
            let questions = context.group_to_look().await?.questions().await?;
            context.out.answers(&questions, || list(context, &questions))
        }
        QuestionCommand::Show { event } => {
            let question = context.group_to_look().await?.question(event.as_str()).await?;
            context.out.answer(&question, || text(context, &question))
        }
        QuestionCommand::Close { event } => {
            let done = context.group().await?.close_question(event.as_str()).await?;
            answer_done(context, &done, "closed")
        }
    }
}

fn standing(question: &QuestionView) -> String {
    match (question.standing, &question.answer, question.ends_at) {
        (_, Some(answer), _) => format!("{} by {} at {}", clean(&answer.choice), answer.by, answer.at),
        (QuestionStanding::Open, _, Some(end)) => format!("open, ends {}", due(end)),
        (standing, ..) if question.reason.is_empty() => standing.as_str().to_owned(),
        (standing, ..) => format!("{}: {}", standing.as_str(), clean(&question.reason)),
    }
}

fn text(context: &Context, question: &QuestionView) -> String {
    let chosen = question.answer.as_ref().map(|answer| answer.choice.as_str());
    let options = question.options.iter().zip(1..).map(|(option, n)| {
        let mark = if chosen == Some(option) { " <-" } else { "" };
        format!("    {n} {}{mark}", clean(option))
    });
    let waiting = match question.waiting.as_slice() {
        [] => String::new(),
        waiting => format!(", waits for {}", names(waiting)),
    };
    let head = context.out.style(Style::Bold, format!("{}  asked by {}", question.seq, question.asker));
    let lines = [head, indented(&question.text), format!("{}{waiting}", standing(question))];
    lines.into_iter().chain(options).collect::<Vec<_>>().join("\n")
}

fn list(context: &Context, questions: &[QuestionView]) -> String {
    let mut table = Table::new(&context.out, &["EVENT", "ASKED BY", "OF", "STANDS", "OPTIONS", "QUESTION"]);
    for question in questions {
        table.row([
            plain(question.seq),
            (question.asker.to_string(), Style::Cyan),
            (names(&question.waiting), Style::Cyan),
            plain(standing(question)),
            plain(first_line(&question.options.join(" | "), 40)),
            plain(first_line(&question.text, 50)),
        ]);
    }
    if table.is_empty() { "no question is open".into() } else { table.text() }
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("answer", one(schema_for!(cccc_core::Sent))),
        ("question list", lines(schema_for!(QuestionView))),
        ("question show", one(schema_for!(QuestionView))),
        ("question close", done()),
    ]
}
