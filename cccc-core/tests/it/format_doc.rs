//! `docs/ledger-format.md` is true: its example is what the library writes, and a reader made by that page alone,
//! which shares no code with the library, reads the example, an old ledger, and what the library writes today.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cccc_core::disk::RealDisk;
use cccc_core::event::{
    ActorAdd, Body, ChatMessage, ChatRetract, Format, GroupCreate, JoinPolicy, Priority, Role, Via,
};
use cccc_core::id::Nonce;
use cccc_core::ledger::file::{FileLedger, Options, RepairOptions};
use cccc_core::ledger::{Draft, Encoder, Page, RawLine, ReadLimit, Stamp, Verdict, codec};
use cccc_core::{DeliveryWord, GroupId, Home, ObligationWord, Position, Principal, Seq, Timestamp, block_on};

use serde_json::Value;

mod reader;

const DOCUMENT: &str = include_str!("../../../docs/ledger-format.md");

/// The document's fenced blocks of a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let parts = DOCUMENT.split(&opening).skip(1);
    parts.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// The example's events, encoded.
fn example() -> (GroupId, Vec<u8>) {
    let group = GroupId::new("demo").unwrap();
    let (mut end, mut bytes) = (Position::start(&group), Vec::new());
    let mut nonce = (1..).map(|n: u64| Nonce::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut write = |seconds: i64, durable: u64, drafts: Vec<Draft>| {
        let stamp = Stamp {
            ts: Timestamp::from_millis(1_795_250_300_000 + 1000 * seconds),
            by: Principal::User,
            via: Some(Via { door: "cli".into(), session: None }),
            scope_key: "".into(),
        };
        let mut encoder = Encoder::new(group.clone(), end, Seq(durable));
        let events = encoder.push(drafts, &stamp, || nonce.next().unwrap()).unwrap();
        end = encoder.end();
        bytes.extend(encoder.finish().bytes);
        events
    };
    let create =
        GroupCreate { title: "Demo".into(), default_to: None, join: JoinPolicy::Open, settings: [].into() };
    write(0, 0, vec![create.into()]);
    let add = ActorAdd {
        actor_id: "alice".parse().unwrap(),
        title: String::new(),
        labels: vec!["reviewer".parse().unwrap()],
        role: Role::Foreman,
        runtime: None,
        runner: None,
        profile: None,
        wake: None,
        ephemeral: false,
    };
    write(1, 1, vec![add.into()]);
    let first = write(2, 2, vec![message("Review src/auth.rs", Seq(3)).into()]);
    let second = ChatMessage {
        supersedes: Some(first[0].id),
        reply_required: true,
        ..message("Review src/auth.rs and src/token.rs", Seq(4))
    };
    let retract = ChatRetract {
        event_id: first[0].id,
        recipients: second.recipients.clone(),
        superseded_by: Some(Seq(4)),
        reason: String::new(),
    };
    // The writer of this command did not wait for the sync of event 3.
    write(3, 2, vec![second.into(), retract.into()]);
    (group, bytes)
}

fn message(text: &str, root: Seq) -> ChatMessage {
    ChatMessage {
        text: text.into(),
        format: Format::Plain,
        to: vec!["#reviewer".into()],
        recipients: vec!["alice".parse().unwrap()],
        priority: Priority::Normal,
        reply_required: false,
        due_at: None,
        reply_to: None,
        quote: None,
        progress: false,
        intent: None,
        refs: Vec::new(),
        attachments: Vec::new(),
        client_id: None,
        expires_at: None,
        supersedes: None,
        not_if: Vec::new(),
        options: Vec::new(),
        choice: None,
        root,
        depth: 0,
        quiet: Vec::new(),
        task_id: None,
        relay_to: Vec::new(),
        src_group_id: None,
        src_group_title: None,
        src_event_id: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The blocks as they should be, in the document's order.
fn expected() -> [(&'static str, String); 5] {
    let (group, bytes) = example();
    let page = Page::check(bytes.clone(), Position::start(&group)).unwrap();
    let lines: Vec<RawLine<'_>> = page.lines().collect();
    let chain = |i: usize| lines[i].chain().unwrap();

    let before = &lines[1].bytes()[..lines[1].data_range().start - ",\"data\":".len()];
    assert!(before.starts_with(b"{\"v\":1") && before.ends_with(b"\"door\":\"cli\"}"));
    let data = String::from_utf8_lossy(lines[1].data());
    let how = format!(
        "chain(1)      {}\nbefore        the {} bytes from {{\"v\":1 to \"door\":\"cli\"}}\n\
         data          {data}\nblake3(data)  {}\nchain(2)      {}\n",
        chain(0),
        before.len(),
        hex(&lines[1].data_hash()),
        chain(1)
    );

    let mut redacted = lines[2].bytes().to_vec();
    let range = lines[2].data_range();
    redacted[range.clone()].copy_from_slice(&codec::redaction(&lines[2].data_hash(), range.len()).unwrap());

    let head = head(bytes.len(), chain(4).0);
    let gap = gap_in(&bytes, &head, lines[2].bytes());
    let mut dump = String::new();
    for (i, row) in head.encode().chunks(16).enumerate() {
        let bytes: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(dump, "{:3}  {}", i * 16, bytes.join(" ")).unwrap();
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    [("jsonl", text(bytes)), ("text", how), ("jsonl", text(redacted)), ("jsonl", gap), ("text", dump)]
}

/// The head page of the example.
fn head(len: usize, chain: [u8; 10]) -> reader::Head {
    reader::Head { boot: [0; 16], epoch: 1, flags: 0, segment: 1, len: len as u64, seq: 5, chain }
}

/// What the library shows in the place of `line` if some bytes of its data are wrong.
fn gap_in(bytes: &[u8], head: &reader::Head, line: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ledger")).unwrap();
    let at = bytes.windows(line.len()).position(|window| window == line).unwrap();
    let mut damaged = bytes.to_vec();
    damaged[at + line.len() - 60..][..9].fill(b'#');
    fs::write(dir.path().join("ledger/00000000000000000001.jsonl"), damaged).unwrap();
    fs::write(dir.path().join("head"), head.encode()).unwrap();
    let disk = Arc::new(RealDisk::new());
    let demo = GroupId::new("demo").unwrap();
    let ledger = FileLedger::open(disk, dir.path(), demo, Options::default()).unwrap();
    let page = block_on(ledger.read_around(Seq(3), ReadLimit::ONE)).unwrap();
    String::from_utf8(page.bytes().to_vec()).unwrap()
}

/// `CCCC_REFRESH=1 cargo test -p cccc-core --test it format_doc` writes the example into the page anew.
#[test]
fn the_example_is_what_the_library_writes() {
    let expected = expected();
    if std::env::var_os("CCCC_REFRESH").is_some() {
        let mut document = String::new();
        let mut rest = DOCUMENT;
        for (language, content) in &expected {
            let (before, after) = rest.split_once(&format!("```{language}\n")).unwrap();
            write!(document, "{before}```{language}\n{content}```").unwrap();
            rest = after.split_once("```").unwrap().1;
        }
        let document = (document + rest).replace(kinds_in_document(), &kinds());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ledger-format.md");
        fs::write(path, document).unwrap();
        return;
    }
    for language in ["jsonl", "text"] {
        let wanted = expected.iter().filter(|(other, _)| *other == language);
        assert_eq!(blocks(language), wanted.map(|(_, content)| content.clone()).collect::<Vec<_>>());
    }
    for (stated, actual) in kinds_in_document().lines().zip(kinds().lines()) {
        assert_eq!(stated, actual, "CCCC_REFRESH=1 writes the table anew");
    }
    assert_eq!(kinds_in_document().lines().count(), kinds().lines().count());
}

/// The document's table of kinds, without its heading.
fn kinds_in_document() -> &'static str {
    let heading = "| kind | always in `data` | may be in `data` | |\n|---|---|---|---|\n";
    let (_, table) = DOCUMENT.split_once(heading).unwrap();
    table.split_once("\n\n").unwrap().0
}

/// The alternatives of a schema, and those of them in turn.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let lists = ["oneOf", "anyOf"].iter().filter_map(|name| schema.get(name)?.as_array());
    let of = |part| match alternatives(part) {
        none if none.is_empty() => vec![part],
        some => some,
    };
    lists.flatten().flat_map(of).collect()
}

/// A row for each kind: the members that it must and may have, and what it means.
fn kinds() -> String {
    let rows = Body::schemas().into_iter().map(|(kind, schema)| {
        let schema = schema.to_value();
        // A tagged part (the state of a delivery) brings members of its own, by alternative.
        let parts: Vec<&Value> = std::iter::once(&schema).chain(alternatives(&schema)).collect();
        let names = |part: &Value| -> BTreeSet<String> {
            let properties = part.get("properties").and_then(Value::as_object).into_iter().flatten();
            properties.map(|(name, _)| name.clone()).collect()
        };
        let needed = |part: &Value| -> BTreeSet<String> {
            let names = part.get("required").and_then(Value::as_array).into_iter().flatten();
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let mut always = needed(&schema);
        // What each alternative needs is always there.
        always.extend(parts[1..].iter().map(|part| needed(part)).reduce(|a, b| &a & &b).unwrap_or_default());
        let all: BTreeSet<String> = parts.iter().flat_map(|part| names(part)).collect();
        let shown = |names: &BTreeSet<String>| -> String {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let description = schema["description"].as_str().unwrap().replace('\n', " ");
        let meaning = description.strip_prefix(&format!("`{kind}`: ")).unwrap_or_else(|| panic!("{kind}"));
        let first = meaning.split_once(". ").map_or(meaning, |(first, _)| first).trim_end_matches('.');
        format!("| `{kind}` | {} | {} | {first} |", shown(&always), shown(&(&all - &always)))
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// On the events of a team at work: without a member of the second column it is no event of its kind, and without
/// those of the third it still is one.
#[test]
fn the_members_that_the_table_says_are_needed_are() {
    let rows = kinds();
    let of = |kind: &str, column: usize| -> Vec<String> {
        let row = rows.lines().find(|row| row.starts_with(&format!("| `{kind}` |"))).unwrap();
        let cell = row.split(" | ").nth(column).unwrap_or_default();
        cell.split(", ").map(|name| name.trim().trim_matches('`').to_owned()).collect()
    };
    let team = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v1-team/ledger");
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(team).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let (kind, data) = (line["kind"].as_str().unwrap(), line["data"].as_object().unwrap());
            if data.contains_key("redacted") {
                continue;
            }
            seen.insert(kind.to_owned());
            let without = |names: &[String]| {
                let mut data = data.clone();
                names.iter().for_each(|name| drop(data.remove(name)));
                Body::parse(kind, &serde_json::to_string(&data).unwrap())
            };
            for name in of(kind, 1).into_iter().filter(|name| !name.is_empty()) {
                assert!(without(std::slice::from_ref(&name)).is_err(), "{kind} without {name}");
            }
            // What a delivery's state needs besides is in the schema.
            if kind != "runtime.delivery" {
                without(&of(kind, 2)).unwrap_or_else(|error| panic!("{kind} with the least: {error}"));
            }
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
}

#[test]
fn the_library_reads_the_example_redacted_or_not() {
    let [ledger, redacted, gap] = blocks("jsonl").try_into().unwrap();
    let start = Position::start(&GroupId::new("demo").unwrap());
    let lines: Vec<&str> = ledger.split_inclusive('\n').collect();
    for text in [ledger.clone(), ledger.replace(lines[2], &redacted), ledger.replace(lines[2], &gap)] {
        let (is_redacted, is_gap) = (text.contains(&redacted), text.contains(&gap));
        let page = Page::check(text.into_bytes(), start).unwrap();
        let events: Vec<_> = page.events().collect::<Result<_, _>>().unwrap();
        assert_eq!(events.len(), 5);
        assert_eq!(matches!(events[2].body, Body::Redacted { .. }), is_redacted);
        assert_eq!(matches!(events[2].body, Body::LedgerGap(_)), is_gap);
    }
}

#[test]
fn a_reader_by_the_page_alone_reads_the_example() {
    let [ledger, redacted, gap] = blocks("jsonl").try_into().unwrap();
    let lines = reader::read("demo", 1, ledger.as_bytes()).unwrap();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[3].data()["supersedes"], lines[2].json["id"]);

    // Redacted, it reads as well; changed otherwise, it does not.
    let original: Vec<&str> = ledger.split_inclusive('\n').collect();
    let swapped = ledger.replace(original[2], &redacted);
    assert_eq!(reader::read("demo", 1, swapped.as_bytes()).unwrap().len(), 5);
    let lost = ledger.replace(original[2], &gap);
    let with_gap = reader::read("demo", 1, lost.as_bytes()).unwrap();
    assert_eq!((with_gap.len(), with_gap[2].json["kind"].as_str()), (5, Some("ledger.gap")));
    for (from, to) in [("\"offset\":", "\"offset\":1"), ("\"v\":2", "\"v\":1"), ("b0acd40d", "b0acd40e")] {
        let edited = gap.replace(from, to);
        assert!(edited != gap && reader::read("demo", 1, lost.replace(&gap, &edited).as_bytes()).is_err());
    }
    let edited = ledger.replace("Review src/auth.rs\"", "Review src/main.rs\"");
    let (offset, seq) = reader::read("demo", 1, edited.as_bytes()).unwrap_err();
    assert_eq!((offset, seq), (original[0].len() + original[1].len(), 3));

    // Half a command is none.
    let cut = ledger.strip_suffix(original[4]).unwrap();
    assert_eq!(reader::read("demo", 1, cut.as_bytes()).unwrap().len(), 3);
}

/// The ledger's files of the only group of a home.
fn group_dir(home: &Path) -> PathBuf {
    let mut groups = fs::read_dir(home.join("groups")).unwrap();
    groups.next().unwrap().unwrap().path()
}

/// What the reader finds in a group's directory: as far as `head` goes, or everything.
fn read_dir(dir: &Path, head: Option<&reader::Head>) -> Vec<reader::Line> {
    let mut segments: Vec<PathBuf> = fs::read_dir(dir.join("ledger"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "jsonl"))
        .collect();
    segments.sort();
    let mut bytes = Vec::new();
    for path in segments {
        let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let mut segment = fs::read(&path).unwrap();
        if let Some(head) = head.filter(|head| head.segment == first) {
            segment.truncate(usize::try_from(head.len).unwrap());
        }
        bytes.extend(segment);
    }
    let group = dir.file_name().unwrap().to_str().unwrap();
    reader::read(group, 1, &bytes).unwrap()
}

#[test]
fn a_reader_by_the_page_alone_reads_what_the_library_writes_today() {
    let dir = tempfile::tempdir().unwrap();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    let user = block_on(home.create_group("today")).unwrap();
    block_on(user.add_actor("alice")).unwrap();
    let secret = block_on(user.send("the password is swordfish").to("alice")).unwrap();
    block_on(user.redact(&secret, "a secret")).unwrap();
    let position = block_on(user.position()).unwrap();

    let group = group_dir(home.path());
    let head = reader::Head::decode(&fs::read(group.join("head")).unwrap()).unwrap();
    assert_eq!((head.seq, head.chain), (position.seq.0, position.chain.0));
    let lines = read_dir(&group, Some(&head));
    assert_eq!(lines.len() as u64, position.seq.0);
    let redacted = &lines[usize::try_from(secret.seq.0).unwrap() - 1];
    assert!(redacted.data()["redacted"].is_string(), "{:?}", redacted.json);
}

#[test]
fn a_reader_by_the_page_alone_reads_around_the_gap_of_a_repair() {
    let dir = tempfile::tempdir().unwrap();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    let user = block_on(home.create_group("today")).unwrap();
    block_on(user.add_actor("alice")).unwrap();
    let lost = block_on(user.send("the one that is lost").to("alice")).unwrap();
    block_on(user.send("the one after it").to("alice")).unwrap();
    let position = block_on(user.position()).unwrap();
    let group = group_dir(home.path());
    let segment = group.join("ledger/00000000000000000001.jsonl");
    let damaged = fs::read_to_string(&segment).unwrap().replace("that is lost", "THAT IS LOST");
    fs::write(&segment, damaged).unwrap();
    let report = block_on(user.files().unwrap().repair(RepairOptions::default())).unwrap();
    assert_eq!(report.head, Some(position));

    let head = reader::Head::decode(&fs::read(group.join("head")).unwrap()).unwrap();
    assert_eq!((head.seq, head.chain), (position.seq.0, position.chain.0));
    let lines = read_dir(&group, Some(&head));
    assert_eq!(lines.len() as u64, position.seq.0);
    let gap = &lines[usize::try_from(lost.seq.0).unwrap() - 1];
    assert_eq!(gap.json["kind"], "ledger.gap");
    let aside = fs::read(group.join(gap.data()["file"].as_str().unwrap())).unwrap();
    assert_eq!(aside.len() as u64, gap.data()["bytes"].as_u64().unwrap());
}

/// Files of a group as version 0.1.0 wrote them.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v1")
}

/// A home with the fixture in it; the original is not touched.
fn home_with_fixture(dir: &Path) -> Home {
    let home = block_on(Home::open(dir.join("home"))).unwrap();
    let (from, to) = (fixture(), home.path().join("groups/gfixture"));
    fs::create_dir_all(to.join("ledger")).unwrap();
    fs::create_dir(to.join("blobs")).unwrap();
    for part in ["", "ledger", "blobs"] {
        for entry in fs::read_dir(from.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    home
}

#[test]
fn an_old_ledger_opens_and_means_what_it_meant() {
    let dir = tempfile::tempdir().unwrap();
    let home = home_with_fixture(dir.path());
    let user = block_on(home.group(&GroupId::new("gfixture").unwrap())).unwrap();
    let verdict = block_on(user.ledger().verify()).unwrap();
    let expected: Position = fs::read_to_string(fixture().join("position")).unwrap().trim().parse().unwrap();
    assert!(matches!(verdict, Verdict::Sound { head, .. } if head == expected), "{verdict:?}");

    let summary = block_on(user.summary()).unwrap();
    assert_eq!(summary.title, "Fixture");
    let actors: Vec<_> =
        summary.actors.iter().map(|a| (a.actor_id.as_str(), a.role, a.unread, a.owed)).collect();
    assert_eq!(actors, [("alice", Role::Peer, 2, 1), ("lead", Role::Foreman, 0, 0)]);

    // The question with an answer attached, the one still open, and the one that was redacted.
    let messages = block_on(user.history().kind("chat.message").limit(1000)).unwrap().events;
    let receipts = |i: usize| block_on(user.receipts(&messages[i])).unwrap().remove(0);
    let answered = receipts(0);
    assert_eq!(
        (answered.read, answered.ack, answered.reply),
        (true, ObligationWord::Met, ObligationWord::Met)
    );
    assert_eq!(answered.delivery.state, DeliveryWord::Accepted);
    let attachment = &messages[2].message().unwrap().attachments[0];
    let mut content = String::new();
    user.blobs().open(&attachment.sha256).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "1. unchecked token\n");
    assert!(matches!(messages[3].body, Body::Redacted { .. }));
    assert_eq!(receipts(4).reply, ObligationWord::Open);

    // And it can be written to.
    let alice = block_on(user.bind("alice")).unwrap();
    block_on(alice.reply(&messages[4], "All of it")).unwrap();
    assert_eq!(receipts(4).reply, ObligationWord::Met);
}

#[test]
fn a_reader_by_the_page_alone_reads_an_old_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let group = home_with_fixture(dir.path()).group_path(&GroupId::new("gfixture").unwrap());
    let head = reader::Head::decode(&fs::read(group.join("head")).unwrap()).unwrap();
    assert!(head.segment > 1, "the fixture has several segments");
    assert_eq!(read_dir(&group, Some(&head)).len() as u64, head.seq);
    assert_eq!(read_dir(&group, None).len() as u64, head.seq);
}

/// How the fixture was made; to be run again only for a new version of the format, into a new directory.
#[test]
#[ignore = "makes the fixture, which otherwise never changes"]
fn makes_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let disk = std::sync::Arc::new(cccc_core::disk::RealDisk::new());
    let id = GroupId::new("gfixture").unwrap();
    let place = dir.path().join("group");
    let options = Options::default().segment_bytes(1500);
    let ledger = FileLedger::create(disk, place.clone(), id, options).unwrap();
    let blobs = cccc_core::Blobs::in_directory(place.join("blobs"));
    let clock = std::sync::Arc::new(cccc_core::SystemClock);
    let user = cccc_core::Group::over(std::sync::Arc::new(ledger), blobs, clock).through("rust");
    let create = GroupCreate { title: "Fixture".into(), ..GroupCreate::default() };
    block_on(user.execute(cccc_core::Command::CreateGroup(create))).unwrap();
    block_on(user.add_actor("lead")).unwrap();
    block_on(user.add_actor("alice").label("reviewer")).unwrap();
    let (lead, alice) = (block_on(user.bind("lead")).unwrap(), block_on(user.bind("alice")).unwrap());

    let asked = lead.send("Review src/auth.rs").to("#reviewer").priority(Priority::Attention);
    block_on(asked.reply_within(std::time::Duration::from_secs(900)).client_id("review-1")).unwrap();
    let inbox = block_on(alice.inbox()).unwrap();
    block_on(alice.reply(&inbox.messages[0], "Reading it").progress()).unwrap();
    let findings =
        block_on(alice.blobs().put_bytes("findings.md", b"1. unchecked token\n".to_vec())).unwrap();
    block_on(alice.reply(&inbox.messages[0], "One finding").attachment(findings)).unwrap();
    let secret = block_on(user.send("the password is swordfish").to("lead").to("alice")).unwrap();
    block_on(user.redact(&secret, "a secret")).unwrap();
    let open = block_on(user.send("What is left?").to("alice").to("lead").reply_required()).unwrap();
    block_on(lead.reply(&open, "Only the tests")).unwrap();
    block_on(alice.inbox()).unwrap();
    block_on(lead.inbox().mark_read()).unwrap();
    block_on(lead.send("Status?").to("alice").intent("ping")).unwrap();
    let position = block_on(user.position()).unwrap();

    let to = fixture();
    for part in ["ledger", "blobs"] {
        fs::create_dir_all(to.join(part)).unwrap();
        for entry in fs::read_dir(place.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|found| found == "jsonl") {
                fs::copy(&path, to.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    for page in ["head", "tip", "lock"] {
        fs::copy(place.join(page), to.join(page)).unwrap();
    }
    fs::write(to.join("position"), format!("{position}\n")).unwrap();
}
