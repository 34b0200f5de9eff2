//! `cccc demo`: the main job on real input, with everything that it claims checked at the end.

pub(crate) mod actor;
mod cast;
mod check;
mod count;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use cccc_core::{Body, Error, Event, EventId, Group, GroupId, Home, Receipt, Result};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::receipts;
use crate::context::Context;
use crate::output::{Failure, Outcome, Style, clean};
use crate::render::{event_text, who_style};
use crate::table::{Table, plain};

use self::actor::{Job, follow, store};
use self::cast::Cast;
use self::count::{Counts, Tally};

/// Everything together ends by then, well or not.
const BOUND: Duration = Duration::from_secs(75);

/// How often the processes are looked at while nothing is said.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const FOREMAN: &str = "lead";
const PEERS: [&str; 2] = ["alice", "bob"];
/// The peer that is killed half-way.
const VICTIM: &str = "bob";

/// See it work: three processes count a directory together, and one is killed half-way
///
/// In a throwaway home a foreman and two peers, each a process of its own, count lines and TODO marks in
/// the files of PATH. The foreman splits the files, the peers answer with their results attached, the
/// foreman adds up. One peer is killed (SIGKILL) after it took its share, and started again: nothing is
/// lost or done twice. At the end everything claimed is checked, the totals against `wc -l`; the exit code
/// is 0 only if all of it holds.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc demo
  cccc demo ~/src/shop --rm
  cccc demo --json | jq .checks")]
pub(crate) struct DemoArgs {
    /// The directory whose files are counted
    #[arg(default_value = ".", hide_default_value = true)]
    path: PathBuf,
    /// Remove the throwaway home at the end
    #[arg(long)]
    rm: bool,
}

/// What `cccc demo --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DemoAnswer {
    /// Whether everything that is claimed was found to hold.
    pub(crate) ok: bool,
    home: PathBuf,
    group_id: GroupId,
    /// Where the group's files lie; gone if `--rm` was given.
    ledger: PathBuf,
    events: u64,
    messages: u64,
    elapsed_ms: u64,
    /// What was counted, by language.
    counts: Counts,
    total: Tally,
    /// What became of every message that asked for a reply.
    receipts: Vec<Receipt>,
    checks: Vec<check::Check>,
}

pub(crate) async fn cmd_demo(context: &Context, args: DemoArgs) -> Outcome {
    let root = std::fs::canonicalize(&args.path).map_err(|e| Error::io("find", &args.path, e))?;
    // What cannot be counted is said at once, and not by a process that ends early.
    count::sources(&root)?;
    let dir = throwaway()?;
    let result = perform(context, dir.path(), &root).await;
    let shown = match result.and_then(|answer| show(context, &answer, args.rm)) {
        // Nobody saw it to its end, so nothing was shown to hold.
        Err(Failure::ClosedPipe) => Err(Failure::Answered),
        shown => shown,
    };
    if !args.rm {
        // Kept also when something went wrong: that is when one wants to look.
        let home = dir.keep();
        if matches!(shown, Err(Failure::Error(_))) {
            crate::output::report_line(&format!("the demo's home is kept in {}", home.display()));
        }
    }
    shown
}

/// A directory in the system's place for such, closed to others from its beginning.
fn throwaway() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("cccc-demo-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(|e| Error::unavailable(format!("cannot make a throwaway home: {e}")))
}

/// What happened, as the checks need it.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) user: Group,
    pub(crate) root: PathBuf,
    /// The user's message to the foreman.
    pub(crate) job: EventId,
    /// The foreman's messages to the peers.
    pub(crate) shares: Vec<EventId>,
    /// Everything that was said.
    pub(crate) events: Vec<Event>,
    /// How the killed process ended, and the processes before and after.
    pub(crate) killed: Option<(ExitStatus, u32, u32)>,
}

async fn perform(context: &Context, home: &Path, root: &Path) -> std::result::Result<DemoAnswer, Failure> {
    let started = Instant::now();
    let home = Home::open(home).await?;
    let user = home.create_group("demo").await?.through("demo");
    say(context, &format!("counting {} in the throwaway home {}\n", root.display(), home.path().display()))?;
    for actor in [FOREMAN, PEERS[0], PEERS[1]] {
        user.add_actor(actor).await?;
    }
    let mut played = Played {
        user: user.clone(),
        root: root.to_owned(),
        job: ask(&user, root).await?,
        shares: Vec::new(),
        events: Vec::new(),
        killed: None,
    };
    let mut cast = Cast::new(home.path(), user.id())?;
    play(context, &mut played, &mut cast, started).await?;
    cast.finish(started + BOUND)?;
    // The user has seen the report: it was on the terminal.
    user.inbox().mark_read().await?;
    let checks = check::all(&mut played).await?;
    let receipts = check::receipts(&played).await?;
    let counts = check::reported(&played)?;
    let messages = played.events.iter().filter(|event| event.message().is_some()).count();
    Ok(DemoAnswer {
        ok: checks.iter().all(|check| check.ok),
        ledger: home.group_path(user.id()).join("ledger"),
        home: home.path().to_owned(),
        group_id: user.id().clone(),
        events: user.position().await?.seq.0,
        messages: u64::try_from(messages).unwrap_or(u64::MAX),
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        total: counts.total(),
        counts,
        receipts,
        checks,
    })
}

