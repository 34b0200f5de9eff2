//! `cccc ledger ...`

use std::path::PathBuf;

use cccc_core::ledger::file::{Broken, Cut, RepairOptions};
use cccc_core::ledger::{FileLedger, Verdict};
use cccc_core::{
    AttachmentReport, Damage, Error, ErrorKind, ExportedLedger, Forgotten, Group, GroupId, Position,
    Principal, Result, Seq,
};
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::attach::only_the_user;
use super::bundle::report_gaps;
use super::status::BEGIN_AGAIN;
use crate::context::Context;
use crate::export;
use crate::input::is_standard;
use crate::output::{Failure, Outcome, Style, clean};
use crate::progress::Progress;
use crate::render::{attachment_faults, gaps_of_them, size};

/// Check, repair, measure, export or find the ledger of the group
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc ledger verify
  cccc ledger export --output backup.jsonl
  cccc ledger path")]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Read the whole ledger and its attachments, and check every line and every file
    ///
    /// Exits with 1 and names file, byte and event if something is not what was written, and attachments that are
    /// lost or changed; what was redacted is neither. A gap, which a repair has put in the place of a lost event, is
    /// no damage; gaps are counted. A rewritten
    /// ledger that is sound in itself shows only against a head that was kept elsewhere: --expect.
    #[command(after_help = "Examples:
  cccc ledger verify
  cccc ledger verify --expect 42:00112233445566778899   as an earlier verify printed it")]
    Verify {
        /// A head printed earlier, which the ledger must still contain
        #[arg(long, value_name = "HEAD")]
        expect: Option<String>,
    },
    /// Finish what was interrupted, make derived files anew, and keep what is sound of a damaged ledger
    ///
    /// A damaged event is restored where that is certain: where a single bit or the end of its line is wrong.
    /// Otherwise its bytes are copied to the directory `torn`, and an event of the kind ledger.gap stands in its
    /// place. All others keep their numbers and ids. With --cut the ledger ends before the first damaged event
    /// instead, and what follows is copied to `torn`. Programs that have the group open notice and go on.
    /// Exits with 1 if events are damaged afterwards. If every event is lost, only --cut is left to be done, and
    /// nothing happens without it. Attachments that are lost are named, as a repair cannot restore them; and so are
    /// actors whose adding is lost.
    #[command(after_help = "Examples:
  cccc ledger repair --dry-run         what is damaged, and what would be lost
  cccc ledger repair
  cccc ledger repair --cut --dry-run   which events a cut would take, and how many bytes")]
    Repair {
        /// End the ledger before the first damaged event, and set everything from there on aside
        #[arg(long)]
        cut: bool,
        /// Change nothing and wait for nobody, only report
        #[arg(long)]
        dry_run: bool,
    },
    /// Print how large the ledger is
    #[command(after_help = "Examples:\n  cccc ledger stats --json | jq .bytes")]
    Stats,
    /// Write the ledger as one file of JSON lines, as it is stored
    #[command(after_help = "Examples:
  cccc ledger export > ledger.jsonl
  cccc ledger export --output backup.jsonl")]
    Export {
        /// A file that does not exist yet [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the directory of the group's files
    #[command(after_help = "Examples:\n  ls $(cccc ledger path)/ledger")]
    Path,
}

/// What `cccc ledger verify` prints if every line is sound, with exit code 1 if an attachment is not.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerifyAnswer {
    /// Whether all is well, attachments too.
    ok: bool,
    /// How many events there are.
    events: u64,
    /// The end: keep it elsewhere for `--expect`.
    head: Position,
    /// How many bytes of lines were read.
    bytes: u64,
    /// How many of the events are gaps: lost, and marked as such by a repair.
    gaps: u64,
    attachments: AttachmentReport,
}

/// What `cccc ledger verify` prints, with exit code 1, if something is not what was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DamageAnswer {
    ok: bool,
    /// The first damage.
    #[serde(flatten)]
    damage: Damage,
    /// In how many places lines are damaged or missing; absent if that cannot be told.
    places: Option<usize>,
    /// How many events are lost, unless their files are put back; absent if that cannot be told.
    lost: Option<u64>,
}

/// What `cccc ledger export --output` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportAnswer {
    file: PathBuf,
    #[serde(flatten)]
    exported: ExportedLedger,
}

