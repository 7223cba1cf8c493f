//! All possible readings of an escaped text.
//!
//! A service or a driver quotes a secret with escapes, which are often nested: a JSON document in a
//! JSON string, an SQL literal in JSON, or a URL in an error message. The kind of escaping is not
//! known. For each position of a text, this module therefore lists all characters that an escape at
//! this position can represent, at any depth: `%255C%22` is `%`, `\` and `"`. The search then
//! follows any reading that continues the secret.

use zeroize::{Zeroize, Zeroizing};

/// The maximum number of readings of one position. Only a text that is written to exhaust the
/// search has more.
const MOST: usize = 32;

/// One reading of the text from a position to `end`: the UTF-8 bytes of one character, or a byte.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(super) struct Reading {
    bytes: [u8; 4],
    length: u8,
    pub(super) end: usize,
    /// The index of the next reading of the same position plus 1, or 0 for the last reading.
    next: usize,
}

impl Reading {
    fn byte(byte: u8, end: usize) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1, end, next: 0 }
    }

    fn char(char: char, end: usize) -> Self {
        let mut bytes = [0; 4];
        let length = char.encode_utf8(&mut bytes).len();
        Self { bytes, length: u8::try_from(length).unwrap_or(4), end, next: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Returns the byte, if the reading is a single byte.
    pub(super) fn single(&self) -> Option<u8> {
        (self.length == 1).then_some(self.bytes[0])
    }
}

/// A text with the readings of its escapes. The readings contain secrets, so they are zeroed on
/// drop.
pub(super) struct Readings<'t> {
    pub(super) text: &'t [u8],
    /// For each position, the index of its first reading plus 1, or 0. It is empty if the text has
    /// no escapes.
    heads: Vec<usize>,
    all: Zeroizing<Vec<Reading>>,
}

