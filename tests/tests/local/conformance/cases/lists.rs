//! Conformance cases of lists, and of what a secret has besides its value.

use super::*;

cases! {
    async fn secrets_are_filtered(client) {
        let (one, other) = (unique("filter-one"), unique("filter-other"));
        // The mark consists of digits, because AWS does not document how other texts are split into
        // words.
        let mark = uuid::Uuid::new_v4().as_u128().to_string();
        let described = format!("Words about {mark}");
        for (name, team) in [(&one, "Red"), (&other, "Blue")] {
            let making =
                client.create_secret().name(name).secret_string("x").description(&described);
            making.tags(tag("Team", &format!("{team}-{mark}"))).send().await?;
        }
        let mine =
            || Filter::builder().key(FilterNameStringType::Description).values(&described).build();
        let listed = async |filter: Filter| -> Result<Vec<String>> {
            let listed = client.list_secrets().filters(mine()).filters(filter).send().await?;
            let names = listed.secret_list().iter().filter_map(|secret| secret.name.clone());
            Ok(names.collect())
        };
        let by = |key: FilterNameStringType, value: String| {
            Filter::builder().key(key).values(value).build()
        };
        ensure!(listed(by(FilterNameStringType::Name, one.clone())).await? == [one.as_str()]);
        ensure!(
            listed(by(FilterNameStringType::TagKey, "team".into())).await?.is_empty(),
            "case of a tag's key"
        );
        ensure!(
            listed(by(FilterNameStringType::TagValue, format!("Red-{mark}"))).await?
                == [one.as_str()]
        );
        ensure!(
            listed(by(FilterNameStringType::Name, format!("!{one}"))).await? == [other.as_str()],
            "negation"
        );
        ensure!(
            listed(by(FilterNameStringType::All, format!("{mark} words"))).await?.len() == 2,
            "all"
        );
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
        let names: Vec<_> =
            first.secret_list().iter().filter_map(|secret| secret.name.clone()).collect();
        ensure!(names == [format!("{mark}-2"), format!("{mark}-1")], "{names:?}");
        let next = first.next_token.context("there is no next page")?;
        let second = list().sort_order(SortOrderType::Desc).next_token(next).send().await?;
        ensure!(second.secret_list().len() == 1 && second.next_token.is_none());
        refused_as!(list().next_token("nonsense!").send().await, "InvalidNextTokenException");
        for number in 0..3 {
            gone(&client, &format!("{mark}-{number}")).await?;
        }
        Ok(())
    }

    async fn secrets_can_be_deleted_between_pages(client) {
        let mark = unique("paged");
        for number in 0..5 {
            made(&client, &format!("{mark}-{number}"), "x").await?;
        }
        let (mut seen, mut token) = (0, None);
        loop {
            let mine = Filter::builder().key(FilterNameStringType::Name).values(&mark).build();
            let page = client
                .list_secrets()
                .filters(mine)
                .max_results(2)
                .set_next_token(token)
                .send()
                .await?;
            for secret in page.secret_list() {
                gone(&client, secret.name().unwrap_or_default()).await?;
                seen += 1;
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        ensure!(seen == 5, "saw {seen} secrets instead of 5");
        Ok(())
    }

    async fn many_values_are_read_at_once(client) {
        let (one, absent) = (unique("batch"), unique("absent"));
        made(&client, &one, "x").await?;
        let got = client
            .batch_get_secret_value()
            .secret_id_list(&one)
            .secret_id_list(&absent)
            .send()
            .await?;
        ensure!(
            got.secret_values().len() == 1
                && got.secret_values()[0].secret_string.as_deref() == Some("x")
        );
        let error = got.errors().first().context("no error for the absent secret")?;
        ensure!(error.error_code.as_deref() == Some("ResourceNotFoundException"), "{error:?}");
        let mine = || Filter::builder().key(FilterNameStringType::Name).values(&one).build();
        let got = client.batch_get_secret_value().filters(mine()).send().await?;
        ensure!(got.secret_values().len() == 1, "the filter did not find one value");
        let both =
            client.batch_get_secret_value().filters(mine()).secret_id_list(&one).send().await;
        refused_as!(both, "InvalidParameterException");
        refused_as!(client.batch_get_secret_value().send().await, "InvalidParameterException");
        gone(&client, &one).await
    }

    async fn passwords_follow_the_requested_options(client) {
        let asked = client
            .get_random_password()
            .password_length(40)
            .exclude_characters("abcABC123")
            .exclude_punctuation(true);
        let password = asked.include_space(true).send().await?.random_password.context("none")?;
        ensure!(password.chars().count() == 40 && password.contains(' '));
        ensure!(!password.contains(|c: char| c.is_ascii_punctuation() || "abcABC123".contains(c)));
        ensure!(
            password.contains(|c: char| c.is_ascii_uppercase())
                && password.contains(|c: char| c.is_ascii_digit())
        );
        let usual = client.get_random_password().send().await?.random_password.context("none")?;
        ensure!(usual.chars().count() == 32 && usual.contains(|c: char| c.is_ascii_punctuation()));
        refused_as!(
            client.get_random_password().password_length(4097).send().await,
            "ValidationException"
        );
        let nothing = client.get_random_password().exclude_lowercase(true).exclude_uppercase(true);
        let nothing = nothing.exclude_numbers(true).exclude_punctuation(true).send().await;
        refused_as!(nothing, "InvalidParameterException");
        refused_as!(
            client.get_random_password().password_length(3).send().await,
            "InvalidParameterException"
        );
        Ok(())
    }

    async fn resource_policies_are_kept_and_checked(client) {
        let name = unique("policy");
        made(&client, &name, "x").await?;
        let policy = r#"{"Version":"2012-10-17","Statement":[{
            "Effect":"Deny","Principal":{"AWS":"*"},
            "Action":"secretsmanager:DeleteSecret","Resource":"*"}]}"#;
        client.put_resource_policy().secret_id(&name).resource_policy(policy).send().await?;
        let got = client.get_resource_policy().secret_id(&name).send().await?;
        ensure!(got.resource_policy.as_deref() == Some(policy));
        let wrong =
            client.put_resource_policy().secret_id(&name).resource_policy("no policy").send().await;
        refused_as!(wrong, "MalformedPolicyDocumentException");
        let public = policy.replace("Deny", "Allow");
        let public = client
            .put_resource_policy()
            .secret_id(&name)
            .resource_policy(public)
            .block_public_policy(true);
        refused_as!(public.send().await, "PublicPolicyException");
        let validated =
            client.validate_resource_policy().resource_policy("no policy").send().await?;
        ensure!(!validated.policy_validation_passed && !validated.validation_errors().is_empty());
        client.delete_resource_policy().secret_id(&name).send().await?;
        ensure!(
            client.get_resource_policy().secret_id(&name).send().await?.resource_policy.is_none()
        );
        gone(&client, &name).await
    }

    async fn reads_and_changes_update_their_dates(client) {
        let name = unique("dates");
        made(&client, &name, "x").await?;
        let first = client.describe_secret().secret_id(&name).send().await?;
        ensure!(first.last_accessed_date.is_none() && first.created_date.is_some());
        client.get_secret_value().secret_id(&name).send().await?;
        let read = client.describe_secret().secret_id(&name).send().await?;
        ensure!(
            read.last_accessed_date.is_some() && read.last_changed_date == first.last_changed_date
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        client.update_secret().secret_id(&name).description("new").send().await?;
        let changed = client.describe_secret().secret_id(&name).send().await?;
        ensure!(changed.last_changed_date > first.last_changed_date);
        gone(&client, &name).await
    }
}
