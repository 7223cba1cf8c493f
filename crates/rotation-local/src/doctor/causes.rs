//! The causes of an error.

use std::error::Error;
use std::iter;

type Cause = dyn Error + 'static;

/// Returns an error and its causes.
pub(super) fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    iter::successors(Some(error), |&error| error.source())
}

/// Returns the messages of an error and of its causes, without those that an earlier message
/// contains.
pub(super) fn causes_of(error: &Cause) -> String {
    let mut messages: Vec<String> = Vec::new();
    for message in causes(error).map(ToString::to_string) {
        if !messages.iter().any(|earlier| earlier.contains(&message)) {
            messages.push(message);
        }
    }
    messages.join(": ")
}
