//! `cccc doctor`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use cccc_core::disk::{Disk, OpenMode, RealDisk};
use cccc_core::{AttachmentReport, Error, Group, GroupEntry, GroupId, GroupSummary, Home, Result};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::runtime::{self, RuntimeLine};
use super::version::VersionAnswer;
use crate::context::Context;
use crate::output::{Failure, Outcome, Style, clean};
use crate::progress::Progress;
use crate::render::attachment_faults;
use crate::table::{Table, plain};

/// Check the home, the file system under it, every group, and the agents that are installed
///
/// Checks that the home is yours alone, that locks exclude and writes wake other processes where it
/// lies, that each group can be read with the files of its messages, and that what `cccc setup` registered with
/// agents really starts. Exits with 1 if something is wrong. `cccc ledger verify` checks a ledger line by line.
///
/// Every message and every file is read for this, which takes long where there are many; `--quick` leaves that out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc doctor
  cccc doctor --quick
  cccc doctor --json | jq '.checks[] | select(.ok | not)'")]
pub(crate) struct DoctorArgs {
    /// Do not read all messages and their files: only look whether each group can be opened
    #[arg(long)]
    quick: bool,
}

/// Writes one byte to a file: the other process that `doctor` needs.
#[derive(Args, Debug)]
pub(crate) struct DoctorTouchArgs {
    path: PathBuf,
}

/// What `cccc doctor` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DoctorAnswer {
    /// Whether everything is well.
    ok: bool,
    version: VersionAnswer,
    home: PathBuf,
    checks: Vec<Check>,
    groups: Vec<GroupCheck>,
    /// The agents that are installed.
    agents: Vec<RuntimeLine>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// What a look at a group found.
#[derive(Debug, Serialize, JsonSchema)]
struct GroupCheck {
    group_id: GroupId,
    ok: bool,
    /// How many events there are; absent if the group cannot be read.
    events: Option<u64>,
    /// How many of them are gaps: lost, and marked as such by a repair. Absent if the group cannot be read.
    gaps: Option<u64>,
    /// How many files the ledger has.
    segments: usize,
    /// How many files hold what was set aside: unfinished writes, and what repairs took out.
    torn: usize,
    /// How many copies of attachments were broken off and never removed.
    broken_off: usize,
    /// What was found of its attachments; absent if the ledger cannot be read, and with `--quick`.
    attachments: Option<AttachmentReport>,
    detail: String,
}

/// How long a wake may take before it counts as lost.
const WAKE_BOUND: Duration = Duration::from_secs(2);

/// From here on it was a poll rather than a notification.
const NOTIFIED_WITHIN: Duration = Duration::from_millis(10);

pub(crate) async fn cmd_doctor(context: &Context, args: DoctorArgs) -> Outcome {
    let answer = examine(context, args.quick).await?;
    context.out.answer(&answer, || text(context, &answer))?;
    if answer.ok { Ok(()) } else { Err(Failure::Answered) }
}

async fn examine(context: &Context, quick: bool) -> Result<DoctorAnswer> {
    let mut answer = DoctorAnswer {
        ok: true,
        version: VersionAnswer::of_this_program(),
        home: context.home_path()?,
        checks: Vec::new(),
        groups: Vec::new(),
        agents: Vec::new(),
    };
    match context.home().await {
        Ok(home) => {
            let read_only =
                home.read_only().map(|why| format!("; to be read only, as {why}")).unwrap_or_default();
            answer.checks.push(check("home", Ok(format!("yours alone{read_only}"))));
            answer.checks.push(check("file system", file_system(&home)));
            answer.checks.push(check("locks", in_scratch(&home, locks)));
            answer.checks.push(check("notification", in_scratch(&home, notification)));
            match home.leftovers() {
                Ok(left) if left.is_empty() => {}
                result => answer.checks.push(check("left aside", result.map(|left| left_aside(&left)))),
            }
            match home.groups().await {
                Ok(groups) => {
                    answer.checks.push(check("registry", Ok(format!("{} groups", groups.len()))));
                    let many = groups.len();
                    for (entry, n) in groups.into_iter().zip(1..) {
                        let _progress = Progress::start(format!("group {n} of {many}"));
                        answer.groups.push(group(&home, entry, quick).await);
                    }
                }
                Err(error) => answer.checks.push(check("registry", Err(error))),
            }
            answer.checks.push(check("hooks", crate::hook::trouble::summary(home.path())));
        }
        Err(error) => answer.checks.push(check("home", Err(error))),
    }
    match runtime::look(context, false, true) {
        Ok(agents) => answer.agents = agents,
        Err(error) => answer.checks.push(check("agents", Err(error))),
    }
    answer.ok = answer.checks.iter().all(|check| check.ok)
        && answer.groups.iter().all(|group| group.ok)
        && answer.agents.iter().all(|agent| agent.ok);
    Ok(answer)
}

