//! `cccc memory ...`

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cccc_core::{ActorId, Clock, Error, EventRef, Label, Principal, SystemClock, Timestamp};
use cccc_memory::{
    Added, Change, Changed, Compacted, Draft, Exported, Found, HandedOver, Heir, Hit, Imported, Matched,
    Memory, Note, NoteId, Purged, Query, Rebuilt, Scope, Stats, Verdict, Which,
};
use clap::{Args, Subcommand, ValueEnum};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

use super::schema::{Answers, lines, one};
use crate::context::Context;
use crate::duration;
use crate::export;
use crate::input::{self, file_to_import, is_standard};
use crate::output::{Failure, Outcome, Style, clean, first_line};
use crate::progress::Progress;
use crate::render::{ago, indented, names, size};
use crate::table::{Table, plain};

/// Remember what is worth knowing later, and find it again
///
/// Notes outlive sessions and contexts. They belong to the group, or to one actor: then only it and the user see
/// them. They may name the events that they come from. They are kept beside the ledger as plain text, which is
/// no place for secrets, and are in no `cccc group export`: `cccc memory export` writes them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice memory add 'The tests need the database: `just db`' --tag tests --source 57
  cccc --as alice memory search 'which database do tests need'
  cccc memory list --tag tests
  cccc memory export --output notes.jsonl")]
pub(crate) struct MemoryArgs {
    #[command(subcommand)]
    command: MemoryCommand,
}

