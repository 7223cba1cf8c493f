//! Redaction of secrets in everything that the function writes.
//!
//! The types in [`crate::secret`] keep secrets out of the function's own messages. A driver, a
//! server, Secrets Manager or a panic can still quote one: a server quotes a statement that it
//! could not parse, and Secrets Manager quotes a request that it could not validate. This module
//! therefore registers the secrets of the invocation, and replaces them in messages from outside
//! and in every line of the log.
//!
//! A quotation is often escaped, sometimes more than once. The search therefore does not look for
//! known spellings of a secret: it reads each escape of the text in every possible way
//! (`readings`), and decodes text that looks like base64 or hexadecimal digits (`runs`).
//!
//! A quotation can also be truncated. A part of a secret is redacted where a quotation starts or
//! ends (at the start or end of the text, a quotation mark, an ellipsis or U+FFFD). The part must
//! have 8 bytes; for a secret of 8 to 15 bytes, half of the secret but at least 6 bytes. A part
//! that consists only of letters must have 12 bytes, because a shorter one may be a word of the
//! message. Shorter parts remain, because they cannot be distinguished from other text; the rest of
//! the password remains unknown. A part that is also a part of the host, the user or another name
//! in the document is not redacted.

mod json;
mod readings;
mod runs;
mod search;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::environment::Source;
use search::Search;

/// The replacement for a secret.
const MASK: &str = "****";

/// The minimum length of a secret that is redacted in log lines. Shorter secrets are redacted only
/// in messages, because in log lines they would hide other fields.
const MIN_LENGTH_IN_LINE: usize = 6;

/// The minimum length of a value that counts as secret although its key does not say so. Shorter
/// values are too common.
const MIN_VALUE_LENGTH: usize = 8;

/// The minimum length of an AWS credential. Shorter ones are placeholders for local services, such
/// as "test" or "local".
const MIN_CREDENTIAL_LENGTH: usize = 16;

/// The environment variables that hold the function's own credentials.
const CREDENTIALS: [&str; 3] =
    ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];

/// The keys of a database secret whose values messages must be able to show. The values of all
/// other keys count as secret.
const NOT_SECRET: [&str; 22] = [
    "engine",
    "host",
    "port",
    "username",
    "dbname",
    "masterarn",
    "ssl",
    "dbInstanceIdentifier",
    "dbClusterIdentifier",
    "resourceId",
    "region",
    "readerEndpoint",
    "environment",
    "description",
    "database",
    "schema",
    "role",
    "dialect",
    "driver",
    "sslmode",
    "service",
    "name",
];

/// Words that the function itself writes into metrics, on which alarms depend.
const OWN_WORDS: [&str; 18] = [
    "single-user",
    "single-user-by-master",
    "master-user",
    "alternating-users",
    "postgres",
    "postgresql",
    "aurora-postgresql",
    "aurora-mysql",
    "sqlserver",
    "createSecret",
    "setSecret",
    "testSecret",
    "finishSecret",
    "AWSCURRENT",
    "AWSPENDING",
    "AWSPREVIOUS",
    "SecretsRotation",
    "Milliseconds",
];

#[derive(Clone)]
struct Known {
    text: Zeroizing<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A secret until the end of this invocation.
    Secret,
    /// A secret until the end of the process.
    Credential,
    /// A name in a secret document, which messages must be able to show.
    Open,
}

/// The registered secrets. A search works on a copy of the list, because the panic hook also
/// redacts and must not find the list locked.
static KNOWN: LazyLock<Mutex<Arc<Vec<Known>>>> = LazyLock::new(Mutex::default);

fn known() -> MutexGuard<'static, Arc<Vec<Known>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a secret for redaction until the end of the invocation.
pub(crate) fn remember(secret: &str) {
    add(secret, Kind::Secret);
}

/// Registers a text that is equivalent to a password for redaction until the end of the invocation:
/// a verifier or a hash that the function computes and that a statement or a message contains.
///
/// Do not include prefixes that are not secret, such as the name of the algorithm. They would be
/// redacted as a part of the secret.
pub fn redact_derived(secret: &str) {
    add(secret, Kind::Secret);
}

/// Registers the function's own AWS credentials for redaction until the end of the process. If a
/// service rejects a signature, its error quotes the canonical request with the session token.
pub(crate) fn register_credentials(source: Source<'_>) {
    let credentials = CREDENTIALS.into_iter().filter_map(source);
    for credential in credentials.map(Zeroizing::new) {
        if credential.len() >= MIN_CREDENTIAL_LENGTH {
            add(&credential, Kind::Credential);
        }
    }
}

/// Registers the values of a secret document for redaction, or the whole text if it is not a JSON
/// document.
pub(crate) fn register_document(text: &str) {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            let mut open = Vec::new();
            let mut values = Vec::new();
            collect("", value, &mut values, &mut open);
            open.iter().for_each(|name| add(name, Kind::Open));
            for (is_password, value) in values {
                // A value that is part of a name is not a secret, unless its key says so.
                let repeats = || {
                    let own = OWN_WORDS.iter().any(|word| *word == value.as_str());
                    own || open.iter().any(|name| name.contains(value.as_str()))
                };
                if is_password || (value.len() >= MIN_VALUE_LENGTH && !repeats()) {
                    remember(&value);
                }
            }
        }
        _ if text.len() >= MIN_VALUE_LENGTH => remember(text),
        _ => {}
    }
}

