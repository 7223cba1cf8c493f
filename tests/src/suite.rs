//! The tests that every engine must pass on every server. [`crate::suite!`] defines them for an
//! engine.

pub mod by_master;
pub mod failures;
pub mod leaks;
pub mod names;
pub mod order;
pub mod ordinary;
mod points;
pub(crate) use points::is_exhaustive;
pub mod preflight;
pub mod recovery;

/// Defines the tests of the suite. The first argument is a function that runs a test on the servers
/// of an engine. The second one runs the tests of `recovery`, which take longest.
#[macro_export]
macro_rules! suite {
    ($on_each:expr) => {
        $crate::suite!($on_each, $on_each);
    };
    ($on_each:expr, $on_some:expr) => {
        $crate::suite! { @tests $on_some;
            recovery:
                every_step_twice_and_the_whole_rotation_again
                every_call_of_secrets_manager_may_fail
                the_process_may_be_killed_at_any_call
                the_connection_may_break_at_every_packet_single_user
                the_connection_may_break_at_every_packet_single_user_by_master
                the_connection_may_break_before_every_packet_alternating_users
                the_connection_may_break_after_every_packet_alternating_users
                a_rotation_given_up_at_any_point_is_followed_by_another_single_user
                a_rotation_given_up_at_any_point_is_followed_by_another_alternating_users
                steps_may_come_in_any_way_after_any_point_single_user
                steps_may_come_in_any_way_after_any_point_alternating_users
                a_later_turn_of_alternating_users_may_break_at_any_point
                a_later_turn_of_alternating_users_may_be_given_up_at_any_point
                steps_of_a_later_turn_may_come_in_any_way_after_any_point
                single_user_recovers_with_the_previous_password
                single_user_recovers_from_a_rotation_that_was_given_up
                alternating_users_go_on_when_the_base_user_s_turn_was_given_up
                alternating_users_go_on_when_the_secret_was_edited
                alternating_users_go_on_when_the_current_password_was_edited
                alternating_users_go_on_when_the_database_was_restored;
        }
        $crate::suite! { @tests $on_each;
            ordinary:
                single_user_changes_the_password
                alternating_users_take_turns
                an_ordinary_rotation_is_cheap
                the_function_answers_the_events_under_aws_s_own_emulator;
            order:
                late_duplicates_of_earlier_steps_do_no_harm
                steps_out_of_order_are_refused_and_the_rotation_goes_on
                each_step_may_run_twice_at_once
                what_the_alternate_user_lacks_is_named_by_test_secret
                test_secret_alone_reports_differences_as_notes
                a_password_that_the_database_refuses_is_not_promoted
                an_edit_after_test_secret_is_told_or_keeps_the_password_from_promotion
                a_database_that_is_gone_does_not_keep_a_tested_password_from_promotion;
            by_master:
                a_master_sets_the_password_of_a_single_user
                a_password_that_was_lost_is_set_by_the_master
                the_master_itself_is_refused;
            leaks:
                few_copies_of_passwords_are_left_in_memory;
            preflight:
                preflight_finds_nothing_where_all_is_well
                preflight_names_what_is_wrong;
            failures:
                failures_of_the_network
                the_remedy_of_a_server_that_moved_leads_to_a_rotation
                failures_of_tls
                where_no_file_can_be_made
                a_password_that_no_version_has_is_refused_after_each_was_tried_once
                a_previous_password_for_another_user_or_server_is_not_even_tried
                versions_that_do_not_belong_together_are_refused_before_any_login
                secrets_that_do_not_follow_the_schema
                a_pending_password_that_was_used_before
                what_the_secret_once_held_for_another_user_is_not_tried
                an_earlier_password_is_not_sent_less_protected_than_before
                a_master_that_cannot_be_used;
            names:
                user_names_may_hold_anything_that_the_server_takes
                a_second_user_with_too_long_a_name_is_refused_in_create_secret
                passwords_of_every_punctuation_character_work
                hosts_are_names_or_addresses_and_ports_numbers_or_digits
                unknown_keys_keep_their_order_and_type;
        }
    };
    (@tests $on_each:expr; $($module:ident: $($test:ident)*;)*) => {$(
        mod $module {$(
            #[tokio::test]
            async fn $test() {
                $on_each(|target| $crate::suite::$module::$test(target)).await;
            }
        )*}
    )*};
}
