//! The search for secrets in a text, in any spelling.

use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::readings::{Readings, is_special};

/// The minimum length of a secret that is searched for in decoded bytes. Shorter secrets would
/// occur there by chance.
pub(super) const MIN_ENCODED_LENGTH: usize = 6;
/// The maximum number of nested encodings that change every character (base64, hexadecimal).
const MAX_DEPTH: usize = 5;
/// The minimum length of a secret that is also recognized by a part of it.
const MIN_TRUNCATED_LENGTH: usize = 8;
/// The minimum length of a part that consists only of letters. A shorter one may be a word that
/// occurs by chance.
const MIN_WORD_LENGTH: usize = 12;
/// The UTF-8 form of U+FFFD, which replaces bytes that are not UTF-8.
const LOST: &[u8] = "\u{fffd}".as_bytes();

/// A search, which does a limited amount of work for each byte of the text.
pub(super) struct Search<'s> {
    secrets: &'s [&'s [u8]],
    /// Texts that are not secret, although a secret can contain a part of them.
    open: &'s [&'s [u8]],
    /// For each byte, `true` if a secret starts with it.
    first: [bool; 256],
    /// For each byte, `true` if a secret contains it.
    holds: [bool; 256],
    /// One bit for each pair of bytes, set if a secret contains the pair.
    pairs: Vec<u64>,
    work: usize,
}

/// The result of following a secret through the text.
#[derive(Default)]
struct Followed {
    /// The end of the secret in the text, if the text contains the whole secret.
    whole: Option<usize>,
    /// The length and the end of the longest part after which the quotation ends.
    cut: Option<(usize, usize)>,
}