impl<'t> Readings<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mut readings = Self { text, heads: Vec::new(), all: Zeroizing::default() };
        // The loop starts at the end, because the reading of an escape needs the readings of the
        // text after its first character.
        let mut position = text.len();
        let mut found = Zeroizing::new(Vec::with_capacity(MOST));
        let mut heads = Zeroizing::new(Vec::with_capacity(MOST + 1));
        while let Some(special) = text[..position].iter().rposition(|byte| is_special(*byte)) {
            readings.read(special, &mut found, &mut heads);
            position = special;
        }
        readings
    }

    /// Returns the readings of the escapes at a position, without the raw byte.
    pub(super) fn at(&self, position: usize) -> impl Iterator<Item = &Reading> {
        let mut next = self.heads.get(position).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let reading = self.all.get(next.checked_sub(1)?)?;
            next = reading.next;
            Some(reading)
        })
    }

    pub(super) fn has_any(&self, position: usize) -> bool {
        self.heads.get(position).is_some_and(|head| *head != 0)
    }

    /// Returns the first byte at a position, raw or escaped, that meets a condition, and its end.
    pub(super) fn find(&self, at: usize, is: impl Fn(u8) -> bool) -> Option<(u8, usize)> {
        let raw = self.text.get(at).copied()?;
        if is(raw) {
            return Some((raw, at + 1));
        }
        self.at(at).find_map(|reading| {
            let byte = reading.single().filter(|byte| is(*byte))?;
            Some((byte, reading.end))
        })
    }

    /// Finds all readings of one position, including those that start with another reading.
    fn read(&mut self, position: usize, found: &mut Vec<Reading>, heads: &mut Vec<Reading>) {
        let raw = self.text[position];
        // Most quotation marks are not doubled and have no other reading.
        if matches!(raw, b'\'' | b'"' | b'`')
            && self.text.get(position + 1) != Some(&raw)
            && !self.has_any(position + 1)
        {
            return;
        }
        heads.push(Reading::byte(raw, position + 1));
        while let Some(head) = heads.pop() {
            let Some(byte) = head.single() else { continue };
            let mut add = |reading: Reading| {
                if found.len() < MOST && !found.contains(&reading) {
                    found.push(reading);
                    if reading.single().is_some_and(is_special) {
                        heads.push(reading);
                    }
                }
            };
            match byte {
                b'\\' if head.end == position + 1 => self.after_backslash(position, &mut add),
                b'\\' => self.after_escaped_backslash(head.end, &mut add),
                b'%' => {
                    if let Some((code, end)) = self.hex(head.end, 2) {
                        add(Reading::byte(code.to_le_bytes()[0], end));
                    }
                }
                b'&' => {
                    if let Some(reading) = self.entity(head.end) {
                        add(reading);
                    }
                }
                b'+' => add(Reading::byte(b' ', head.end)),
                quote => {
                    // SQL and CSV escape a quotation mark by doubling it.
                    if self.text.get(head.end) == Some(&quote) {
                        add(Reading::byte(quote, head.end + 1));
                    }
                    let doubled = self.at(head.end).filter(|next| next.single() == Some(quote));
                    doubled.for_each(|next| add(Reading::byte(quote, next.end)));
                }
            }
        }
        found.reverse();
        for mut reading in found.drain(..) {
            if self.heads.is_empty() {
                self.heads = vec![0; self.text.len()];
            }
            reading.next = self.heads[position];
            if self.all.len() == self.all.capacity() {
                // A buffer that reallocates by itself leaves a copy of the secret in memory.
                let room = self.all.capacity().max(32) * 2;
                let mut larger = Zeroizing::new(Vec::with_capacity(room));
                larger.extend_from_slice(&self.all);
                self.all = larger;
            }
            self.all.push(reading);
            self.heads[position] = self.all.len();
        }
    }

    /// Adds the readings of an escape that starts with a raw backslash. In a sequence of
    /// backslashes, each level of escaping doubles their number.
    fn after_backslash(&self, position: usize, add: &mut impl FnMut(Reading)) {
        let next = position + 1;
        let run = self.text[position..].iter().take(65).take_while(|byte| **byte == b'\\').count();
        if run > 1 {
            let doubled = (1..=6).map(|level| 1 << level).filter(|length| *length <= run);
            doubled.for_each(|length| add(Reading::byte(b'\\', position + length)));
            // Any number of backslashes before another character can be an escape of it.
            let rest = self.at(next).filter(|reading| reading.single() != Some(b'\\'));
            rest.for_each(|reading| add(Reading { next: 0, ..*reading }));
            return;
        }
        self.after_escaped_backslash(next, add);
    }

    /// Adds the readings of an escape whose backslash, escaped or raw, ends at `at`.
    fn after_escaped_backslash(&self, at: usize, add: &mut impl FnMut(Reading)) {
        if let Some(raw) = self.text.get(at) {
            self.escaped(*raw, at, at + 1, add);
        }
        for next in self.at(at) {
            match next.single() {
                Some(byte) => self.escaped(byte, at, next.end, add),
                None => add(Reading { next: 0, ..*next }),
            }
        }
    }

    /// Adds the readings of a backslash and a byte, which starts at `at` and ends at `end`.
    fn escaped(&self, byte: u8, at: usize, end: usize, add: &mut impl FnMut(Reading)) {
        let control = match byte {
            b'n' => Some(b'\n'),
            b't' => Some(b'\t'),
            b'r' => Some(b'\r'),
            b'b' => Some(8),
            b'f' => Some(12),
            b'v' => Some(11),
            b'a' => Some(7),
            b'e' => Some(27),
            b'0' => Some(0),
            b'Z' => Some(26),
            _ => None,
        };
        if let Some(control) = control {
            add(Reading::byte(control, end));
        }
        match byte {
            b'u' => {
                if let Some(reading) = self.unicode(end) {
                    add(reading);
                }
            }
            b'x' => {
                if let Some((code, end)) = self.hex(end, 2) {
                    add(Reading::byte(code.to_le_bytes()[0], end));
                }
            }
            b'0'..=b'3' => {
                // PostgreSQL's bytea and C have escapes with three octal digits.
                let digits = self.text.get(at..at + 3).filter(|_| end == at + 1);
                let is_octal = |digits: &&[u8]| digits.iter().all(|d| (b'0'..=b'7').contains(d));
                if let Some(digits) = digits.filter(is_octal) {
                    let code = digits.iter().fold(0, |code: u8, d| (code << 3) | (d & 7));
                    add(Reading::byte(code, at + 3));
                }
            }
            _ => {}
        }
        if !byte.is_ascii_alphanumeric() {
            add(Reading::byte(byte, end));
        }
    }

    /// Reads the character after `\u`: four digits, a surrogate pair, or digits in braces.
    fn unicode(&self, at: usize) -> Option<Reading> {
        if let Some((_, mut end)) = self.find(at, |byte| byte == b'{') {
            let mut code = 0;
            for _ in 0..=6 {
                if let Some((_, end)) = self.find(end, |byte| byte == b'}') {
                    return char::from_u32(code).map(|char| Reading::char(char, end));
                }
                let (digit, after) = self.hex(end, 1)?;
                (code, end) = ((code << 4) | digit, after);
            }
            return None;
        }
        let (code, end) = self.hex(at, 4)?;
        if !(0xd800..0xdc00).contains(&code) {
            return char::from_u32(code).map(|char| Reading::char(char, end));
        }
        let escaped = self.at(end).filter(|reading| reading.single() == Some(b'\\'));
        let raw = (self.text.get(end) == Some(&b'\\')).then_some(end + 1);
        raw.into_iter().chain(escaped.map(|reading| reading.end)).find_map(|after| {
            let (_, after) = self.find(after, |byte| byte == b'u')?;
            let (low, end) = self.hex(after, 4)?;
            let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            let code = 0x1_0000 + ((code - 0xd800) << 10) + low;
            char::from_u32(code).map(|char| Reading::char(char, end))
        })
    }

    /// Reads the character after `&`: a name or a number, and a semicolon.
    fn entity(&self, at: usize) -> Option<Reading> {
        let mut name = Vec::with_capacity(10);
        let mut at = at;
        loop {
            let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'#' || b == b';';
            let (byte, end) = self.find(at, is_part)?;
            at = end;
            if byte == b';' {
                break;
            }
            if name.len() == 10 {
                return None;
            }
            name.push(byte);
        }
        let char = match name.as_slice() {
            b"quot" => '"',
            b"amp" => '&',
            b"apos" => '\'',
            b"lt" => '<',
            b"gt" => '>',
            b"nbsp" => '\u{a0}',
            _ => {
                let number = std::str::from_utf8(name.strip_prefix(b"#")?).ok()?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        };
        Some(Reading::char(char, at))
    }

    /// Reads this number of hexadecimal digits. Returns their value and their end.
    fn hex(&self, at: usize, digits: usize) -> Option<(u32, usize)> {
        (0..digits).try_fold((0, at), |(value, at), _| {
            let (digit, end) = self.find(at, |byte| byte.is_ascii_hexdigit())?;
            Some(((value << 4) | char::from(digit).to_digit(16)?, end))
        })
    }
}

/// Returns `true` if an escape can start with this byte.
pub(super) fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | b'+' | b'\'' | b'"' | b'`')
}
