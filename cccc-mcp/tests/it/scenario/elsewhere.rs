//! What does not go through a tool, each with the reason. The test fails when one of these is not needed.

use cccc_core::testing::scenario::Call;
use serde_json::Value;

/// Something that no tool does or can be told.
pub(super) struct Exception {
    pub(super) reason: &'static str,
    applies: fn(&Call<'_>, &Situation) -> bool,
}

/// What there is when a step is taken.
pub(super) struct Situation {
    /// Whether the one who acts is an actor of the group.
    pub(super) is_actor: bool,
}

/// All of them. The first that applies is the reason.
pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "what people do is done with the command line",
        applies: |call, _| call.by == "user" || call.by.starts_with("user:"),
    },
    Exception {
        reason: "a host and other services are programs with the library",
        applies: |call, _| call.by.starts_with("svc:") || call.verb.command.is_none(),
    },
    Exception {
        reason: "a server that is told a name which nobody has would join under it",
        applies: |call, now| !now.is_actor && call.verb.name != "join",
    },
    Exception {
        reason: "collecting files that nobody names is done by the host and the user",
        applies: |call, _| call.verb.name == "group gc",
    },
    Exception {
        reason: "only the user adds and removes people",
        applies: |call, _| matches!(call.verb.name, "person add" | "person remove"),
    },
    Exception { reason: "only the user redacts", applies: |call, _| call.verb.name == "redact" },
    Exception {
        reason: "what evidence was found to be is said by whoever looked: a host, or the user",
        applies: |call, _| call.verb.name == "task verify",
    },
    Exception {
        reason: "policies are run by hosts, or by the user's hand",
        applies: |call, _| call.verb.name == "policy run",
    },
    Exception {
        reason: "that the time of a question is over is said by whoever looks after the group",
        applies: |call, _| call.verb.name == "question close",
    },
    Exception {
        reason: "what a tool would be given is said by the agent's program, not by its model",
        applies: |call, _| {
            let by_program = ["tool", "input", "client_id"];
            call.verb.name == "approval open"
                && by_program.iter().any(|name| call.arguments.contains_key(*name))
        },
    },
    Exception {
        reason: "an agent is shown at most a page; to look at more than that hands it over",
        applies: |call, _| {
            let more = number(call, "limit") > 20 || call.arguments.contains_key("after");
            call.verb.name == "inbox" && call.arguments.contains_key("peek") && more
        },
    },
    Exception {
        reason: "a tool takes a quote only together with the message that it is of",
        applies: |call, _| {
            call.verb.name == "send"
                && call.arguments.contains_key("quote")
                && !call.arguments.contains_key("reply_to")
        },
    },
    Exception {
        reason: "tools take the numbers of events where only ids are taken elsewhere",
        applies: |call, _| {
            let listed = call.arguments.get("not_if").and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).any(|text| text == "superseded:7")
        },
    },
];

fn number(call: &Call<'_>, name: &str) -> u64 {
    call.arguments.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Why a step does not go through a tool, if it does not.
pub(super) fn reason(call: &Call<'_>, now: &Situation) -> Option<&'static str> {
    EXCEPTIONS.iter().find(|one| (one.applies)(call, now)).map(|one| one.reason)
}