impl<'s> Search<'s> {
    /// Creates a search for these secrets in texts of `bytes` bytes in total.
    pub(super) fn new(secrets: &'s [&'s [u8]], bytes: usize) -> Self {
        let mut first = [false; 256];
        secrets.iter().for_each(|secret| first[usize::from(secret[0])] = true);
        // The text can contain a replacement character instead of the secret's first character.
        if secrets.iter().any(|secret| secret[0] >= 0xc0) {
            first[usize::from(LOST[0])] = true;
            first[usize::from(b'?')] = true;
        }
        let mut holds = [false; 256];
        let mut pairs = vec![0; 1024];
        for secret in secrets {
            secret.iter().for_each(|byte| holds[usize::from(*byte)] = true);
            for pair in secret.windows(2) {
                let (index, bit) = bit_of(pair[0], pair[1]);
                pairs[index] |= bit;
            }
        }
        let work = bytes.saturating_mul(64).saturating_add(1 << 16);
        Self { secrets, open: &[], first, holds, pairs, work }
    }

    /// Sets the names of which a secret can contain a part, such as the host in a connection
    /// string.
    pub(super) fn beside(self, open: &'s [&'s [u8]]) -> Self {
        Self { open, ..self }
    }

    /// Returns `true` if a part of a secret is too common to count.
    fn is_common(&self, part: &[u8]) -> bool {
        let is_in = |open: &&[u8]| open.windows(part.len()).any(|window| window == part);
        is_word(part) || self.open.iter().any(is_in)
    }

    /// Returns `true` if a part of a secret can start at a position, according to the first two
    /// bytes.
    fn can_begin(&self, readings: &Readings<'_>, at: usize) -> bool {
        let text = readings.text;
        let (Some(byte), Some(next)) = (text.get(at), text.get(at + 1)) else { return false };
        let is_lost = |byte: &u8| *byte == LOST[0] || *byte == b'?';
        let (index, bit) = bit_of(*byte, *next);
        self.pairs[index] & bit != 0
            || is_lost(byte)
            || (self.holds[usize::from(*byte)] && (readings.has_any(at + 1) || is_lost(next)))
    }

    /// Returns the ranges of the secrets. If a text needs more work than usual text, it returns the
    /// range of the whole text.
    pub(super) fn ranges(&mut self, text: &[u8]) -> Vec<Range<usize>> {
        let found = self.find(text, 0);
        // Such a text could contain a secret after the part that exhausts the search.
        if self.work == 0 && !text.is_empty() {
            return std::iter::once(0..text.len()).collect();
        }
        found
    }

    /// Returns `true` if decoded bytes contain a secret.
    pub(super) fn is_in(&mut self, decoded: &[u8], depth: usize) -> bool {
        if !self.find(decoded, depth).is_empty() {
            return true;
        }
        // The bytes can be UTF-16, as in SQL Server's binary literals. In UTF-16, every ASCII
        // character has a zero byte, so text without zero bytes cannot contain an ASCII secret.
        if !decoded.contains(&0) && self.secrets.iter().all(|secret| secret.is_ascii()) {
            return false;
        }
        let orders: [fn([u8; 2]) -> u16; 2] = [u16::from_le_bytes, u16::from_be_bytes];
        orders.iter().any(|order| {
            // The preceding bytes can have an odd length.
            (0..2.min(decoded.len())).any(|from| {
                let text = utf16(&decoded[from..], *order);
                !self.find(text.as_bytes(), depth).is_empty()
            })
        })
    }

    /// Returns the length of the shortest secret that is searched for in encodings.
    pub(super) fn shortest_encoded(&self) -> Option<usize> {
        let lengths = self.secrets.iter().map(|secret| secret.len());
        lengths.filter(|length| *length >= MIN_ENCODED_LENGTH).min().map(|length| {
            // A part of a longer secret also counts.
            if length < MIN_TRUNCATED_LENGTH { length } else { least_part(length) }
        })
    }

    fn spend(&mut self, work: usize) -> bool {
        self.work = self.work.saturating_sub(work);
        self.work > 0
    }

    fn find(&mut self, text: &[u8], depth: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if !self.spend(text.len()) {
            return found;
        }
        let readings = Readings::of(text);
        let shortest = if depth > 0 { MIN_ENCODED_LENGTH } else { 1 };
        let mut position = 0;
        while position < text.len() {
            let may_be = self.first[usize::from(text[position])]
                || readings.at(position).any(|r| self.holds[usize::from(r.bytes()[0])])
                || begins(text, position) && self.can_begin(&readings, position);
            if may_be && let Some(end) = self.find_at(&readings, position, shortest) {
                found.push(position..end);
            }
            position += 1;
        }
        if depth < MAX_DEPTH {
            found.extend(super::runs::encoded(self, &readings, depth + 1));
        }
        found
    }

    /// Returns the end of the longest secret, or part of a secret, that starts at a position.
    fn find_at(&mut self, readings: &Readings<'_>, at: usize, shortest: usize) -> Option<usize> {
        let text = readings.text;
        let is_escape = readings.has_any(at);
        let begins = begins(text, at) && (is_escape || self.can_begin(readings, at));
        let is_read = |secret: &[u8], from: usize| {
            is_escape && readings.at(at).any(|reading| reading.bytes()[0] == secret[from])
        };
        let mut longest = None;
        for secret in self.secrets {
            if secret.len() < shortest {
                continue;
            }
            if is_continued(secret, 0, text, at) || is_read(secret, 0) {
                let followed = self.follow(readings, secret, 0, at);
                longest = longest.max(followed.whole.or(followed.cut.map(|(_, end)| end)));
            }
            if !begins || secret.len() < MIN_TRUNCATED_LENGTH {
                continue;
            }
            let least = least_part(secret.len());
            for from in 1..=secret.len() - least {
                let is_it = is_continued(secret, from, text, at)
                    && (readings.has_any(at + 1) || is_continued(secret, from + 1, text, at + 1));
                if is_it || is_read(secret, from) {
                    let followed = self.follow(readings, secret, from, at);
                    let whole = followed.whole.filter(|_| !self.is_common(&secret[from..]));
                    longest = longest.max(whole.or(followed.cut.map(|(_, end)| end)));
                }
            }
        }
        longest
    }

    /// Follows a secret through the text, starting with one of its bytes.
    fn follow(
        &mut self,
        readings: &Readings<'_>,
        secret: &[u8],
        from: usize,
        at: usize,
    ) -> Followed {
        let text = readings.text;
        let least =
            if secret.len() < MIN_TRUNCATED_LENGTH { usize::MAX } else { least_part(secret.len()) };
        let mut followed = Followed::default();
        let mut open = vec![(from, at)];
        let mut seen = HashSet::new();
        while let Some((mut index, mut position)) = open.pop() {
            loop {
                if index == secret.len() {
                    followed.whole = followed.whole.max(Some(position));
                    break;
                }
                let length = index - from;
                if length >= least && ends(text, position) && !self.is_common(&secret[from..index])
                {
                    followed.cut = followed.cut.max(Some((length, position)));
                }
                if position >= text.len() || !self.spend(1) {
                    break;
                }
                let mut add = |state: (usize, usize)| {
                    if seen.insert(state) {
                        open.push(state);
                    }
                };
                let mut read = 0;
                for reading in readings.at(position) {
                    read += 1;
                    if secret[index..].starts_with(reading.bytes()) {
                        add((index + reading.bytes().len(), reading.end));
                    }
                }
                if secret[index] >= 0xc0 && secret.len() >= MIN_ENCODED_LENGTH {
                    lost(secret, index, text, position, &mut add);
                }
                if text[position] != secret[index] || !self.spend(read) {
                    break;
                }
                index += 1;
                position += 1;
            }
        }
        followed
    }
}

