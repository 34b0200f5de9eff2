//! Durations as people write them: core's, in clap's form.

use std::time::Duration;

pub(crate) use cccc_core::duration::short;

/// Parses whole numbers with units, added up.
///
/// # Errors
/// Says how durations are written.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    cccc_core::duration::parse(text).map_err(|error| error.to_string())
}