/// What `cccc ledger repair` prints, with exit code 1 unless `ok`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RepairAnswer {
    /// Whether all events are sound now.
    ok: bool,
    dry_run: bool,
    /// The end, if it is sound.
    head: Option<Position>,
    /// What is, or was, damaged first.
    damage: Option<Damage>,
    /// All that is, or was, damaged.
    broken: Vec<Broken>,
    /// How many gaps there are, those of earlier repairs too, if the events are sound.
    gaps: u64,
    /// The last event that stands, or should stand, if there is damage.
    last: Option<Seq>,
    /// What was cut off; in a dry run, what would be.
    cut: Option<Cut>,
    /// Whether something was finished that a process had left half done: a write, a redaction, or a repair.
    finished: bool,
    /// Copies of what was taken out.
    set_aside: Vec<PathBuf>,
    /// Derived files that were removed, to be made anew.
    removed: Vec<PathBuf>,
    /// What was found of its attachments, which a repair cannot restore; absent if the ledger is damaged or they cannot
    /// be looked at.
    attachments: Option<AttachmentReport>,
    /// Actors that are not in the group any more because the events that added them are lost.
    forgotten: Vec<Forgotten>,
}

/// What `cccc ledger path` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PathAnswer {
    group_id: GroupId,
    path: PathBuf,
}

pub(crate) async fn cmd_ledger(context: &Context, args: LedgerArgs) -> Outcome {
    match args.command {
        LedgerCommand::Verify { expect } => verify(context, expect).await,
        LedgerCommand::Repair { cut, dry_run } => repair(context, cut, dry_run).await,
        LedgerCommand::Stats => stats(context).await,
        LedgerCommand::Export { output } => export_lines(context, output).await,
        LedgerCommand::Path => {
            let group = context.group_to_look().await?;
            let path = files(&group)?.path().to_owned();
            let answer = PathAnswer { group_id: group.id().clone(), path };
            context.out.answer(&answer, || answer.path.display().to_string())
        }
    }
}

/// The files under a group.
fn files(group: &Group) -> Result<&FileLedger> {
    let files = group.files().map(std::convert::AsRef::as_ref);
    files.ok_or_else(|| Error::unsupported("this group's ledger is not in files"))
}

async fn verify(context: &Context, expect: Option<String>) -> Outcome {
    let expect: Option<Position> = expect.map(|text| text.parse()).transpose()?;
    match check(context, expect).await {
        Ok(answer) => {
            context.out.answer(&answer, || {
                let sound = sound(context, Some(&answer.attachments));
                let gaps = with_gaps(answer.gaps);
                let mut lines =
                    vec![format!("{sound}{gaps}: {} events, head {}", answer.events, answer.head)];
                let faults = attachment_faults(&answer.attachments);
                lines.extend(faults.into_iter().map(|fault| context.out.style(Style::Red, clean(&fault))));
                lines.join("\n")
            })?;
            if answer.ok { Ok(()) } else { Err(Failure::Answered) }
        }
        Err(error) => match error.damage() {
            Some(damage) => {
                let (places, lost) = extent(context).await.unzip();
                let answer = DamageAnswer { ok: false, damage: damage.clone(), places, lost };
                context.out.answer(&answer, || {
                    let bad = context.out.style(Style::Red, "damaged");
                    let first = format!("{bad}: {}", clean(&error.to_string()));
                    match places.zip(lost).filter(|(places, _)| *places > 1) {
                        Some((places, lost)) => format!(
                            "{first}\nin all {places} places are damaged, and {}: `cccc ledger repair --dry-run` \
                             names them",
                            match lost {
                                0 => "no event is lost".into(),
                                1 => "1 event is lost".into(),
                                lost => format!("{lost} events are lost"),
                            }
                        ),
                        None => first,
                    }
                })?;
                Err(Failure::Answered)
            }
            None => Err(error.into()),
        },
    }
}

/// In how many places a ledger is damaged, and how many events that has cost, as far as it can be told.
async fn extent(context: &Context) -> Option<(usize, u64)> {
    let group = context.group_to_look().await.ok()?;
    let look = RepairOptions { cut: false, dry_run: true };
    let broken = files(&group).ok()?.repair(look).await.ok()?.broken;
    Some((broken.len(), broken.iter().map(|one| one.lost).sum()))
}

