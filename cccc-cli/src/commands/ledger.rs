//! `cccc ledger ...`

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cccc_core::ledger::{ReadLimit, Verdict};
use cccc_core::{Damage, Error, ErrorKind, Group, GroupId, Position, Result, Seq};
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Failure, Outcome, Style, clean};
use crate::progress::Progress;

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
    /// Read the whole ledger and check every line
    ///
    /// Exits with 1 and names file, byte and event if something is not what was written. A rewritten
    /// ledger that is sound in itself shows only against a head that was kept elsewhere: --expect.
    #[command(after_help = "Examples:
  cccc ledger verify
  cccc ledger verify --expect 42:00112233445566778899   as an earlier verify printed it")]
    Verify {
        /// A head printed earlier, which the ledger must still contain
        #[arg(long, value_name = "HEAD")]
        expect: Option<String>,
    },
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

/// What `cccc ledger verify` prints if all is well.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerifyAnswer {
    ok: bool,
    /// How many events there are.
    events: u64,
    /// The end: keep it elsewhere for `--expect`.
    head: Position,
    /// How many bytes of lines were read.
    bytes: u64,
}

/// What `cccc ledger verify` prints, with exit code 1, if something is not what was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DamageAnswer {
    ok: bool,
    #[serde(flatten)]
    damage: Damage,
}

/// What `cccc ledger export --output` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportAnswer {
    file: PathBuf,
    events: u64,
    head: Position,
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
        LedgerCommand::Export { output } => export(context, output).await,
        LedgerCommand::Path => {
            let group = context.group_to_look().await?;
            let path = files(&group)?.path().to_owned();
            let answer = PathAnswer { group_id: group.id().clone(), path };
            context.out.answer(&answer, || answer.path.display().to_string())
        }
    }
}

/// The files under a group.
fn files(group: &Group) -> Result<&cccc_core::ledger::FileLedger> {
    let files = group.files().map(std::convert::AsRef::as_ref);
    files.ok_or_else(|| Error::unsupported("this group's ledger is not in files"))
}

async fn verify(context: &Context, expect: Option<String>) -> Outcome {
    let expect: Option<Position> = expect.map(|text| text.parse()).transpose()?;
    match check(context, expect).await {
        Ok(answer) => context.out.answer(&answer, || {
            let sound = context.out.style(Style::Green, "sound");
            format!("{sound}: {} events, head {}", answer.events, answer.head)
        }),
        Err(error) => match error.damage() {
            Some(damage) => {
                let answer = DamageAnswer { ok: false, damage: damage.clone() };
                context.out.answer(&answer, || {
                    let bad = context.out.style(Style::Red, "damaged");
                    format!("{bad}: {}", clean(&error.to_string()))
                })?;
                Err(Failure::Answered)
            }
            None => Err(error.into()),
        },
    }
}

async fn check(context: &Context, expect: Option<Position>) -> Result<VerifyAnswer> {
    let group = context.group_to_look().await?;
    let _progress = Progress::start("verifying");
    let (head, bytes) = match group.ledger().verify().await? {
        Verdict::Sound { head, bytes } => (head, bytes),
        Verdict::Damaged(damage) => return Err(Error::corrupt(damage)),
    };
    if let Some(expected) = expect {
        group.check_position(expected).await.map_err(|error| unexpected(error, expected))?;
    }
    Ok(VerifyAnswer { ok: true, events: head.seq.0, head, bytes })
}

/// Another history than the one that was kept is damage, too, although every line fits the next.
fn unexpected(error: Error, expected: Position) -> Error {
    if error.kind() != ErrorKind::Conflict {
        return error;
    }
    let reason = format!("the ledger does not contain the expected head {expected}: it was rewritten or cut");
    Error::corrupt(Damage { file: String::new(), offset: 0, seq: expected.seq, reason })
}

async fn export(context: &Context, output: Option<PathBuf>) -> Outcome {
    let group = context.group_to_look().await?;
    let Some(path) = output else {
        return pour(&group, |bytes| context.out.bytes(bytes)).await.map(drop);
    };
    let failed = |e: std::io::Error| Error::io("write", &path, e);
    let mut file = BufWriter::new(create_new(&path)?);
    let progress = Progress::start("exporting");
    let head = pour(&group, |bytes| Ok(file.write_all(bytes).map_err(failed)?)).await?;
    file.into_inner().map_err(|e| failed(e.into_error()))?.sync_all().map_err(failed)?;
    drop(progress);
    let answer = ExportAnswer { file: path.clone(), events: head.seq.0, head };
    context.out.answer(&answer, || format!("{} events to {}", answer.events, path.display()))
}

/// A file of one's own; what is there is never overwritten.
fn create_new(path: &Path) -> Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| Error::io("create", path, e))
}

/// Hands on all lines up to the head of now, in pages.
async fn pour(group: &Group, mut to: impl FnMut(&[u8]) -> Outcome) -> std::result::Result<Position, Failure> {
    let head = group.position().await?;
    let mut next = Seq(1);
    while next <= head.seq {
        let page = group.ledger().read(next, ReadLimit::CHUNK).await?;
        for line in page.lines() {
            if next <= head.seq {
                to(line.bytes())?;
                next = next.next();
            }
        }
    }
    Ok(head)
}
