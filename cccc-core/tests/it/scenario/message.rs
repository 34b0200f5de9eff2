//! The library's door to messages: sent, taken note of, withdrawn, looked at.

use std::path::Path;

use cccc_core::event::{Format, NotIf, Priority};
use cccc_core::{Error, Group, SendRequest, Seq};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::door::{Answered, done, of};

/// Carries out an operation on messages; nothing if it is none.
pub(super) async fn perform(group: &Group, verb: &str, with: Arguments<'_>, dir: &Path) -> Option<Answered> {
    let event = || with.needed("event");
    let reason = || with.text("reason").unwrap_or_default();
    Some(match verb {
        "send" => send(group.send(with.needed("text")), with, dir).await,
        "reply" => send(group.reply(event(), with.needed("text")), with, dir).await,
        "answer" => {
            let text = with.text("text").unwrap_or_default();
            send(group.reply(event(), text).choosing(with.needed("choice")), with, dir).await
        }
        "question list" => group.questions().await.and_then(|questions| of(&questions)),
        "question show" => group.question(event()).await.and_then(|question| of(&question)),
        "question close" => done(group.close_question(event()).await),
        "pin" => done(group.pin(event(), with.text("note").unwrap_or_default()).await),
        "unpin" => done(group.unpin(event(), reason()).await),
        "pins" => group.pins().await.and_then(|pins| of(&pins)),
        "ack" => done(group.ack(event()).await),
        "read" if with.flag("through") => done(group.read_through(event()).await),
        "read" => done(group.read(event()).await),
        "cancel" => done(group.cancel(event(), reason()).await),
        "retry" => done(group.retry(event(), with.needed("to")).await),
        "retract" => done(group.retract(event(), reason()).await),
        "redact" => done(group.redact(event(), reason()).await),
        "inbox" => inbox(group, with).await,
        "receipts" => group.receipts(event()).await.and_then(|receipts| of(&receipts)),
        "obligations" => obligations(group, with).await,
        "show" => show(group, event()).await,
        "tail" => tail(group, with).await,
        "notices" if with.flag("peek") => group.notices().peek().await.and_then(|notices| of(&notices)),
        "notices" => group.notices().await.and_then(|notices| of(&notices)),
        "relay list" => group.relays().await.and_then(|relays| of(&relays)),
        "relay retry" => relay_retry(group, with).await,
        _ => return None,
    })
}

async fn send(mut request: SendRequest<'_>, with: Arguments<'_>, dir: &Path) -> Answered {
    for address in with.texts("to") {
        request = request.to(address);
    }
    if with.flag("low") {
        request = request.priority(Priority::Low);
    }
    if with.flag("attention") {
        request = request.priority(Priority::Attention);
    }
    if with.flag("reply_required") {
        request = request.reply_required();
    }
    if let Some(time) = with.time("reply_within") {
        request = request.reply_within(time);
    }
    for option in with.texts("option") {
        request = request.option(option);
    }
    if with.flag("progress") {
        request = request.progress();
    }
    if let Some(event) = with.text("reply_to") {
        request = request.reply_to(event);
    }
    if let Some(event) = with.text("supersedes") {
        request = request.supersedes(event);
    }
    if let Some(intent) = with.text("intent") {
        request = request.intent(intent);
    }
    if let Some(quote) = with.text("quote") {
        request = request.quote(quote);
    }
    if let Some(format) = with.text("format") {
        request = request.format(serde_json::from_value::<Format>(json!(format)).unwrap());
    }
    for file in with.texts("file") {
        request = request.attach(dir.join(file));
    }
    for reference in with.texts("ref") {
        request = request.reference(reference);
    }
    if let Some(key) = with.text("client_id") {
        request = request.client_id(key);
    }
    if let Some(time) = with.time("expires") {
        request = request.expires_in(time);
    }
    for condition in with.texts("not_if") {
        request = request.not_if(condition.parse::<NotIf>()?);
    }
    of(&request.await?)
}

async fn inbox(group: &Group, with: Arguments<'_>) -> Answered {
    // As `cccc inbox --json`: notices are left to `notices`.
    let mut request =
        group.inbox().without_notices().limit(with.number("limit").unwrap_or(20).try_into().unwrap());
    if let Some(seq) = with.number("after") {
        request = request.after(Seq(seq));
    }
    if with.flag("mark_read") {
        request = request.mark_read();
    }
    if with.flag("peek") {
        request = request.peek();
    }
    of(&request.await?.messages)
}

async fn obligations(group: &Group, with: Arguments<'_>) -> Answered {
    let request = group.obligations();
    of(&match (with.flag("mine"), with.flag("all")) {
        (true, _) => request.mine().await?,
        (_, true) => request.all().await?,
        _ => request.await?,
    })
}

async fn show(group: &Group, event: &str) -> Answered {
    let event = group.event(event).await?;
    let page = group.history().from(event.seq).limit(1).await?;
    Ok(parsed(page.lines.iter()).remove(0))
}

async fn tail(group: &Group, with: Arguments<'_>) -> Answered {
    let mut request = group.history().limit(with.number("lines").unwrap_or(20).try_into().unwrap());
    if let Some(kind) = with.text("kind") {
        request = request.kind(kind);
    }
    Ok(Value::Array(parsed(request.await?.lines.iter())))
}

async fn relay_retry(group: &Group, with: Arguments<'_>) -> Answered {
    let message = match with.text("event") {
        Some(event) => Some(group.event(event).await?.id),
        None => None,
    };
    of(&group.retry_relays(message).await?)
}

fn parsed<T: AsRef<str>>(lines: impl Iterator<Item = T>) -> Vec<Value> {
    lines
        .map(|line| serde_json::from_str(line.as_ref()).map_err(|e| Error::invalid(e.to_string())).unwrap())
        .collect()
}
