//! `docs/ledger-format.md` is true: its example is what the library writes, and a reader made by that page alone,
//! which shares no code with the library, reads the example, an old ledger, and what the library writes today.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cccc_core::event::{
    ActorAdd, Body, ChatMessage, ChatRetract, Format, GroupCreate, JoinPolicy, Priority, Role, Via,
};
use cccc_core::id::Nonce;
use cccc_core::ledger::{Draft, Encoder, Page, RawLine, Stamp, codec};
use cccc_core::{GroupId, Home, Position, Principal, Seq, Timestamp, block_on};

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
    let mut encoder = Encoder::new(group.clone(), Position::start(&group), Seq(0));
    let mut nonce = (1..).map(|n: u64| Nonce::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut write = |encoder: &mut Encoder, seconds: i64, drafts: Vec<Draft>| {
        let stamp = Stamp {
            ts: Timestamp::from_millis(1_795_250_300_000 + 1000 * seconds),
            by: Principal::User,
            via: Some(Via { door: "cli".into(), session: None }),
            scope_key: "".into(),
        };
        encoder.push(drafts, &stamp, || nonce.next().unwrap()).unwrap()
    };
    let create =
        GroupCreate { title: "Demo".into(), default_to: None, join: JoinPolicy::Open, settings: [].into() };
    write(&mut encoder, 0, vec![create.into()]);
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
    write(&mut encoder, 1, vec![add.into()]);
    let first = message("Review src/auth.rs", Seq(3));
    let first = write(&mut encoder, 2, vec![first.into()]);
    // So far each line was written by a process that knew everything before it to be durable. The next
    // writer does not wait for the sync of event 3.
    let mut next = Encoder::new(group.clone(), encoder.end(), Seq(2));
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
    write(&mut next, 3, vec![second.into(), retract.into()]);
    (group, [encoder.finish().bytes, next.finish().bytes].concat())
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
        root,
        depth: 0,
        task_id: None,
        src_group_id: None,
        src_event_id: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_example_is_what_the_library_writes() {
    let (group, bytes) = example();
    let [ledger, redacted] = blocks("jsonl").try_into().unwrap();
    assert_eq!(ledger, String::from_utf8(bytes.clone()).unwrap());
    let page = Page::check(bytes, Position::start(&group)).unwrap();
    let events: Vec<_> = page.events().collect::<Result<_, _>>().unwrap();
    let lines: Vec<RawLine<'_>> = page.lines().collect();
    assert_eq!(events.len(), 5);

    // How the second line gets its chain.
    let line = lines[1].bytes();
    let before = &line[..lines[1].data_range().start - ",\"data\":".len()];
    let chain = format!(
        "chain(1)      {}\nbefore        {} bytes, from {{\"v\":1 to \"door\":\"cli\"}}\n\
         blake3(data)  {}\nchain(2)      {}\n",
        events[0].chain,
        before.len(),
        hex(&lines[1].data_hash()),
        events[1].chain
    );
    let [stated_chain, head] = blocks("text").try_into().unwrap();
    assert!(before.starts_with(b"{\"v\":1") && before.ends_with(b"\"door\":\"cli\"}"));
    assert_eq!(stated_chain, chain);

    // The redacted line.
    let mut line = lines[2].bytes().to_vec();
    let range = lines[2].data_range();
    line[range.clone()].copy_from_slice(&codec::redaction(&lines[2].data_hash(), range.len()).unwrap());
    assert_eq!(redacted, String::from_utf8(line.clone()).unwrap());
    let after = [lines[0].bytes(), lines[1].bytes(), &line, lines[3].bytes(), lines[4].bytes()].concat();
    let page = Page::check(after, Position::start(&group)).unwrap();
    assert!(matches!(page.events().nth(2).unwrap().unwrap().body, Body::Redacted { .. }));

    // The page.
    let head_page = reader::Head {
        boot: [0; 16],
        epoch: 1,
        flags: 0,
        segment: 1,
        len: ledger.len() as u64,
        seq: 5,
        chain: events[4].chain.0,
    };
    let mut dump = String::new();
    for (i, row) in head_page.encode().chunks(16).enumerate() {
        let bytes: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(dump, "{:3}  {}", i * 16, bytes.join(" ")).unwrap();
    }
    assert_eq!(head, dump);
}

#[test]
fn a_reader_by_the_page_alone_reads_the_example() {
    let [ledger, redacted] = blocks("jsonl").try_into().unwrap();
    let lines = reader::read("demo", 1, ledger.as_bytes()).unwrap();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[3].data()["supersedes"], lines[2].json["id"]);

    // Redacted, it reads as well; changed otherwise, it does not.
    let original: Vec<&str> = ledger.split_inclusive('\n').collect();
    let swapped = ledger.replace(original[2], &redacted);
    assert_eq!(reader::read("demo", 1, swapped.as_bytes()).unwrap().len(), 5);
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

/// Files of a group as version 0.1.0 wrote them.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v1")
}
