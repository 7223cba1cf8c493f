//! MySQL and MariaDB, end to end: the real functions, real servers, TLS.

/// Makes one test for each of the two servers out of a function over a target.
macro_rules! on_both {
    ($($test:ident)*) => {$(
        mod $test {
            #[tokio::test]
            async fn mysql() {
                rotation_tests::mysql::on_each::<rotation_tests::mysql::MySql, _>(super::$test).await;
            }

            #[tokio::test]
            async fn mariadb() {
                rotation_tests::mysql::on_each::<rotation_tests::mysql::MariaDb, _>(super::$test).await;
            }
        }
    )*};
}
pub(crate) use on_both;

mod accounts;
mod breaks_without_tls;
mod failures;
mod hostile;
mod local;
mod logs;
mod plugins;
mod privileges;
mod settings;
mod sync;
mod two_passwords;
mod unencrypted;

mod suite {
    mod mysql {
        rotation_tests::suite!(rotation_tests::mysql::on_each::<rotation_tests::mysql::MySql, _>);
    }

    mod mariadb {
        rotation_tests::suite!(rotation_tests::mysql::on_each::<rotation_tests::mysql::MariaDb, _>);
    }
}
