//! Sessions with an agent: it is told something, as by a person, and works until its turn ends. How that is done
//! differs from program to program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;
use crate::catalog::{Agent, Drive};
use crate::install::Tools;
use crate::place::Place;
use crate::process::{self, Running};

/// How long a program may take to be ready.
const STARTING: Duration = Duration::from_secs(120);

/// What is needed to run an agent.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) place: &'a Arc<Place>,
    pub(crate) name: &'a str,
    pub(crate) agent: &'a Agent,
    pub(crate) port: u16,
    /// Who its environment says that it is.
    pub(crate) actor: Option<&'a str>,
}

impl Stage<'_> {
    /// The agent's program with these arguments.
    pub(crate) fn command(&self, arguments: &[String], prompt: &str) -> std::process::Command {
        let mut command = self.place.agent(self.tools, self.name, self.agent, self.port);
        let filled = |word: &String| self.place.filled(word, self.port).replace("{prompt}", prompt);
        command.args(arguments.iter().map(filled));
        if let Some(actor) = self.actor {
            command.env("CCCC_ACTOR_ID", actor);
        }
        command
    }
}

/// A session.
pub(crate) struct Session<'a> {
    stage: Stage<'a>,
    drive: Drive,
    running: Option<Running>,
    thread: String,
    calls: u64,
    said: String,
}

impl<'a> Session<'a> {
    /// Starts the agent, as far as it starts before it is told something.
    pub(crate) fn open(stage: Stage<'a>) -> Result<Self, Failure> {
        Self::start(stage, stage.agent.drive, &stage.agent.run, None)
    }

    /// The same, for more than one prompt where that can be; the session that was, where the agent knows it.
    pub(crate) fn open_long(stage: Stage<'a>, again: Option<&str>) -> Result<Self, Failure> {
        let (drive, run) = stage.agent.long().unwrap_or((stage.agent.drive, &stage.agent.run));
        Self::start(stage, drive, run, again)
    }

    fn start(stage: Stage<'a>, drive: Drive, run: &[String], again: Option<&str>) -> Result<Self, Failure> {
        let mut session =
            Self { stage, drive, running: None, thread: String::new(), calls: 0, said: String::new() };
        if !matches!(drive, Drive::Once | Drive::None) {
            session.running = Some(Running::start(stage.command(run, ""))?);
        }
        let until = Instant::now() + STARTING;
        let cwd = stage.place.project();
        let opened = match drive {
            Drive::Once | Drive::Claude | Drive::None => Ok(()),
            Drive::Codex => session.open_codex(&cwd.to_string_lossy(), again, until),
            Drive::Acp => session.open_acp(&cwd.to_string_lossy(), until),
        };
        match opened {
            Ok(()) => Ok(session),
            Err(why) => Err(session.explained(&why)),
        }
    }

    /// Tells it something and waits until its turn ended.
    pub(crate) fn prompt(&mut self, text: &str, bound: Duration) -> Result<(), Failure> {
        let until = Instant::now() + bound;
        let told = match self.drive {
            Drive::Once => self.prompt_once(text, bound),
            Drive::None => Err("it cannot be run without an account".to_owned()),
            Drive::Claude => self.prompt_claude(text, until),
            Drive::Codex => self.prompt_codex(text, until),
            Drive::Acp => self.prompt_acp(text, until),
        };
        told.map_err(|why| self.explained(&why))
    }

    /// What the agent calls this session, if it knows it again by that.
    pub(crate) fn thread(&self) -> Option<&str> {
        Some(self.thread.as_str()).filter(|_| self.drive == Drive::Codex)
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.running.as_ref().map_or_else(|| self.said.clone(), Running::said)
    }

    /// Ends it, as a person does who closes it.
    pub(crate) fn close(mut self) {
        if let Some(running) = self.running.take() {
            running.close();
        }
    }

    fn explained(&self, why: &str) -> Failure {
        let said = self.said();
        let end = said.len().saturating_sub(6000);
        let end = (end..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len());
        format!("{why}; it said last:\n{}", said.get(end..).unwrap_or_default())
    }

    fn running(&mut self) -> Result<&mut Running, Failure> {
        self.running.as_mut().ok_or_else(|| "it is not running".to_owned())
    }

    fn prompt_once(&mut self, text: &str, bound: Duration) -> Result<(), Failure> {
        let command = self.stage.command(&self.stage.agent.run, text);
        let ended = process::run(command, bound)?;
        self.said.push_str(&ended.said);
        if ended.status.success() { Ok(()) } else { Err(format!("it ended with {}", ended.status)) }
    }

