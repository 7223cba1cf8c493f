//! A speed test with many secrets. This command prints the measured times:
//! `cargo test --release -p secretsmanager-emulator figures -- --nocapture`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::registry;
use crate::request::Request;
use crate::scope::Scope;
use crate::secret::{CURRENT, Secret, SecretValue, Version};
use crate::store::Store;

const HERE: Scope<'_> = Scope { account: None, region: "eu-west-1" };
const SECRETS: usize = 10_000;
const VERSIONS: usize = 100;

fn filled() -> Store {
    let mut store = Store::default();
    for number in 0..SECRETS {
        let name = format!("team-{}/secret-{number}", number % 100);
        let arn = store.new_arn(HERE, &name);
        let mut secret = Secret::new("eu-west-1", &name, arn, number as f64);
        secret.versions = (0..VERSIONS)
            .map(|version| Version {
                id: format!("{number:08}-0000-0000-0000-{version:012}"),
                value: Some(SecretValue::Text(format!(
                    "{{\"username\":\"app\",\"password\":\"{number}-{version}\"}}"
                ))),
                key: None,
                created: version as f64,
                accessed: None,
                is_test_copy: false,
                labels: if version + 1 == VERSIONS { vec![CURRENT.to_owned()] } else { Vec::new() },
            })
            .collect();
        store.save(secret).unwrap();
    }
    store
}

#[test]
fn ten_thousand_secrets_stay_fast() {
    let start = Instant::now();
    let mut store = filled();
    println!("{SECRETS} secrets of {VERSIONS} versions, created in {:?}", start.elapsed());
    let name =
        |round: usize| format!("team-{}/secret-{}", (round * 37) % 100, (round * 37) % 100 + 5000);
    let asked: [(&str, &dyn Fn(usize) -> Value); 7] = [
        ("GetSecretValue", &|round| json!({"SecretId": name(round)})),
        ("DescribeSecret", &|round| json!({"SecretId": name(round)})),
        ("PutSecretValue", &|round| json!({"SecretId": name(round), "SecretString": "x"})),
        ("RotateSecret", &|round| json!({"SecretId": name(round), "RotationLambdaARN": "f"})),
        ("ListSecrets", &|_| json!({})),
        ("ListSecrets", &|_| json!({"Filters": [{"Key": "all", "Values": ["secret-9999"]}]})),
        (
            "ListSecretVersionIds",
            &|round| json!({"SecretId": name(round), "IncludeDeprecated": true}),
        ),
    ];
    for (operation, body) in asked {
        let mut took: Vec<Duration> = (0..51)
            .map(|round| {
                let body = body(round);
                let request = Request { scope: HERE, now: 1e9, body: &body };
                let start = Instant::now();
                registry::perform(operation, &mut store, &request).unwrap();
                start.elapsed()
            })
            .collect();
        took.sort();
        println!("{operation} {}: median {:?}, slowest {:?}", body(0), took[25], took[50]);
        // The limit leaves room for a build without optimization on a busy machine.
        assert!(took[25] < Duration::from_millis(500), "{operation} takes {:?}", took[25]);
    }
}
