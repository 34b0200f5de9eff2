//! Core from outside: as a program uses it, as many processes use it, and as faults meet it.

mod conformance;
mod crowd;
mod handle;
mod home;
mod model;
mod processes;
mod simulation;
