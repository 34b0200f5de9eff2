//! Each fault at each call of one command, or a sample of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};

use cccc_core::testing::Random;
use rustix::process::Signal;
use serde_json::Value;

use crate::afterwards;
use crate::fault::{Call, Fault, calls};
use crate::place::{Place, Running, objects, signal, was_killed};

/// How many calls of a command each fault is tried at, unless all are asked for.
const SAMPLE: usize = 5;
/// After so many failures of one command the rest would say the same.
const MAX_FAILURES: usize = 4;

/// A command that meets faults.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: &'a Place,
    /// The command with its standard input.
    pub(crate) command: &'a dyn Fn() -> (Command, Vec<u8>),
    /// What must hold of this command afterwards, however it ended.
    pub(crate) check: &'a dyn Fn(&Ended),
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// It was killed, before or after it had said anything.
    pub(crate) killed: bool,
    /// It ended with exit code 0.
    pub(crate) done: bool,
    /// What it printed.
    pub(crate) printed: String,
    /// The error it reported.
    pub(crate) error: Option<Value>,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let errors = String::from_utf8_lossy(&output.stderr);
        let error = || Some(serde_json::from_str::<Value>(errors.lines().last()?).ok()?["error"].clone());
        let ended = Self {
            killed: was_killed(output),
            done: output.status.success(),
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: error(),
        };
        assert!(
            ended.killed || matches!(output.status.code(), Some(0 | 1)),
            "it neither did nor refused it: {output:?}"
        );
        assert!(!errors.contains("panicked"), "{errors}");
        ended
    }

    /// The object it printed when it had done what was asked.
    pub(crate) fn answer(&self) -> Option<Value> {
        self.done.then(|| objects(&self.printed).into_iter().next()).flatten()
    }

    /// It reported an error, and not that it cannot be known whether it was done.
    pub(crate) fn refused(&self) -> bool {
        let text = self.error.as_ref().map(ToString::to_string);
        !self.killed && !self.done && text.is_none_or(|text| !text.contains("cannot be told"))
    }
}

impl Case<'_> {
    /// Tries the faults, and panics with those that something promised did not survive.
    pub(crate) fn run(&self) {
        self.place.keep();
        let (all, one) = match std::env::var("CCCC_FAULTS").ok() {
            Some(text) if text == "all" => (true, None),
            one => (false, one),
        };
        let seed = std::env::var("CCCC_FAULTS_SEED").ok().map_or(1, |text| text.parse().unwrap());
        let mut random = Random::new(seed);
        let counted = self.undisturbed();
        println!("{}: {} calls", self.name, counted.len());
        assert!(counted.len() > 5, "{counted:?}");
        let (mut tried, mut failures) = (0, Vec::new());
        for fault in Fault::ALL {
            let fitting: Vec<&Call> = counted.iter().filter(|call| fault.fits(call)).collect();
            let mut chosen: Vec<usize> = fitting.iter().map(|call| call.at).collect();
            if let Some(one) = &one {
                chosen.retain(|at| *one == format!("{}/{}/{at}", self.name, fault.name()));
            } else if !all {
                while chosen.len() > SAMPLE {
                    chosen.remove(random.index(chosen.len()));
                }
            }
            for at in chosen {
                tried += 1;
                let result = catch_unwind(AssertUnwindSafe(|| self.meet(fault, at)));
                if let Err(panic) = result {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                    failures.push(self.describe(fault, at, &text.unwrap_or_default()));
                }
                if failures.len() == MAX_FAILURES {
                    panic!("after {tried} faults, {} of them:\n{}", failures.len(), failures.join("\n"));
                }
            }
        }
        assert!(failures.is_empty(), "{} of {tried} faults:\n{}", failures.len(), failures.join("\n"));
    }

    fn log(&self) -> std::path::PathBuf {
        self.place.path().join("calls")
    }

    fn start(&self, fault: Option<Fault>, at: usize) -> Running {
        self.place.put_back();
        let _ = std::fs::remove_file(self.log());
        let (mut command, input) = (self.command)();
        Fault::arm(&mut command, fault, at, self.place.path(), &self.log());
        Running::start(command, &input)
    }

    /// Without a fault everything is in order, or the checks are wrong. Returns the calls that it makes.
    fn undisturbed(&self) -> Vec<Call> {
        let ended = Ended::of(&self.start(None, 0).end());
        assert!(ended.done, "{ended:?}");
        let counted = calls(&self.log());
        (self.check)(&ended);
        afterwards::check(self.place);
        counted
    }

    fn meet(&self, fault: Fault, at: usize) {
        let running = self.start(Some(fault), at);
        if fault == Fault::Stop
            && let Some(stopped) = running.stops()
        {
            let bystanders = catch_unwind(AssertUnwindSafe(|| afterwards::go_on_beside(self.place)));
            signal(stopped, Signal::CONT);
            let output = running.end();
            if let Err(panic) = bystanders {
                std::panic::resume_unwind(panic);
            }
            return self.look(&output);
        }
        self.look(&running.end());
    }

    fn look(&self, output: &Output) {
        let ended = Ended::of(output);
        (self.check)(&ended);
        afterwards::check(self.place);
    }

    fn describe(&self, fault: Fault, at: usize, text: &str) -> String {
        let call = calls(&self.log()).into_iter().find(|call| call.at == at);
        let call = call.map_or_else(|| "never reached".into(), |call| format!("{} {}", call.name, call.path));
        format!("  {}/{}/{at} ({}): {text}", self.name, fault.name(), call.trim())
    }
}
