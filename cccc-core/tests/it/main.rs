//! Core from outside: as a program uses it, as many processes use it, and as faults meet it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests stop where they fail"
)]

mod attach;
mod attachments;
mod bundle;
mod collect;
mod conformance;
mod coord;
mod crowd;
mod format_doc;
mod format_team;
mod half_made;
mod handing;
mod handle;
mod home;
mod life;
mod limits;
mod misplaced;
mod model;
mod processes;
mod read_only;
mod readme;
mod relay;
mod runtimes;
mod scenario;
mod sessions;
mod simulation;
mod stress;
mod task;
mod tcp;
mod team_model;
mod threads;
mod time;
