//! Events and messages as people read them. Decides wording and width only.

use std::time::Duration;

use cccc_core::event::{Body, ChatMessage, ContextValue, DeliveryState, Priority};
use cccc_core::{AttachmentReport, AttachmentState, Clock, Event, Principal, SystemClock, Timestamp};

use crate::duration::short;
use crate::output::{Output, Style, clean, first_line};

/// How much of a text a line of `tail` shows, in characters.
const LINE_CHARS: usize = 100;

/// How long ago something was: `3m ago`. Of a gap at the beginning nobody knows.
pub(crate) fn ago(at: Timestamp) -> String {
    if at == Timestamp::default() {
        return "-".into();
    }
    format!("{} ago", short(SystemClock.now().since(at)))
}

/// When something is due: `in 12m`, `5m over`.
pub(crate) fn due(at: Timestamp) -> String {
    let now = SystemClock.now();
    // Rounded up to seconds, so that what is due in 15 minutes reads so a moment later.
    let left = at.since(now).saturating_add(Duration::from_millis(999));
    if now > at { format!("{} over", short(now.since(at))) } else { format!("in {}", short(left)) }
}

/// Names with commas.
pub(crate) fn names<T: ToString>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A word as it is written in JSON: `in_reply`, `attention`.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(serde_json::Value::Object(map)) => {
            let state = map.get("state").or_else(|| map.values().next());
            state.and_then(|state| state.as_str()).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// What is wrong with an attachment.
pub(crate) fn attachment_fault(state: &AttachmentState, sha256: &str) -> String {
    match state {
        AttachmentState::Changed(why) => format!("NOT what was sent: {why} ({sha256})"),
        AttachmentState::Lost => format!("LOST: there is no {sha256}"),
        state => format!("{} ({sha256})", word(state)),
    }
}

/// What is wrong with the attachments of a group, a line each.
pub(crate) fn attachment_faults(report: &AttachmentReport) -> Vec<String> {
    let faults = report.faults.iter();
    faults
        .map(|one| {
            format!("attachment of event {}: {}", one.event, attachment_fault(&one.fault, &one.sha256))
        })
        .collect()
}

/// How many of some events are gaps, to be said after how many there are; nothing if none is.
pub(crate) fn gaps_of_them(gaps: u64) -> String {
    match gaps {
        0 => String::new(),
        1 => " (1 lost, a gap)".into(),
        gaps => format!(" ({gaps} lost, gaps)"),
    }
}

/// A size in bytes, shortened: `12 kB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// What a message asks for and carries, in a few words: `attention, reply due in 14m, 2 files`.
pub(crate) fn asks(message: &ChatMessage) -> String {
    let mut words = Vec::new();
    match message.priority {
        Priority::Low => words.push("low".to_owned()),
        Priority::Normal => {}
        Priority::Attention => words.push("attention".to_owned()),
    }
    match (message.reply_required, message.due_at) {
        (true, Some(at)) => words.push(format!("reply due {}", due(at))),
        (true, None) => words.push("reply required".to_owned()),
        (false, Some(at)) => words.push(format!("due {}", due(at))),
        (false, None) => {}
    }
    if message.progress {
        words.push("progress".to_owned());
    }
    if !message.options.is_empty() {
        let options = message.options.iter().zip(1..).map(|(option, n)| format!("{n} {}", clean(option)));
        words.push(format!("options: {}", options.collect::<Vec<_>>().join(", ")));
    }
    if let Some(choice) = &message.choice {
        words.push(format!("chooses {}", clean(choice)));
    }
    match message.attachments.as_slice() {
        [] => {}
        [one] => words.push(format!("file {}", clean(&one.name))),
        files => words.push(format!("{} files", files.len())),
    }
    words.join(", ")
}

/// One event on one line.
pub(crate) fn event_line(out: &Output, event: &Event) -> String {
    let seq = out.style(Style::Dim, format!("{:>5}  {:>8}", event.seq, ago(event.ts)));
    let by = out.style(who_style(&event.by), format!("{:<10}", event.by));
    format!("{seq}  {by}  {}", event_text(out, event))
}

/// The colour of a speaker: people stand out.
pub(crate) fn who_style(by: &Principal) -> Style {
    match by {
        Principal::User | Principal::Person(_) => Style::Bold,
        Principal::System | Principal::Service(_) => Style::Dim,
        Principal::Actor(_) | Principal::Remote(_) => Style::Cyan,
    }
}

/// What an event says, on one line.
pub(crate) fn event_text(out: &Output, event: &Event) -> String {
    match &event.body {
        Body::ChatMessage(message) => {
            let to = names(&message.recipients);
            let asks = asks(message);
            let asks =
                if asks.is_empty() { String::new() } else { out.style(Style::Yellow, format!(" [{asks}]")) };
            let answers = message.reply_to.map(|id| format!("re {}: ", id.seq)).unwrap_or_default();
            format!("-> {to}: {answers}{}{asks}", first_line(&message.text, LINE_CHARS))
        }
        body => out.style(Style::Dim, format!("{}: {}", body.kind(), detail(body))),
    }
}

/// The data of an event that is no message, in words.
fn detail(body: &Body) -> String {
    match body {
        Body::GroupCreate(create) => clean(&create.title),
        Body::GroupUpdate(update) => update.title.as_deref().map(clean).unwrap_or_default(),
        Body::GroupAttach(attach) => clean(&attach.path),
        Body::GroupDetachScope(detach) => clean(&detach.path),
        Body::GroupSetState(set) => word(&set.state),
        Body::ActorAdd(add) => format!("{} as {}", add.actor_id, word(&add.role)),
        Body::ActorUpdate(update) => update.actor_id.to_string(),
        Body::ActorRemove(remove) => match &remove.successor {
            Some(successor) => format!("{}, succeeded by {successor}", remove.actor_id),
            None => remove.actor_id.to_string(),
        },
        Body::PersonAdd(add) => format!("user:{}", add.person_id),
        Body::PersonRemove(remove) => match &remove.successor {
            Some(successor) => format!("user:{}, succeeded by {successor}", remove.person_id),
            None => format!("user:{}", remove.person_id),
        },
        Body::SessionOpen(open) => format!("{} generation {}", open.actor_id, open.generation),
        Body::SessionClose(close) => format!("{} generation {}", close.actor_id, close.generation),
        Body::ChatRead(read) => match read.through_seq {
            Some(seq) => format!("{} read everything up to {seq}", read.actor_id),
            None => format!("{} read {}", read.actor_id, seqs(&read.event_ids)),
        },
        Body::ChatAck(ack) => format!("{} took note of {}", ack.actor_id, ack.event_id.seq),
        Body::ChatCancel(cancel) => format!("{} for {}", cancel.event_id.seq, names(&cancel.recipients)),
        Body::ChatMove(moved) => format!("{} from {} to {}", seqs(&moved.event_ids), moved.from, moved.to),
        Body::ChatRetract(retract) => format!("{} from {}", retract.event_id.seq, names(&retract.recipients)),
        Body::ChatRedact(redact) => format!("{}", redact.event_id.seq),
        Body::RuntimeDelivery(delivery) => {
            format!("{} to {}: {}", seqs(&delivery.event_ids), delivery.actor_id, state(&delivery.state))
        }
        Body::ContextSet(set) => match &set.value {
            Some(ContextValue::Text(text)) => format!("{}: {}", set.key, first_line(text, LINE_CHARS)),
            Some(ContextValue::Service(service)) => format!("{}: {}", set.key, clean(&service.address)),
            None => format!("{} removed", set.key),
        },
        Body::AgentState(said) => {
            format!("{} is at {}", said.actor_id, first_line(&said.focus, LINE_CHARS))
        }
        Body::ReservationTake(take) => {
            format!("{} {} {}", take.reservation_id, clean(&take.globs.join(" ")), due(take.until))
        }
        Body::ReservationExtend(extend) => format!("{} {}", extend.reservation_id, due(extend.until)),
        Body::ReservationRelease(release) => release.reservation_id.to_string(),
        Body::VoteOpen(open) => format!("{} {}", open.vote_id, first_line(&open.subject, LINE_CHARS)),
        Body::VoteCast(cast) => format!("{} {}", cast.vote_id, cast.choice),
        Body::VoteClose(close) => format!("{} {}", close.vote_id, close.outcome),
        Body::ApprovalOpen(open) => {
            format!("{} {}", open.approval_id, first_line(&open.subject, LINE_CHARS))
        }
        Body::ApprovalDecide(decide) => format!("{} {}", decide.approval_id, clean(decide.verdict.as_str())),
        Body::ChatPin(pin) => format!("{} {}", pin.event_id.seq, first_line(&pin.note, LINE_CHARS)),
        Body::ChatUnpin(unpin) => unpin.event_id.seq.to_string(),
        Body::TaskCreate(task) => clean(&task.title),
        Body::TaskUpdate(update) => format!("{} {}", update.task_id, update.change.as_str()),
        Body::SystemNotify(notice) => {
            let target = notice.target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
            let text = notice.text.as_deref().map(|text| format!(": {}", first_line(text, LINE_CHARS)));
            format!("{}{target}{}", clean(&notice.notice), text.unwrap_or_default())
        }
        Body::ScheduleSet(set) => set.schedule_id.to_string(),
        Body::ScheduleRemove(remove) => remove.schedule_id.to_string(),
        Body::ScheduleFired(fired) => format!("{} {}", fired.schedule_id, word(&fired.result)),
        Body::ActorStart(start) => start.actor_id.to_string(),
        Body::ActorStop(stop) => stop.actor_id.to_string(),
        Body::ActorRestart(restart) => restart.actor_id.to_string(),
        Body::LedgerGap(gap) => {
            let place = match gap.bytes {
                0 => String::new(),
                bytes => format!(" ({bytes} bytes of {} at byte {})", clean(&gap.file), gap.offset),
            };
            let reason = clean(&gap.reason);
            match gap.is_repaired() {
                true => format!("lost and repaired away: {reason}{place}"),
                false => {
                    format!("lost; not repaired yet: {reason}{place}; `cccc ledger repair` keeps the others")
                }
            }
        }
        _ => String::new(),
    }
}

fn seqs(ids: &[cccc_core::EventId]) -> String {
    names(&ids.iter().map(|id| id.seq).collect::<Vec<_>>())
}

fn state(state: &DeliveryState) -> String {
    match state {
        DeliveryState::Failed { reason }
        | DeliveryState::Ambiguous { reason }
        | DeliveryState::Held { reason }
        | DeliveryState::Refused { reason }
        | DeliveryState::Withdrawn { reason }
        | DeliveryState::Bounced { reason } => format!("{}, {}", word(state), clean(reason)),
        DeliveryState::Withheld { reason } => format!("withheld, {}", word(reason)),
        DeliveryState::Accepted { by: Some(by), .. } | DeliveryState::Answered { by: Some(by), .. } => {
            format!("{} by {}", word(state), clean(by.as_str()))
        }
        _ => word(state),
    }
}

/// A text with every line moved to the right.
pub(crate) fn indented(text: &str) -> String {
    clean(text).lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
