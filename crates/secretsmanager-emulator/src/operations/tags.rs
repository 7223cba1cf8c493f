//! The operations on tags. An existing key gets the new value. Keys are case-sensitive.

use serde_json::json;

use super::Done;
use crate::error::ServiceError;
use crate::request::Request;
use crate::secret::Secret;
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

/// The maximum number of tags of a secret.
const MOST: usize = 50;

pub(crate) fn tag(store: &mut Store, request: &Request<'_>) -> Answer {
    store.edit_active(request.scope, request.secret_id()?, |secret, _| {
        secret.changed = request.now;
        add(secret, request)
    })?;
    Ok(json!({}).into())
}

pub(crate) fn untag(store: &mut Store, request: &Request<'_>) -> Answer {
    let keys = request.texts("TagKeys").unwrap_or_default();
    store.edit_active(request.scope, request.secret_id()?, |secret, _| {
        secret.tags.retain(|key, _| !keys.contains(key));
        secret.changed = request.now;
        Ok(())
    })?;
    Ok(json!({}).into())
}

/// Adds the tags of a request.
pub(super) fn add(secret: &mut Secret, request: &Request<'_>) -> Result<(), ServiceError> {
    for tag in request.list("Tags").into_iter().flatten() {
        let text = |name: &str| tag[name].as_str().unwrap_or_default();
        let key = text("Key");
        if key.is_empty() {
            return Err(ServiceError::parameter("You must specify a key for each tag."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ServiceError::parameter(format!(
                "The tag key {key} is reserved: it must not begin with aws:."
            )));
        }
        secret.tags.insert(key.to_owned(), text("Value").to_owned());
        secret.was_tagged = true;
    }
    if secret.tags.len() > MOST {
        return Err(ServiceError::parameter(format!("A secret can have at most {MOST} tags.")));
    }
    Ok(())
}
