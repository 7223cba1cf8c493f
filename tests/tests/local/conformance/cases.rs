//! What AWS documents, a case each.

use std::future::Future;
use std::pin::Pin;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{
    Filter, FilterNameStringType, RotationRulesType, SortByType, SortOrderType, Tag,
};

type Run = fn(Client) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($client:ident) $body:block)*) => {
        $($(#[$doc])* async fn $name($client: Client) -> Result<()> $body)*

        /// All cases, by name.
        pub(crate) const CASES: &[(&str, Run)] =
            &[$((stringify!($name), |client| Box::pin($name(client)))),*];
    };
}

const FUNCTION: &str = "arn:aws:lambda:eu-west-3:123456789012:function:some-rotation";

fn unique(what: &str) -> String {
    format!("conformance/{what}-{}", rotation_tests::scene::unique())
}

fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The error's name.
fn refused<T, E: ProvideErrorMetadata, R>(done: std::result::Result<T, SdkError<E, R>>) -> Result<String> {
    match done {
        Ok(_) => bail!("it was not refused"),
        Err(error) => Ok(error.code().context("an error without a name")?.to_owned()),
    }
}

/// That it is refused by that name.
macro_rules! refused_as {
    ($done:expr, $name:literal) => {{
        let name = refused($done)?;
        ensure!(name == $name, "{name} instead of {}", $name);
    }};
}

/// A secret with a value; its version.
async fn made(client: &Client, name: &str, value: &str) -> Result<String> {
    let made = client.create_secret().name(name).secret_string(value).send().await?;
    made.version_id.context("no version")
}

async fn gone(client: &Client, name: &str) -> Result<()> {
    client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await?;
    Ok(())
}

async fn value(client: &Client, name: &str, stage: &str) -> Result<String> {
    let got = client.get_secret_value().secret_id(name).version_stage(stage).send().await?;
    got.secret_string.context("no string")
}

/// The labels of a version, sorted.
async fn labels(client: &Client, name: &str, version: &str) -> Result<Vec<String>> {
    let described = client.describe_secret().secret_id(name).send().await?;
    let mut labels = described.version_ids_to_stages.unwrap_or_default().remove(version).unwrap_or_default();
    labels.sort();
    Ok(labels)
}

async fn put(client: &Client, name: &str, value: &str, stages: &[&str]) -> Result<String> {
    let mut put = client.put_secret_value().secret_id(name).secret_string(value);
    for stage in stages {
        put = put.version_stages(*stage);
    }
    put.send().await?.version_id.context("no version")
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

cases! {
    async fn a_secret_is_found_by_name_arn_and_arn_without_suffix(client) {
        let name = unique("found");
        let made = client.create_secret().name(&name).secret_string("x").send().await?;
        let arn = made.arn.context("no ARN")?;
        ensure!(arn.contains(&format!(":secret:{name}-")) && made.name.as_deref() == Some(&name), "{arn}");
        for id in [&name, &arn, &arn[..arn.len() - 7]] {
            let got = client.get_secret_value().secret_id(id).send().await?;
            ensure!(got.arn.as_deref() == Some(&arn) && got.secret_string.as_deref() == Some("x"), "{id}");
            ensure!(got.version_stages() == ["AWSCURRENT"]);
        }
        gone(&client, &name).await
    }

    async fn making_it_again_is_no_change_with_the_same_token_and_value(client) {
        let (name, token) = (unique("again"), token());
        let make = |value: &str| {
            client.create_secret().name(&name).secret_string(value).client_request_token(&token).send()
        };
        let first = make("x").await?;
        ensure!(make("x").await?.arn == first.arn, "another secret");
        refused_as!(make("y").await, "ResourceExistsException");
        let other = client.create_secret().name(&name).secret_string("x").send().await;
        refused_as!(other, "ResourceExistsException");
        gone(&client, &name).await
    }

    async fn a_secret_without_a_value_has_no_version(client) {
        let name = unique("empty");
        ensure!(client.create_secret().name(&name).send().await?.version_id.is_none());
        refused_as!(client.get_secret_value().secret_id(&name).send().await, "ResourceNotFoundException");
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.version_ids_to_stages.unwrap_or_default().is_empty());
        ensure!(described.description.is_none() && described.rotation_enabled.is_none());
        gone(&client, &name).await
    }

    async fn the_first_value_is_current_whatever_its_labels(client) {
        let name = unique("first");
        client.create_secret().name(&name).send().await?;
        let version = put(&client, &name, "x", &["mine"]).await?;
        ensure!(labels(&client, &name, &version).await? == ["AWSCURRENT", "mine"]);
        gone(&client, &name).await
    }

    async fn names_are_checked(client) {
        refused_as!(client.create_secret().name("no spaces").secret_string("x").send().await, "ValidationException");
        refused_as!(client.get_secret_value().secret_id("no?marks").send().await, "ValidationException");
        let long = "n".repeat(513);
        refused_as!(client.create_secret().name(long).secret_string("x").send().await, "ValidationException");
        Ok(())
    }

    async fn what_is_not_there_is_not_found(client) {
        let name = unique("absent");
        refused_as!(client.describe_secret().secret_id(&name).send().await, "ResourceNotFoundException");
        refused_as!(client.get_secret_value().secret_id(&name).send().await, "ResourceNotFoundException");
        refused_as!(
            client.put_secret_value().secret_id(&name).secret_string("x").send().await,
            "ResourceNotFoundException"
        );
        made(&client, &name, "x").await?;
        let got = client.get_secret_value().secret_id(&name).version_stage("AWSPENDING").send().await;
        refused_as!(got, "ResourceNotFoundException");
        let got = client.get_secret_value().secret_id(&name).version_id(token()).send().await;
        refused_as!(got, "ResourceNotFoundException");
        gone(&client, &name).await
    }

    async fn updating_makes_a_version_and_moves_the_labels(client) {
        let name = unique("update");
        let one = made(&client, &name, "one").await?;
        let updated = client.update_secret().secret_id(&name).secret_string("two").send().await?;
        let two = updated.version_id.context("no version")?;
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT"]);
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        let described = client.update_secret().secret_id(&name).description("words").send().await?;
        ensure!(described.version_id.is_none(), "a description made a version");
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.description.as_deref() == Some("words"));
        gone(&client, &name).await
    }

    async fn putting_without_labels_moves_current(client) {
        let name = unique("put");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &[]).await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT"]);
        gone(&client, &name).await
    }

    async fn putting_with_labels_moves_these_alone(client) {
        let name = unique("labels");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING", "mine"]).await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSCURRENT"]);
        let three = put(&client, &name, "three", &["mine"]).await?;
        ensure!(labels(&client, &name, &two).await? == ["AWSPENDING"]);
        ensure!(labels(&client, &name, &three).await? == ["mine"]);
        ensure!(value(&client, &name, "AWSCURRENT").await? == "one");
        gone(&client, &name).await
    }

    async fn a_known_token_is_no_change_with_the_same_value_and_refused_with_another(client) {
        let (name, token) = (unique("token"), token());
        made(&client, &name, "one").await?;
        let put = |value: &str| {
            client.put_secret_value().secret_id(&name).secret_string(value).client_request_token(&token).send()
        };
        put("two").await?;
        put("two").await?;
        refused_as!(put("three").await, "ResourceExistsException");
        ensure!(value(&client, &name, "AWSCURRENT").await? == "two");
        gone(&client, &name).await
    }

    async fn a_known_token_moves_no_label(client) {
        let (name, token) = (unique("token"), token());
        made(&client, &name, "one").await?;
        let put = || {
            client.put_secret_value().secret_id(&name).secret_string("two").client_request_token(&token).send()
        };
        put().await?;
        let three = client.put_secret_value().secret_id(&name).secret_string("three").send().await?;
        put().await?;
        ensure!(labels(&client, &name, &three.version_id.context("no version")?).await? == ["AWSCURRENT"]);
        gone(&client, &name).await
    }

    async fn a_token_has_its_length(client) {
        let name = unique("length");
        let short = client.create_secret().name(&name).secret_string("x").client_request_token("short").send().await;
        refused_as!(short, "InvalidParameterException");
        Ok(())
    }

    async fn moving_a_label_must_name_the_version_that_has_it(client) {
        let name = unique("move");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving = || client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        let unnamed = moving().move_to_version_id(&two).send().await;
        refused_as!(unnamed, "InvalidParameterException");
        let wrong = moving().move_to_version_id(&two).remove_from_version_id(&two).send().await;
        refused_as!(wrong, "InvalidParameterException");
        moving().move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT", "AWSPENDING"]);
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        gone(&client, &name).await
    }

    async fn another_label_must_name_its_version_as_well(client) {
        let name = unique("move");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["mine"]).await?;
        let moving = || client.update_secret_version_stage().secret_id(&name).version_stage("mine");
        refused_as!(moving().move_to_version_id(&one).send().await, "InvalidParameterException");
        moving().move_to_version_id(&one).remove_from_version_id(&two).send().await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSCURRENT", "mine"]);
        gone(&client, &name).await
    }

    async fn after_a_move_the_current_value_is_the_other(client) {
        let name = unique("moved");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving = client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        moving.move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        let got = client.get_secret_value().secret_id(&name).send().await?;
        ensure!(got.secret_string.as_deref() == Some("two"), "{:?}", got.version_id);
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        gone(&client, &name).await
    }

    async fn the_pending_label_of_an_ended_rotation_goes_with_the_next_value(client) {
        let name = unique("left");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving = client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        moving.move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        put(&client, &name, "three", &[]).await?;
        ensure!(labels(&client, &name, &two).await? == ["AWSPREVIOUS"]);
        gone(&client, &name).await
    }

    async fn current_can_be_moved_and_not_removed(client) {
        let name = unique("removed");
        let one = made(&client, &name, "one").await?;
        let removing = |label: &str| {
            let call = client.update_secret_version_stage().secret_id(&name).version_stage(label);
            call.remove_from_version_id(&one).send()
        };
        refused_as!(removing("AWSCURRENT").await, "InvalidParameterException");
        let moving = client.update_secret_version_stage().secret_id(&name).version_stage("mine");
        moving.move_to_version_id(&one).send().await?;
        removing("mine").await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSCURRENT"]);
        gone(&client, &name).await
    }

    async fn a_version_has_twenty_labels_at_most(client) {
        let name = unique("labels");
        let one = made(&client, &name, "one").await?;
        let attach = |label: String| {
            let call = client.update_secret_version_stage().secret_id(&name).version_stage(label);
            call.move_to_version_id(&one).send()
        };
        for number in 1..20 {
            attach(format!("label-{number}")).await?;
        }
        refused_as!(attach("one-more".into()).await, "LimitExceededException");
        gone(&client, &name).await
    }

    async fn deprecated_versions_are_listed_when_asked_for(client) {
        let name = unique("versions");
        let one = made(&client, &name, "one").await?;
        for value in ["two", "three"] {
            put(&client, &name, value, &[]).await?;
        }
        let listed = client.list_secret_version_ids().secret_id(&name).send().await?;
        ensure!(listed.versions().len() == 2, "{}", listed.versions().len());
        let all = client.list_secret_version_ids().secret_id(&name).include_deprecated(true).send().await?;
        ensure!(all.versions().len() == 3);
        let deprecated = all.versions().iter().find(|version| version.version_id.as_ref() == Some(&one));
        ensure!(deprecated.context("it is not there")?.version_stages().is_empty());
        let got = client.get_secret_value().secret_id(&name).version_id(&one).send().await?;
        ensure!(got.secret_string.as_deref() == Some("one"), "a deprecated version is still readable");
        gone(&client, &name).await
    }

    async fn versions_are_listed_in_pages(client) {
        let name = unique("versions");
        made(&client, &name, "0").await?;
        for number in 1..5 {
            put(&client, &name, &number.to_string(), &[&format!("label-{number}")]).await?;
        }
        let page = || client.list_secret_version_ids().secret_id(&name).max_results(3);
        let first = page().send().await?;
        ensure!(first.versions().len() == 3, "{}", first.versions().len());
        let next = first.next_token.context("no next page")?;
        let second = page().next_token(next).send().await?;
        ensure!(second.versions().len() == 2 && second.next_token.is_none());
        refused_as!(page().next_token("nonsense!").send().await, "InvalidNextTokenException");
        gone(&client, &name).await
    }

    async fn version_and_label_must_belong_together(client) {
        let name = unique("both");
        let one = made(&client, &name, "one").await?;
        put(&client, &name, "two", &[]).await?;
        let asked = client.get_secret_value().secret_id(&name).version_id(&one).version_stage("AWSCURRENT");
        refused_as!(asked.send().await, "InvalidRequestException");
        let asked = client.get_secret_value().secret_id(&name).version_id(&one).version_stage("AWSPREVIOUS");
        ensure!(asked.send().await?.secret_string.as_deref() == Some("one"));
        gone(&client, &name).await
    }

    async fn bytes_come_back_as_they_were(client) {
        let name = unique("bytes");
        let bytes = Blob::new((0..=255).collect::<Vec<u8>>());
        client.create_secret().name(&name).secret_binary(bytes.clone()).send().await?;
        let got = client.get_secret_value().secret_id(&name).send().await?;
        ensure!(got.secret_binary == Some(bytes.clone()) && got.secret_string.is_none());
        let both = client.put_secret_value().secret_id(&name).secret_binary(bytes).secret_string("x");
        refused_as!(both.send().await, "InvalidParameterException");
        gone(&client, &name).await
    }

    async fn a_value_is_65536_bytes_long_at_most(client) {
        let name = unique("long");
        made(&client, &name, &"x".repeat(65536)).await?;
        let long = client.put_secret_value().secret_id(&name).secret_string("x".repeat(65537)).send().await;
        refused_as!(long, "ValidationException");
        gone(&client, &name).await
    }

    async fn a_value_must_be_there(client) {
        let name = unique("none");
        made(&client, &name, "x").await?;
        refused_as!(client.put_secret_value().secret_id(&name).send().await, "InvalidRequestException");
        gone(&client, &name).await
    }

    async fn tags_are_replaced_and_keys_are_case_sensitive(client) {
        let name = unique("tags");
        client.create_secret().name(&name).secret_string("x").tags(tag("Team", "a")).send().await?;
        let tagging = client.tag_resource().secret_id(&name).tags(tag("Team", "b")).tags(tag("team", "c"));
        tagging.send().await?;
        let mut tags = client.describe_secret().secret_id(&name).send().await?.tags.context("no tags")?;
        tags.sort_by(|one, other| one.key.cmp(&other.key));
        ensure!(tags == [tag("Team", "b"), tag("team", "c")], "{tags:?}");
        client.untag_resource().secret_id(&name).tag_keys("Team").tag_keys("absent").send().await?;
        let tags = client.describe_secret().secret_id(&name).send().await?.tags.context("no tags")?;
        ensure!(tags == [tag("team", "c")], "{tags:?}");
        gone(&client, &name).await
    }

    async fn tags_have_limits(client) {
        let name = unique("tags");
        made(&client, &name, "x").await?;
        let tagging = |tags: Vec<Tag>| client.tag_resource().secret_id(&name).set_tags(Some(tags)).send();
        refused_as!(tagging(vec![tag("aws:mine", "x")]).await, "InvalidParameterException");
        refused_as!(tagging(vec![tag(&"k".repeat(129), "x")]).await, "ValidationException");
        let many = (0..51).map(|number| tag(&format!("key-{number}"), "x")).collect();
        refused_as!(tagging(many).await, "InvalidParameterException");
        gone(&client, &name).await
    }

    async fn a_deleted_secret_can_be_restored(client) {
        let name = unique("deleted");
        made(&client, &name, "x").await?;
        let deleted = client.delete_secret().secret_id(&name).recovery_window_in_days(7).send().await?;
        ensure!(deleted.deletion_date.is_some());
        refused_as!(client.get_secret_value().secret_id(&name).send().await, "InvalidRequestException");
        refused_as!(
            client.put_secret_value().secret_id(&name).secret_string("y").send().await,
            "InvalidRequestException"
        );
        ensure!(client.describe_secret().secret_id(&name).send().await?.deleted_date.is_some());
        let again = client.create_secret().name(&name).secret_string("y").send().await;
        refused_as!(again, "InvalidRequestException");
        let filter = || Filter::builder().key(FilterNameStringType::Name).values(&name).build();
        let listed = client.list_secrets().filters(filter()).send().await?;
        ensure!(listed.secret_list().is_empty(), "it is listed");
        let planned = client.list_secrets().filters(filter()).include_planned_deletion(true).send().await?;
        ensure!(planned.secret_list().len() == 1, "it is not listed");
        client.restore_secret().secret_id(&name).send().await?;
        ensure!(value(&client, &name, "AWSCURRENT").await? == "x");
        ensure!(client.describe_secret().secret_id(&name).send().await?.deleted_date.is_none());
        gone(&client, &name).await
    }

    async fn a_recovery_window_is_7_to_30_days_or_none(client) {
        let name = unique("window");
        made(&client, &name, "x").await?;
        for days in [6, 31] {
            let wrong = client.delete_secret().secret_id(&name).recovery_window_in_days(days).send().await;
            refused_as!(wrong, "InvalidParameterException");
        }
        let both = client.delete_secret().secret_id(&name).recovery_window_in_days(7);
        refused_as!(both.force_delete_without_recovery(true).send().await, "InvalidParameterException");
        gone(&client, &name).await
    }

    async fn a_forced_deletion_is_at_once_and_forgives_what_is_not_there(client) {
        let name = unique("forced");
        made(&client, &name, "x").await?;
        gone(&client, &name).await?;
        refused_as!(client.describe_secret().secret_id(&name).send().await, "ResourceNotFoundException");
        gone(&client, &name).await?;
        made(&client, &name, "y").await?;
        gone(&client, &name).await
    }

    async fn secrets_are_filtered(client) {
        let (one, other) = (unique("filter-one"), unique("filter-other"));
        // Of digits only: what a word is, is documented nowhere else.
        let mark = uuid::Uuid::new_v4().as_u128().to_string();
        let described = format!("Words about {mark}");
        for (name, team) in [(&one, "Red"), (&other, "Blue")] {
            let making = client.create_secret().name(name).secret_string("x").description(&described);
            making.tags(tag("Team", &format!("{team}-{mark}"))).send().await?;
        }
        let mine = || Filter::builder().key(FilterNameStringType::Description).values(&described).build();
        let listed = async |filter: Filter| -> Result<Vec<String>> {
            let listed = client.list_secrets().filters(mine()).filters(filter).send().await?;
            let names = listed.secret_list().iter().filter_map(|secret| secret.name.clone());
            Ok(names.collect())
        };
        let by = |key: FilterNameStringType, value: String| Filter::builder().key(key).values(value).build();
        ensure!(listed(by(FilterNameStringType::Name, one.clone())).await? == [one.as_str()]);
        ensure!(listed(by(FilterNameStringType::TagKey, "team".into())).await?.is_empty(), "case of a tag's key");
        ensure!(listed(by(FilterNameStringType::TagValue, format!("Red-{mark}"))).await? == [one.as_str()]);
        ensure!(listed(by(FilterNameStringType::Name, format!("!{one}"))).await? == [other.as_str()], "negation");
        ensure!(listed(by(FilterNameStringType::All, format!("{mark} words"))).await?.len() == 2, "all");
        let lower = by(FilterNameStringType::Description, described.to_lowercase());
        ensure!(listed(lower).await?.len() == 2, "case of a description");
        gone(&client, &one).await?;
        gone(&client, &other).await
    }

    async fn secrets_are_listed_in_pages_and_in_order(client) {
        let mark = unique("pages");
        for number in [2, 0, 1] {
            made(&client, &format!("{mark}-{number}"), "x").await?;
        }
        let list = || {
            let mine = Filter::builder().key(FilterNameStringType::Name).values(&mark).build();
            client.list_secrets().filters(mine).sort_by(SortByType::Name).max_results(2)
        };
        let first = list().sort_order(SortOrderType::Desc).send().await?;
        let names: Vec<_> = first.secret_list().iter().filter_map(|secret| secret.name.clone()).collect();
        ensure!(names == [format!("{mark}-2"), format!("{mark}-1")], "{names:?}");
        let next = first.next_token.context("no next page")?;
        let second = list().sort_order(SortOrderType::Desc).next_token(next).send().await?;
        ensure!(second.secret_list().len() == 1 && second.next_token.is_none());
        refused_as!(list().next_token("nonsense!").send().await, "InvalidNextTokenException");
        for number in 0..3 {
            gone(&client, &format!("{mark}-{number}")).await?;
        }
        Ok(())
    }

    async fn secrets_may_be_deleted_while_they_are_listed_in_pages(client) {
        let mark = unique("paged");
        for number in 0..5 {
            made(&client, &format!("{mark}-{number}"), "x").await?;
        }
        let (mut seen, mut token) = (0, None);
        loop {
            let mine = Filter::builder().key(FilterNameStringType::Name).values(&mark).build();
            let page = client.list_secrets().filters(mine).max_results(2).set_next_token(token).send().await?;
            for secret in page.secret_list() {
                gone(&client, secret.name().unwrap_or_default()).await?;
                seen += 1;
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        ensure!(seen == 5, "{seen} seen");
        Ok(())
    }

    async fn many_values_are_read_at_once(client) {
        let (one, absent) = (unique("batch"), unique("absent"));
        made(&client, &one, "x").await?;
        let got = client.batch_get_secret_value().secret_id_list(&one).secret_id_list(&absent).send().await?;
        ensure!(got.secret_values().len() == 1 && got.secret_values()[0].secret_string.as_deref() == Some("x"));
        let error = got.errors().first().context("no error for what is absent")?;
        ensure!(error.error_code.as_deref() == Some("ResourceNotFoundException"), "{error:?}");
        let mine = || Filter::builder().key(FilterNameStringType::Name).values(&one).build();
        let got = client.batch_get_secret_value().filters(mine()).send().await?;
        ensure!(got.secret_values().len() == 1, "by a filter");
        let both = client.batch_get_secret_value().filters(mine()).secret_id_list(&one).send().await;
        refused_as!(both, "InvalidParameterException");
        refused_as!(client.batch_get_secret_value().send().await, "InvalidParameterException");
        gone(&client, &one).await
    }

    async fn passwords_are_made_as_asked_for(client) {
        let asked = client.get_random_password().password_length(40).exclude_characters("abcABC123").exclude_punctuation(true);
        let password = asked.include_space(true).send().await?.random_password.context("none")?;
        ensure!(password.chars().count() == 40 && password.contains(' '));
        ensure!(!password.contains(|c: char| c.is_ascii_punctuation() || "abcABC123".contains(c)));
        ensure!(password.contains(|c: char| c.is_ascii_uppercase()) && password.contains(|c: char| c.is_ascii_digit()));
        let usual = client.get_random_password().send().await?.random_password.context("none")?;
        ensure!(usual.chars().count() == 32 && usual.contains(|c: char| c.is_ascii_punctuation()));
        refused_as!(client.get_random_password().password_length(4097).send().await, "ValidationException");
        let nothing = client.get_random_password().exclude_lowercase(true).exclude_uppercase(true);
        let nothing = nothing.exclude_numbers(true).exclude_punctuation(true).send().await;
        refused_as!(nothing, "InvalidParameterException");
        refused_as!(client.get_random_password().password_length(3).send().await, "InvalidParameterException");
        Ok(())
    }

    async fn resource_policies_are_kept_and_checked(client) {
        let name = unique("policy");
        made(&client, &name, "x").await?;
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},
            "Action":"secretsmanager:DeleteSecret","Resource":"*"}]}"#;
        client.put_resource_policy().secret_id(&name).resource_policy(policy).send().await?;
        let got = client.get_resource_policy().secret_id(&name).send().await?;
        ensure!(got.resource_policy.as_deref() == Some(policy));
        let wrong = client.put_resource_policy().secret_id(&name).resource_policy("no policy").send().await;
        refused_as!(wrong, "MalformedPolicyDocumentException");
        let public = policy.replace("Deny", "Allow");
        let public = client.put_resource_policy().secret_id(&name).resource_policy(public).block_public_policy(true);
        refused_as!(public.send().await, "PublicPolicyException");
        let validated = client.validate_resource_policy().resource_policy("no policy").send().await?;
        ensure!(!validated.policy_validation_passed && !validated.validation_errors().is_empty());
        client.delete_resource_policy().secret_id(&name).send().await?;
        ensure!(client.get_resource_policy().secret_id(&name).send().await?.resource_policy.is_none());
        gone(&client, &name).await
    }

    async fn reading_and_changing_leave_their_dates(client) {
        let name = unique("dates");
        made(&client, &name, "x").await?;
        let first = client.describe_secret().secret_id(&name).send().await?;
        ensure!(first.last_accessed_date.is_none() && first.created_date.is_some());
        client.get_secret_value().secret_id(&name).send().await?;
        let read = client.describe_secret().secret_id(&name).send().await?;
        ensure!(read.last_accessed_date.is_some() && read.last_changed_date == first.last_changed_date);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        client.update_secret().secret_id(&name).description("new").send().await?;
        let changed = client.describe_secret().secret_id(&name).send().await?;
        ensure!(changed.last_changed_date > first.last_changed_date);
        gone(&client, &name).await
    }

    async fn rotation_needs_a_function(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        refused_as!(client.rotate_secret().secret_id(&name).send().await, "InvalidRequestException");
        gone(&client, &name).await
    }

    async fn rotation_stages_a_version_that_has_no_value(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION).send().await?;
        let token = rotating.version_id.context("no version")?;
        ensure!(labels(&client, &name, &token).await? == ["AWSPENDING"]);
        let pending = client.get_secret_value().secret_id(&name).version_stage("AWSPENDING").send().await;
        refused_as!(pending, "ResourceNotFoundException");
        ensure!(value(&client, &name, "AWSCURRENT").await? == "x");
        // What createSecret does.
        let put = client.put_secret_value().secret_id(&name).client_request_token(&token).secret_string("y");
        put.version_stages("AWSPENDING").send().await?;
        ensure!(value(&client, &name, "AWSPENDING").await? == "y");
        gone(&client, &name).await
    }

    async fn rotation_is_refused_while_another_is_not_complete(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        let rotating = || client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let token = rotating().send().await?.version_id.context("no version")?;
        refused_as!(rotating().send().await, "InvalidRequestException");
        rotating().client_request_token(&token).send().await?;
        gone(&client, &name).await
    }

    async fn rotation_to_a_version_that_was_something_else_is_refused(client) {
        let name = unique("rotated");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &[]).await?;
        for immediately in [false, true] {
            let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
            let rotating = rotating.client_request_token(&one).rotate_immediately(immediately);
            refused_as!(rotating.send().await, "InvalidParameterException");
        }
        let tested = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let tested = tested.client_request_token(&two).rotate_immediately(false).send().await;
        refused_as!(tested, "InvalidParameterException");
        ensure!(value(&client, &name, "AWSCURRENT").await? == "two");
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        gone(&client, &name).await
    }

    async fn rotation_rules_are_checked_and_shown(client) {
        let name = unique("rules");
        made(&client, &name, "x").await?;
        let rotating = |rules: RotationRulesType| {
            let call = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
            call.rotation_rules(rules).send()
        };
        let both = RotationRulesType::builder().automatically_after_days(5).schedule_expression("rate(5 days)");
        refused_as!(rotating(both.build()).await, "InvalidParameterException");
        let often = RotationRulesType::builder().schedule_expression("rate(1 hour)");
        refused_as!(rotating(often.build()).await, "InvalidParameterException");
        let none = RotationRulesType::builder().automatically_after_days(1001);
        refused_as!(rotating(none.build()).await, "ValidationException");
        rotating(RotationRulesType::builder().schedule_expression("rate(10 days)").duration("2h").build()).await?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        let rules = described.rotation_rules.context("no rules")?;
        ensure!(rules.schedule_expression.as_deref() == Some("rate(10 days)"));
        ensure!(described.next_rotation_date.is_some() && described.rotation_enabled == Some(true));
        gone(&client, &name).await
    }

    async fn rotation_that_is_cancelled_leaves_its_version(client) {
        let name = unique("cancelled");
        made(&client, &name, "x").await?;
        let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let token = rotating.send().await?.version_id.context("no version")?;
        let cancelled = client.cancel_rotate_secret().secret_id(&name).send().await?;
        ensure!(cancelled.version_id.as_ref() == Some(&token), "{:?}", cancelled.version_id);
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.rotation_enabled == Some(false) && described.next_rotation_date.is_none());
        ensure!(labels(&client, &name, &token).await? == ["AWSPENDING"]);
        gone(&client, &name).await
    }
}
