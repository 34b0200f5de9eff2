//! What the demo claims, each claim checked against the ledger, the files, or another program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use cccc_core::ledger::Verdict;
use cccc_core::{Error, EventId, ObligationWord, Receipt, Result};
use schemars::JsonSchema;
use serde::Serialize;

use super::actor::{Share, attached};
use super::count::{Counts, count, sources};
use super::{PEERS, Played, VICTIM};

/// A claim, and whether it holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Check {
    pub(crate) claim: &'static str,
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

impl Check {
    fn new(claim: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { claim, ok, detail: detail.into() }
    }
}

/// Paths given to one `wc`: far below the bound on arguments.
const PATHS_AT_ONCE: usize = 200;

/// All claims. Reads first what happened between the foreman's report and the end of the processes.
pub(crate) async fn all(played: &mut Played) -> Result<Vec<Check>> {
    played.events = everything(played).await?;
    let counts = reported(played)?;
    let paths: Vec<String> = sources(&played.root)?.into_iter().map(|source| source.path).collect();
    Ok(vec![
        asked(played).await?,
        acknowledged(played).await?,
        survived(played),
        once(played),
        nothing_owed(played).await?,
        every_file_once(played, &paths)?,
        own_count(played, &paths, &counts)?,
        word_count(&played.root, &paths, counts.total().lines),
        verified(played).await?,
    ])
}

async fn everything(played: &Played) -> Result<Vec<cccc_core::Event>> {
    let head = played.user.position().await?.seq;
    let mut events = Vec::new();
    let mut next = Some(cccc_core::Seq(1));
    while let Some(from) = next.filter(|from| *from <= head) {
        let page = played.user.history().from(from).limit(1000).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}

/// The receipts of the job and of every share.
pub(crate) async fn receipts(played: &Played) -> Result<Vec<Receipt>> {
    let mut all = Vec::new();
    for id in [played.job].iter().chain(&played.shares) {
        all.extend(played.user.receipts(*id).await?);
    }
    Ok(all)
}

/// The totals that the foreman attached to its report.
pub(crate) fn reported(played: &Played) -> Result<Counts> {
    let mut messages = played.events.iter().filter_map(|event| event.message());
    let report = messages.rfind(|m| m.reply_to == Some(played.job) && !m.progress);
    let report = report.ok_or_else(|| Error::not_found("the foreman did not report"))?;
    attached(&played.user, &report.attachments)
}

async fn asked(played: &Played) -> Result<Check> {
    let receipts = receipts(played).await?;
    let held = |r: &Receipt| {
        r.delivery.state.is_delivered() && r.read && r.reply == ObligationWord::Met && !r.overdue
    };
    let answered = receipts.iter().filter(|receipt| held(receipt)).count();
    let ok = answered == receipts.len() && receipts.len() == 1 + PEERS.len();
    Ok(Check::new(
        "every task was delivered, read and answered",
        ok,
        format!("{answered} of {}", receipts.len()),
    ))
}

async fn acknowledged(played: &Played) -> Result<Check> {
    let mut met = 0;
    for id in results(played) {
        let receipts = played.user.receipts(id).await?;
        met += receipts.iter().filter(|receipt| receipt.ack == ObligationWord::Met).count();
    }
    Ok(Check::new("every result was acknowledged", met == PEERS.len(), format!("{met} of {}", PEERS.len())))
}

/// The final answers of the peers to their shares.
fn results(played: &Played) -> Vec<EventId> {
    answers(played, false).map(|(id, _)| id).collect()
}

/// Answers to shares, with the share: those that say `progress`, or the final ones.
fn answers(played: &Played, progress: bool) -> impl Iterator<Item = (EventId, EventId)> + '_ {
    played.events.iter().filter_map(move |event| {
        let message = event.message()?;
        let share = message.reply_to.filter(|share| played.shares.contains(share))?;
        (message.progress == progress).then_some((event.id, share))
    })
}

