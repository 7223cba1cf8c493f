//! End-to-end tests of MySQL and MariaDB: the real functions on real servers over TLS.

/// Defines a test for MySQL and one for MariaDB from a function that takes a target.
macro_rules! on_both {
    ($($(#[$attribute:meta])* $test:ident)*) => {$(
        mod $test {
            #[tokio::test]
            $(#[$attribute])*
            async fn mysql() {
                rotation_tests::mysql::on_each::<rotation_tests::mysql::MySql, _>(super::$test)
                    .await;
            }

            #[tokio::test]
            $(#[$attribute])*
            async fn mariadb() {
                rotation_tests::mysql::on_each::<rotation_tests::mysql::MariaDb, _>(super::$test)
                    .await;
            }
        }
    )*};
}
pub(crate) use on_both;

mod accounts;
mod failures;
mod fault_injection_without_tls;
mod large;
mod logs;
mod pair_accounts;
mod planted_code;
mod plugins;
mod privileges;
mod proxysql;
mod rotate_file;
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