/// The user's part: one message to the foreman.
async fn ask(user: &Group, root: &Path) -> Result<EventId> {
    let job = store(user, "job.json", &Job { root: root.to_owned() }).await?;
    let text = format!("Count lines and TODO marks per language in {}", root.display());
    let sent = user.send(text).to(FOREMAN).intent("task").reply_required().attachment(job).await?;
    Ok(sent.event_id)
}

/// Starts the actors, shows what they say, kills one half-way, and returns when the foreman has reported.
async fn play(context: &Context, played: &mut Played, cast: &mut Cast, started: Instant) -> Outcome {
    let beginning = cccc_core::Position::start(played.user.id());
    let news = follow(&played.user, beginning);
    cast.start(FOREMAN, false)?;
    cast.start(PEERS[0], false)?;
    let victim = cast.start(VICTIM, true)?;
    loop {
        let event = match news.recv_timeout(LOOK_EVERY) {
            Ok(event) => event?,
            Err(_) if started.elapsed() > BOUND => {
                return Err(
                    Error::unavailable(format!("nobody reported within {} s", BOUND.as_secs())).into()
                );
            }
            Err(_) => {
                cast.check()?;
                continue;
            }
        };
        show_event(context, &event, started)?;
        let (by, message) = (event.by.to_string(), event.message().cloned());
        played.events.push(event.clone());
        let Some(message) = message else { continue };
        if by == FOREMAN && message.intent.as_deref() == Some("task") {
            played.shares.push(event.id);
        }
        if by == VICTIM && message.progress && played.killed.is_none() {
            let status = cast.kill(VICTIM)?;
            let again = cast.start(VICTIM, false)?;
            played.killed = Some((status, victim, again));
            let text =
                format!("** {VICTIM} (process {victim}) was killed; started again as process {again} **");
            say(context, &format!("{:>6}  {}", at(started), context.out.style(Style::Red, text)))?;
        }
        if by == FOREMAN && !message.progress && message.reply_to == Some(played.job) {
            return Ok(());
        }
    }
}

fn at(started: Instant) -> String {
    format!("{:.2}s", started.elapsed().as_secs_f64())
}

/// Text for people, shown at once.
fn say(context: &Context, text: &str) -> Outcome {
    if context.out.is_json() {
        return Ok(());
    }
    context.out.line(text)?;
    context.out.flush()
}

/// The conversation, without the bookkeeping between.
fn show_event(context: &Context, event: &Event, started: Instant) -> Outcome {
    let text = match &event.body {
        Body::ChatMessage(_) => event_text(&context.out, event),
        Body::ChatAck(ack) => context.out.style(Style::Dim, format!("took note of {}", ack.event_id.seq)),
        _ => return Ok(()),
    };
    let by = context.out.style(who_style(&event.by), format!("{:<5}", event.by));
    let place = context.out.style(Style::Dim, format!("{:>6}  {:>3}", at(started), event.seq));
    say(context, &format!("{place}  {by} {text}"))
}

fn show(context: &Context, answer: &DemoAnswer, removed: bool) -> Outcome {
    context.out.answer(answer, || text(context, answer, removed))?;
    if answer.ok { Ok(()) } else { Err(Failure::Answered) }
}

fn text(context: &Context, answer: &DemoAnswer, removed: bool) -> String {
    let mut totals = Table::new(&context.out, &["LANGUAGE", "FILES", "LINES", "TODO"]);
    for (language, tally) in &answer.counts.0 {
        totals.row([plain(clean(language)), plain(tally.files), plain(tally.lines), plain(tally.todos)]);
    }
    let total = answer.total;
    let bold = |n: u64| (n.to_string(), Style::Bold);
    totals.row([("total".into(), Style::Bold), bold(total.files), bold(total.lines), bold(total.todos)]);
    let mut checks = Table::new(&context.out, &["CHECKED", "", ""]);
    for check in &answer.checks {
        let verdict = if check.ok { ("yes", Style::Green) } else { ("NO", Style::Red) };
        checks.row([plain(check.claim), (verdict.0.into(), verdict.1), plain(clean(&check.detail))]);
    }
    let place = match removed {
        true => "the throwaway home is removed".to_owned(),
        false => format!(
            "the ledger lies in {}\nlook around: cccc --home {} --group {} tail",
            answer.ledger.display(),
            answer.home.display(),
            answer.group_id
        ),
    };
    format!(
        "\n{}\n\n{}\n\n{}\n\n{} messages, {} events, {:.1} s; {place}",
        receipts::table(context, &answer.receipts),
        totals.text(),
        checks.text(),
        answer.messages,
        answer.events,
        answer.elapsed_ms as f64 / 1e3,
    )
}
