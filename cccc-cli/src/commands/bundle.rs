//! `cccc group export|import|gc`

use std::io::{self, BufReader};
use std::path::PathBuf;

use cccc_core::{Collected, Error, Exported, Imported, Principal};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::attach::only_the_user;
use super::schema::{Answers, one};
use crate::context::Context;
use crate::export;
use crate::input::{file_to_import, is_standard};
use crate::output::{Failure, Outcome, Style, clean, report_line};
use crate::progress::Progress;
use crate::render::{gaps_of_them, size};

/// What `cccc group export` prints, unless it writes standard output.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportedAnswer {
    file: PathBuf,
    #[serde(flatten)]
    exported: Exported,
}

/// What `cccc group gc` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GcAnswer {
    dry_run: bool,
    #[serde(flatten)]
    collected: Collected,
}

pub(super) async fn export(context: &Context, file: PathBuf) -> Outcome {
    let group = context.group_to_look().await?;
    let exported = export::export(Some(&file), async |target| group.export(target).await).await?;
    if is_standard(&file) {
        report_gaps(context, exported.events, exported.gaps);
        return match exported.lost_blobs.as_slice() {
            [] => Ok(()),
            blobs => Err(Error::not_found(format!(
                "what was written is whole but for {} lost attachments: {}",
                blobs.len(),
                blobs.join(", ")
            ))
            .hint("`cccc ledger verify` says of which messages")
            .into()),
        };
    }
    let answer = ExportedAnswer { file, exported };
    context.out.answer(&answer, || {
        let ExportedAnswer { file, exported } = &answer;
        let missing = match exported.missing_blobs {
            0 => String::new(),
            missing => format!(" ({missing} had been redacted)"),
        };
        let mut lines = vec![format!(
            "{} events{} and {} attachments{missing} to {}",
            exported.events,
            gaps_of_them(exported.gaps),
            exported.blobs,
            file.display()
        )];
        lines.extend(exported.lost_blobs.iter().map(|blob| context.out.style(Style::Red, lost(blob))));
        lines.join("\n")
    })?;
    if answer.exported.lost_blobs.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

/// Says beside a copy that goes to standard output how many of its events are lost, if some are.
pub(super) fn report_gaps(context: &Context, events: u64, gaps: u64) {
    if gaps > 0 && !context.out.is_json() {
        report_line(&format!("{events} events{}", gaps_of_them(gaps)));
    }
}

/// What is said of an attachment that is not there although nobody redacted it.
fn lost(blob: &str) -> String {
    format!("LOST: there is no attachment {blob}; `cccc ledger verify` says of which message")
}

pub(super) async fn import(context: &Context, file: PathBuf) -> Outcome {
    match context.speaker().await?.principal {
        Principal::User => {}
        other => return Err(only_the_user(&other, "imports groups").into()),
    }
    let home = context.home().await?;
    let progress = Progress::start("importing");
    let imported = if is_standard(&file) {
        home.import_group(io::stdin(), "standard input").await?
    } else {
        let source = file_to_import(&file, "cccc group import -")?;
        home.import_group(BufReader::new(source), file.display().to_string()).await?
    };
    drop(progress);
    context.out.answer(&imported, || text(&imported))
}

fn text(imported: &Imported) -> String {
    let Imported { group_id, events, blobs, .. } = imported;
    let (title, gaps) = (clean(&imported.title), gaps_of_them(imported.gaps));
    let mut lines = vec![format!("{group_id}  {title}: {events} events{gaps} and {blobs} attachments")];
    lines.extend(
        imported.lost_blobs.iter().map(|blob| format!("attachment {blob} was lost before it was exported")),
    );
    if let Some(was) = &imported.was {
        lines.push(format!("there is a group {was} already, so this copy of it has an id of its own"));
    }
    lines.extend(imported.scopes.iter().map(|path| format!("belongs to {}", path.display())));
    lines.extend(
        imported
            .detached
            .iter()
            .map(|path| format!("{} is not here, or belongs to another group", clean(path))),
    );
    lines.push(format!("it is idle; next: `cccc --group {group_id} group resume`"));
    lines.join("\n")
}

pub(super) async fn gc(context: &Context, dry_run: bool) -> Outcome {
    let collected = if dry_run {
        context.group_to_look().await?.collectable_blobs().await?
    } else {
        context.group().await?.collect_blobs().await?
    };
    let answer = GcAnswer { dry_run, collected };
    context.out.answer(&answer, || {
        let Collected { removed, broken_off, bytes, named, young, .. } = &answer.collected;
        let verb = if dry_run { "would be removed" } else { "removed" };
        let mut lines: Vec<String> = removed.iter().take(20).cloned().collect();
        if removed.len() > 20 {
            lines.push("...".into());
        }
        let copies = match broken_off {
            0 => String::new(),
            1 => " and 1 copy that was broken off".into(),
            copies => format!(" and {copies} copies that were broken off"),
        };
        lines.push(format!(
            "{} attachments{copies}, {} {verb}; {named} are named by messages, {young} are younger than a day",
            removed.len(),
            size(*bytes)
        ));
        lines.join("\n")
    })
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("group export", one(schema_for!(ExportedAnswer))),
        ("group import", one(schema_for!(Imported))),
        ("group gc", one(schema_for!(GcAnswer))),
    ]
}
