//! Conformance cases of details that clients notice. Reports about other emulators name each.

use super::*;

/// Returns `true` if `ListSecrets` with a filter finds the secret.
async fn finds(
    client: &Client,
    name: &str,
    key: FilterNameStringType,
    value: String,
) -> Result<bool> {
    let filter = Filter::builder().key(key).values(value).build();
    let listed = client.list_secrets().filters(filter).send().await?;
    Ok(listed.secret_list().iter().any(|secret| secret.name.as_deref() == Some(name)))
}

cases! {
    /// The marks consist of digits, because AWS does not document how other texts are split into
    /// words.
    async fn descriptions_are_filtered_by_the_beginnings_of_words(client) {
        let (name, mark) = (unique("words"), uuid::Uuid::new_v4().as_u128().to_string());
        let described = format!("The {mark} of main databases");
        client.create_secret().name(&name).description(&described).send().await?;
        for key in [FilterNameStringType::Description, FilterNameStringType::All] {
            let found = |value: String| finds(&client, &name, key.clone(), value);
            ensure!(found(format!("{mark} DATA")).await?, "{key}: words in any order and case");
            ensure!(!found(format!("{mark} absent")).await?, "{key}: an absent word");
            ensure!(!found(format!("{mark} bases")).await?, "{key}: the end of a word");
        }
        gone(&client, &name).await
    }

    async fn words_of_all_fields_must_be_in_one_field(client) {
        let (name, mark) = (unique("fields"), uuid::Uuid::new_v4().as_u128().to_string());
        let creating = client.create_secret().name(&name).description("some words");
        creating.tags(tag("team", &format!("{mark} red"))).send().await?;
        let found = |value: String| finds(&client, &name, FilterNameStringType::All, value);
        ensure!(found(format!("RE {mark}")).await?, "the words of a tag");
        ensure!(found(name.clone()).await?, "the name");
        ensure!(!found(format!("{mark} some")).await?, "words of two fields");
        ensure!(!found(mark[4..].to_owned()).await?, "the middle of a word");
        ensure!(!found("arn secretsmanager".into()).await?, "the ARN");
        gone(&client, &name).await
    }

    async fn filter_without_a_key_is_rejected(client) {
        let filter = || Filter::builder().values("x").build();
        let listed = client.list_secrets().filters(filter()).send().await;
        refused_as!(listed, "InvalidParameterException");
        let got = client.batch_get_secret_value().filters(filter()).send().await;
        refused_as!(got, "InvalidParameterException");
        Ok(())
    }

    async fn secret_without_versions_shows_no_stages(client) {
        let name = unique("empty");
        client.create_secret().name(&name).send().await?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.version_ids_to_stages.is_none() && described.tags.is_none());
        let mine = Filter::builder().key(FilterNameStringType::Name).values(&name).build();
        let listed = client.list_secrets().filters(mine).send().await?;
        ensure!(listed.secret_list().iter().all(|one| one.secret_versions_to_stages.is_none()));
        gone(&client, &name).await
    }

    async fn removed_tags_leave_an_empty_list(client) {
        let name = unique("untagged");
        client.create_secret().name(&name).tags(tag("k", "v")).send().await?;
        client.untag_resource().secret_id(&name).tag_keys("k").send().await?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.tags.as_ref().is_some_and(Vec::is_empty), "{:?}", described.tags);
        gone(&client, &name).await
    }

    async fn excluded_space_is_never_generated(client) {
        for _ in 0..20 {
            let asked = client.get_random_password().include_space(true).exclude_characters(" a");
            let password = asked.send().await?.random_password.context("no password")?;
            ensure!(!password.contains([' ', 'a']), "{password}");
        }
        Ok(())
    }

    async fn labels_are_returned_in_alphabetical_order(client) {
        let name = unique("sorted");
        made(&client, &name, "one").await?;
        let put = client.put_secret_value().secret_id(&name).secret_string("two");
        let put = put.version_stages("two").version_stages("AWSCURRENT").version_stages("one");
        let put = put.send().await?;
        let expected = ["AWSCURRENT", "one", "two"];
        ensure!(put.version_stages() == expected, "{:?}", put.version_stages);
        let got = client.get_secret_value().secret_id(&name).send().await?;
        ensure!(got.version_stages() == expected, "{:?}", got.version_stages);
        let version = put.version_id.context("no version")?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        let stages = described.version_ids_to_stages.context("no stages")?;
        ensure!(stages[&version] == expected, "{stages:?}");
        let listed = client.list_secret_version_ids().secret_id(&name).send().await?;
        let mut listed = listed.versions().iter();
        ensure!(listed.any(|version| version.version_stages() == expected));
        gone(&client, &name).await
    }

    async fn update_does_not_accept_an_existing_version(client) {
        let (name, token) = (unique("update"), token());
        let creating = client.create_secret().name(&name).secret_string("one");
        creating.client_request_token(&token).send().await?;
        let update = || {
            let call = client.update_secret().secret_id(&name).secret_string("one");
            call.description("new").client_request_token(&token).send()
        };
        refused_as!(update().await, "ResourceExistsException");
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(described.description.is_none(), "the refused call changed the description");
        gone(&client, &name).await
    }

    async fn secret_without_a_value_gets_a_first_current_version(client) {
        // A rotation of an empty secret does this: no version has AWSCURRENT to take it from.
        let name = unique("firstly");
        client.create_secret().name(&name).send().await?;
        let version = put(&client, &name, "one", &["AWSPENDING"]).await?;
        let moving = client.update_secret_version_stage().secret_id(&name);
        moving.version_stage("AWSCURRENT").move_to_version_id(&version).send().await?;
        ensure!(value(&client, &name, "AWSCURRENT").await? == "one");
        gone(&client, &name).await
    }

    async fn removed_label_changes_no_other_version(client) {
        let name = unique("kept");
        let one = made(&client, &name, "one").await?;
        let two = put(&client, &name, "two", &["AWSCURRENT", "mine"]).await?;
        let removing = client.update_secret_version_stage().secret_id(&name).version_stage("mine");
        removing.remove_from_version_id(&two).send().await?;
        ensure!(labels(&client, &name, &one).await? == ["AWSPREVIOUS"]);
        ensure!(labels(&client, &name, &two).await? == ["AWSCURRENT"]);
        ensure!(value(&client, &name, "AWSPREVIOUS").await? == "one");
        gone(&client, &name).await
    }

    async fn label_of_a_new_value_is_taken_from_its_holder(client) {
        let name = unique("taken");
        made(&client, &name, "one").await?;
        for value in ["two", "three", "four"] {
            put(&client, &name, value, &["mine"]).await?;
        }
        ensure!(value(&client, &name, "mine").await? == "four");
        let listed = client.list_secret_version_ids().secret_id(&name).send().await?;
        ensure!(listed.versions().len() == 2, "{}", listed.versions().len());
        gone(&client, &name).await
    }

    async fn policies_of_a_deleted_secret_cannot_be_used(client) {
        let name = unique("policies");
        made(&client, &name, "x").await?;
        let got = client.get_resource_policy().secret_id(&name).send().await?;
        ensure!(got.resource_policy.is_none() && got.arn.is_some() && got.name.is_some());
        client.delete_secret().secret_id(&name).recovery_window_in_days(7).send().await?;
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
            "Action":"*","Resource":"*"}]}"#;
        let put = client.put_resource_policy().secret_id(&name).resource_policy(policy);
        refused_as!(put.send().await, "InvalidRequestException");
        refused_as!(
            client.get_resource_policy().secret_id(&name).send().await,
            "InvalidRequestException"
        );
        refused_as!(
            client.delete_resource_policy().secret_id(&name).send().await,
            "InvalidRequestException"
        );
        gone(&client, &name).await
    }

    async fn recreated_secret_has_another_arn(client) {
        let name = unique("again");
        let mut arns = Vec::new();
        for _ in 0..2 {
            let created = client.create_secret().name(&name).secret_string("x").send().await?;
            arns.push(created.arn.context("no ARN")?);
            gone(&client, &name).await?;
        }
        ensure!(arns[0] != arns[1], "{arns:?}");
        Ok(())
    }
}
