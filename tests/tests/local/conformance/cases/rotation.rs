//! Conformance cases of rotation that need no working function.

use super::*;

cases! {
    async fn rotation_needs_a_function(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        refused_as!(
            client.rotate_secret().secret_id(&name).send().await,
            "InvalidRequestException"
        );
        gone(&client, &name).await
    }

    async fn rotation_stages_a_version_that_has_no_value(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        let rotating =
            client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION).send().await?;
        let token = rotating.version_id.context("the service returned no version id")?;
        ensure!(labels(&client, &name, &token).await? == ["AWSPENDING"]);
        let pending =
            client.get_secret_value().secret_id(&name).version_stage("AWSPENDING").send().await;
        refused_as!(pending, "ResourceNotFoundException");
        ensure!(value(&client, &name, "AWSCURRENT").await? == "x");
        // This is what `createSecret` does.
        let put = client
            .put_secret_value()
            .secret_id(&name)
            .client_request_token(&token)
            .secret_string("y");
        put.version_stages("AWSPENDING").send().await?;
        ensure!(value(&client, &name, "AWSPENDING").await? == "y");
        gone(&client, &name).await
    }

    async fn rotation_is_rejected_while_another_is_pending(client) {
        let name = unique("rotated");
        made(&client, &name, "x").await?;
        let rotating = || client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let token =
            rotating().send().await?.version_id.context("the service returned no version id")?;
        refused_as!(rotating().send().await, "InvalidRequestException");
        rotating().client_request_token(&token).send().await?;
        gone(&client, &name).await
    }

    async fn rotation_to_an_earlier_version_is_rejected(client) {
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
        let both = RotationRulesType::builder()
            .automatically_after_days(5)
            .schedule_expression("rate(5 days)");
        refused_as!(rotating(both.build()).await, "InvalidParameterException");
        let often = RotationRulesType::builder().schedule_expression("rate(1 hour)");
        refused_as!(rotating(often.build()).await, "InvalidParameterException");
        let none = RotationRulesType::builder().automatically_after_days(1001);
        refused_as!(rotating(none.build()).await, "ValidationException");
        rotating(
            RotationRulesType::builder()
                .schedule_expression("rate(10 days)")
                .duration("2h")
                .build(),
        )
        .await?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        let rules = described.rotation_rules.context("the secret has no rules")?;
        ensure!(rules.schedule_expression.as_deref() == Some("rate(10 days)"));
        ensure!(described.next_rotation_date.is_some() && described.rotation_enabled == Some(true));
        gone(&client, &name).await
    }

    async fn rotation_rate_in_hours_is_shown_in_days_too(client) {
        let name = unique("rate");
        made(&client, &name, "x").await?;
        let rules = RotationRulesType::builder().schedule_expression("rate(10 hours)").build();
        let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        rotating.rotation_rules(rules).send().await?;
        let described = client.describe_secret().secret_id(&name).send().await?;
        let rules = described.rotation_rules.context("the secret has no rules")?;
        ensure!(rules.automatically_after_days == Some(1), "{rules:?}");
        ensure!(rules.schedule_expression.as_deref() == Some("rate(10 hours)"), "{rules:?}");
        gone(&client, &name).await
    }

    async fn rotation_refused_leaves_no_trace(client) {
        let name = unique("refused");
        made(&client, &name, "x").await?;
        let pending = put(&client, &name, "y", &["AWSPENDING"]).await?;
        let before = client.describe_secret().secret_id(&name).send().await?;
        let rules = RotationRulesType::builder().automatically_after_days(9).build();
        for (function, code) in [
            (FUNCTION, "InvalidRequestException"),
            ("arn:aws:lambda:eu-west-3:123456789012:function:unknown", "AccessDeniedException"),
        ] {
            let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(function);
            let code_of = refused(rotating.rotation_rules(rules.clone()).send().await)?;
            ensure!(code_of == code, "{function}: {code_of} instead of {code}");
        }
        let after = client.describe_secret().secret_id(&name).send().await?;
        ensure!(after.version_ids_to_stages == before.version_ids_to_stages, "{after:?}");
        ensure!(after.rotation_enabled.is_none() && after.rotation_rules.is_none(), "{after:?}");
        ensure!(after.rotation_lambda_arn.is_none() && after.next_rotation_date.is_none());
        ensure!(after.last_changed_date == before.last_changed_date);
        ensure!(labels(&client, &name, &pending).await? == ["AWSPENDING"]);
        gone(&client, &name).await
    }

    async fn rotation_version_without_a_value_is_not_listed(client) {
        let name = unique("unlisted");
        made(&client, &name, "x").await?;
        let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let token = rotating.send().await?.version_id.context("no version id")?;
        let listed = client.list_secret_version_ids().secret_id(&name).include_deprecated(true);
        let listed = listed.send().await?;
        let ids = listed.versions().iter().filter_map(|version| version.version_id.as_ref());
        ensure!(!ids.into_iter().any(|id| *id == token), "the empty version is listed");
        ensure!(labels(&client, &name, &token).await? == ["AWSPENDING"]);
        gone(&client, &name).await
    }

    async fn rotation_cancelled_keeps_its_version(client) {
        let name = unique("cancelled");
        made(&client, &name, "x").await?;
        let rotating = client.rotate_secret().secret_id(&name).rotation_lambda_arn(FUNCTION);
        let token =
            rotating.send().await?.version_id.context("the service returned no version id")?;
        let cancelled = client.cancel_rotate_secret().secret_id(&name).send().await?;
        ensure!(cancelled.version_id.as_ref() == Some(&token), "{:?}", cancelled.version_id);
        let described = client.describe_secret().secret_id(&name).send().await?;
        ensure!(
            described.rotation_enabled == Some(false) && described.next_rotation_date.is_none()
        );
        ensure!(labels(&client, &name, &token).await? == ["AWSPENDING"]);
        gone(&client, &name).await
    }
}
