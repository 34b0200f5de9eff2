//! `cccc person ...`

use cccc_core::PersonView;
use clap::{Args, Subcommand};

use super::answer_done;
use crate::context::Context;
use crate::output::{Outcome, Output, Style, clean};
use crate::table::{Table, plain};

/// Add, list or remove people beside the user
///
/// A person is addressed as user:NAME, and speaks with `--as user:NAME`; @users addresses the user and all of them. They
/// send, read, answer, decide what they are asked to decide, and do tasks. Running the group stays the user's, and the
/// foreman's.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc person add bea --title 'Bea, product'
  cccc send 'Which colour?' --to user:bea
  cccc --as user:bea inbox
  cccc group update --set approval.people=true    they decide on approvals as well
  cccc person remove bea --successor user")]
pub(crate) struct PersonArgs {
    #[command(subcommand)]
    command: PersonCommand,
}

#[derive(Debug, Subcommand)]
enum PersonCommand {
    /// Add a person; one who is here already is given the title
    #[command(after_help = "Examples:\n  cccc person add bea --title 'Bea, product'")]
    Add {
        /// Their name: lower-case letters, digits, `.`, `_`, `-`
        id: String,
        /// What others call them
        #[arg(long, value_name = "T")]
        title: Option<String>,
    },
    /// List the people
    #[command(after_help = "Examples:\n  cccc person list --json")]
    List,
    /// Remove a person
    ///
    /// What they owe returns to those it is owed to, and what they have not read bounces, which its senders are told;
    /// or both move to a successor, with their tasks and reservations. What is owed to them is over. Whoever is added
    /// under the same name later is somebody else.
    #[command(after_help = "Examples:\n  cccc person remove bea --successor user --reason 'moved on'")]
    Remove {
        /// Their name
        id: String,
        /// Who takes over what they owe, have not read, do and have reserved: user, user:NAME or an actor
        #[arg(long, value_name = "ID")]
        successor: Option<String>,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

pub(crate) async fn cmd_person(context: &Context, args: PersonArgs) -> Outcome {
    match args.command {
        PersonCommand::Add { id, title } => {
            let group = context.group().await?;
            let mut request = group.add_person(&id);
            if let Some(title) = title {
                request = request.title(title);
            }
            let person = request.await?;
            context.out.answer(&person, || format!("{} is in the group", person.principal))
        }
        PersonCommand::List => {
            let people = context.group_to_look().await?.people().await?;
            context.out.answers(&people, || {
                let table = people_table(&context.out, &people);
                if table.is_empty() {
                    "nobody beside the user; see `cccc person add --help`".into()
                } else {
                    table.text()
                }
            })
        }
        PersonCommand::Remove { id, successor, reason } => {
            let group = context.group().await?;
            let mut request = group.remove_person(&id).reason(reason);
            if let Some(successor) = successor {
                request = request.successor(successor);
            }
            answer_done(context, &request.await?, "removed")
        }
    }
}

/// People, for people.
pub(crate) fn people_table<'a>(out: &'a Output, people: &[PersonView]) -> Table<'a> {
    let mut table = Table::new(out, &["PERSON", "UNREAD", "OWES", "TITLE"]);
    for person in people {
        let count = |n: u64| if n == 0 { plain(n) } else { (n.to_string(), Style::Yellow) };
        table.row([
            (person.principal.to_string(), Style::Bold),
            count(person.unread),
            count(person.owed),
            plain(clean(&person.title)),
        ]);
    }
    table
}