/// Collects the values of a document: `values` receives those that may be secret, and `open` the
/// names.
fn collect(
    key: &str,
    value: Value,
    values: &mut Vec<(bool, Zeroizing<String>)>,
    open: &mut Vec<String>,
) {
    match value {
        Value::String(text) if NOT_SECRET.iter().any(|name| name.eq_ignore_ascii_case(key)) => {
            open.push(text);
        }
        Value::String(text) => values.push((is_password(key, &text), Zeroizing::new(text))),
        // This includes the port, which is too short to be registered.
        Value::Number(number) => values.push((false, Zeroizing::new(number.to_string()))),
        Value::Array(items) => items.into_iter().for_each(|one| collect(key, one, values, open)),
        Value::Object(fields) => {
            fields.into_iter().for_each(|(key, field)| collect(&key, field, values, open));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Returns `true` if the name of a key shows that its value is a secret. A short value such as "no"
/// under a key such as "password_rotated" is not a secret.
fn is_password(key: &str, value: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let says_so =
        ["password", "passwd", "pwd", "secret", "token"].iter().any(|word| key.contains(word));
    says_so && (key == "password" || value.len() >= MIN_LENGTH_IN_LINE)
}

fn add(text: &str, kind: Kind) {
    let mut list = known();
    let is_known = |known: &Known| known.text.as_str() == text && known.kind == kind;
    if text.is_empty() || list.iter().any(is_known) {
        return;
    }
    Arc::make_mut(&mut list).push(Known { text: Zeroizing::new(text.to_owned()), kind });
}

/// Removes the secrets of the invocation that has ended.
pub(crate) fn forget() {
    Arc::make_mut(&mut known()).retain(|known| known.kind == Kind::Credential);
}

/// Redacts the secrets of this invocation in the message of a driver, a server or a service.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = Arc::clone(&known());
    let secrets = of_length(&known, 1);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let open = names(&known);
    replace(text, Search::new(&secrets, text.len()).beside(&open).ranges(text.as_bytes()))
}

/// Redacts the secrets of this invocation in a whole line of output. A JSON line stays valid JSON.
pub(crate) fn mask_line(line: &str) -> Cow<'_, str> {
    let known = Arc::clone(&known());
    redact_line(line, &of_length(&known, MIN_LENGTH_IN_LINE), &names(&known))
}

fn redact_line<'t>(line: &'t str, secrets: &[&[u8]], open: &[&[u8]]) -> Cow<'t, str> {
    if secrets.is_empty() {
        return Cow::Borrowed(line);
    }
    let mut search = Search::new(secrets, line.len()).beside(open);
    let Some(parts) = json::parts(line) else {
        return replace(line, search.ranges(line.as_bytes()));
    };
    let mut redacted = String::new();
    let mut copied = 0;
    for part in parts {
        let (range, is_number) = match part {
            json::Part::Text(range) => (range, false),
            json::Part::Number(range) => (range, true),
        };
        let content = &line[range.clone()];
        let mut found = search.ranges(content.as_bytes());
        if found.is_empty() {
            continue;
        }
        redacted.push_str(&line[copied..range.start]);
        copied = range.end;
        if is_number {
            redacted.push_str(&format!("\"{MASK}\""));
        } else {
            json::widen(content, &mut found);
            redacted.push_str(&replace(content, found));
        }
    }
    if copied == 0 {
        return Cow::Borrowed(line);
    }
    redacted.push_str(&line[copied..]);
    Cow::Owned(redacted)
}

fn of_length(known: &[Known], shortest: usize) -> Vec<&[u8]> {
    let secrets = known.iter().filter(|known| known.kind != Kind::Open);
    let secrets = secrets.map(|known| known.text.as_bytes());
    secrets.filter(|secret| secret.len() >= shortest).collect()
}

fn names(known: &[Known]) -> Vec<&[u8]> {
    let open = known.iter().filter(|known| known.kind == Kind::Open);
    open.map(|known| known.text.as_bytes()).collect()
}

/// Replaces ranges of the text. The ranges can overlap.
fn replace(text: &str, mut ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut redacted = String::with_capacity(text.len());
    let mut copied = 0;
    let mut ranges = ranges.into_iter().peekable();
    while let Some(Range { start, mut end }) = ranges.next() {
        while let Some(next) = ranges.next_if(|next| next.start <= end) {
            end = end.max(next.end);
        }
        // A part of a secret can end inside a character.
        let start = (0..=start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        redacted.push_str(text.get(copied..start).unwrap_or_default());
        redacted.push_str(MASK);
        copied = (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    }
    redacted.push_str(&text[copied..]);
    Cow::Owned(redacted)
}

#[cfg(test)]
mod nested_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod tests;
