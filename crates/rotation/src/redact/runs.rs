//! Encodings that change every character: base64, hexadecimal digits, and lists of numbers.
//!
//! They are decoded, and the result is searched like a text. The start of such a run is not known,
//! because other letters can precede it, so it is decoded from each possible start of its first
//! group. A run that contains a secret is redacted as a whole.

use std::ops::Range;

use zeroize::Zeroizing;

use super::readings::Readings;
use super::search::Search;

/// Returns the runs that contain a secret.
pub(super) fn encoded(
    search: &mut Search<'_>,
    readings: &Readings<'_>,
    depth: usize,
) -> Vec<Range<usize>> {
    let Some(shortest) = search.shortest_encoded() else { return Vec::new() };
    let mut found = Vec::new();
    let mut decoded = Zeroizing::new(Vec::new());
    let mut digits = Zeroizing::new(Vec::new());
    let runs: [(Digit, usize, usize); 2] = [(base64, 6, 4), (hexadecimal, 4, 2)];
    for (digit, bits, group) in runs {
        let least = (shortest * 8).div_ceil(bits);
        let mut position = 0;
        while let Some(range) = next_run(readings, &mut position, digit, &mut digits) {
            let is_secret = digits.len() >= least
                && (0..group.min(digits.len())).any(|skipped| {
                    pack(&digits[skipped..], bits, &mut decoded);
                    search.is_in(&decoded, depth)
                });
            if is_secret {
                found.push(range);
            }
        }
    }
    let lists: [List; 2] = [next_list, next_groups];
    for next in lists {
        let mut position = 0;
        while let Some(range) = next(readings, &mut position, &mut digits) {
            if digits.len() >= shortest && search.is_in(&digits, depth) {
                found.push(range);
            }
        }
    }
    found
}

