//! The operations on several secrets: `ListSecrets` and `BatchGetSecretValue`.

use serde_json::{Value, json};

use super::{Done, secrets, set, values};
use crate::error::ServiceError;
use crate::listing::{ensure_filters_have_keys, page, passes, sort_key};
use crate::request::Request;
use crate::secret::{CURRENT, Secret};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn list_secrets(store: &mut Store, request: &Request<'_>) -> Answer {
    let filters = request.list("Filters").unwrap_or_default();
    ensure_filters_have_keys(filters)?;
    let deleted = request.flag("IncludePlannedDeletion", false);
    let mut listed: Vec<&Secret> = store
        .secrets(request.scope)
        .filter(|secret| (deleted || secret.deletion.is_none()) && passes(secret, filters))
        .collect();
    let by = request.text("SortBy");
    let descending = request.text("SortOrder") == Some("desc");
    listed.sort_by_cached_key(|secret| sort_key(secret, by));
    if descending {
        listed.reverse();
    }
    let listed = page(
        listed.into_iter(),
        |secret| sort_key(secret, by),
        request.text("NextToken"),
        request.number("MaxResults"),
        100,
        descending,
    )?;
    let shown = listed.items.into_iter().map(|secret| {
        let mut shown = secrets::described(secret);
        set(&mut shown, "SecretVersionsToStages", secrets::stages(secret));
        set(&mut shown, "DeletedDate", secret.deletion.map(|deletion| deletion.asked));
        shown
    });
    let mut answer = json!({"SecretList": shown.collect::<Vec<_>>()});
    set(&mut answer, "NextToken", listed.next);
    Ok(answer.into())
}

pub(crate) fn batch_get(store: &mut Store, request: &Request<'_>) -> Answer {
    let ids = request.texts("SecretIdList");
    let filters = request.list("Filters");
    match (&ids, filters) {
        (Some(_), Some(_)) => {
            return Err(ServiceError::parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            ));
        }
        (None, None) => {
            return Err(ServiceError::parameter(
                "Either 'SecretIdList' or 'Filters' must be provided.",
            ));
        }
        (Some(_), None) if request.number("MaxResults").is_some() => {
            return Err(ServiceError::parameter("'MaxResults' can only be used with 'Filters'."));
        }
        _ => {}
    }
    let (wanted, next) = match ids {
        Some(ids) => (ids, None),
        None => {
            let filters = filters.unwrap_or_default();
            ensure_filters_have_keys(filters)?;
            let passing = store
                .secrets(request.scope)
                .filter(|secret| secret.deletion.is_none() && passes(secret, filters));
            let names = passing.map(|secret| secret.name.clone());
            let listed = page(
                names,
                String::clone,
                request.text("NextToken"),
                request.number("MaxResults"),
                20,
                false,
            )?;
            (listed.items, listed.next)
        }
    };
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for id in wanted {
        match current(store, request, &id) {
            Ok((arn, version, shown)) => {
                values::was_read(store, request, &arn, &version)?;
                values.push(shown);
            }
            Err(error) => {
                errors.push(
                    json!({"SecretId": id, "ErrorCode": error.code, "Message": error.message}),
                );
            }
        }
    }
    let mut answer = json!({"SecretValues": values, "Errors": errors});
    set(&mut answer, "NextToken", next);
    Ok(answer.into())
}

fn current(
    store: &Store,
    request: &Request<'_>,
    id: &str,
) -> Result<(String, String, Value), ServiceError> {
    let secret = store.alive(request.scope, id)?;
    let version = secret.labelled(CURRENT).ok_or_else(ServiceError::not_found)?;
    let shown = values::shown(secret, version, store.keys())?;
    Ok((secret.arn.clone(), version.id.clone(), shown))
}