fn check(name: &'static str, result: Result<String>) -> Check {
    match result {
        Ok(detail) => Check { name, ok: true, detail },
        Err(error) => Check { name, ok: false, detail: error.to_string() },
    }
}

fn file_system(home: &Home) -> Result<String> {
    let file_system = home.file_system()?;
    match file_system.trusted {
        true => Ok(file_system.to_string()),
        false => Err(Error::unsupported(format!("{file_system} may not keep processes apart"))
            .hint("use a home on a local disk")),
    }
}

/// What processes have left that died while they made, imported or deleted a group. It does no harm.
fn left_aside(left: &[PathBuf]) -> String {
    let names: Vec<_> = left.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    format!(
        "{}: half a group each, of processes that died; the next `cccc group create`, `import`, `delete` or \
         `cccc attach` that makes one removes them",
        names.join(", ")
    )
}

/// Runs a check in a directory of its own within the home, which is the file system that counts.
fn in_scratch(home: &Home, check: fn(&Path) -> Result<String>) -> Result<String> {
    if home.read_only().is_some() {
        return Ok("not checked, as nothing can be written there".into());
    }
    let made = tempfile::Builder::new().prefix(".doctor-").tempdir_in(home.path());
    let dir = made.map_err(|e| Error::io("write to", home.path(), e))?;
    check(dir.path())
}

/// Of two openings of one file only one gets the lock, until it is given back.
fn locks(dir: &Path) -> Result<String> {
    let path = dir.join("lock");
    let failed = |e: std::io::Error| Error::io("lock", &path, e);
    let disk = RealDisk::new();
    let first = disk.open(&path, OpenMode::Create).map_err(failed)?;
    let second = disk.open(&path, OpenMode::Write).map_err(failed)?;
    first.lock().map_err(failed)?;
    if second.try_lock().map_err(failed)? {
        return Err(Error::unsupported("a lock that is held can be taken a second time"));
    }
    first.unlock().map_err(failed)?;
    if !second.try_lock().map_err(failed)? {
        return Err(Error::unsupported("a lock that was given back cannot be taken"));
    }
    Ok("a held lock excludes, a released one does not".into())
}

/// A write wakes, and so does one by another process.
fn notification(dir: &Path) -> Result<String> {
    let path = dir.join("watched");
    let failed = |e: std::io::Error| Error::io("watch", &path, e);
    let disk = RealDisk::new();
    let file = disk.open(&path, OpenMode::Create).map_err(failed)?;
    let (sender, wakes) = mpsc::channel();
    let wake = Arc::new(move || {
        // The receiver lives as long as this watch.
        let _ = sender.send(());
    });
    let _watch = disk.watch(&path, wake).map_err(failed)?;
    let mut times = Vec::new();
    for byte in 0..9u8 {
        drain(&wakes);
        let started = Instant::now();
        file.write_at(&[byte], byte.into()).map_err(failed)?;
        wait(&wakes, "a write")?;
        times.push(started.elapsed());
    }
    // The median, because a wake may come for an earlier reason, and the machine may be busy.
    times.sort();
    let usual = times.get(times.len() / 2).copied().unwrap_or_default();
    drain(&wakes);
    touch_elsewhere(&path)?;
    wait(&wakes, "a write by another process")?;
    let how = if usual < NOTIFIED_WITHIN { "notified" } else { "polled, not notified," };
    Ok(format!("{how} {:.2} ms after a write; woken by another process's write", usual.as_secs_f64() * 1e3))
}

fn drain(wakes: &Receiver<()>) {
    while wakes.try_recv().is_ok() {}
}

fn wait(wakes: &Receiver<()>, for_what: &str) -> Result<()> {
    wakes.recv_timeout(WAKE_BOUND).map_err(|_| {
        Error::unsupported(format!("{for_what} was not noticed within {} s", WAKE_BOUND.as_secs()))
    })
}

