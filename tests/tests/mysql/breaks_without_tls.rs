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
    the_connection_may_break_at_every_packet_single_user
    the_connection_may_break_at_every_packet_single_user_by_master
    the_connection_may_break_after_every_packet_alternating_users
    a_rotation_given_up_at_any_point_is_followed_by_another_single_user
    a_later_turn_of_alternating_users_may_break_at_any_point
}

of! { mariadb, rotation_tests::mysql::MariaDb:
    the_connection_may_break_at_every_packet_single_user
    the_connection_may_break_after_every_packet_alternating_users
    a_later_turn_of_alternating_users_may_break_at_any_point
}
