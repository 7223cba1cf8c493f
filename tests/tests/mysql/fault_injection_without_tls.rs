//! Tests of the fault-injection matrix for secrets with `"ssl": false`.
//!
//! The server's password cache is empty after each change, so the client sends the password
//! encrypted with the server's RSA key.
//!
//! The users have several accounts, and on MySQL a password history.

/// Defines the tests of one engine.
macro_rules! of {
    ($module:ident, $which:ty: $($test:ident)*) => {
        mod $module {$(
            #[tokio::test]
            async fn $test() {
                rotation_tests::mysql::on_each::<$which, _>(|target| {
                    rotation_tests::suite::recovery::$test(target.unencrypted())
                })
                .await;
            }
        )*}
    };
}

of! { mysql, rotation_tests::mysql::MySql:
    lost_packet_converges_single_user
    lost_packet_converges_single_user_by_master
    lost_answer_converges_alternating_users
    cancelled_then_new_rotation_converges_single_user
    later_rotation_lost_answer_converges
}

of! { mariadb, rotation_tests::mysql::MariaDb:
    lost_packet_converges_single_user
    lost_answer_converges_alternating_users
    later_rotation_lost_answer_converges
}