#[derive(Debug, Subcommand)]
enum MemoryCommand {
    /// Add a note; one that says the same is not added twice
    #[command(after_help = "Examples:
  cccc --as alice memory add 'Staging is deployed from the branch `stage`' --tag deploy --source 57
  cccc --as alice memory add 'I am at step 3 of the migration' --own
  cccc --as alice memory add - --supersedes n3 --supersedes n4 < better.md")]
    Add(AddArgs),
    /// Find notes by words, "phrases" and beginnings*; those with all words, else those with any
    #[command(after_help = "Examples:
  cccc memory search 'deploy staging'
  cccc memory search '\"just db\"' --tag tests --json")]
    Search {
        /// What they have to do with
        text: String,
        #[command(flatten)]
        filter: Filter,
    },
    /// List notes, the newest first
    #[command(after_help = "Examples:
  cccc memory list --tag deploy --author alice
  cccc memory list --since 2d
  cccc memory list --which forgotten")]
    List {
        /// Which, by what became of them
        #[arg(long, value_name = "WHICH", value_enum, default_value_t = WhichArg::Current)]
        which: WhichArg,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show a note with where it comes from
    #[command(after_help = "Examples:\n  cccc memory show n12")]
    Show {
        /// Its id
        id: NoteId,
    },
    /// Change a note
    #[command(after_help = "Examples:
  cccc --as alice memory edit n12 'The tests need the database: `just db up`'
  cccc --as lead memory edit n12 --tag tests --tag setup --base 2")]
    Edit(EditArgs),
    /// Forget a note: it is told no more, and `purge` removes it
    #[command(after_help = "Examples:\n  cccc --as alice memory forget n12")]
    Forget {
        /// Its id
        id: NoteId,
        /// Only if it is still at this version
        #[arg(long, value_name = "N")]
        base: Option<u64>,
    },
    /// Print how much there is, and who has notes of their own
    #[command(after_help = "Examples:\n  cccc memory stats --json")]
    Stats,
    /// Read everything and check it; exits with 1 if something is not as it was written
    #[command(after_help = "Examples:\n  cccc memory verify")]
    Verify,
    /// Make the search index anew from the notes
    #[command(after_help = "Examples:\n  cccc memory rebuild")]
    Rebuild,
    /// Write all notes as JSON lines, also what was superseded and forgotten; for the foreman those of the group
    #[command(after_help = "Examples:
  cccc memory export > notes.jsonl
  cccc memory export --output notes.jsonl")]
    Export {
        /// A file that does not exist yet [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read notes that were exported: all of them or none
    ///
    /// What is there stays, unless a later version of the same note comes. A note whose id is taken by another
    /// gets a new one. The events that notes come from must be on this group's ledger.
    #[command(after_help = "Examples:
  cccc memory import notes.jsonl
  cccc --group gother memory import notes.jsonl --without-sources")]
    Import {
        /// What `cccc memory export` wrote; `-` reads standard input
        file: PathBuf,
        /// Leave out the events that notes come from: for notes of another group
        #[arg(long)]
        without_sources: bool,
    },
    /// Remove for ever what was forgotten; for the foreman and the user
    #[command(after_help = "Examples:
  cccc memory purge
  cccc memory purge --older-than 30d")]
    Purge {
        /// Only what was forgotten so long ago
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        older_than: Option<Duration>,
    },
    /// Give disk space back that is not used any more
    #[command(after_help = "Examples:\n  cccc memory compact")]
    Compact,
    /// Hand over the own notes of an actor that has left
    ///
    /// For the foreman and the user; the user also those of an actor that is there. Handed over to the same id,
    /// they go to an actor that was added again.
    #[command(after_help = "Examples:
  cccc memory handover alice --to bob
  cccc memory handover alice --to-group")]
    Handover {
        /// Whose notes
        from: ActorId,
        /// The actor that gets them
        #[arg(long, value_name = "ID", required_unless_present = "to_group")]
        to: Option<ActorId>,
        /// They are for all to see
        #[arg(long, conflicts_with = "to")]
        to_group: bool,
    },
}

#[derive(Args, Debug)]
struct AddArgs {
    /// What is worth knowing, at most 8 KiB; `-` reads standard input
    text: String,
    /// A note of one's own: only you and the user see it
    #[arg(long)]
    own: bool,
    /// What it is about; repeatable
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<Label>,
    /// An event that it comes from, by its number or id; repeatable
    #[arg(long = "source", value_name = "EVENT")]
    sources: Vec<EventRef>,
    /// A note that this one says better; repeatable
    #[arg(long, value_name = "ID")]
    supersedes: Vec<NoteId>,
    /// A key of your own that makes a retry safe
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
}

#[derive(Args, Debug)]
struct EditArgs {
    /// Its id
    id: NoteId,
    /// What it shall say; `-` reads standard input
    #[arg(required_unless_present_any = ["tags", "no_tags", "sources"])]
    text: Option<String>,
    /// What it is about, instead of what it was; repeatable
    #[arg(long = "tag", value_name = "TAG", value_parser = tag, conflicts_with = "no_tags")]
    tags: Vec<Label>,
    /// Take all tags off
    #[arg(long)]
    no_tags: bool,
    /// An event that it comes from, instead of those it had; repeatable
    #[arg(long = "source", value_name = "EVENT")]
    sources: Vec<EventRef>,
    /// The version that you have read and replace [default: the present one, if you changed it last]
    #[arg(long, value_name = "N")]
    base: Option<u64>,
}

/// Which notes.
#[derive(Args, Debug)]
struct Filter {
    /// With this tag; repeatable, then with all of them
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<Label>,
    /// Written by this one: an actor's id, or `user`
    #[arg(long, value_name = "ID")]
    author: Option<Principal>,
    /// Only the group's, or only own ones
    #[arg(long, value_name = "SCOPE", value_enum)]
    scope: Option<ScopeArg>,
    /// Written or changed at that time or later: `2d` (ago) or a time like 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Written or changed before that time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Leave out the first so many
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    skip: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeArg {
    Group,
    Own,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WhichArg {
    /// Those that hold
    Current,
    /// Those that another note says better
    Superseded,
    /// Those that wait to be purged; for the foreman and the user
    Forgotten,
    All,
}

impl Filter {
    fn query(self, text: String, which: Which) -> Query {
        Query {
            text,
            tags: self.tags,
            author: self.author,
            scope: self.scope.map(|scope| match scope {
                ScopeArg::Group => Scope::Group,
                ScopeArg::Own => Scope::Own,
            }),
            since: self.since,
            until: self.until,
            which,
            limit: self.limit.into(),
            skip: usize::try_from(self.skip).unwrap_or(usize::MAX),
        }
    }
}

/// A tag, with or without `#`.
fn tag(text: &str) -> Result<Label, String> {
    Label::new(text.trim_start_matches('#')).map_err(|error| error.to_string())
}

/// A time, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    match duration::parse(text) {
        Ok(ago) => {
            let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            Ok(Timestamp::from_millis(SystemClock.now().as_millis().saturating_sub(ago)))
        }
        Err(_) => text.parse().map_err(|error: Error| format!("{error}; or how long ago, like 2d")),
    }
}

/// What `cccc memory export --output` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportedAnswer {
    file: PathBuf,
    #[serde(flatten)]
    exported: Exported,
}

pub(crate) async fn cmd_memory(context: &Context, args: MemoryArgs) -> Outcome {
    // In the name of whoever speaks, also for looking: what one sees is for that one.
    let memory = Memory::of(&context.group().await?)?;
    match args.command {
        MemoryCommand::Add(args) => add(context, &memory, args).await,
        MemoryCommand::Search { text, filter } => {
            let found = memory.search(&filter.query(text, Which::Current)).await?;
            context.out.answers(&found.hits, || found_text(context, &found))
        }
        MemoryCommand::List { which, filter } => {
            let which = match which {
                WhichArg::Current => Which::Current,
                WhichArg::Superseded => Which::Superseded,
                WhichArg::Forgotten => Which::Forgotten,
                WhichArg::All => Which::All,
            };
            let page = memory.list(&filter.query(String::new(), which)).await?;
            context.out.answers(&page.notes, || list_text(context, &page.notes, page.next))
        }
        MemoryCommand::Show { id } => {
            let note = memory.get(id).await?;
            context.out.answer(&note, || note_text(context, &note))
        }
        MemoryCommand::Edit(args) => edit(context, &memory, args).await,
        MemoryCommand::Forget { id, base } => {
            answer_changed(context, &memory.forget(id, base).await?, "forgotten")
        }
        MemoryCommand::Stats => {
            let stats = memory.stats().await?;
            context.out.answer(&stats, || stats_text(&stats))
        }
        MemoryCommand::Verify => verify(context, &memory).await,
        MemoryCommand::Rebuild => {
            let rebuilt = memory.rebuild().await?;
            context.out.answer(&rebuilt, || format!("the index was made anew of {} notes", rebuilt.notes))
        }
        MemoryCommand::Export { output } => export(context, &memory, output).await,
        MemoryCommand::Import { file, without_sources } => {
            import(context, &memory, &file, without_sources).await
        }
        MemoryCommand::Purge { older_than } => {
            let purged = memory.purge(older_than.unwrap_or_default()).await?;
            context.out.answer(&purged, || match purged.compacted {
                true => format!("{} notes purged", purged.notes),
                false => format!(
                    "{} notes purged; others use the memory, so what is left of them in the file goes with \
                     `cccc memory compact`",
                    purged.notes
                ),
            })
        }
        MemoryCommand::Compact => {
            let compacted = memory.compact().await?;
            let Compacted { bytes_before, bytes, .. } = compacted;
            context.out.answer(&compacted, || format!("{}, before {}", size(bytes), size(bytes_before)))
        }
        MemoryCommand::Handover { from, to, .. } => {
            let heir = to.map_or(Heir::Group, Heir::Actor);
            let done = memory.hand_over(&from, &heir).await?;
            context.out.answer(&done, || match done.merged {
                0 => format!("{} notes handed over", done.notes),
                merged => format!("{} notes handed over, {merged} of which were known there", done.notes),
            })
        }
    }
}

async fn add(context: &Context, memory: &Memory, args: AddArgs) -> Outcome {
    let draft = Draft {
        text: input::text(args.text)?,
        scope: if args.own { Scope::Own } else { Scope::Group },
        tags: args.tags,
        sources: args.sources,
        supersedes: args.supersedes,
        client_id: args.client_id,
    };
    let added = memory.add(draft).await?;
    context.out.answer(&added, || match added.duplicate {
        true => format!("{} says so already: nothing added", added.note.note_id),
        false => format!("{} added", added.note.note_id),
    })
}

async fn edit(context: &Context, memory: &Memory, args: EditArgs) -> Outcome {
    let change = Change {
        base: args.base,
        text: args.text.map(input::text).transpose()?,
        tags: (args.no_tags || !args.tags.is_empty()).then_some(args.tags),
        sources: (!args.sources.is_empty()).then_some(args.sources),
    };
    answer_changed(context, &memory.edit(args.id, change).await?, "changed")
}

fn answer_changed(context: &Context, done: &Changed, what: &str) -> Outcome {
    context.out.answer(done, || match done.changed {
        true => format!("{} {what} (version {})", done.note.note_id, done.note.version),
        false => format!("{} is so already: nothing changed", done.note.note_id),
    })
}

async fn verify(context: &Context, memory: &Memory) -> Outcome {
    let verdict = memory.verify().await?;
    context.out.answer(&verdict, || match verdict.ok {
        true => format!("{}: {} notes", context.out.style(Style::Green, "sound"), verdict.notes),
        false => {
            let mut lines = vec![context.out.style(Style::Red, "damaged")];
            lines.extend(verdict.problems.iter().map(|problem| clean(problem)));
            lines.extend(verdict.hint.clone());
            lines.join("\n")
        }
    })?;
    if verdict.ok { Ok(()) } else { Err(Failure::Answered) }
}

async fn export(context: &Context, memory: &Memory, output: Option<PathBuf>) -> Outcome {
    let exported = export::export(output.as_deref(), async |target| memory.export(target).await).await?;
    let Some(file) = output.filter(|file| !is_standard(file)) else { return Ok(()) };
    let answer = ExportedAnswer { file, exported };
    context.out.answer(&answer, || format!("{} notes to {}", answer.exported.notes, answer.file.display()))
}

async fn import(context: &Context, memory: &Memory, file: &Path, without_sources: bool) -> Outcome {
    let progress = Progress::start("importing");
    let imported = if is_standard(file) {
        memory.import(io::stdin().lock(), without_sources).await?
    } else {
        let source = file_to_import(file, "cccc memory import -")?;
        memory.import(BufReader::new(source), without_sources).await?
    };
    drop(progress);
    context.out.answer(&imported, || {
        let Imported { notes, added, updated, unchanged, renumbered, .. } = imported;
        let renumbered = match renumbered {
            0 => String::new(),
            renumbered => format!(" ({renumbered} under a new id)"),
        };
        format!("{notes} notes: {added} added{renumbered}, {updated} updated, {unchanged} were there")
    })
}

fn found_text(context: &Context, found: &Found) -> String {
    let mut blocks: Vec<String> = found
        .hits
        .iter()
        .map(|hit| {
            format!(
                "{}\n{}",
                head(context, &hit.note),
                indented(hit.excerpt.as_ref().unwrap_or(&hit.note.text))
            )
        })
        .collect();
    match found.matched {
        Matched::All => {}
        Matched::Any => blocks.insert(0, "no note has all of these words; these have some".into()),
        Matched::None => blocks.push("nothing found; `cccc memory list` shows what is remembered".into()),
    }
    blocks.extend(more(found.next));
    blocks.join("\n")
}

fn list_text(context: &Context, notes: &[Note], next: Option<usize>) -> String {
    let mut table = Table::new(&context.out, &["ID", "CHANGED", "BY", "WHOSE", "TAGS", "TEXT"]);
    for note in notes {
        let whose = note.owner.as_ref().map_or("group", ActorId::as_str);
        table.row([
            (note.note_id.to_string(), Style::Bold),
            plain(ago(note.updated_at)),
            (note.author.to_string(), Style::Cyan),
            plain(whose),
            plain(names(&note.tags)),
            plain(first_line(&note.text, 70)),
        ]);
    }
    if table.is_empty() {
        return "there are no such notes".into();
    }
    [Some(table.text()), more(next)].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn more(next: Option<usize>) -> Option<String> {
    next.map(|next| format!("more: --skip {next}"))
}

/// Who says it, and of whom it is.
fn head(context: &Context, note: &Note) -> String {
    let whose = match &note.owner {
        Some(owner) => format!("  {owner}'s own"),
        None => String::new(),
    };
    let tags: Vec<String> = note.tags.iter().map(|tag| format!(" #{tag}")).collect();
    let tags = context.out.style(Style::Cyan, tags.concat());
    let id = context.out.style(Style::Bold, note.note_id);
    format!("{id}  {}{whose}  {}{tags}", note.from, ago(note.updated_at))
}

fn note_text(context: &Context, note: &Note) -> String {
    let mut lines = vec![head(context, note), indented(&note.text)];
    lines.extend(
        note.sources
            .iter()
            .map(|source| format!("    from event {} ({}) {}", source.seq, source.kind, source.from)),
    );
    lines.extend(note.edited_by.as_ref().map(|by| format!("    changed by {by}")));
    lines.extend(note.superseded_by.map(|id| format!("    superseded by {id}")));
    if let (Some(at), Some(by)) = (note.forgotten_at, &note.forgotten_by) {
        lines.push(format!("    forgotten by {by}, {}", ago(at)));
    }
    lines.push(format!("    version {}, written {}", note.version, note.created_at));
    lines.join("\n")
}

fn stats_text(stats: &Stats) -> String {
    let mut lines = vec![
        format!(
            "{} notes, {} superseded, {} forgotten and not purged",
            stats.current, stats.superseded, stats.forgotten
        ),
        match stats.bytes {
            0 => "nothing was remembered yet".to_owned(),
            bytes => format!("{} in {}", size(bytes), stats.file),
        },
    ];
    lines.extend(stats.own.iter().map(|own| {
        let left = if own.here { "" } else { ", who has left: `cccc memory handover`" };
        format!("{} are of {}{left}", own.notes, own.owner)
    }));
    lines.join("\n")
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("memory add", one(schema_for!(Added))),
        ("memory search", lines(schema_for!(Hit))),
        ("memory list", lines(schema_for!(Note))),
        ("memory show", one(schema_for!(Note))),
        ("memory edit", one(schema_for!(Changed))),
        ("memory forget", one(schema_for!(Changed))),
        ("memory stats", one(schema_for!(Stats))),
        ("memory verify", one(schema_for!(Verdict))),
        ("memory rebuild", one(schema_for!(Rebuilt))),
        ("memory export", one(schema_for!(ExportedAnswer))),
        ("memory import", one(schema_for!(Imported))),
        ("memory purge", one(schema_for!(Purged))),
        ("memory compact", one(schema_for!(Compacted))),
        ("memory handover", one(schema_for!(HandedOver))),
    ]
}
