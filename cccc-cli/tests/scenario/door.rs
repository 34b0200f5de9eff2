//! The command line as a door: arguments out of a table, answers off standard output and error.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::Arc;

use cccc_core::testing::scenario::{Answer, Call, Door, Shape, host};
use cccc_core::{Home, HomeOptions, ManualClock, Timestamp, block_on};
use serde_json::{Map, Value, json};

use crate::shared::Place;

/// The variable that makes this test the program, with the time that it is.
pub(crate) const AS_PROGRAM: &str = "CCCC_TEST_AS_PROGRAM_AT";

/// The longest argument that is given as one; longer ones, and what no argument can hold, go through
/// standard input.
const MAX_ARGUMENT_BYTES: usize = 100_000;

/// Speaks for nobody: `--as` is left out.
const NOBODY: &str = "nobody";

/// A throwaway home and a directory to work in.
#[derive(Debug)]
pub(crate) struct CommandDoor {
    place: Place,
}

impl CommandDoor {
    pub(crate) fn new() -> Self {
        Self { place: Place::bare() }
    }

    /// Runs the program at a time.
    fn run(&self, now: Timestamp, arguments: &[String], input: &[u8]) -> Output {
        let mut command = self.place.program(std::env::current_exe().unwrap());
        command.args(arguments).env(AS_PROGRAM, now.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that reads no input may have ended before it is written.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// What the program prints: its lines, or its error.
    fn lines(&self, now: Timestamp, arguments: &[String], input: &[u8]) -> Result<Vec<Value>, Value> {
        let output = self.run(now, arguments, input);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let read = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{arguments:?}: {line:?}: {error}"))
        };
        match output.status.code() {
            Some(0) => {
                assert_eq!(err, "", "{arguments:?}");
                Ok(out.lines().map(read).collect())
            }
            Some(1) => {
                assert_eq!(out, "", "{arguments:?} printed an answer and an error");
                let error: Value = read(&err);
                Err(error.get("error").cloned().unwrap_or_else(|| panic!("{arguments:?}: {error}")))
            }
            // Wrong usage is no refusal: the scenario asks for what the command line cannot say.
            code => {
                Err(json!({"kind": "usage", "message": format!("{arguments:?} ended with {code:?}: {err}")}))
            }
        }
    }

    /// The host is another process than the one that runs a command. Here it is this test, with the same
    /// home.
    fn as_host(&self, call: &Call<'_>) -> cccc_core::Result<Value> {
        let mut options = HomeOptions::default();
        options.clock = Arc::new(ManualClock::at(call.now));
        block_on(async {
            let home = Home::open_with(self.place.home(), options).await?;
            let group = home.group(&call.group.parse()?).await?.bind(call.by).await?;
            host::perform(&group, call).await
        })
    }
}

impl Door for CommandDoor {
    fn name(&self) -> &'static str {
        "cli"
    }

    fn create_group(&mut self, now: Timestamp, title: &str) -> Result<String, Value> {
        let arguments = ["--as", "user", "--json", "group", "create", "--title", title].map(str::to_owned);
        let answer = self.lines(now, &arguments, b"")?;
        Ok(answer.first().and_then(|one| one.get("group_id")?.as_str()).unwrap().to_owned())
    }

    fn write_file(&mut self, name: &str, text: &str) {
        let path = self.place.project().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn perform(&mut self, call: &Call<'_>) -> Result<Value, Value> {
        let Some(command) = call.verb.command else {
            return self.as_host(call).map_err(|error| error.to_json());
        };
        let (mut arguments, input) = command_line(call);
        arguments.splice(0..0, command.split(' ').map(str::to_owned));
        let mut lines = self.lines(call.now, &arguments, &input)?;
        match call.verb.answer {
            Answer::List => Ok(Value::Array(lines)),
            Answer::One if lines.len() == 1 => Ok(lines.remove(0)),
            Answer::One => panic!("{arguments:?} answered with {} lines", lines.len()),
        }
    }
}

/// What stands after the words of the command, and what goes through standard input.
fn command_line(call: &Call<'_>) -> (Vec<String>, Vec<u8>) {
    let mut line = vec!["--json".to_owned(), format!("--group={}", call.group)];
    if call.by != NOBODY {
        line.push(format!("--as={}", call.by));
    }
    let mut input = Vec::new();
    let mut places = Vec::new();
    for argument in call.verb.arguments {
        let Some(value) = call.arguments.get(argument.name) else { continue };
        for text in texts(argument.shape, value) {
            let too_much = text.len() > MAX_ARGUMENT_BYTES || text.contains('\0');
            if argument.positional && too_much {
                input = text.into_bytes();
                places.push("-".to_owned());
            } else if argument.positional {
                places.push(text);
            } else if argument.shape == Shape::Flag {
                line.push(flag(argument.name));
            } else {
                line.push(format!("{}={text}", flag(argument.name)));
            }
        }
    }
    // What is left out of an operation that can do without words is left out here, too.
    if !places.is_empty() {
        line.push("--".into());
        line.append(&mut places);
    }
    (line, input)
}

/// One text for each time that the argument is given.
fn texts(shape: Shape, value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (shape, value) {
        (Shape::Settings, value) => {
            let settings = value.as_object().map(Map::iter).into_iter().flatten();
            settings.map(|(name, value)| format!("{name}={value}")).collect()
        }
        // An empty list is given as one empty text, as by a person who clears something.
        (Shape::Texts, Value::Array(values)) if values.is_empty() => vec![String::new()],
        (_, Value::Array(values)) => values.iter().map(text).collect(),
        (_, value) => vec![text(value)],
    }
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}