/// A function that finds the next list of bytes at or after a position.
type List = fn(&Readings<'_>, &mut usize, &mut Zeroizing<Vec<u8>>) -> Option<Range<usize>>;

/// A function that returns the value of the digit at a position, and its end.
type Digit = fn(&Readings<'_>, usize) -> Option<(u8, usize)>;

/// Reads a base64 digit of either alphabet, raw or in an escape such as `%2B` or `\/`.
fn base64(readings: &Readings<'_>, at: usize) -> Option<(u8, usize)> {
    let (byte, end) = readings.find(at, |byte| sextet(byte).is_some())?;
    Some((sextet(byte)?, end))
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

fn hexadecimal(readings: &Readings<'_>, at: usize) -> Option<(u8, usize)> {
    let digit = char::from(*readings.text.get(at)?).to_digit(16)?;
    Some((digit.to_le_bytes()[0], at + 1))
}

/// Finds the next run of digits, of any length. A line break does not end the run.
fn next_run(
    readings: &Readings<'_>,
    position: &mut usize,
    digit: Digit,
    digits: &mut Zeroizing<Vec<u8>>,
) -> Option<Range<usize>> {
    let text = readings.text;
    while *position < text.len() {
        let start = *position;
        let Some((first, after)) = digit(readings, start) else {
            *position += 1;
            continue;
        };
        digits.clear();
        let (mut next, mut end) = (Some((first, after)), after);
        while let Some((value, after)) = next {
            push(digits, value);
            end = after;
            next = digit(readings, end).or_else(|| {
                let (_, line) = readings.find(end, |byte| byte == b'\n' || byte == b'\r')?;
                let line = readings.find(line, |byte| byte == b'\n').map_or(line, |(_, end)| end);
                digit(readings, line)
            });
        }
        *position = end;
        return Some(start..end);
    }
    None
}

/// Adds a byte to a buffer. If the buffer grows, no copy of its content remains in memory.
fn push(buffer: &mut Zeroizing<Vec<u8>>, byte: u8) {
    if buffer.len() == buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(buffer.capacity().max(32) * 2));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.push(byte);
}

/// Packs digits of `bits` bits each into bytes.
fn pack(digits: &[u8], bits: usize, decoded: &mut Zeroizing<Vec<u8>>) {
    decoded.clear();
    if decoded.capacity() < digits.len() {
        *decoded = Zeroizing::new(Vec::with_capacity(digits.len()));
    }
    let (mut value, mut held) = (0_u32, 0);
    for digit in digits {
        value = (value << bits) | u32::from(*digit);
        held += bits;
        if held >= 8 {
            held -= 8;
            decoded.push((value >> held).to_le_bytes()[0]);
        }
    }
}

/// Finds the next list of numbers below 256, as Rust's `{:?}` formats bytes: `112, 119, 45`.
fn next_list(
    readings: &Readings<'_>,
    position: &mut usize,
    bytes: &mut Zeroizing<Vec<u8>>,
) -> Option<Range<usize>> {
    let text = readings.text;
    while *position < text.len() {
        let start = *position;
        let Some((mut byte, mut end)) = number(readings, start) else {
            *position += 1;
            continue;
        };
        bytes.clear();
        loop {
            push(bytes, byte);
            let Some((_, mut at)) = readings.find(end, |byte| byte == b',') else { break };
            while let Some((_, after)) = readings.find(at, |byte| byte.is_ascii_whitespace()) {
                at = after;
            }
            let Some(next) = number(readings, at) else { break };
            (byte, end) = next;
        }
        *position = end;
        if bytes.len() > 1 {
            return Some(start..end);
        }
    }
    None
}

/// Reads a number below 256. Returns its value and its end.
fn number(readings: &Readings<'_>, at: usize) -> Option<(u8, usize)> {
    let (mut value, mut end) = (0_u32, at);
    while let Some((digit, after)) = readings.find(end, |byte| byte.is_ascii_digit()) {
        (value, end) = (value * 10 + u32::from(digit & 15), after);
        if value > 255 {
            return None;
        }
    }
    (end > at).then_some((value.to_le_bytes()[0], end))
}

/// Finds the next list of groups of hexadecimal digits, as dumps format bytes: `70:77`, `70 77`,
/// `0x70, 0x77`, `7077 2d31`.
fn next_groups(
    readings: &Readings<'_>,
    position: &mut usize,
    bytes: &mut Zeroizing<Vec<u8>>,
) -> Option<Range<usize>> {
    let text = readings.text;
    while *position < text.len() {
        let mut start = *position;
        bytes.clear();
        // If the first digit belongs to a preceding word, the first group starts after it.
        if let Some(end) = group(readings, start, bytes)
            && hexadecimal(readings, end).is_some()
        {
            start += 1;
        }
        bytes.clear();
        let (mut at, mut end, mut groups) = (start, start, 0);
        while let Some(after) = group(readings, at, bytes) {
            (end, groups) = (after, groups + 1);
            at = after;
            while let Some((_, after)) =
                readings.find(at, |byte| byte.is_ascii_whitespace() || b":-,".contains(&byte))
            {
                at = after;
            }
            if at == end {
                break;
            }
        }
        *position = end.max(start + 1);
        if groups > 1 {
            return Some(start..end);
        }
    }
    None
}

/// Reads one or more bytes in hexadecimal digits, with or without the prefix `0x`. Returns their
/// end.
fn group(readings: &Readings<'_>, at: usize, bytes: &mut Zeroizing<Vec<u8>>) -> Option<usize> {
    let text = readings.text;
    let mut end = at;
    if matches!(text.get(at..at + 2), Some(b"0x" | b"0X")) {
        end += 2;
    }
    let first = end;
    while let (Some((high, next)), Some((low, _))) =
        (hexadecimal(readings, end), hexadecimal(readings, end + 1))
    {
        push(bytes, high << 4 | low);
        end = next + 1;
    }
    (end > first).then_some(end)
}
