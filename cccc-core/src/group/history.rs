//! Looking back, and following.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{Group, damaged, lost};
use crate::blocking::aside;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Body, Event};
use crate::id::{Principal, Seq};
use crate::ledger::{Ledger, Lookup, Page, Position, ReadLimit, is_beyond_the_head, still_has};
use crate::opener::Opener;

/// Events in one page unless another number is asked for.
const DEFAULT_LIMIT: usize = 50;

/// The most events in one page.
const MAX_LIMIT: usize = 10_000;

/// Bytes of lines in one page at most.
const PAGE_BYTES: usize = 4 << 20;

/// What is asked for beyond so many events, or of some kinds only, may have to read much.
const SHORT_LIMIT: usize = 200;

/// A page of history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct History {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The same events as they are stored, without newlines.
    pub lines: Vec<String>,
    /// Where to go on in the same direction; `None` at the end.
    pub next: Option<Seq>,
}

/// A look at the history; awaiting it looks. Made by [`Group::history`].
#[derive(Debug)]
#[must_use = "nothing is read until this is awaited"]
pub struct HistoryRequest<'a> {
    group: &'a Group,
    search: Search,
}

/// What is looked for.
#[derive(Debug)]
struct Search {
    from: Option<Seq>,
    before: Option<Seq>,
    limit: usize,
    kinds: Vec<String>,
    involving: Option<Principal>,
}

impl Group {
    /// The latest events; or a page from anywhere. For each event that is damaged a `ledger.gap` stands, which
    /// says where its bytes lie.
    pub fn history(&self) -> HistoryRequest<'_> {
        let search =
            Search { from: None, before: None, limit: DEFAULT_LIMIT, kinds: Vec::new(), involving: None };
        HistoryRequest { group: self, search }
    }

    /// Every event after `position`, in order, without a gap, and then what comes: a stream that does not
    /// end. If the ledger has another history at that position, or gets one later because it is cut by a repair or
    /// replaced by a copy, it says so by an error of kind `Diverged` from then on. While the ledger's files are away, as
    /// a copy takes their place, it waits for them: until for 5 s nothing has come, then it says so; at once, if the
    /// group was deleted.
    ///
    /// An event that it has told of may turn out to be damaged, and be lost to a repair. Then it tells of the
    /// `ledger.gap` that stands there now: only such a one comes out of its order.
    #[must_use]
    pub fn watch(&self, position: Position) -> Watch {
        Watch::new(self.ledger().clone(), position)
    }

    /// Whether the ledger still has the history that `position` was taken from: what tells a rewritten
    /// ledger is a position that was kept elsewhere.
    ///
    /// # Errors
    /// `Diverged`, if it has another history there, or ends before.
    pub async fn check_position(&self, position: Position) -> Result<()> {
        check_history(self.ledger(), position).await
    }
}

impl Group {
    /// Calls `note` with every durable event from one on.
    ///
    /// # Errors
    /// `Corrupt` at the first event that is damaged; `Unsupported` at one of a newer version that may not be passed
    /// over.
    pub(super) async fn each_event(&self, from: Seq, mut note: impl FnMut(&Event) + Send) -> Result<()> {
        let mut next = from;
        loop {
            let page = self.ledger().read(next, ReadLimit::CHUNK).await?;
            if page.is_empty() {
                return Ok(());
            }
            for event in page.events() {
                let event = event?;
                note(&event);
                next = event.seq.next();
            }
        }
    }
}

impl<'a> HistoryRequest<'a> {
    /// Events from this one on, instead of the latest.
    pub fn from(mut self, seq: Seq) -> Self {
        self.search.from = Some(seq);
        self
    }

    /// The latest events before this one.
    pub fn before(mut self, seq: Seq) -> Self {
        self.search.before = Some(seq);
        self
    }

    /// At most so many events, up to 10,000 (or 4 MiB of lines). Default: 50.
    pub fn limit(mut self, limit: usize) -> Self {
        self.search.limit = limit.clamp(1, MAX_LIMIT);
        self
    }