fn touch_elsewhere(path: &Path) -> Result<()> {
    let this =
        std::env::current_exe().map_err(|e| Error::unavailable(format!("cannot find this program: {e}")))?;
    let mut touch = Command::new(&this);
    touch.arg("doctor-touch").arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    let status = touch.status().map_err(|e| Error::io("run", &this, e))?;
    if status.success() { Ok(()) } else { Err(Error::unavailable("the second process failed")) }
}

pub(crate) fn cmd_doctor_touch(args: &DoctorTouchArgs) -> Outcome {
    let failed = |e: std::io::Error| Error::io("write", &args.path, e);
    let file = RealDisk::new().open(&args.path, OpenMode::Write).map_err(failed)?;
    Ok(file.write_at(b"x", 0).map_err(failed)?)
}

async fn group(home: &Home, entry: GroupEntry, quick: bool) -> GroupCheck {
    let dir = home.group_path(&entry.group_id);
    let count = |name: &str, ending: &str| {
        let names = std::fs::read_dir(dir.join(name)).into_iter().flatten().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().ends_with(ending)).count()
    };
    let (segments, torn) = (count("ledger", ".jsonl"), count("torn", ".bin"));
    let look = async {
        let group = home.group(&entry.group_id).await?;
        match look_at(home, &group, quick).await {
            Err(error) => Err(group.first_damage(error).await),
            looked => looked,
        }
    };
    let (ok, counts, broken_off, attachments, detail) = match look.await {
        Ok((summary, broken_off, attachments)) => {
            let gone: Vec<_> = entry.scopes.iter().filter(|path| !path.is_dir()).collect();
            let gone = match gone.as_slice() {
                [] => String::new(),
                paths => format!("; {} of its directories are gone", paths.len()),
            };
            let mut detail = format!("{}, head {}{gone}", clean(&summary.title), summary.head);
            match summary.gaps {
                0 => {}
                1 => detail += "; 1 event is lost, a gap",
                gaps => detail += &format!("; {gaps} events are lost, gaps"),
            }
            let faults = attachments.as_ref().map(attachment_faults).unwrap_or_default();
            faults.iter().for_each(|fault| detail += &format!("; {fault}"));
            if broken_off > 0 {
                let id = &entry.group_id;
                detail += &format!(
                    "; {broken_off} broken-off copies of attachments (`cccc --group {id} group gc` removes them)"
                );
            }
            (faults.is_empty(), Some((summary.events, summary.gaps)), broken_off, attachments, detail)
        }
        Err(error) => (false, None, 0, None, error.to_string()),
    };
    let (events, gaps) = counts.unzip();
    GroupCheck { group_id: entry.group_id, ok, events, gaps, segments, torn, broken_off, attachments, detail }
}

/// What a group is, how many copies of attachments were broken off, and what was found of its attachments.
async fn look_at(
    home: &Home,
    group: &Group,
    quick: bool,
) -> Result<(GroupSummary, usize, Option<AttachmentReport>)> {
    // Somebody's lock or an odd file would be met by the next send only. What nobody may write to is no fault.
    match group.ledger().turn().await {
        Err(error) if home.read_only().is_none() && !error.is_read_only() => return Err(error),
        turn => drop(turn),
    }
    let attachments = if quick { None } else { Some(group.check_attachments().await?) };
    Ok((group.summary().await?, group.blobs().broken_off().await?, attachments))
}

fn text(context: &Context, answer: &DoctorAnswer) -> String {
    let verdict =
        |ok: bool| if ok { ("ok".to_owned(), Style::Green) } else { ("WRONG".to_owned(), Style::Red) };
    let mut checks = Table::new(&context.out, &["CHECK", "", answer.home.to_str().unwrap_or("home")]);
    for check in &answer.checks {
        checks.row([plain(check.name), verdict(check.ok), plain(clean(&check.detail))]);
    }
    let mut groups = Table::new(&context.out, &["GROUP", "", "EVENTS", "FILES", "ASIDE", ""]);
    for group in &answer.groups {
        groups.row([
            plain(&group.group_id),
            verdict(group.ok),
            plain(group.events.map_or("unknown".into(), |events| events.to_string())),
            plain(group.segments),
            plain(group.torn),
            plain(clean(&group.detail)),
        ]);
    }
    let mut text = format!("cccc {}\n\n{}", env!("CARGO_PKG_VERSION"), checks.text());
    if !groups.is_empty() {
        text += &format!("\n\n{}", groups.text());
    }
    if !answer.agents.is_empty() {
        text += &format!("\n\n{}", runtime::text(context, &answer.agents));
    }
    text
}