    fn prompt_claude(&mut self, text: &str, until: Instant) -> Result<(), Failure> {
        let content = json!([{"type": "text", "text": text}]);
        let message = json!({"type": "user", "message": {"role": "user", "content": content}});
        self.running()?.write(&message.to_string())?;
        loop {
            let line = self.running()?.line(until)?;
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            if event.get("type").and_then(Value::as_str) == Some("result") {
                let failed = event.get("is_error").and_then(Value::as_bool) == Some(true);
                return if failed { Err(format!("the turn failed: {line}")) } else { Ok(()) };
            }
        }
    }

    fn open_codex(&mut self, cwd: &str, again: Option<&str>, until: Instant) -> Result<(), Failure> {
        let client = json!({"name": "cccc-agents", "title": "CCCC's suite", "version": "1"});
        self.call(
            "initialize",
            json!({"clientInfo": client, "capabilities": {"experimentalApi": true}}),
            until,
        )?;
        self.send(&json!({"jsonrpc": "2.0", "method": "initialized"}))?;
        let started = match again {
            Some(thread) => self.call("thread/resume", json!({"threadId": thread}), until)?,
            None => self.call("thread/start", json!({"cwd": cwd}), until)?,
        };
        self.thread = text_at(&started, "/thread/id")?;
        Ok(())
    }

    fn prompt_codex(&mut self, text: &str, until: Instant) -> Result<(), Failure> {
        let input = json!([{"type": "text", "text": text}]);
        let id = self.send_call("turn/start", json!({"threadId": self.thread, "input": input}))?;
        loop {
            let message = self.message(until)?;
            if message.get("id").and_then(Value::as_u64) == Some(id) && message.get("error").is_some() {
                return Err(format!("the turn did not start: {message}"));
            }
            if message.get("method").and_then(Value::as_str) == Some("turn/completed") {
                let status = text_at(&message, "/params/turn/status").unwrap_or_default();
                return if status == "failed" { Err(format!("the turn failed: {message}")) } else { Ok(()) };
            }
        }
    }

    fn open_acp(&mut self, cwd: &str, until: Instant) -> Result<(), Failure> {
        let can = json!({"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false});
        self.call("initialize", json!({"protocolVersion": 1, "clientCapabilities": can}), until)?;
        let session = self.call("session/new", json!({"cwd": cwd, "mcpServers": []}), until)?;
        self.thread = text_at(&session, "/sessionId")?;
        Ok(())
    }

    fn prompt_acp(&mut self, text: &str, until: Instant) -> Result<(), Failure> {
        let prompt = json!([{"type": "text", "text": text}]);
        self.call("session/prompt", json!({"sessionId": self.thread, "prompt": prompt}), until)?;
        Ok(())
    }

    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        self.running()?.write(&message.to_string())
    }

    fn send_call(&mut self, method: &str, params: Value) -> Result<u64, Failure> {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// Calls a method and waits for its answer.
    fn call(&mut self, method: &str, params: Value, until: Instant) -> Result<Value, Failure> {
        let id = self.send_call(method, params)?;
        loop {
            let message = self.message(until).map_err(|why| format!("{method}: {why}"))?;
            if message.get("id").and_then(Value::as_u64) == Some(id) && message.get("method").is_none() {
                return match message.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => Err(format!("{method} was answered with {message}")),
                };
            }
        }
    }

    /// The next message. What the agent asks of us is allowed on the way.
    fn message(&mut self, until: Instant) -> Result<Value, Failure> {
        loop {
            let line = self.running()?.line(until)?;
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            let (Some(id), Some(method)) = (message.get("id"), message.get("method")) else {
                return Ok(message);
            };
            let answer = match method.as_str().unwrap_or_default() {
                "session/request_permission" => permitted(&message),
                "mcpServer/elicitation/request" => json!({"action": "accept", "content": {}}),
                _ => json!({"decision": "accept"}),
            };
            self.send(&json!({"jsonrpc": "2.0", "id": id, "result": answer}))?;
        }
    }
}

/// Chooses the first option that allows it.
fn permitted(message: &Value) -> Value {
    let options = message.pointer("/params/options").and_then(Value::as_array);
    let allows = |option: &&Value| {
        option.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("allow"))
    };
    match options.and_then(|options| options.iter().find(allows)) {
        Some(option) => json!({"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}),
        None => json!({"outcome": {"outcome": "cancelled"}}),
    }
}

fn text_at(value: &Value, place: &str) -> Result<String, Failure> {
    let text = value.pointer(place).and_then(Value::as_str).map(ToOwned::to_owned);
    text.ok_or_else(|| format!("there is no {place} in {value}"))
}