    /// Only events of this kind, or of any kind below it (`chat` for all of `chat.*`). May be repeated.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.search.kinds.push(kind.into());
        self
    }

    /// Only events that this principal wrote or that speak to or of it; looking backwards only.
    pub fn involving(mut self, principal: Principal) -> Self {
        self.search.involving = Some(principal);
        self
    }

    async fn run(self) -> Result<History> {
        let Self { group, search } = self;
        if search.kinds.is_empty() && search.limit <= SHORT_LIMIT {
            return search.run(group).await;
        }
        let group = group.clone();
        aside("looking back", async move { search.run(&group).await }).await
    }
}

impl Search {
    async fn run(self, group: &Group) -> Result<History> {
        match (self.from, self.involving.clone()) {
            (Some(from), None) => self.forwards(group, from).await,
            (None, None) => self.backwards(group).await,
            (None, Some(principal)) => self.involved(group, principal).await,
            (Some(_), Some(_)) => Err(Error::invalid("`from` and `involving` do not go together")
                .hint("use `before` with `involving`")),
        }
    }

    /// Adds the wanted events of a page; returns the last seq looked at.
    fn take(&self, page: &Page, into: &mut Taken) -> Result<Option<Seq>> {
        let mut last = None;
        for (event, line) in page.events().zip(page.lines()) {
            let event = event?;
            last = Some(event.seq);
            if event.is_of_kind(&self.kinds) {
                let text = String::from_utf8_lossy(line.bytes()).trim_end().to_owned();
                into.push((event, text));
            }
        }
        Ok(last)
    }

    async fn forwards(self, group: &Group, from: Seq) -> Result<History> {
        let (mut taken, mut at) = (Vec::new(), Seq(from.0.max(1)));
        while taken.len() < self.limit {
            let limit = ReadLimit { events: self.limit - taken.len(), bytes: PAGE_BYTES };
            let page = damaged::read(group, at, limit).await?;
            match self.take(&page, &mut taken)? {
                Some(last) => at = last.next(),
                None => return Ok(History::new(taken, None)),
            }
        }
        Ok(History::new(taken, Some(at)))
    }

    async fn backwards(self, group: &Group) -> Result<History> {
        let head = group.position().await?.seq;
        // The event before which to look, so that seq 0 is never read.
        let mut before = self.before.map_or(head.next(), |seq| seq.min(head.next()));
        let mut taken: VecDeque<(Event, String)> = VecDeque::new();
        while taken.len() < self.limit && before > Seq(1) {
            let step = u64::try_from(self.limit.max(DEFAULT_LIMIT)).unwrap_or(u64::MAX);
            let from = Seq(before.0.saturating_sub(step).max(1));
            let (mut chunk, mut at) = (Vec::new(), from);
            while at < before {
                let events = usize::try_from(before.0 - at.0).unwrap_or(usize::MAX);
                let limit = ReadLimit { events, bytes: PAGE_BYTES };
                let page = damaged::read(group, at, limit).await?;
                let Some(last) = self.take(&page, &mut chunk)? else { break };
                at = last.next();
            }
            for event in chunk.into_iter().rev() {
                if taken.len() < self.limit {
                    before = event.0.seq;
                    taken.push_front(event);
                }
            }
            if taken.len() < self.limit {
                before = from;
            }
        }
        Ok(History::new(taken.into(), (before > Seq(1)).then_some(before)))
    }

    async fn involved(self, group: &Group, principal: Principal) -> Result<History> {
        let mut before = self.before.unwrap_or(Seq(u64::MAX));
        let mut taken = Vec::new();
        loop {
            let lookup = Lookup::Involving { principal: principal.clone(), before, limit: self.limit };
            let seqs = group.shared.engine.find(&lookup).await?;
            let more = seqs.len() == self.limit;
            for seq in seqs {
                before = seq;
                self.take(&damaged::read(group, seq, ReadLimit::ONE).await?, &mut taken)?;
                if taken.len() == self.limit {
                    break;
                }
            }
            if !more || taken.len() == self.limit {
                taken.reverse();
                return Ok(History::new(taken, more.then_some(before)));
            }
        }
    }
}

