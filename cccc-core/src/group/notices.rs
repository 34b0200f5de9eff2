//! Notices: what a principal is told besides messages, each of it once.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::Group;
use crate::command::Command;
use crate::error::Result;
use crate::id::Seq;
use crate::rule::delivery;
use crate::rule::notice::{self, NoticeView};

/// A look at notices; awaiting it looks. Made by [`Group::notices`].
#[derive(Debug)]
#[must_use = "nothing is looked at until this is awaited"]
pub struct NoticesRequest<'a> {
    group: &'a Group,
    peek: bool,
}

/// Notices that were [taken](NoticesRequest::take), and have to be settled when they have been shown. Dropped, they
/// are shown again.
#[derive(Debug)]
#[must_use = "what is taken and not settled is shown again"]
pub struct TakenNotices {
    group: Group,
    notices: Vec<NoticeView>,
    peek: bool,
}

impl Group {
    /// The notices for this principal that were not shown before, oldest first, at most 20.
    /// [`inbox`](Self::inbox) shows them too.
    ///
    /// Awaited, it records that they were shown, which is right where the caller is the principal itself. A caller
    /// that has to pass them on [takes](NoticesRequest::take) them instead, and settles when they have arrived.
    ///
    /// # Errors
    /// `Unavailable` while the group is paused: nothing is shown then that would have to be shown again.
    pub fn notices(&self) -> NoticesRequest<'_> {
        NoticesRequest { group: self, peek: false }
    }
}

impl NoticesRequest<'_> {
    /// Looks without recording anything, even in a paused group.
    pub fn peek(self) -> Self {
        Self { peek: true, ..self }
    }

    /// Takes them without saying yet that they were shown.
    ///
    /// # Errors
    /// As for [`Group::notices`].
    pub async fn take(self) -> Result<TakenNotices> {
        let Self { group, peek } = self;
        let engine = &group.shared.engine;
        if !peek {
            let is_person = group.by.is_person();
            engine.query(|state| delivery::open_group(state, !is_person)).await??;
        }
        let unseen = engine.query(|state| notice::unseen(state, &group.by)).await?;
        Ok(TakenNotices { group: group.clone(), notices: at(group, unseen).await?, peek })
    }

    async fn run(self) -> Result<Vec<NoticeView>> {
        let taken = self.take().await?;
        let notices = taken.notices.clone();
        taken.settle().await?;
        Ok(notices)
    }
}

impl TakenNotices {
    /// The notices.
    #[must_use]
    pub fn notices(&self) -> &[NoticeView] {
        &self.notices
    }

    /// Only the first so many: those that follow are left for another time.
    pub fn first(mut self, many: usize) -> Self {
        self.notices.truncate(many);
        self
    }

    /// Says that they were shown, unless they were only [peeked](NoticesRequest::peek) at.
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn settle(self) -> Result<()> {
        if let Some(newest) = self.notices.last().filter(|_| !self.peek) {
            self.group.execute(Command::SeeNotices { through: newest.seq }).await?;
        }
        Ok(())
    }
}

/// The notices at these places.
pub(super) async fn at(group: &Group, seqs: Vec<Seq>) -> Result<Vec<NoticeView>> {
    let events = group.shared.engine.events_at(seqs).await?;
    Ok(events.values().filter_map(notice::view).collect())
}

impl<'a> IntoFuture for NoticesRequest<'a> {
    type Output = Result<Vec<NoticeView>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Vec<NoticeView>>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
