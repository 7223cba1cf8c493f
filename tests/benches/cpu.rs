//! Benchmarks of what a rotation computes by itself. `make bench` shows whether one of them has
//! become slower.

use std::hint::black_box;
use std::num::NonZeroU32;

use anyhow::{Context, Result};
use criterion::Criterion;
use rotation::{Rotator as _, SecretValue};
use rotation_database::{DatabaseRotator, Password};
use rotation_mysql::native_hash;
use rotation_postgres::{Encryption, Postgres, verifier};

const SECRET: &str = concat!(
    r#"{"engine":"postgres","host":"db.example.com","port":5432,"#,
    r#""username":"app","password":"pw-of-app","dbname":"shop"}"#,
);
const GRANTS: &str = include_str!("../../fuzz/seeds/mysql_shown/grants.sql");
const USER: &str = include_str!("../../fuzz/seeds/mysql_shown/user.sql");

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let password = Password::new("K3-qV7.xW9_tZ2~mB5!nC8*rD4(fG6)h");
    let [usual, once] =
        [4096, 1].map(|iterations| NonZeroU32::new(iterations).map(Encryption::ScramSha256));
    let (usual, once) = usual.zip(once).context("the iteration count is zero")?;
    criterion.bench_function("SCRAM verifier, 4096 iterations", |bencher| {
        bencher.iter(|| verifier("app", black_box(&password), usual));
    });
    criterion.bench_function("SCRAM verifier, 1 iteration", |bencher| {
        bencher.iter(|| verifier("app", black_box(&password), once));
    });
    criterion.bench_function("MD5 verifier", |bencher| {
        bencher.iter(|| verifier("app", black_box(&password), Encryption::Md5));
    });
    criterion.bench_function("MariaDB password hash", |bencher| {
        bencher.iter(|| native_hash(black_box(password.expose())));
    });
    criterion.bench_function("SHOW GRANTS, parsed", |bencher| {
        bencher.iter(|| rotation_mysql::inspect::shown(black_box(GRANTS)));
    });
    criterion.bench_function("SHOW CREATE USER, parsed", |bencher| {
        bencher.iter(|| rotation_mysql::inspect::shown(black_box(USER)));
    });
    let rotator = DatabaseRotator::new(Postgres::default(), &|_| None)?;
    let secret = SecretValue::new(SECRET);
    criterion.bench_function("secret, parsed and validated", |bencher| {
        bencher.iter(|| rotator.validate(black_box(&secret)));
    });
    criterion.final_summary();
    Ok(())
}
