//! Filtering, sorting and pagination of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::error::ServiceError;
use crate::secret::Secret;

/// A page of a list, and the token of the next page.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// Returns a page of a list that is sorted by the sort keys that `place` returns. The token of the
/// next page holds the last item's sort key, so that items can be added and removed between two
/// pages.
pub(crate) fn page<T>(
    items: impl Iterator<Item = T>,
    place: impl Fn(&T) -> String,
    token: Option<&str>,
    most: Option<i64>,
    default: usize,
    descending: bool,
) -> Result<Page<T>, ServiceError> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(default);
    let after = token.map(read_token).transpose()?;
    let is_before = |item: &T| {
        after.as_ref().is_some_and(|after| match descending {
            true => place(item) >= *after,
            false => place(item) <= *after,
        })
    };
    let mut items = items.skip_while(is_before).peekable();
    let mut page = Vec::new();
    while page.len() < most {
        match items.next() {
            Some(item) => page.push(item),
            None => break,
        }
    }
    let last = page.last().map(&place);
    let next =
        items.peek().and(last).map(|place| URL_SAFE_NO_PAD.encode(format!("{TOKEN}{place}")));
    Ok(Page { items: page, next })
}

/// The prefix of every token.
const TOKEN: &str = "after:";

/// Formats a date so that the texts sort in the order of the dates.
pub(crate) fn sortable(date: f64) -> String {
    format!("{date:020.3}")
}

fn read_token(token: &str) -> Result<String, ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid_token())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid_token())?;
    text.strip_prefix(TOKEN).map(str::to_owned).ok_or_else(invalid_token)
}

fn invalid_token() -> ServiceError {
    ServiceError::new("InvalidNextTokenException", "The NextToken value is invalid.")
}

/// Rejects a filter without a key, which the model allows.
pub(crate) fn ensure_filters_have_keys(filters: &[Value]) -> Result<(), ServiceError> {
    match filters.iter().all(|filter| filter["Key"].is_string()) {
        true => Ok(()),
        false => Err(ServiceError::parameter("Invalid filter key")),
    }
}

/// Returns `true` if a secret matches all filters. A secret matches a filter if it matches one of
/// its values. See
/// [Filter](https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html).
pub(crate) fn passes(secret: &Secret, filters: &[Value]) -> bool {
    filters.iter().all(|filter| {
        let key = filter["Key"].as_str().unwrap_or("all");
        let mut values =
            filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str).peekable();
        // A value that begins with an exclamation mark matches the secrets without it.
        values.peek().is_none()
            || values.any(|value| match value.strip_prefix('!') {
                Some(value) => !matches(secret, key, value),
                None => matches(secret, key, value),
            })
    })
}

fn matches(secret: &Secret, key: &str, value: &str) -> bool {
    let description = secret.description.as_deref().unwrap_or_default();
    match key {
        "name" => secret.name.starts_with(value),
        // The API reference calls this a prefix match. Tests on AWS found that the words match.
        "description" => contains_words(description, value),
        "tag-key" => secret.tags.keys().any(|tag| tag.starts_with(value)),
        "tag-value" => secret.tags.values().any(|tag| tag.starts_with(value)),
        "primary-region" => {
            secret.primary_region().is_some_and(|region| region.starts_with(value))
                || value.is_empty()
        }
        "owning-service" => value.is_empty(),
        // All words must match in the same field.
        _ => {
            let tags = secret.tags.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
            let mut fields = tags.chain([secret.name.as_str(), description]);
            fields.any(|field| contains_words(field, value))
        }
    }
}

/// Returns `true` if each word of `wanted` is the beginning of a word of `text`, ignoring case. A
/// value without words matches nothing.
fn contains_words(text: &str, wanted: &str) -> bool {
    let (text, wanted) = (words(text), words(wanted));
    let is_there = |wanted: &String| text.iter().any(|word| word.starts_with(wanted));
    !wanted.is_empty() && wanted.iter().all(is_there)
}

/// Splits a text into words in lower case. A word ends at a character that is neither a letter nor
/// a digit, and before an upper-case letter that follows a lower-case one: `my/TestSecret` has the
/// words `my`, `test` and `secret`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lowercase = false;
    for letter in text.chars() {
        let begins_word = letter.is_uppercase() && was_lowercase;
        was_lowercase = letter.is_lowercase();
        if begins_word || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns the sort key of a secret for `SortBy`, which is the creation date by default.
pub(crate) fn sort_key(secret: &Secret, by: Option<&str>) -> String {
    let date = match by {
        Some("name") => return secret.name.clone(),
        Some("last-changed-date") => secret.changed,
        Some("last-accessed-date") => secret.accessed.unwrap_or(0.0),
        _ => secret.created,
    };
    format!("{} {}", sortable(date), secret.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pages_are_complete_and_wrong_token_is_rejected() {
        let all: Vec<u32> = (10..35).collect();
        for descending in [false, true] {
            let mut left: Vec<u32> = all.clone();
            if descending {
                left.reverse();
            }
            let mut seen: Vec<u32> = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let items = left.clone().into_iter();
                let page = page(items, u32::to_string, token.as_deref(), Some(10), 100, descending)
                    .unwrap();
                // A client deletes the items of each page before it reads the next one.
                left.retain(|item| !page.items.contains(item));
                seen.extend(page.items);
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, all);
        }
        let cut = |token| page(all.iter(), |n| n.to_string(), token, Some(10), 100, false);
        for wrong in ["not base64!", "OTk5"] {
            assert_eq!(cut(Some(wrong)).map(|_| ()).unwrap_err().code, "InvalidNextTokenException");
        }
    }

    #[test]
    fn text_is_split_into_words() {
        for (text, expected) in [
            ("ThisTestSecret", &["this", "test", "secret"][..]),
            ("Nexttestsecret", &["nexttestsecret"]),
            ("a/b-c_d+e=f.g@h", &["a", "b", "c", "d", "e", "f", "g", "h"]),
            ("AWS keys 2", &["aws", "keys", "2"]),
            ("-/", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn filters_match_as_in_the_api_reference() {
        let mut secret = Secret::new("eu-west-1", "Prod/Db", "arn:x".into(), 0.0);
        secret.description = Some("The main Database".into());
        secret.tags.insert("Team".into(), "Payments".into());
        for (key, value, expected) in [
            ("name", "Prod", true),
            ("name", "prod", false),
            ("name", "!Prod", false),
            ("name", "!other", true),
            ("description", "the MAIN", true),
            ("description", "main", true),
            ("description", "data MA", true),
            ("description", "ain", false),
            ("description", "main absent", false),
            ("tag-key", "Te", true),
            ("tag-key", "te", false),
            ("tag-value", "Pay", true),
            ("all", "pay", true),
            ("all", "ayments", false),
            ("all", "main database", true),
            ("all", "payments main", false),
            ("all", "db prod", true),
            ("all", "arn", false),
            ("all", "/", false),
            ("all", "!absent", true),
        ] {
            let filters = [json!({"Key": key, "Values": [value]})];
            assert_eq!(passes(&secret, &filters), expected, "{key} {value}");
        }
        let both = [
            json!({"Key": "name", "Values": ["x", "Prod"]}),
            json!({"Key": "tag-key", "Values": ["Nope"]}),
        ];
        assert!(!passes(&secret, &both) && passes(&secret, &both[..1]));
    }
}
