//! `cccc hook`: what an agent's program runs at certain moments, and what it is told there.
//!
//! What is worth saying when is decided in core ([`briefing`](cccc_core::rule::briefing)). This module reads what
//! the agent writes, finds out whose session that is, claims what it will say before it says anything, writes
//! the answer in the agent's own form, and records how that went. Whatever goes wrong, the agent goes on: then
//! nothing is printed, the exit code is 0, and `cccc hook --troubles` shows why.

mod form;
mod guard;
mod input;
mod memory;
mod text;
pub(crate) mod trouble;
mod who;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use cccc_core::command::Outcome;
use cccc_core::event::Transport;
use cccc_core::rule::briefing::Moment;
use cccc_core::{
    Briefing, Error, ErrorKind, EventId, Group, Handing, Home, HomeOptions, Message, Result, Scope,
};
use serde_json::{Value, json};

pub(crate) use form::{FORMS, Form};

use input::Input;
use memory::Memory;
use text::Frame;
use trouble::Trouble;
use who::{Found, Seat};

/// In whose name hooks deliver.
const SERVICE: &str = "svc:hook";
/// How long a hook may take.
const BOUND: Duration = Duration::from_secs(2);
/// The longest word of the evidence of a delivery.
const MAX_EVIDENCE_WORD: usize = 200;

/// A moment at which an agent's program runs hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Prompt,
    BeforeTool,
    Tool,
    Stop,
    End,
}

/// The events, by the names by which they are asked for.
pub(crate) const EVENTS: [(&str, Event); 6] = [
    ("start", Event::Start),
    ("prompt", Event::Prompt),
    ("before-tool", Event::BeforeTool),
    ("tool", Event::Tool),
    ("stop", Event::Stop),
    ("end", Event::End),
];

impl Event {
    /// An event by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        EVENTS.iter().find(|(known, _)| *known == name).map(|(_, event)| *event)
    }

    pub(crate) fn name(self) -> &'static str {
        EVENTS.iter().find(|(_, event)| *event == self).map_or("", |(name, _)| *name)
    }

    fn moment(self) -> Option<Moment> {
        match self {
            Self::Start => Some(Moment::Start),
            Self::Prompt => Some(Moment::Prompt),
            Self::BeforeTool => Some(Moment::BeforeTool),
            Self::Tool => Some(Moment::Tool),
            Self::Stop => Some(Moment::Stop),
            Self::End => None,
        }
    }
}

/// What is asked of a hook.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) event: Event,
    pub(crate) form: Form,
    /// The agent's program.
    pub(crate) runtime: String,
    /// Whether tools wait until mail is read.
    pub(crate) strict: bool,
    /// Whether files that others have reserved are kept from being changed.
    pub(crate) guard: bool,
    pub(crate) home: PathBuf,
    pub(crate) options: HomeOptions,
    pub(crate) group: Option<String>,
    /// Who it is, as said for this hook alone.
    pub(crate) named: Option<String>,
    /// Who it is, as the environment says.
    pub(crate) inherited: Option<String>,
}

impl Ask {
    /// Where the agent works.
    fn directory(&self, input: &Input) -> PathBuf {
        input.cwd.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| PathBuf::from("."))
    }
}

/// How far a hook has come: it may be given up until it begins to print.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

const GIVEN_UP: u8 = 1;
const PRINTING: u8 = 2;