/// Events with their lines.
type Taken = Vec<(Event, String)>;

impl History {
    fn new(taken: Taken, next: Option<Seq>) -> Self {
        let (events, lines) = taken.into_iter().unzip();
        Self { events, lines, next }
    }
}

impl<'a> IntoFuture for HistoryRequest<'a> {
    type Output = Result<History>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<History>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

type Fetch = Pin<Box<dyn Future<Output = Result<Fetched>> + Send>>;

/// What there is to tell, and how often the ledger had been replaced by then.
struct Fetched {
    ready: VecDeque<(Event, String)>,
    /// Events that were lost before it began.
    gaps: Vec<Seq>,
    replacements: u64,
}

/// What whoever follows knows.
#[derive(Clone, Copy)]
struct Known {
    /// The first event that it was told of, or will be.
    from: Seq,
    /// The last one.
    position: Position,
    /// Whether the ledger has that.
    is_checked: bool,
    /// How often the ledger had been replaced when it was looked for what is lost.
    replacements: u64,
}

/// Every event after a position, and then what comes. Made by [`Group::watch`].
///
/// Use it as a [`Stream`], or call [`next`](Self::next) in a loop. After an error it tries again from the
/// same place; but one of kind `Diverged` stays, because that place is no more. Then make a new watch from where you
/// want: from [`Group::position`] for what comes, or from what you still know to be there.
pub struct Watch {
    ledger: Arc<dyn Ledger>,
    opener: Opener,
    known: Known,
    /// Events of which it was told that they are lost.
    gaps: BTreeSet<Seq>,
    ready: VecDeque<(Event, String)>,
    fetch: Option<Fetch>,
    diverged: Option<Error>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch(after {})", self.position())
    }
}

impl Watch {
    fn new(ledger: Arc<dyn Ledger>, position: Position) -> Self {
        let replacements = ledger.replacements();
        let known = Known { from: position.seq.next(), position, is_checked: false, replacements };
        Self {
            ledger,
            opener: Opener::here(),
            known,
            gaps: BTreeSet::new(),
            ready: VecDeque::new(),
            fetch: None,
            diverged: None,
        }
    }

    /// Says that the events from this one on, which are before its position, were told of in another way: it tells
    /// also of those of them that are lost after it was first awaited. Default: only of its own.
    #[must_use]
    pub fn told_from(mut self, seq: Seq) -> Self {
        self.known.from = self.known.from.min(Seq(seq.0.max(1)));
        self
    }

    /// Where the next event will be looked for: keep it to go on later.
    #[must_use]
    pub fn position(&self) -> Position {
        self.known.position
    }

    /// The next event, as soon as there is one; or the gap in the place of an earlier one, whose seq is not after that
    /// of [`position`](Self::position) before the call.
    ///
    /// # Errors
    /// `Diverged`, from then on, if the ledger does not have the history any more that was followed; `Conflict` in a
    /// forked child.
    pub async fn next(&mut self) -> Result<Event> {
        Ok(self.next_with_line().await?.0)
    }

