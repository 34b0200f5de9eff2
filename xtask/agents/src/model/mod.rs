//! The model API that the agents are told to use: on 127.0.0.1, it says what a script tells it to, and keeps a log
//! of what it was asked, from which can be told where and how often a text reached the model.
//!
//! It knows nothing of the agents: a script says which tool to call, by its name without the agent's prefix.

mod answer;
pub(crate) mod log;
pub(crate) mod request;

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tiny_http::{Header, Method, Response, Server};

use crate::Failure;
use answer::Said;
use log::Log;
use request::{Api, Offered, Request};

/// What a script wants to be said.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A text; the turn ends.
    Say(String),
    /// A tool, by its name without the agent's prefix.
    Call(String, Value),
}

impl Step {
    pub(crate) fn call(tool: &str, arguments: Value) -> Self {
        Self::Call(tool.to_owned(), arguments)
    }

    pub(crate) fn say(text: &str) -> Self {
        Self::Say(text.to_owned())
    }
}

/// Decides what is said to a request of the session itself. It may wait.
pub(crate) type Script = Box<dyn FnMut(&Request) -> Step + Send>;

/// Requests are answered at the same time, so that what an agent asks on the side does not wait for a step.
const WORKERS: usize = 4;
/// The largest request that is read.
const MAX_BODY_BYTES: u64 = 32 << 20;