fn survived(played: &Played) -> Check {
    let claim = "a peer was killed half-way and finished after a restart";
    let Some((status, before, after)) = &played.killed else {
        return Check::new(claim, false, "nobody was killed");
    };
    let killed = !status.success() && before != after;
    #[cfg(unix)]
    let killed = killed && std::os::unix::process::ExitStatusExt::signal(status) == Some(9);
    let finished = played.events.iter().any(|event| {
        let result = event.message().is_some_and(|m| m.intent.as_deref() == Some("result"));
        event.by.to_string() == VICTIM && result
    });
    Check::new(claim, killed && finished, format!("{VICTIM}: {status}, then process {after}"))
}

fn once(played: &Played) -> Check {
    let count = |progress| {
        let shares: Vec<EventId> = answers(played, progress).map(|(_, share)| share).collect();
        let distinct: BTreeSet<EventId> = shares.iter().copied().collect();
        (shares.len(), distinct.len())
    };
    let wanted = (PEERS.len(), PEERS.len());
    let (progress, results) = (count(true), count(false));
    let detail = format!("{} shares, {} times begun, {} results", played.shares.len(), progress.0, results.0);
    Check::new("nothing was lost or done twice", progress == wanted && results == wanted, detail)
}

async fn nothing_owed(played: &Played) -> Result<Check> {
    let open = played.user.obligations().all().await?.len();
    Ok(Check::new("nothing is owed any more", open == 0, format!("{open} open")))
}

fn every_file_once(played: &Played, paths: &[String]) -> Result<Check> {
    let mut given = Vec::new();
    for event in played.events.iter().filter(|event| played.shares.contains(&event.id)) {
        let attachments = event.message().map(|message| message.attachments.as_slice()).unwrap_or_default();
        given.extend(attached::<Share>(&played.user, attachments)?.files);
    }
    given.sort();
    let detail = format!("{} files, {} in shares", paths.len(), given.len());
    Ok(Check::new("every file was in one share", given == paths, detail))
}

fn own_count(played: &Played, paths: &[String], counts: &Counts) -> Result<Check> {
    let own = count(&played.root, paths)?;
    let total = own.total();
    let detail = format!("{} lines, {} TODO marks", total.lines, total.todos);
    Ok(Check::new("the totals are those of one process alone", own == *counts, detail))
}

/// Asks the `wc` of the machine; where there is none, that is said instead of claimed.
fn word_count(root: &Path, paths: &[String], lines: u64) -> Check {
    const CLAIM: &str = "the lines are those that `wc -l` counts";
    let mut total = 0;
    for some in paths.chunks(PATHS_AT_ONCE) {
        let mut wc = Command::new("wc");
        wc.arg("-l").arg("--").args(some.iter().map(|path| format!("./{path}")));
        match wc.current_dir(root).stdin(Stdio::null()).stderr(Stdio::null()).output() {
            Ok(output) if output.status.success() => match sum(&output.stdout, some.len()) {
                Some(lines) => total += lines,
                None => return Check::new(CLAIM, false, "`wc` printed something else"),
            },
            Ok(output) => return Check::new(CLAIM, false, format!("`wc`: {}", output.status)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Check::new(
                    "the lines were counted twice (there is no `wc` here)",
                    true,
                    "own count only",
                );
            }
            Err(e) => return Check::new(CLAIM, false, format!("`wc`: {e}")),
        }
    }
    Check::new(CLAIM, total == lines, format!("{total}"))
}

/// Adds up the lines of `wc`, one for each file, leaving out the total that follows several.
fn sum(output: &[u8], files: usize) -> Option<u64> {
    let text = String::from_utf8_lossy(output);
    let mut numbers = Vec::new();
    for line in text.lines() {
        numbers.push(line.split_whitespace().next()?.parse::<u64>().ok()?);
    }
    (numbers.len() >= files).then(|| numbers.iter().take(files).sum())
}

async fn verified(played: &Played) -> Result<Check> {
    Ok(match played.user.ledger().verify().await? {
        Verdict::Sound { head, .. } => Check::new("the ledger verifies", true, format!("head {head}")),
        Verdict::Damaged(damage) => Check::new("the ledger verifies", false, damage.reason),
    })
}