    /// The next event together with its line as stored, without the newline.
    pub async fn next_with_line(&mut self) -> Result<(Event, String)> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(Event, String)>> {
        if let Err(error) = self.opener.check() {
            return Poll::Ready(Err(error));
        }
        loop {
            if let Some((event, line)) = self.ready.pop_front() {
                let is_new = event.seq > self.known.position.seq;
                if is_new {
                    self.known.position = Position { seq: event.seq, chain: event.chain };
                }
                if matches!(event.body, Body::LedgerGap(_)) && !self.gaps.insert(event.seq) && !is_new {
                    continue;
                }
                return Poll::Ready(Ok((event, line)));
            }
            if let Some(error) = &self.diverged {
                return Poll::Ready(Err(error.clone()));
            }
            let (ledger, known) = (&self.ledger, self.known);
            let fetch = self.fetch.get_or_insert_with(|| Box::pin(fetch(ledger.clone(), known)));
            match fetch.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => {
                    self.fetch = None;
                    match result {
                        Ok(Fetched { ready, gaps, replacements }) => {
                            self.gaps.extend(gaps);
                            self.known = Known { is_checked: true, replacements, ..self.known };
                            self.ready = ready;
                        }
                        Err(error) if error.kind() == ErrorKind::Diverged => {
                            self.ledger.forget();
                            self.diverged = Some(error);
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }
}

impl Stream for Watch {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context).map(|next| Some(next.map(|(event, _)| event)))
    }
}

/// Waits for events after those that are known, and reads some of them; or for some of those to be lost.
async fn fetch(ledger: Arc<dyn Ledger>, known: Known) -> Result<Fetched> {
    let Known { from, position: after, is_checked, mut replacements } = known;
    let mut gaps = Vec::new();
    if !is_checked {
        check_history(&ledger, after).await?;
        gaps = lost::gaps(&ledger, from, after).await?.into_iter().map(|(event, _)| event.seq).collect();
    }
    let mut seen = after;
    loop {
        let now = ledger.replacements();
        if now != replacements {
            replacements = now;
            let ready = VecDeque::from(lost::gaps(&ledger, from, after).await?);
            if !ready.is_empty() {
                return Ok(Fetched { ready, gaps, replacements });
            }
        }
        let head = ledger.changed(seen).await?;
        if head.seq > after.seq {
            break;
        }
        if head != after && (head.seq == after.seq || !is_beyond_the_head(&ledger, after).await?) {
            return Err(other_history(after));
        }
        seen = head;
    }
    let page = ledger.read(after.seq.next(), ReadLimit { events: 256, bytes: 256 << 10 }).await?;
    if page.previous().is_some_and(|previous| previous != after) {
        return Err(other_history(after));
    }
    let mut ready = VecDeque::with_capacity(page.len());
    for (event, line) in page.events().zip(page.lines()) {
        ready.push_back((event?, String::from_utf8_lossy(line.bytes()).trim_end().to_owned()));
    }
    Ok(Fetched { ready, gaps, replacements })
}

/// Refuses to resume where the ledger has another history than the one that was followed.
async fn check_history(ledger: &Arc<dyn Ledger>, at: Position) -> Result<()> {
    if still_has(ledger, at).await? { Ok(()) } else { Err(other_history(at)) }
}

fn other_history(at: Position) -> Error {
    Error::diverged(format!(
        "the ledger does not have event {} any more as it was followed: it was replaced or cut",
        at.seq
    ))
    .hint("start over from its beginning or its head, or restore the ledger that was followed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::ledger::Chain;

    #[test]
    fn a_position_kept_elsewhere_tells_another_history() {
        block_on(async {
            let group = Group::in_memory("test").await?;
            let early = group.position().await?;
            group.add_actor("lead").await?;
            group.check_position(early).await?;
            group.check_position(Position::start(group.id())).await?;
            let other = Position { chain: Chain([7; 10]), ..early };
            let later = Position { seq: Seq(99), ..early };
            for position in [other, later] {
                assert_eq!(group.check_position(position).await.unwrap_err().kind(), ErrorKind::Diverged);
            }
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }

    #[test]
    fn a_kind_stands_for_all_below_it() {
        block_on(async {
            let group = Group::in_memory("test").await?;
            let event = group.event(1).await?;
            for (kinds, wanted) in
                [(&["group"][..], true), (&["chat", "group.create"], true), (&[], true), (&["grou"], false)]
            {
                assert_eq!(event.is_of_kind(kinds), wanted, "{kinds:?}");
            }
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }
}