/// What is said of a ledger without damage.
fn sound(context: &Context, attachments: Option<&AttachmentReport>) -> String {
    let is_all = attachments.is_none_or(|report| report.faults.is_empty());
    context.out.style(Style::Green, if is_all { "sound" } else { "events sound" })
}

fn with_gaps(gaps: u64) -> String {
    match gaps {
        0 => String::new(),
        1 => ", with 1 gap".into(),
        gaps => format!(", with {gaps} gaps"),
    }
}

async fn check(context: &Context, expect: Option<Position>) -> Result<VerifyAnswer> {
    let group = context.group_to_look().await?;
    let _progress = Progress::start("verifying");
    let (head, bytes, gaps) = match group.ledger().verify().await? {
        Verdict::Sound { head, bytes, gaps } => (head, bytes, gaps),
        Verdict::Damaged(damage) => return Err(Error::corrupt(damage)),
    };
    if let Some(expected) = expect {
        group.check_position(expected).await.map_err(|error| unexpected(error, expected))?;
    }
    let attachments = group.check_attachments().await?;
    Ok(VerifyAnswer { ok: attachments.faults.is_empty(), events: head.seq.0, head, bytes, gaps, attachments })
}

/// Another history than the one that was kept is damage, too, although every line fits the next.
fn unexpected(error: Error, expected: Position) -> Error {
    if error.kind() != ErrorKind::Diverged {
        return error;
    }
    let reason = format!("the ledger does not contain the expected head {expected}: it was rewritten or cut");
    Error::corrupt(Damage { file: String::new(), offset: 0, seq: expected.seq, reason })
        .hint("what stands there may be sound and older: put the newest copy back, as a repair finds nothing to mend")
}

async fn export_lines(context: &Context, output: Option<PathBuf>) -> Outcome {
    let group = context.group_to_look().await?;
    let exported =
        export::export(output.as_deref(), async |target| group.export_ledger(target).await).await?;
    let Some(file) = output.filter(|file| !is_standard(file)) else {
        report_gaps(context, exported.events, exported.gaps);
        return Ok(());
    };
    let answer = ExportAnswer { file, exported };
    context.out.answer(&answer, || {
        let ExportAnswer { file, exported } = &answer;
        format!("{} events{} to {}", exported.events, gaps_of_them(exported.gaps), file.display())
    })
}

async fn stats(context: &Context) -> Outcome {
    let group = context.group_to_look().await?;
    let stats = files(&group)?.stats().await?;
    context.out.answer(&stats, || {
        let torn = match stats.torn_files {
            0 => String::new(),
            files => {
                let size = size(stats.torn_bytes);
                format!("\n{files} files with {size} set aside: unfinished writes, and what repairs took out")
            }
        };
        format!(
            "{} events in {} files, {}\n{} that can be made anew{torn}",
            stats.events,
            stats.segments,
            size(stats.bytes),
            size(stats.derived_bytes),
        )
    })
}

async fn repair(context: &Context, cut: bool, dry_run: bool) -> Outcome {
    match context.speaker().await?.principal {
        Principal::User => {}
        _ if dry_run => {}
        other => return Err(only_the_user(&other, "repairs ledgers").into()),
    }
    let group = context.group_to_look().await?;
    let progress = Progress::start("repairing");
    let report = files(&group)?.repair(RepairOptions { cut, dry_run }).await?;
    // The repair is done, whether or not its events can be read by this version.
    let (attachments, forgotten) = match report.head {
        Some(_) => (group.check_attachments().await.ok(), group.forgotten().await.unwrap_or_default()),
        None => (None, Vec::new()),
    };
    drop(progress);
    let answer = RepairAnswer {
        ok: report.head.is_some(),
        dry_run,
        head: report.head,
        damage: report.damage,
        broken: report.broken,
        gaps: report.gaps,
        last: report.last,
        cut: report.cut,
        finished: report.finished,
        set_aside: report.set_aside,
        removed: report.removed,
        attachments,
        forgotten,
    };
    context.out.answer(&answer, || repair_text(context, &answer))?;
    if answer.ok { Ok(()) } else { Err(Failure::Answered) }
}

