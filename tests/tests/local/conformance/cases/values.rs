//! Conformance cases of values, tags and deletion.

use super::*;

cases! {
    async fn binary_values_round_trip(client) {
        let name = unique("bytes");
        let bytes = Blob::new((0..=255).collect::<Vec<u8>>());
        client.create_secret().name(&name).secret_binary(bytes.clone()).send().await?;
        let got = client.get_secret_value().secret_id(&name).send().await?;
        ensure!(got.secret_binary == Some(bytes.clone()) && got.secret_string.is_none());
        let both =
            client.put_secret_value().secret_id(&name).secret_binary(bytes).secret_string("x");
        refused_as!(both.send().await, "InvalidParameterException");
        gone(&client, &name).await
    }

    async fn values_have_at_most_65536_bytes(client) {
        let name = unique("long");
        made(&client, &name, &"x".repeat(65536)).await?;
        let long = client
            .put_secret_value()
            .secret_id(&name)
            .secret_string("x".repeat(65537))
            .send()
            .await;
        refused_as!(long, "ValidationException");
        gone(&client, &name).await
    }

    async fn put_without_value_is_rejected(client) {
        let name = unique("none");
        made(&client, &name, "x").await?;
        refused_as!(
            client.put_secret_value().secret_id(&name).send().await,
            "InvalidRequestException"
        );
        gone(&client, &name).await
    }

    async fn tags_are_replaced_and_keys_are_case_sensitive(client) {
        let name = unique("tags");
        client.create_secret().name(&name).secret_string("x").tags(tag("Team", "a")).send().await?;
        let tagging =
            client.tag_resource().secret_id(&name).tags(tag("Team", "b")).tags(tag("team", "c"));
        tagging.send().await?;
        let mut tags = client
            .describe_secret()
            .secret_id(&name)
            .send()
            .await?
            .tags
            .context("the secret has no tags")?;
        tags.sort_by(|one, other| one.key.cmp(&other.key));
        ensure!(tags == [tag("Team", "b"), tag("team", "c")], "{tags:?}");
        client.untag_resource().secret_id(&name).tag_keys("Team").tag_keys("absent").send().await?;
        let tags = client
            .describe_secret()
            .secret_id(&name)
            .send()
            .await?
            .tags
            .context("the secret has no tags")?;
        ensure!(tags == [tag("team", "c")], "{tags:?}");
        gone(&client, &name).await
    }

    async fn tags_have_limits(client) {
        let name = unique("tags");
        made(&client, &name, "x").await?;
        let tagging =
            |tags: Vec<Tag>| client.tag_resource().secret_id(&name).set_tags(Some(tags)).send();
        refused_as!(tagging(vec![tag("aws:mine", "x")]).await, "InvalidParameterException");
        refused_as!(tagging(vec![tag(&"k".repeat(129), "x")]).await, "ValidationException");
        let many = (0..51).map(|number| tag(&format!("key-{number}"), "x")).collect();
        refused_as!(tagging(many).await, "InvalidParameterException");
        gone(&client, &name).await
    }

    async fn a_deleted_secret_can_be_restored(client) {
        let name = unique("deleted");
        made(&client, &name, "x").await?;
        let deleted =
            client.delete_secret().secret_id(&name).recovery_window_in_days(7).send().await?;
        ensure!(deleted.deletion_date.is_some());
        refused_as!(
            client.get_secret_value().secret_id(&name).send().await,
            "InvalidRequestException"
        );
        refused_as!(
            client.put_secret_value().secret_id(&name).secret_string("y").send().await,
            "InvalidRequestException"
        );
        ensure!(client.describe_secret().secret_id(&name).send().await?.deleted_date.is_some());
        let again = client.create_secret().name(&name).secret_string("y").send().await;
        refused_as!(again, "InvalidRequestException");
        let filter = || Filter::builder().key(FilterNameStringType::Name).values(&name).build();
        let listed = client.list_secrets().filters(filter()).send().await?;
        ensure!(listed.secret_list().is_empty(), "the deleted secret is listed");
        let planned =
            client.list_secrets().filters(filter()).include_planned_deletion(true).send().await?;
        ensure!(planned.secret_list().len() == 1, "the deleted secret is not listed");
        client.restore_secret().secret_id(&name).send().await?;
        ensure!(value(&client, &name, "AWSCURRENT").await? == "x");
        ensure!(client.describe_secret().secret_id(&name).send().await?.deleted_date.is_none());
        gone(&client, &name).await
    }

    async fn a_recovery_window_is_7_to_30_days_or_none(client) {
        let name = unique("window");
        made(&client, &name, "x").await?;
        for days in [6, 31] {
            let wrong =
                client.delete_secret().secret_id(&name).recovery_window_in_days(days).send().await;
            refused_as!(wrong, "InvalidParameterException");
        }
        let both = client.delete_secret().secret_id(&name).recovery_window_in_days(7);
        refused_as!(
            both.force_delete_without_recovery(true).send().await,
            "InvalidParameterException"
        );
        gone(&client, &name).await
    }

    async fn forced_deletion_is_immediate_and_idempotent(client) {
        let name = unique("forced");
        made(&client, &name, "x").await?;
        gone(&client, &name).await?;
        refused_as!(
            client.describe_secret().secret_id(&name).send().await,
            "ResourceNotFoundException"
        );
        gone(&client, &name).await?;
        made(&client, &name, "y").await?;
        gone(&client, &name).await
    }
}
