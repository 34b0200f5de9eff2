//! Questions with options, and their answers.

use super::{Group, IntoEventRef, SendRequest};
use crate::command::Command;
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::rule::question::{self, QuestionView};

impl Group {
    /// Answers a question with one of its options, by the option's text or its number:
    /// `group.answer(&question, "yes").await?`. The first valid answer counts for everybody who was asked.
    ///
    /// # Errors
    /// `Invalid` for what is no option, and for a message that has none; `Refused` for who was not asked, and after
    /// the deadline; `Conflict`, with who chose what and when, once it is answered. The same answer of the same one
    /// again is the first one.
    pub fn answer(&self, question: impl IntoEventRef, choice: impl Into<String>) -> SendRequest<'_> {
        self.reply(question, "").choosing(choice)
    }

    /// The questions with options to which somebody owes an answer, oldest first.
    ///
    /// # Errors
    /// As for any look at the ledger.
    pub async fn questions(&self) -> Result<Vec<QuestionView>> {
        let seqs: Vec<_> =
            self.shared.engine.query(|state| state.questions().keys().copied().collect()).await?;
        let mut questions = Vec::with_capacity(seqs.len());
        for seq in seqs {
            questions.push(self.question(seq).await?);
        }
        Ok(questions)
    }

    /// A question with options, open or not, with its answer.
    ///
    /// # Errors
    /// `NotFound` if there is no such event, `Invalid` if it is no message with options.
    pub async fn question(&self, question: impl IntoEventRef) -> Result<QuestionView> {
        let reference = question.into_event_ref()?;
        let engine = &self.shared.engine;
        let asked = engine.event_at(reference.seq()).await?.filter(|event| {
            // What is lost says so itself.
            reference.matches(event.id) || event.lost().is_some()
        });
        let Some(asked) = asked else {
            return Err(Error::not_found(format!("there is no event {reference} in this group"))
                .hint("`cccc question list` shows the questions"));
        };
        let now = engine.clock().now();
        engine.query_facts(asked.seq, |state, facts| question::show(state, &asked, facts, now)).await?
    }

    /// Says that the time of a question is over. Whoever looks after the group does so by itself; to call a question
    /// off before, [`cancel`](Self::cancel) it.
    ///
    /// # Errors
    /// `Refused` while it is open, `Conflict` if it ended otherwise.
    pub async fn close_question(&self, question: impl IntoEventRef) -> Result<Executed> {
        self.execute(Command::CloseQuestion { question: question.into_event_ref()? }).await
    }
}
