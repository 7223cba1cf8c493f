//! The baseline, which is the minimum time that a rotation can take. Minimal clients make the same
//! calls with the same concurrency, and the same number of logins.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Client;
use serde_json::json;

use super::BenchEnv;
use super::figures::{Measurements, Samples};

/// The baseline, measured in the same run as the function.
pub(super) struct Baseline {
    /// The time of a group of concurrent Secrets Manager calls.
    pub(super) call: Samples,
    /// The time of one login.
    pub(super) login: Samples,
    /// The time of all calls and logins of a rotation.
    pub(super) rotation: Samples,
}

impl Baseline {
    /// Repeats the calls and logins of the function.
    pub(super) async fn measure(
        ground: &BenchEnv,
        figures: &Measurements,
        times: u32,
    ) -> Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        let current = ground.stage.current(ground.secret)?;
        let text = |key: &str| current[key].as_str().unwrap_or_default().to_owned();
        let (user, password) = (text("username"), text("password"));
        let mut floor = Self {
            call: Samples::default(),
            login: Samples::default(),
            rotation: Samples::default(),
        };
        // These calls open the connections, which stay open as those of a warm function do.
        call(ground, &client, figures.waves.iter().copied().max().unwrap_or(1)).await?;
        for _ in 0..times {
            let start = Instant::now();
            for wave in &figures.waves {
                let took = call(ground, &client, *wave).await?;
                floor.call.time(took);
            }
            for _ in 0..figures.sessions {
                let start = Instant::now();
                ground.stage.database.greet(&user, &password).await?;
                floor.login.time(start.elapsed());
            }
            floor.rotation.time(start.elapsed());
        }
        Ok(floor)
    }
}

/// Makes `many` concurrent calls, and returns the time until the last response.
async fn call(ground: &BenchEnv, client: &Client, many: usize) -> Result<Duration> {
    let service = &ground.stage.service;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20200101/us-east-1/secretsmanager/aws4_request",
        ground.stage.key
    );
    let body = json!({"SecretId": ground.stage.arn(ground.secret)}).to_string();
    let start = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..many {
        let request = client
            .post(service.endpoint())
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", &authorization)
            .body(body.clone());
        calls.spawn(async move {
            let answer = request.send().await?;
            let is_fine = answer.status().is_success();
            answer.bytes().await.map(|_| is_fine)
        });
    }
    while let Some(answered) = calls.join_next().await {
        ensure!(answered??, "the local Secrets Manager rejected a call of the baseline");
    }
    Ok(start.elapsed())
}
