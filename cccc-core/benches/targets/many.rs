//! Several processes on one group.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cccc_core::{Group, GroupId, Home, block_on};

use crate::report::{Report, Samples};
use crate::send::{self, RATE_TIME, TEXT};
use crate::{CHILD, raw};

/// Another process of this benchmark, which answers on its standard output.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn start(role: &str, home: &Home, group: &GroupId) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, role)
            .env("CCCC_HOME", home.path())
            .env("CCCC_GROUP_ID", group.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut helper = Self { child, input, output };
        assert_eq!(helper.line(), "ready");
        helper
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
    }

    pub(crate) fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

/// In a helper: the group it was told of, bound to an actor.
pub(crate) async fn own_group(actor: &str) -> Group {
    let home = Home::open(Home::default_path().unwrap()).await.unwrap();
    let id = GroupId::new(std::env::var("CCCC_GROUP_ID").unwrap()).unwrap();
    home.group(&id).await.unwrap().bind(actor).await.unwrap()
}

pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

pub(crate) fn heard() -> Option<String> {
    let mut line = String::new();
    (std::io::stdin().read_line(&mut line).unwrap() > 0).then(|| line.trim().to_owned())
}

/// What a helper of this module does; `None` for another module's.
pub(crate) fn child(role: &str) -> Option<()> {
    match role {
        "sender" => block_on(sender()),
        "follower" => block_on(follower()),
        _ => return None,
    }
    Some(())
}

/// Sends for a while, then says how many and the slowest per cent.
async fn sender() {
    let lead = own_group("lead").await;
    lead.send(TEXT).to("alice").await.unwrap();
    say("ready");
    heard();
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < RATE_TIME {
        let one = Instant::now();
        lead.send(TEXT).to("alice").await.unwrap();
        times.push(one.elapsed());
    }
    let samples = Samples::new(times.clone());
    say(format!("{} {}", times.len(), samples.percentile(99).as_micros()));
}

/// Says, for every event that it sees, when it saw it.
async fn follower() {
    let group = own_group("alice").await;
    let mut news = group.watch(group.position().await.unwrap());
    say("ready");
    while news.next().await.unwrap().message().is_none_or(|message| message.text != "end") {
        say(nanos());
    }
}

/// The wall clock, which processes have in common.
fn nanos() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
}

pub(crate) fn run(report: &mut Report) {
    for (processes, least) in [(8, 2.0), (32, 1.5)] {
        senders(report, processes, least);
    }
    latency(report);
}

fn senders(report: &mut Report, processes: usize, least: f64) {
    let what = format!("sends/s, {processes} processes");
    if !report.wants(&what) {
        return;
    }
    let dir = raw::directory();
    let limit = raw::one_thread_rate(dir.path(), RATE_TIME);
    let (home, lead) = send::group(dir.path());
    let mut helpers: Vec<_> = (0..processes).map(|_| Helper::start("sender", &home, lead.id())).collect();
    helpers.iter_mut().for_each(|helper| helper.tell("go"));
    let answers: Vec<(f64, u64)> = helpers
        .iter_mut()
        .map(|helper| {
            let line = helper.line();
            let (count, slowest) = line.split_once(' ').unwrap();
            (count.parse().unwrap(), slowest.parse().unwrap())
        })
        .collect();
    helpers.into_iter().for_each(Helper::end);
    let total: f64 = answers.iter().map(|(count, _)| count).sum();
    report.rate(&what, limit, total / RATE_TIME.as_secs_f64(), &format!(">= {least}x"), least);
    let least = answers.iter().map(|(count, _)| *count).fold(f64::MAX, f64::min);
    let most = answers.iter().map(|(count, _)| *count).fold(0.0, f64::max);
    let fairness = least / most;
    report.fact(&format!("{what}: slowest / fastest"), format!("{fairness:.2}"), ">= 0.5", fairness >= 0.5);
    if processes == 8 {
        let p99 = Duration::from_micros(answers.iter().map(|(_, p99)| *p99).max().unwrap());
        report.fact(&format!("{what}: p99"), format!("{p99:.1?}"), "<= 10 ms", p99.as_millis() <= 10);
    }
}

/// From before the send to the moment at which another process has the event.
fn latency(report: &mut Report) {
    let what = "send -> another process has it";
    if !report.wants(what) {
        return;
    }
    let dir = raw::directory();
    let mut file = raw::RawFile::new(dir.path());
    let limit = report.measure("raw append and sync, before latency", || file.append());
    let (home, lead) = send::group(dir.path());
    let mut follower = Helper::start("follower", &home, lead.id());
    let mut times = Vec::new();
    for _ in 0..500 {
        let sent = nanos();
        block_on(async { lead.send(TEXT).to("alice").await.unwrap() });
        let seen: u128 = follower.line().parse().unwrap();
        times.push(Duration::from_nanos(u64::try_from(seen.saturating_sub(sent)).unwrap()));
    }
    block_on(async { lead.send("end").to("alice").await.unwrap() });
    follower.end();
    let ours = Samples::new(times);
    let bound = limit.median() + Duration::from_micros(200);
    report.time(&format!("{what}, p50"), limit.median(), ours.median(), "<= limit + 0.2 ms", bound);
    let bound = limit.percentile(99) + Duration::from_millis(1);
    report.time(&format!("{what}, p99"), limit.percentile(99), ours.percentile(99), "<= limit + 1 ms", bound);
}
