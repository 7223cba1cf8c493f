//! The causes of an error in one line.

use std::error::Error;

/// Returns the messages of an error and of its causes, without those that an earlier message
/// contains.
pub(super) fn causes_of(error: &(dyn Error + 'static)) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        if !messages.iter().any(|earlier| earlier.contains(&message)) {
            messages.push(message);
        }
        next = error.source();
    }
    messages.join(": ")
}
