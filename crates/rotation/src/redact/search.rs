//! The search for secrets in a text, in any spelling.

use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::readings::{Readings, is_special};

/// Shorter secrets are not looked for in decoded bytes, where they would occur by chance.
pub(super) const SHORTEST_ENCODED: usize = 6;
/// How many encodings that hide every character (base64, hexadecimal) are undone, one in another.
const DEEPEST: usize = 5;
/// Secrets from this length on are also recognized by a part of them.
const SHORTEST_CUT: usize = 8;
/// A part of letters only is a word that may occur by chance, unless it is this long.
const LONGEST_WORD: usize = 12;
/// U+FFFD in UTF-8.
const LOST: &[u8] = "\u{fffd}".as_bytes();

/// A search. It does a bounded amount of work for each byte of the text.
pub(super) struct Search<'s> {
    secrets: &'s [&'s [u8]],
    /// Texts that are not secret, although a secret may hold a part of one.
    open: &'s [&'s [u8]],
    /// By byte: whether a secret begins with it, and whether one holds it.
    first: [bool; 256],
    holds: [bool; 256],
    /// By two bytes: whether a secret holds them, one after the other. A bit each.
    pairs: Vec<u64>,
    work: usize,
}

/// How far the text continues a secret.
#[derive(Default)]
struct Followed {
    /// Where the secret's last character ends.
    whole: Option<usize>,
    /// The longest part that the text breaks off after: its length, and where it ends.
    cut: Option<(usize, usize)>,
}

impl<'s> Search<'s> {
    /// A search for these secrets in texts of so many bytes altogether.
    pub(super) fn new(secrets: &'s [&'s [u8]], bytes: usize) -> Self {
        let mut first = [false; 256];
        secrets.iter().for_each(|secret| first[usize::from(secret[0])] = true);
        // A secret may begin with a character that was lost.
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

    /// Names that a part of a secret may be, such as the host in a connection string.
    pub(super) fn beside(self, open: &'s [&'s [u8]]) -> Self {
        Self { open, ..self }
    }

    /// Returns `true` if a part of a secret is too common to count.
    fn is_common(&self, part: &[u8]) -> bool {
        let is_in = |open: &&[u8]| open.windows(part.len()).any(|window| window == part);
        is_word(part) || self.open.iter().any(is_in)
    }

    /// Returns `true` if a part of a secret can start at a position, by the first two bytes.
    fn can_begin(&self, readings: &Readings<'_>, at: usize) -> bool {
        let text = readings.text;
        let (Some(byte), Some(next)) = (text.get(at), text.get(at + 1)) else { return false };
        let is_lost = |byte: &u8| *byte == LOST[0] || *byte == b'?';
        let (index, bit) = bit_of(*byte, *next);
        self.pairs[index] & bit != 0
            || is_lost(byte)
            || (self.holds[usize::from(*byte)] && (readings.has_any(at + 1) || is_lost(next)))
    }

    /// Where the secrets are. Everything, when a text takes more work than an honest one.
    pub(super) fn ranges(&mut self, text: &[u8]) -> Vec<Range<usize>> {
        let found = self.find(text, 0);
        // One that took more could hide a secret behind what exhausts the search.
        if self.work == 0 && !text.is_empty() {
            return std::iter::once(0..text.len()).collect();
        }
        found
    }

    /// Returns `true` if decoded bytes hold a secret.
    pub(super) fn is_in(&mut self, decoded: &[u8], depth: usize) -> bool {
        if !self.find(decoded, depth).is_empty() {
            return true;
        }
        // UTF-16, as in SQL Server's binary literals. Every character of a text has a zero byte
        // there, or the secret has characters that do not.
        if !decoded.contains(&0) && self.secrets.iter().all(|secret| secret.is_ascii()) {
            return false;
        }
        let orders: [fn([u8; 2]) -> u16; 2] = [u16::from_le_bytes, u16::from_be_bytes];
        orders.iter().any(|order| {
            // What stands in front may have any length.
            (0..2.min(decoded.len())).any(|from| {
                let text = utf16(&decoded[from..], *order);
                !self.find(text.as_bytes(), depth).is_empty()
            })
        })
    }

    /// The length of the shortest secret that is looked for in encodings.
    pub(super) fn shortest_encoded(&self) -> Option<usize> {
        let lengths = self.secrets.iter().map(|secret| secret.len());
        lengths.filter(|length| *length >= SHORTEST_ENCODED).min().map(|length| {
            // A part of a longer one also counts.
            if length < SHORTEST_CUT { length } else { least_part(length) }
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
        let shortest = if depth > 0 { SHORTEST_ENCODED } else { 1 };
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
        if depth < DEEPEST {
            found.extend(super::runs::encoded(self, &readings, depth + 1));
        }
        found
    }

    /// The end of the longest secret, or part of one, that starts at a position.
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
            if !begins || secret.len() < SHORTEST_CUT {
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

    /// Follows a secret, from one of its bytes, through the text.
    fn follow(
        &mut self,
        readings: &Readings<'_>,
        secret: &[u8],
        from: usize,
        at: usize,
    ) -> Followed {
        let text = readings.text;
        let least = if secret.len() < SHORTEST_CUT { usize::MAX } else { least_part(secret.len()) };
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
                if secret[index] >= 0xc0 && secret.len() >= SHORTEST_ENCODED {
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

/// Reads UTF-16. What is none becomes NUL, which is no part of a text beside it.
fn utf16(bytes: &[u8], order: fn([u8; 2]) -> u16) -> Zeroizing<String> {
    let units = bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
    // A unit takes three bytes at most, so that no copy is left behind by a buffer that grows.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
    text.extend(char::decode_utf16(units).map(|read| read.unwrap_or('\0')));
    text
}

fn bit_of(first: u8, second: u8) -> (usize, u64) {
    let pair = usize::from(first) << 8 | usize::from(second);
    (pair / 64, 1 << (pair % 64))
}

/// A character that the text could not hold: `?`, or U+FFFD for some or all of its bytes.
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

/// Returns `true` if a byte of the secret can be the one of the text.
fn is_continued(secret: &[u8], index: usize, text: &[u8], at: usize) -> bool {
    match (secret.get(index), text.get(at)) {
        (Some(own), Some(byte)) => {
            own == byte || (*own >= 0xc0 && (*byte == LOST[0] || *byte == b'?'))
        }
        _ => false,
    }
}

/// The shortest part of a secret that counts when a text breaks off: half, but 6 to 8 bytes.
fn least_part(length: usize) -> usize {
    length.div_ceil(2).clamp(6, 8)
}

fn is_word(part: &[u8]) -> bool {
    part.len() < LONGEST_WORD && part.iter().all(u8::is_ascii_alphabetic)
}

/// Returns `true` if a quotation may begin here: a server shows the text from the place of an error
/// on.
fn begins(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    before.last().is_none_or(|byte| is_special(*byte) || *byte < b' ')
        || before.ends_with(b"...")
        || before.ends_with("…".as_bytes())
        || before.ends_with(LOST)
}

/// Returns `true` if a quotation may break off here.
fn ends(text: &[u8], at: usize) -> bool {
    let after = &text[at.min(text.len())..];
    after.first().is_none_or(|byte| is_special(*byte) || *byte < b' ')
        || after.starts_with(b"...")
        || after.starts_with("…".as_bytes())
        || after.starts_with(LOST)
}