fn repair_text(context: &Context, answer: &RepairAnswer) -> String {
    let mut lines = Vec::new();
    let bad = context.out.style(Style::Red, "damaged");
    for one in &answer.broken {
        let file = clean(&one.file);
        let place = match one.bytes {
            0 => file,
            bytes => format!("{bytes} bytes of {file} at byte {}", one.offset),
        };
        lines.push(format!("{bad}: {}, {place}: {}", what_it_costs(one, answer.dry_run), clean(&one.reason)));
    }
    if let (Some(damage), true) = (&answer.damage, answer.broken.is_empty()) {
        let place = format!("event {}, {} at byte {}", damage.seq, clean(&damage.file), damage.offset);
        lines.push(format!("{bad}: {place}: {}", clean(&damage.reason)));
    }
    if let Some(cut) = answer.cut {
        let done = if answer.dry_run { "would be cut off" } else { "cut off" };
        lines.push(format!("{done}: events {} to {}, {} bytes", cut.first, cut.last, cut.bytes));
    }
    if answer.finished {
        lines.push("finished what a process had left half done".into());
    }
    lines.extend(answer.set_aside.iter().map(|path| format!("set aside: {}", path.display())));
    if !answer.removed.is_empty() {
        lines.push(format!("{} derived files removed; they are made anew", answer.removed.len()));
    }
    lines.push(match answer.head {
        Some(head) => {
            let lost = match answer.broken.iter().map(|one| one.lost).sum() {
                _ if answer.cut.is_some() => with_gaps(answer.gaps),
                0 => with_gaps(answer.gaps),
                1 => ", but for 1 event that is lost".into(),
                lost => format!(", but for {lost} events that are lost"),
            };
            format!("{}{lost}: head {head}", sound(context, answer.attachments.as_ref()))
        }
        None => what_to_do(answer),
    });
    if answer.cut.is_some() && answer.head.is_some_and(|head| head.seq == Seq(0)) {
        lines.push(format!("the group has no beginning now: {BEGIN_AGAIN}"));
    }
    lines.extend(answer.forgotten.iter().map(forgotten));
    let faults = answer.attachments.as_ref().map(attachment_faults).unwrap_or_default();
    if !faults.is_empty() {
        lines.extend(faults.into_iter().map(|fault| context.out.style(Style::Red, clean(&fault))));
        lines.push("a repair cannot restore attachments: put their files back from a copy".into());
    }
    lines.join("\n")
}

/// How an actor or a person that is lost comes back.
fn forgotten(one: &Forgotten) -> String {
    let who = &one.principal;
    let add = match who {
        Principal::Person(name) => format!("cccc person add {name}"),
        _ => format!("cccc actor add {who}"),
    };
    let messages = match one.messages {
        0 => String::new(),
        1 => "; 1 message to it is in no inbox, but in `cccc tail`".into(),
        many => format!("; {many} messages to it are in no inbox, but in `cccc tail`"),
    };
    format!(
        "{who} is not in the group any more, as the event that added it is lost: `{add}` brings it back, without what \
         it owed{messages}"
    )
}

/// What there is to be done about damage that is not repaired, and what a repair would leave.
fn what_to_do(answer: &RepairAnswer) -> String {
    let lost: u64 = answer.broken.iter().map(|one| one.lost).sum();
    let all = answer.last.map_or(0, |last| last.0);
    if let Some(cut) = answer.cut {
        let end = cut.first.0.saturating_sub(1);
        let as_well = match all.saturating_sub(end + lost) {
            0 => String::new(),
            1 => ", which costs 1 sound event as well".into(),
            sound => format!(", which costs {sound} sound events as well"),
        };
        return format!(
            "restore the files from a copy; or end the ledger at event {end}{as_well}: cccc ledger repair --cut"
        );
    }
    match all.saturating_sub(lost) {
        _ if lost == 0 => "nothing is lost by a repair: cccc ledger repair".into(),
        0 => "restore the files from a copy; no event is left that a repair could keep, so all that can be \
              done without one is to begin anew: cccc ledger repair --cut"
            .into(),
        kept => format!(
            "restore the files from a copy; or keep the other {kept}, with a gap in the place of each that is lost: \
             cccc ledger repair"
        ),
    }
}

/// Which events some damage costs.
fn what_it_costs(one: &Broken, dry_run: bool) -> String {
    match one.lost {
        0 if one.restored && dry_run => format!("event {} (can be restored)", one.first),
        0 if one.restored => format!("event {} (restored)", one.first),
        0 => format!("before event {} (nothing is lost)", one.first),
        1 => format!("event {} (lost)", one.first),
        lost => format!("events {} to {} (lost)", one.first, one.first.0 + lost - 1),
    }
}