/// Decodes UTF-16. Invalid units become NUL, which separates them from the text next to them.
fn utf16(bytes: &[u8], order: fn([u8; 2]) -> u16) -> Zeroizing<String> {
    let units = bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
    // A unit needs at most three bytes in UTF-8. With this capacity, the buffer never reallocates,
    // which would leave a copy of the secret in memory.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
    text.extend(char::decode_utf16(units).map(|read| read.unwrap_or('\0')));
    text
}

fn bit_of(first: u8, second: u8) -> (usize, u64) {
    let pair = usize::from(first) << 8 | usize::from(second);
    (pair / 64, 1 << (pair % 64))
}

/// Matches the replacement for a character that the text could not represent: `?`, or U+FFFD for
/// some or all of its bytes.
fn lost(
    secret: &[u8],
    index: usize,
    text: &[u8],
    position: usize,
    add: &mut impl FnMut((usize, usize)),
) {
    let rest = secret[index + 1..].iter().take_while(|byte| (0x80..0xc0).contains(*byte));
    let width = 1 + rest.count();
    if text[position] == b'?' {
        add((index + width, position + 1));
    }
    let mut end = position;
    for _ in 0..width {
        if !text[end..].starts_with(LOST) {
            break;
        }
        end += LOST.len();
        add((index + width, end));
    }
}

/// Returns `true` if a byte of the secret can be the byte at this position of the text.
fn is_continued(secret: &[u8], index: usize, text: &[u8], at: usize) -> bool {
    match (secret.get(index), text.get(at)) {
        (Some(own), Some(byte)) => {
            own == byte || (*own >= 0xc0 && (*byte == LOST[0] || *byte == b'?'))
        }
        _ => false,
    }
}

/// Returns the minimum length of a part of a truncated secret: half of the secret, limited to 6 to
/// 8 bytes.
fn least_part(length: usize) -> usize {
    length.div_ceil(2).clamp(6, 8)
}

fn is_word(part: &[u8]) -> bool {
    part.len() < MIN_WORD_LENGTH && part.iter().all(u8::is_ascii_alphabetic)
}

/// Returns `true` if a quotation can start here. A server quotes the text from the position of an
/// error.
fn begins(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    before.last().is_none_or(|byte| is_special(*byte) || *byte < b' ')
        || before.ends_with(b"...")
        || before.ends_with("…".as_bytes())
        || before.ends_with(LOST)
}

/// Returns `true` if a quotation can end here.
fn ends(text: &[u8], at: usize) -> bool {
    let after = &text[at.min(text.len())..];
    after.first().is_none_or(|byte| is_special(*byte) || *byte < b' ')
        || after.starts_with(b"...")
        || after.starts_with("…".as_bytes())
        || after.starts_with(LOST)
}
