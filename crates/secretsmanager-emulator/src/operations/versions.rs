//! The operations on versions and their staging labels.

use serde_json::{Value, json};

use super::{Done, named, set};
use crate::error::ServiceError;
use crate::listing::{page, sortable};
use crate::request::Request;
use crate::secret::{CURRENT, PENDING, Version};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn update_stage(store: &mut Store, request: &Request<'_>) -> Answer {
    let label = request.text("VersionStage").unwrap_or_default();
    let (from, to) = (request.text("RemoveFromVersionId"), request.text("MoveToVersionId"));
    let answer = store.edit_active(request.scope, request.secret_id()?, |secret, _| {
        secret.ensure_own_value()?;
        let was = secret.labelled(CURRENT).map(|version| version.id.clone());
        secret.move_label(label, from, to, request.now)?;
        let current = secret.labelled(CURRENT);
        let has_moved = current.map(|version| &version.id) != was.as_ref();
        // This is how a rotation ends: its version becomes current while it still has AWSPENDING.
        if has_moved && current.is_some_and(|version| version.has(PENDING)) {
            secret.rotated = Some(request.now);
            super::rotation::reschedule(secret, request.now);
        }
        Ok(named(secret))
    })?;
    Ok(answer.into())
}

pub(crate) fn list(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.find(request.scope, request.secret_id()?)?;
    let all = request.flag("IncludeDeprecated", false);
    let place = |version: &&Version| format!("{} {}", sortable(version.created), version.id);
    // A version without a value is only in the response of DescribeSecret.
    let is_listed =
        |version: &&Version| version.value.is_some() && (all || !version.is_deprecated());
    let mut versions: Vec<&Version> = secret.versions.iter().filter(is_listed).collect();
    versions.sort_by_cached_key(place);
    let listed = page(
        versions.into_iter(),
        place,
        request.text("NextToken"),
        request.number("MaxResults"),
        100,
        false,
    )?;
    let mut answer = named(secret);
    answer["Versions"] = listed.items.into_iter().map(version).collect::<Vec<_>>().into();
    set(&mut answer, "NextToken", listed.next);
    Ok(answer.into())
}

fn version(version: &Version) -> Value {
    let key = version.key.as_deref().unwrap_or("DefaultEncryptionKey");
    let mut shown =
        json!({"VersionId": version.id, "CreatedDate": version.created, "KmsKeyIds": [key]});
    if !version.is_deprecated() {
        shown["VersionStages"] = json!(version.sorted_labels());
    }
    set(&mut shown, "LastAccessedDate", version.accessed);
    shown
}
