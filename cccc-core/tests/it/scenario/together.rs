//! The library's door to what a team shares: tasks, context, reservations, votes, labels.

use std::path::Path;

use cccc_core::answer::DigestAnswer;
use cccc_core::event::{Choice, ContextValue, Evidence, EvidenceKind, Service, TaskOp};
use cccc_core::{DEFAULT_LEASE, DEFAULT_VOTE, Group, Seq, TaskStatus, UpdateTaskRequest};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::arguments::Arguments;
use super::door::{Answered, done, of};

/// Carries out an operation on what is shared; nothing if it is none.
pub(super) async fn perform(group: &Group, verb: &str, with: Arguments<'_>, dir: &Path) -> Option<Answered> {
    Some(match verb.split(' ').next().unwrap_or_default() {
        "task" => task(group, verb, with, dir).await,
        "tracked-send" => tracked_send(group, with).await,
        "context" => context(group, verb, with).await,
        "agent-state" => agent_state(group, with).await,
        "agent-states" => agent_states(group, with).await,
        "reserve" | "reservations" | "release" => reservation(group, verb, with).await,
        "vote" => vote(group, verb, with).await,
        "approval" => approval(group, verb, with).await,
        "label" => label(group, verb, with).await,
        _ => return None,
    })
}

/// A value of an enumeration by its name in JSON.
fn named<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(json!(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What a new task and a tracked message have in common.
macro_rules! with_fields {
    ($request:expr, $with:expr) => {{
        let (mut request, with): (_, Arguments<'_>) =
            ($request.outcome($with.text("outcome").unwrap_or_default()), $with);
        for kind in with.texts("evidence") {
            request = request.requires(named::<EvidenceKind>(kind));
        }
        for task in with.texts("depends_on") {
            request = request.depends_on(task);
        }
        for item in with.texts("item") {
            request = request.item(item);
        }
        if let Some(key) = with.text("client_id") {
            request = request.client_id(key);
        }
        match with.time("due") {
            Some(time) => request.due_within(time),
            None => request,
        }
    }};
}

async fn tracked_send(group: &Group, with: Arguments<'_>) -> Answered {
    let request = group.tracked_send(with.needed("text"), with.needed("title")).to(with.needed("to"));
    of(&with_fields!(request, with).await?)
}

async fn task(group: &Group, verb: &str, with: Arguments<'_>, dir: &Path) -> Answered {
    let task = || group.task_update(with.needed("task"));
    let text = || with.text("text").unwrap_or_default();
    let changed = match verb {
        "task add" => {
            let request = with_fields!(group.task_add(with.needed("title")), with);
            return of(&match with.text("owner") {
                Some(owner) => request.owner(owner).await?,
                None => request.await?,
            });
        }
        "task list" => return tasks(group, with).await,
        "task show" => return of(&group.task(with.needed("task")).await?),
        "task update" => update(task(), with, dir),
        "task check" => {
            let done = !with.flag("undo");
            let items = with.numbers("items").into_iter();
            let check = |item: u64| TaskOp::Check { item: item.try_into().unwrap(), done };
            items.map(check).fold(task(), UpdateTaskRequest::change)
        }
        "task handoff" => match (with.text("to"), with.text("refuse")) {
            (Some(to), _) => task().handoff(to),
            (None, Some(reason)) => task().keep(reason),
            (None, None) => task().take(),
        },
        "task done" => {
            let mut request = task();
            if with.flag("all_steps") {
                let steps = group.task(with.needed("task")).await?.checklist.len();
                request = (1..).take(steps).fold(request, UpdateTaskRequest::check);
            }
            evidenced(request, with, dir).done(text())
        }
        "task verify" => {
            let found = with.text("found").unwrap_or_default();
            task().checked(Seq(with.number("evidence").unwrap()), !with.flag("fails"), found)
        }
        "task decline" => task().decline(text()),
        "task accept" => task().accept(text()),
        "task reopen" => task().reopen(text()),
        "task cancel" => task().cancel(text()),
        other => panic!("the library's door lacks {other}"),
    };
    of(&changed.await?)
}

async fn tasks(group: &Group, with: Arguments<'_>) -> Answered {
    let mut request = group.tasks();
    if let Some(owner) = with.text("owner") {
        request = request.owner(owner);
    }
    if let Some(asker) = with.text("asker") {
        request = request.asker(asker);
    }
    if let Some(status) = with.text("status") {
        request = request.status(named::<TaskStatus>(status));
    }
    if with.flag("unowned") {
        request = request.unowned();
    }
    if with.flag("all") {
        request = request.settled();
    }
    of(&request.await?)
}

fn update<'a>(mut request: UpdateTaskRequest<'a>, with: Arguments<'_>, dir: &Path) -> UpdateTaskRequest<'a> {
    if let Some(version) = with.number("base_version") {
        request = request.base_version(version);
    }
    if let Some(title) = with.text("title") {
        request = request.title(title);
    }
    if let Some(outcome) = with.text("outcome") {
        request = request.outcome(outcome);
    }
    if let Some(owner) = with.text("owner") {
        request = request.assign(owner);
    }
    if with.flag("no_owner") {
        request = request.unassign();
    }
    for task in with.texts("no_longer_depends_on") {
        request = request.no_longer_depends_on(task);
    }
    for task in with.texts("depends_on") {
        request = request.depends_on(task);
    }
    if with.flag("start") {
        request = request.start();
    }
    if with.flag("plan") {
        request = request.plan();
    }
    for item in with.texts("item") {
        request = request.item(item);
    }
    for note in with.texts("note") {
        request = request.note(note);
    }
    evidenced(request, with, dir)
}

fn evidenced<'a>(
    mut request: UpdateTaskRequest<'a>,
    with: Arguments<'_>,
    dir: &Path,
) -> UpdateTaskRequest<'a> {
    for text in with.texts("evidence") {
        let (kind, value) = text.split_once(':').unwrap_or_else(|| panic!("{text:?} is no evidence"));
        let owned = value.to_owned();
        request = match kind {
            "commit" => request.evidence(Evidence::Commit { commit: owned }),
            "command" => {
                request.evidence(Evidence::Command { command: owned, exit_code: 0, output: String::new() })
            }
            "text" => request.evidence(Evidence::Text { text: owned }),
            "file" => request.evidence_file(dir.join(value)),
            "event" => request.evidence_event(value),
            other => panic!("{other:?} is no kind of evidence"),
        };
    }
    request
}

async fn context(group: &Group, verb: &str, with: Arguments<'_>) -> Answered {
    match verb {
        "context show" => of(&match with.text("key") {
            Some(key) => group.context_of(key).await?,
            None => group.context().await?,
        }),
        "context digest" => {
            let bytes = with.number("digest").unwrap().try_into().unwrap();
            of(&DigestAnswer::of(group, bytes).await?)
        }
        "context decide" => done(group.decide(with.needed("text")).await),
        "context note" => done(group.note(with.needed("text")).await),
        "context set" => {
            let key = with.needed("key");
            let request = match (with.text("text"), with.text("kind")) {
                (Some(text), _) => group.set_context(key, text),
                (None, Some(kind)) => {
                    let owner = with.text("owner").map(str::parse).transpose()?;
                    let (kind, address) = (kind.to_owned(), with.needed("address").to_owned());
                    group.set_context_value(key, ContextValue::Service(Service { kind, address, owner }))
                }
                (None, None) => group.remove_context(key),
            };
            done(match with.number("base") {
                Some(base) => request.base(Seq(base)).await,
                None => request.await,
            })
        }
        other => panic!("the library's door lacks {other}"),
    }
}

async fn agent_state(group: &Group, with: Arguments<'_>) -> Answered {
    let mut request = group.set_agent_state();
    if let Some(focus) = with.text("focus") {
        request = request.focus(focus);
    }
    if let Some(next) = with.text("next") {
        request = request.next(next);
    }
    if let Some(blocker) = with.text("blocker") {
        request = request.blocker(blocker);
    }
    if let Some(what) = with.text("waiting_for") {
        request = request.waiting_for(what);
    }
    if let Some(lasting) = with.time("for") {
        request = request.lasting(lasting);
    }
    if let Some(base) = with.number("base") {
        request = request.base(Seq(base));
    }
    if let Some(actor) = with.text("actor") {
        request = request.of(actor);
    }
    done(request.await)
}

async fn agent_states(group: &Group, with: Arguments<'_>) -> Answered {
    let mut states = group.agent_states().await?;
    states.retain(|state| with.text("actor").is_none_or(|actor| state.actor_id.as_str() == actor));
    of(&states)
}

async fn reservation(group: &Group, verb: &str, with: Arguments<'_>) -> Answered {
    let lease = with.time("for").unwrap_or(DEFAULT_LEASE);
    match verb {
        "reserve" => of(&match with.text("extend") {
            Some(id) => group.extend_reservation(id, lease).await?,
            None => {
                let request = group.reserve(with.texts("globs")).lasting(lease);
                request.purpose(with.text("purpose").unwrap_or_default()).await?
            }
        }),
        "release" => done(group.release(with.needed("id"), with.text("reason").unwrap_or_default()).await),
        _ => of(&match with.text("path") {
            Some(path) => group.reservations_of(path).await?,
            None => group.reservations().await?,
        }),
    }
}

async fn approval(group: &Group, verb: &str, with: Arguments<'_>) -> Answered {
    let reason = with.text("reason").unwrap_or_default();
    match verb {
        "approval open" => {
            let mut request = group.request_approval(with.needed("subject"));
            if let Some(tool) = with.text("tool") {
                request = request.tool(tool);
            }
            if let Some(input) = with.text("input") {
                request = request.input(input);
            }
            if let Some(time) = with.time("for") {
                request = request.within(time);
            }
            if let Some(key) = with.text("client_id") {
                request = request.client_id(key);
            }
            of(&request.await?)
        }
        "approval allow" => of(&group.decide_approval(with.needed("approval"), true, reason).await?),
        "approval deny" => of(&group.decide_approval(with.needed("approval"), false, reason).await?),
        "approval show" => of(&group.approval(with.needed("approval")).await?),
        "approval list" if with.flag("all") => of(&group.all_approvals().await?),
        "approval list" => of(&group.approvals().await?),
        "approval close" => done(group.close_approval(with.needed("approval"), reason).await),
        other => panic!("the library's door lacks {other}"),
    }
}

async fn vote(group: &Group, verb: &str, with: Arguments<'_>) -> Answered {
    let reason = with.text("reason").unwrap_or_default();
    match verb {
        "vote open" => {
            let request = group.open_vote(with.needed("question"));
            let request = request.within(with.time("for").unwrap_or(DEFAULT_VOTE));
            let voters = with.texts("voter");
            of(&voters.into_iter().fold(request, |request, voter| request.voter(voter)).await?)
        }
        "vote cast" => {
            of(&group.cast_vote(with.needed("vote"), named::<Choice>(with.needed("choice")), reason).await?)
        }
        "vote show" => of(&group.vote(with.needed("vote")).await?),
        "vote list" if with.flag("all") => of(&group.all_votes().await?),
        "vote list" => of(&group.votes().await?),
        "vote close" => done(group.close_vote(with.needed("vote"), reason).await),
        other => panic!("the library's door lacks {other}"),
    }
}

async fn label(group: &Group, verb: &str, with: Arguments<'_>) -> Answered {
    let request = match verb {
        "label list" => return of(&group.labels().await?),
        "label add" => group.add_labels(with.texts("labels")),
        _ => group.remove_labels(with.texts("labels")),
    };
    done(match with.text("actor") {
        Some(actor) => request.of(actor).await,
        None => request.await,
    })
}
