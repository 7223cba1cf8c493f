//! The redaction of secret values in texts.

use base64::Engine as _;
use secretsmanager_emulator::{SecretValue, Service};
use serde_json::Value;

/// The secret values that are redacted in texts, longest first.
#[derive(Default)]
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    pub(super) fn add(&mut self, secrets: Vec<String>) {
        for secret in secrets {
            if !self.0.contains(&secret) {
                // Longer values are replaced first. Otherwise the replacement of a part would leave
                // the rest of a longer value visible.
                let at = self.0.partition_point(|known| known.len() >= secret.len());
                self.0.insert(at, secret);
            }
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    pub(super) fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| self.value(field)),
            _ => {}
        }
    }
}

/// The keys of a secret whose values are not redacted.
const OPEN: [&str; 8] =
    ["engine", "host", "port", "username", "dbname", "masterarn", "ssl", "dbInstanceIdentifier"];

/// Adds the confidential values of secrets, and of the master secrets that they name.
pub(super) fn values_of(service: &Service, of: &[String], secrets: &mut Vec<String>) {
    service.with_store(|store| {
        let mut wanted = of.to_vec();
        let mut at = 0;
        while let Some(id) = wanted.get(at).cloned() {
            at += 1;
            for version in store.anywhere(&id).into_iter().flat_map(|secret| &secret.versions) {
                let text = match &version.value {
                    Some(SecretValue::Text(text)) => text.clone(),
                    Some(SecretValue::Binary(bytes)) => {
                        hide(&base64::engine::general_purpose::STANDARD.encode(bytes), secrets);
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                    None => continue,
                };
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                if let Some(master) = value["masterarn"].as_str().map(str::to_owned)
                    && !wanted.contains(&master)
                {
                    wanted.push(master);
                }
                collect(&value, secrets);
            }
        }
    });
}

/// Adds every text and number in a value at any depth, except those under the keys in [`OPEN`].
fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) => hide(text, secrets),
        Value::Number(number) => hide(&number.to_string(), secrets),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(fields) => {
            let hidden = fields.iter().filter(|(name, _)| !OPEN.contains(&name.as_str()));
            hidden.for_each(|(_, field)| collect(field, secrets));
        }
        _ => {}
    }
}

/// Adds the forms in which a function can log a text: unchanged, escaped as in JSON, and each line
/// on its own.
fn hide(text: &str, secrets: &mut Vec<String>) {
    let json = Value::from(text).to_string();
    let forms = [text, &json[1..json.len() - 1]].into_iter().chain(text.lines());
    // Shorter texts would also occur in unrelated output.
    secrets.extend(forms.map(str::trim).filter(|form| form.len() >= 5).map(str::to_owned));
}
