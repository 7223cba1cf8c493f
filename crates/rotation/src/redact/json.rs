//! Log lines in JSON, which must still be valid JSON after redaction.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A value of a JSON line: a string or a number.
pub(super) enum Part {
    /// The range between the quotation marks.
    Text(Range<usize>),
    /// The range of the number.
    Number(Range<usize>),
}

/// Returns the values of a line that is a JSON object, or `None` for any other line.
pub(super) fn parts(line: &str) -> Option<Vec<Part>> {
    if !line.trim_start().starts_with('{') || serde_json::from_str::<IgnoredAny>(line).is_err() {
        return None;
    }
    let bytes = line.as_bytes();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => {
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                let content = start + 1..at;
                at += 1;
                // Keys are not redacted, because the function itself defines them.
                let is_key =
                    bytes.get(at..).unwrap_or_default().trim_ascii_start().first() == Some(&b':');
                if !is_key {
                    parts.push(Part::Text(content));
                }
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                at += bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                parts.push(Part::Number(start..at));
            }
            _ => {}
        }
    }
    Some(parts)
}

/// Widens ranges of a string's content so that no range ends inside an escape sequence.
pub(super) fn widen(content: &str, ranges: &mut [Range<usize>]) {
    let bytes = content.as_bytes();
    let mut escapes = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        let start = at + found;
        let length = if bytes.get(start + 1) == Some(&b'u') { 6 } else { 2 };
        at = (start + length).min(bytes.len());
        escapes.push(start..at);
    }
    let around = |position: usize| {
        let index = escapes.partition_point(|escape| escape.end <= position);
        escapes.get(index).filter(|escape| escape.start < position)
    };
    for range in ranges {
        range.start = around(range.start).map_or(range.start, |escape| escape.start);
        range.end = around(range.end).map_or(range.end, |escape| escape.end);
    }
}