impl Stage {
    fn reach(&self, stage: u8) -> bool {
        self.0.compare_exchange(0, stage, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Runs a hook within its bound. Never fails.
pub(crate) fn run(ask: Ask) {
    let (done, end) = mpsc::channel();
    let stage = Arc::new(Stage::default());
    let work = {
        let (ask, stage) = (ask.clone(), stage.clone());
        move || {
            let result = Input::read(std::io::stdin().lock())
                .and_then(|input| cccc_core::block_on(answer(&ask, &input, &stage)));
            // Nobody waits any more if it was given up.
            let _ = done.send(result);
        }
    };
    let trouble = match std::thread::Builder::new().name("hook".into()).spawn(work) {
        Err(error) => Some(Error::unavailable(format!("no thread for the hook: {error}"))),
        Ok(_) => match end.recv_timeout(BOUND) {
            Ok(result) => result.err(),
            Err(mpsc::RecvTimeoutError::Disconnected) => Some(Error::unavailable("the hook failed")),
            // What it prints by now it also settles; else it is left alone, and says nothing any more.
            Err(mpsc::RecvTimeoutError::Timeout) if stage.reach(GIVEN_UP) => {
                Some(Error::unavailable(format!("the hook took longer than {} s", BOUND.as_secs())))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => match end.recv_timeout(BOUND) {
                Ok(result) => result.err(),
                Err(_) => Some(Error::unavailable("the hook was slow to record what it had printed")),
            },
        },
    };
    if let Some(error) = trouble {
        let at = ask.options.clock.now();
        trouble::record(&ask.home, &Trouble::of(at, ask.event.name(), &ask.runtime, &error));
    }
}

/// Whether this was to be a hook that an agent's program runs, with arguments that are none: to such a program 2 as
/// an exit code means that the tool may not be used. It is said where a person would see it, and kept.
pub(crate) fn is_asked_wrongly(error: &clap::Error) -> bool {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let is_hook = command(words).as_deref() == Some("hook");
    if !is_hook || !error.use_stderr() || std::io::stdin().is_terminal() {
        return false;
    }
    let said = error.to_string();
    let first = said.lines().next().unwrap_or_default();
    eprintln!("{first}");
    // The program that runs a hook shows this to a person, if to anybody.
    if let Some(choice) = said.lines().find(|line| line.contains("possible values: ")) {
        eprintln!("{choice}");
    }
    eprintln!("  hint: `cccc hook --help` shows how it is called");
    if let Ok(home) = Home::default_path() {
        let at = cccc_core::Clock::now(&cccc_core::SystemClock);
        trouble::record(&home, &Trouble::of(at, "", "", &Error::invalid(first)));
    }
    true
}

/// The command among arguments: the first word that is neither an option nor the value of one.
fn command(mut words: impl Iterator<Item = String>) -> Option<String> {
    loop {
        match words.next()?.as_str() {
            "--home" | "--group" | "--as" => drop(words.next()),
            option if option.starts_with('-') => {}
            command => return Some(command.to_owned()),
        }
    }
}

/// Carries a hook out, and prints what there is to say.
async fn answer(ask: &Ask, input: &Input, stage: &Stage) -> Result<()> {
    let moment = ask.event.moment();
    // Asked before each of an agent's tools: where there is nothing to say, nothing is opened.
    if moment == Some(Moment::BeforeTool) && !ask.strict && !ask.guard {
        return Ok(());
    }
    // A home is nothing that a hook would make.
    if !ask.home.is_dir() {
        return Ok(());
    }
    let home = Home::open_with(&ask.home, ask.options.clone()).await?;
    let group = match &ask.group {
        Some(name) => Some(home.group_named(name).await?),
        None => home.find(ask.directory(input)).await?,
    };
    let Some(group) = group.map(|group| group.through("hook")) else { return Ok(()) };
    let Some(moment) = moment else { return end(ask, input, &group).await };
    if input.subagent && moment != Moment::BeforeTool {
        // What is said there would be gone with it, and never reach the agent itself.
        return Ok(());
    }
    let seat = match who::find(ask, input, &group, Some(moment)).await? {
        Found::Seat(seat) => seat,
        Found::Replaced(note) if moment == Moment::Start => {
            let said = ask.form.says(ask.event, input.event.as_deref(), &note);
            return print(stage, &said).map(drop);
        }
        Found::Replaced(_) | Found::Nobody => return Ok(()),
    };
    if moment == Moment::BeforeTool {
        if ask.guard
            && let Some(reason) = reserved(ask, input, &home, &seat).await?
        {
            return print(stage, &ask.form.denies(input.event.as_deref(), &reason)).map(drop);
        }
        let tool = input.tool.as_deref().unwrap_or_default();
        if !ask.strict || input.subagent || guard::is_harmless(tool, &input.tool_input) {
            return Ok(());
        }
    }
    if !ask.form.carries(ask.event) {
        return Ok(());
    }
    tell(ask, input, stage, &seat, moment).await
}

/// Puts before the agent what there is at this moment.
async fn tell(ask: &Ask, input: &Input, stage: &Stage, seat: &Seat, moment: Moment) -> Result<()> {
    if matches!(moment, Moment::Prompt | Moment::Stop) {
        // A hook that was killed leaves a claim, which holds its messages up until somebody sees that it is dead.
        seat.group.upkeep().await?;
    }
    let mut memory = Memory::of(&ask.home, seat.group.id(), &seat.session);
    match moment {
        Moment::Start => memory.said = cccc_core::rule::briefing::Said::default(),
        Moment::Stop if !input.goes_on => memory.said.stops = 0,
        _ => {}
    }
    let briefing = seat.group.briefing(moment, &memory.said).await?;
    if briefing.is_silent() && moment != Moment::Start {
        return memory.save();
    }
    let voices = seat.group.voices().await?;
    let frame = Frame::of(seat, moment, &briefing, &voices).await?;
    let room = cccc_mcp::brief::room_for(&briefing.messages, &voices, frame.room());
    let handed = hand_over(seat, &briefing, room).await?;
    let messages = handed.as_ref().map(|(_, messages)| messages.as_slice()).unwrap_or_default();
    let only_frame = briefing.again.is_empty() && briefing.owed.is_empty();
    if messages.is_empty() && only_frame && !briefing.denies && moment != Moment::Start {
        // Another hook has them.
        return memory.save();
    }
    for message in messages {
        memory.said.named(moment, message.owed.iter().map(|kind| (message.seq, *kind)));
    }
    if moment != Moment::Start {
        memory.said.named(moment, briefing.owed.iter().map(|owed| (owed.source.seq, owed.kind)));
    }
    match moment {
        Moment::Stop => memory.said.stops += 1,
        Moment::BeforeTool => {
            memory.said.denied = briefing.newest.map(|newest| match memory.said.denied {
                Some((seq, times)) if seq >= newest => (newest, times + 1),
                _ => (newest, 1),
            });
        }
        _ => {}
    }
    let text = frame.around(messages, briefing.waiting, &voices);
    let name = input.event.as_deref();
    let said = match moment {
        Moment::BeforeTool => ask.form.denies(name, &text),
        _ => ask.form.says(ask.event, name, &text),
    };
    let printed = print(stage, &said);
    // Before what is slower: a hook that is stopped here has said it all the same.
    let kept = if matches!(printed, Ok(Printed::Whole)) { memory.save() } else { Ok(()) };
    if let Some((handing, _)) = handed {
        handing.settle(outcome(ask, input, &printed)).await?;
    }
    printed?;
    kept
}

/// Claims the messages that are shown; those that another door has meanwhile are left to it.
async fn hand_over(seat: &Seat, briefing: &Briefing, room: usize) -> Result<Option<(Handing, Vec<Message>)>> {
    let events: Vec<EventId> = briefing.messages.iter().take(room).map(|message| message.event_id).collect();
    if events.is_empty() {
        return Ok(None);
    }
    let handing = match seat.group.hand_over(SERVICE, &seat.session, &events, Transport::Hook).await {
        Ok(Some(handing)) => handing,
        Ok(None) => return Ok(None),
        // Replaced, or the group was put to rest, since it was looked at.
        Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::Unavailable) => return Ok(None),
        Err(error) => return Err(error),
    };
    let taken = |message: &&Message| handing.taken().contains(&message.event_id);
    let messages = briefing.messages.iter().filter(taken).cloned().collect();
    Ok(Some((handing, messages)))
}

/// What is known of a delivery by how printing went.
fn outcome(ask: &Ask, input: &Input, printed: &Result<Printed>) -> Outcome {
    let word = |word: &Option<String>| {
        word.as_ref().map(|word| word.chars().take(MAX_EVIDENCE_WORD).collect::<String>())
    };
    match printed {
        Ok(Printed::Whole) => {
            let mut evidence = json!({ "hook": ask.event.name(), "runtime": ask.runtime });
            for (key, value) in [
                ("event", word(&input.event)),
                ("agent_session", word(&input.session)),
                ("turn", word(&input.turn)),
                ("tool_use", word(&input.tool_use)),
            ] {
                if let (Some(fields), Some(value)) = (evidence.as_object_mut(), value) {
                    fields.insert(key.to_owned(), value.into());
                }
            }
            Outcome::accepted(evidence)
        }
        Ok(Printed::Nothing) => Outcome::Failed("the hook took too long, and printed nothing".into()),
        Ok(Printed::Part(error)) => {
            Outcome::Ambiguous(format!("the agent closed the hook's output in the middle: {error}"))
        }
        Err(error) => Outcome::Failed(format!("nothing of the hook's output was read: {error}")),
    }
}

/// How printing went.
#[derive(Debug)]
enum Printed {
    /// All of it, flushed.
    Whole,
    /// Not begun: the hook was given up.
    Nothing,
    /// Some of it.
    Part(std::io::Error),
}

/// Prints the answer, unless the hook was given up.
fn print(stage: &Stage, said: &Value) -> Result<Printed> {
    if !stage.reach(PRINTING) {
        return Ok(Printed::Nothing);
    }
    let text = format!("{said}\n");
    let mut left = text.as_bytes();
    let mut output = output()?;
    while !left.is_empty() {
        match output.write(left) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(bytes) if bytes > 0 => left = left.get(bytes..).unwrap_or_default(),
            result => {
                let error = result.err().unwrap_or_else(|| std::io::ErrorKind::WriteZero.into());
                if left.len() < text.len() {
                    return Ok(Printed::Part(error));
                }
                return Err(Error::unavailable(format!("the hook's output cannot be written: {error}")));
            }
        }
    }
    match output.flush() {
        Ok(()) => Ok(Printed::Whole),
        Err(error) => Ok(Printed::Part(error)),
    }
}

/// Standard output without a buffer, so that what was written is known.
#[cfg(unix)]
fn output() -> Result<Box<dyn std::io::Write>> {
    use std::os::fd::AsFd;
    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    let stdout = stdout.map_err(|e| Error::unavailable(format!("there is no standard output: {e}")))?;
    Ok(Box::new(std::fs::File::from(stdout)))
}

#[cfg(not(unix))]
fn output() -> Result<Box<dyn std::io::Write>> {
    Ok(Box::new(std::io::stdout()))
}

/// Why a call may not be made: it would change a file that somebody else has reserved.
async fn reserved(ask: &Ask, input: &Input, home: &Home, seat: &Seat) -> Result<Option<String>> {
    let tool = input.tool.as_deref().unwrap_or_default();
    let files = guard::changed(tool, &input.tool_input);
    if files.is_empty() {
        return Ok(None);
    }
    let cwd = ask.directory(input);
    let roots = roots(home, seat.group.id(), &cwd).await?;
    for path in files.iter().filter_map(|file| guard::within(file, &cwd, &roots)) {
        let held = seat.group.reservations_of(&path).await?;
        if let Some(one) = held.into_iter().find(|one| one.holder != *seat.group.by()) {
            let what = json!({
                "path": path, "holder": one.holder, "until": one.until, "reservation": one.reservation_id,
                "globs": one.globs, "purpose": one.purpose,
            });
            return Ok(Some(format!(
                "cccc: not changed, because {holder} has reserved this file until {until}: {what}\nWork on something \
                 else, wait, or ask: cccc_message_send {{\"to\":[\"{holder}\"],\"text\":\"...\",\"reply_required\":true}}",
                holder = one.holder,
                until = one.until,
                what = cccc_mcp::brief::line(&what),
            )));
        }
    }
    Ok(None)
}

/// The directories from which a group's paths are meant, seen from a directory: its own, and of a git worktree the
/// worktree's.
async fn roots(home: &Home, group: &cccc_core::GroupId, cwd: &Path) -> Result<Vec<PathBuf>> {
    let scopes: Vec<PathBuf> = home
        .groups()
        .await?
        .into_iter()
        .filter(|one| one.group_id == *group)
        .flat_map(|one| one.scopes)
        .collect();
    let cwd = std::fs::canonicalize(cwd).unwrap_or_else(|_| cwd.to_owned());
    let trees = cwd.ancestors().filter(|dir| {
        dir.join(".git").is_file()
            && Scope::of(dir).is_ok_and(|scope| scopes.iter().any(|path| path == scope.path()))
    });
    Ok(trees.map(Path::to_owned).chain(scopes.iter().cloned()).collect())
}

/// The agent's session ends, unless it goes on in the same program.
async fn end(ask: &Ask, input: &Input, group: &Group) -> Result<()> {
    if input.goes_over() || input.subagent {
        return Ok(());
    }
    let Found::Seat(seat) = who::find(ask, input, group, None).await? else { return Ok(()) };
    Memory::of(&ask.home, seat.group.id(), &seat.session).forget();
    match seat.group.leave("the agent's session has ended").await {
        Err(error) if !error.is_done_by_another() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_among_options() {
        for (line, expected) in [
            ("hook stop --bad", Some("hook")),
            ("--json --as hook send hook --bad", Some("send")),
            ("--home=/x --group g hook", Some("hook")),
            ("--as", None),
            ("", None),
        ] {
            let words = line.split_whitespace().map(str::to_owned);
            assert_eq!(command(words).as_deref(), expected, "{line}");
        }
    }
}
