//! Conformance cases of secrets, their versions, and the staging labels.

use super::*;

cases! {
    async fn a_secret_is_found_by_name_arn_and_arn_without_suffix(client) {
        let name = unique("found");
        let made = client.create_secret().name(&name).secret_string("x").send().await?;
        let arn = made.arn.context("the secret has no ARN")?;
        ensure!(
            arn.contains(&format!(":secret:{name}-")) && made.name.as_deref() == Some(&name),
            "{arn}"
        );
        for id in [&name, &arn, &arn[..arn.len() - 7]] {
            let got = client.get_secret_value().secret_id(id).send().await?;
            ensure!(
                got.arn.as_deref() == Some(&arn) && got.secret_string.as_deref() == Some("x"),
                "{id}"
            );
            ensure!(got.version_stages() == ["AWSCURRENT"]);
        }
        gone(&client, &name).await
    }

    async fn create_with_same_token_and_value_is_idempotent(client) {
        let (name, token) = (unique("again"), token());
        let make = |value: &str| {
            client
                .create_secret()
                .name(&name)
                .secret_string(value)
                .client_request_token(&token)
                .send()
        };
        let first = make("x").await?;
        ensure!(make("x").await?.arn == first.arn, "the call created another secret");
        refused_as!(make("y").await, "ResourceExistsException");
        let other = client.create_secret().name(&name).secret_string("x").send().await;
        refused_as!(other, "ResourceExistsException");
        gone(&client, &name).await
    }

    async fn a_secret_without_a_value_has_no_version(client) {
        let name = unique("empty");
        ensure!(client.create_secret().name(&name).send().await?.version_id.is_none());
        refused_as!(
            client.get_secret_value().secret_id(&name).send().await,
            "ResourceNotFoundException"
        );
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.version_ids_to_stages.unwrap_or_default().is_empty());
        ensure!(described.description.is_none() && described.rotation_enabled.is_none());
        gone(&client, &name).await
    }

    async fn first_value_is_always_current(client) {
        let name = unique("first");
        client.create_secret().name(&name).send().await?;
        let version = put(&client, &name, "x", &["mine"]).await?;
        ensure!(labels(&client, &name, &version).await? == ["AWSCURRENT", "mine"]);
        gone(&client, &name).await
    }

    async fn names_are_checked(client) {
        refused_as!(
            client.create_secret().name("no spaces").secret_string("x").send().await,
            "ValidationException"
        );
        refused_as!(
            client.get_secret_value().secret_id("no?marks").send().await,
            "ValidationException"
        );
        let long = "n".repeat(513);
        refused_as!(
            client.create_secret().name(long).secret_string("x").send().await,
            "ValidationException"
        );
        Ok(())
    }

    async fn missing_secrets_and_versions_are_not_found(client) {
        let name = unique("absent");
        refused_as!(
            client.describe_secret().secret_id(&name).send().await,
            "ResourceNotFoundException"
        );
        refused_as!(
            client.get_secret_value().secret_id(&name).send().await,
            "ResourceNotFoundException"
        );
        refused_as!(
            client.put_secret_value().secret_id(&name).secret_string("x").send().await,
            "ResourceNotFoundException"
        );
        made(&client, &name, "x").await?;
        let got =
            client.get_secret_value().secret_id(&name).version_stage("AWSPENDING").send().await;
        refused_as!(got, "ResourceNotFoundException");
        let got = client.get_secret_value().secret_id(&name).version_id(token()).send().await;
        refused_as!(got, "ResourceNotFoundException");
        gone(&client, &name).await
    }

    async fn update_creates_version_and_moves_labels(client) {
        let name = unique("update");
        let one = made(&client, &name, "one").await?;
        let updated = client.update_secret().secret_id(&name).secret_string("two").send().await?;
        let two = updated.version_id.context("the service returned no version id")?;
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT"]);
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        let described = client.update_secret().secret_id(&name).description("words").send().await?;
        ensure!(described.version_id.is_none(), "a new description created a version");
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.description.as_deref() == Some("words"));
        gone(&client, &name).await
    }

    async fn put_without_labels_moves_current(client) {
        let name = unique("put");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &[]).await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT"]);
        gone(&client, &name).await
    }

    async fn put_with_labels_moves_only_these(client) {
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

    async fn known_token_with_other_value_is_rejected(client) {
        let (name, token) = (unique("token"), token());
        made(&client, &name, "one").await?;
        let put = |value: &str| {
            client
                .put_secret_value()
                .secret_id(&name)
                .secret_string(value)
                .client_request_token(&token)
                .send()
        };
        put("two").await?;
        put("two").await?;
        refused_as!(put("three").await, "ResourceExistsException");
        ensure!(value(&client, &name, "AWSCURRENT").await? == "two");
        gone(&client, &name).await
    }

    async fn known_token_moves_no_label(client) {
        let (name, token) = (unique("token"), token());
        made(&client, &name, "one").await?;
        let put = || {
            client
                .put_secret_value()
                .secret_id(&name)
                .secret_string("two")
                .client_request_token(&token)
                .send()
        };
        put().await?;
        let three =
            client.put_secret_value().secret_id(&name).secret_string("three").send().await?;
        put().await?;
        ensure!(
            labels(
                &client,
                &name,
                &three.version_id.context("the service returned no version id")?
            )
            .await?
                == ["AWSCURRENT"]
        );
        gone(&client, &name).await
    }

    async fn short_token_is_rejected(client) {
        let name = unique("length");
        let short = client
            .create_secret()
            .name(&name)
            .secret_string("x")
            .client_request_token("short")
            .send()
            .await;
        refused_as!(short, "InvalidParameterException");
        Ok(())
    }

    async fn label_move_must_name_current_holder(client) {
        let name = unique("move");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving =
            || client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        let unnamed = moving().move_to_version_id(&two).send().await;
        refused_as!(unnamed, "InvalidParameterException");
        let wrong = moving().move_to_version_id(&two).remove_from_version_id(&two).send().await;
        refused_as!(wrong, "InvalidParameterException");
        moving().move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT", "AWSPENDING"]);
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        gone(&client, &name).await
    }

    async fn custom_label_move_must_name_current_holder(client) {
        let name = unique("move");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["mine"]).await?;
        let moving = || client.update_secret_version_stage().secret_id(&name).version_stage("mine");
        refused_as!(moving().move_to_version_id(&one).send().await, "InvalidParameterException");
        moving().move_to_version_id(&one).remove_from_version_id(&two).send().await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSCURRENT", "mine"]);
        gone(&client, &name).await
    }

    async fn moved_current_label_changes_current_value(client) {
        let name = unique("moved");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving =
            client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        moving.move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        let got = client.get_secret_value().secret_id(&name).send().await?;
        ensure!(got.secret_string.as_deref() == Some("two"), "{:?}", got.version_id);
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        gone(&client, &name).await
    }

    async fn next_value_removes_pending_label_of_finished_rotation(client) {
        let name = unique("left");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSPENDING"]).await?;
        let moving =
            client.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
        moving.move_to_version_id(&two).remove_from_version_id(&one).send().await?;
        put(&client, &name, "three", &[]).await?;
        ensure!(labels(&client, &name, &two).await? == ["AWSPREVIOUS"]);
        gone(&client, &name).await
    }

    async fn current_label_can_be_moved_but_not_removed(client) {
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

    async fn version_has_at_most_twenty_labels(client) {
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

    async fn deprecated_versions_are_listed_on_request(client) {
        let name = unique("versions");
        let one = made(&client, &name, "one").await?;
        for value in ["two", "three"] {
            put(&client, &name, value, &[]).await?;
        }
        let listed = client.list_secret_version_ids().secret_id(&name).send().await?;
        ensure!(listed.versions().len() == 2, "{}", listed.versions().len());
        let all = client
            .list_secret_version_ids()
            .secret_id(&name)
            .include_deprecated(true)
            .send()
            .await?;
        ensure!(all.versions().len() == 3);
        let deprecated =
            all.versions().iter().find(|version| version.version_id.as_ref() == Some(&one));
        ensure!(
            deprecated.context("the deprecated version is not listed")?.version_stages().is_empty()
        );
        let got = client.get_secret_value().secret_id(&name).version_id(&one).send().await?;
        ensure!(
            got.secret_string.as_deref() == Some("one"),
            "a deprecated version is still readable"
        );
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
        let next = first.next_token.context("there is no next page")?;
        let second = page().next_token(next).send().await?;
        ensure!(second.versions().len() == 2 && second.next_token.is_none());
        refused_as!(page().next_token("nonsense!").send().await, "InvalidNextTokenException");
        gone(&client, &name).await
    }

    async fn version_and_label_must_match(client) {
        let name = unique("both");
        let one = made(&client, &name, "one").await?;
        put(&client, &name, "two", &[]).await?;
        let asked =
            client.get_secret_value().secret_id(&name).version_id(&one).version_stage("AWSCURRENT");
        refused_as!(asked.send().await, "InvalidRequestException");
        let asked = client
            .get_secret_value()
            .secret_id(&name)
            .version_id(&one)
            .version_stage("AWSPREVIOUS");
        ensure!(asked.send().await?.secret_string.as_deref() == Some("one"));
        gone(&client, &name).await
    }
}