/// A running model API.
pub(crate) struct Model {
    port: u16,
    shared: Arc<Shared>,
    server: Arc<Server>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Script>,
    log: Mutex<Log>,
    /// The last request of the session and what was said: an agent that asks again hears the same.
    last: Mutex<Option<(String, Said)>>,
    /// A call that waits until its tool was looked up.
    put_off: Mutex<Option<(String, Value)>>,
    number: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Model {
    /// Starts one. Requests are kept in `dir`.
    pub(crate) fn start(dir: PathBuf) -> Result<Self, Failure> {
        let server = Server::http("127.0.0.1:0").map_err(|e| format!("cannot listen on 127.0.0.1: {e}"))?;
        let port = server.server_addr().to_ip().map(|addr| addr.port()).ok_or("no port to listen on")?;
        let shared = Arc::new(Shared {
            script: Mutex::new(ending()),
            log: Mutex::new(Log::new(dir)?),
            last: Mutex::default(),
            put_off: Mutex::default(),
            number: AtomicU64::new(0),
        });
        let server = Arc::new(server);
        let workers = (0..WORKERS)
            .map(|_| {
                let (server, shared) = (server.clone(), shared.clone());
                std::thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        shared.serve(request);
                    }
                })
            })
            .collect();
        Ok(Self { port, shared, server, workers })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on this script decides.
    pub(crate) fn follow(&self, script: Script) {
        *locked(&self.shared.script) = script;
    }

    /// From now on the steps are taken one after the other, each decided when it is its turn; after the last the
    /// turn ends.
    pub(crate) fn steps(&self, steps: Vec<Script>) {
        let mut steps = steps.into_iter();
        self.follow(Box::new(move |request| match steps.next() {
            Some(mut step) => step(request),
            None => Step::say("That is all."),
        }));
    }

    /// What it was asked so far.
    pub(crate) fn log<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&locked(&self.shared.log))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        for _ in &self.workers {
            self.server.unblock();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// A script for when nothing is expected.
fn ending() -> Script {
    Box::new(|_| Step::say("There is nothing to do."))
}

impl Shared {
    fn serve(&self, mut http: tiny_http::Request) {
        let mut text = String::new();
        let read = http.as_reader().take(MAX_BODY_BYTES).read_to_string(&mut text).is_ok();
        let url = http.url().to_owned();
        let path = url.split('?').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let post = *http.method() == Method::Post && read;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (status, answer, kind) = match protocol(&path, &url, &body).filter(|_| post) {
            Some((api, stream)) => {
                let (answer, kind) = self.model(number, &path, api, stream, &text, &body);
                (200, answer, kind)
            }
            None => {
                let (status, answer) = aside(&path, http.method());
                locked(&self.log).aside(&format!("{} {path}: {status}", http.method()));
                (status, answer.to_string(), "application/json")
            }
        };
        let mut response = Response::from_string(answer).with_status_code(status);
        if let Ok(header) = Header::from_bytes("Content-Type", kind) {
            response = response.with_header(header);
        }
        // An agent that hung up meanwhile has its own reasons.
        let _ = http.respond(response);
    }

    fn model(
        &self,
        number: u64,
        path: &str,
        api: Api,
        stream: bool,
        text: &str,
        body: &Value,
    ) -> (String, &'static str) {
        let mut request = Request::of(api, body);
        if !request.is_main() {
            locked(&self.log).side(path, &request, text);
            let wants_json = text.contains("application/json") || text.contains("json_schema");
            let words = if wants_json { "{\"title\":\"A session\"}" } else { "A session" };
            return Said::Text(words.to_owned()).body(api, stream, number);
        }
        let mut last = locked(&self.last);
        let said = match &*last {
            Some((asked, said)) if asked == text => said.clone(),
            _ => {
                request.number = locked(&self.log).asked(&request, text);
                let said = self.next(&request, number);
                locked(&self.log).said(&format!("{said:?}"));
                said
            }
        };
        *last = Some((text.to_owned(), said.clone()));
        drop(last);
        said.body(api, stream, number)
    }

    /// What is said next: what was put off to look a tool up, else the script's next step.
    fn next(&self, request: &Request, number: u64) -> Said {
        let put_off = locked(&self.put_off).take();
        let looked_up = put_off.is_some();
        let (name, arguments) = match put_off {
            Some(call) => call,
            None => match (*locked(&self.script))(request) {
                Step::Say(text) => return Said::Text(text),
                Step::Call(name, arguments) => (name, arguments),
            },
        };
        if let Some(tool) = request.tool(&name) {
            return Said::Call(number, tool.clone(), arguments);
        }
        match (request.deferred(&name), request.finder()) {
            // Looked up, it is called by its name, or through the tool that calls those that were looked up.
            (Some(full), _) if looked_up => {
                let direct = Offered { namespace: None, name: full.to_owned() };
                match request.tool("tool_call") {
                    Some(caller) => {
                        let call = json!({"name": full, "arguments": arguments});
                        Said::Call(number, caller.clone(), call)
                    }
                    None => Said::Call(number, direct, arguments),
                }
            }
            (Some(full), Some(finder)) => {
                let query = json!({"query": format!("select:{full}")});
                *locked(&self.put_off) = Some((name, arguments));
                Said::Call(number, finder.clone(), query)
            }
            _ => {
                let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
                let trouble = format!("no tool {name} is offered, only {}", names.join(" "));
                locked(&self.log).aside(&trouble);
                Said::Text(trouble)
            }
        }
    }
}

/// Which protocol a request speaks, and whether its answer is a stream.
fn protocol(path: &str, url: &str, body: &Value) -> Option<(Api, bool)> {
    let stream = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let ends = |end: &str| path.ends_with(end);
    if ends("/messages") {
        Some((Api::Messages, stream))
    } else if ends("/responses") {
        Some((Api::Responses, stream))
    } else if ends("/chat/completions") {
        Some((Api::Chat, stream))
    } else if ends(":streamGenerateContent") {
        Some((Api::Gemini, url.contains("alt=sse")))
    } else if ends(":generateContent") {
        Some((Api::Gemini, false))
    } else {
        None
    }
}

/// Answers to what is no question to the model.
fn aside(path: &str, method: &Method) -> (u16, Value) {
    if path.ends_with("/count_tokens") {
        (200, json!({"input_tokens": 10}))
    } else if path.ends_with(":countTokens") {
        (200, json!({"totalTokens": 10}))
    } else if path.ends_with("/models") {
        (
            200,
            json!({"object": "list", "data": [{"id": "fake", "object": "model", "created": 1, "owned_by": "fake"}]}),
        )
    } else if *method == Method::Head {
        (200, Value::Null)
    } else {
        (404, json!({"error": {"type": "not_found_error", "message": "there is only a model here"}}))
    }
}
