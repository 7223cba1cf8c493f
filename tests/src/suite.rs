//! The tests that every engine must pass on every server. [`crate::suite!`] defines them for an
//! engine.

pub mod failures;
mod fault_injection;
pub mod happy_path;
pub mod identifiers;
pub mod leaks;
pub mod single_user_by_master;
pub mod step_ordering;
pub(crate) use fault_injection::is_exhaustive;
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
                repeated_steps_and_rotation_converge
                failed_secrets_manager_call_converges
                sigkill_at_any_call_converges
                lost_packet_converges_single_user
                lost_packet_converges_single_user_by_master
                lost_request_converges_alternating_users
                lost_answer_converges_alternating_users
                cancelled_then_new_rotation_converges_single_user
                cancelled_then_new_rotation_converges_alternating_users
                out_of_order_steps_converge_single_user
                out_of_order_steps_converge_alternating_users
                later_rotation_lost_answer_converges
                later_rotation_cancelled_then_new_converges
                later_rotation_out_of_order_steps_converge
                edited_password_recovers_from_awsprevious
                cancelled_rotation_recovers_from_deprecated_version
                cancelled_rotation_of_base_user_recovers
                edited_secret_recovers_alternating_users
                edited_password_recovers_alternating_users
                restored_database_recovers_alternating_users;
        }
        $crate::suite! { @tests $on_each;
            happy_path:
                single_user_gets_new_password
                users_alternate_and_previous_one_still_works
                rotation_stays_within_call_and_session_budget
                events_succeed_under_runtime_interface_emulator;
            step_ordering:
                late_duplicate_steps_change_nothing
                early_steps_are_rejected_and_rotation_succeeds
                concurrent_duplicate_steps_converge
                test_secret_reports_differences_of_alternate_user
                test_secret_alone_reports_differences_as_notes
                rejected_password_is_not_promoted
                edit_after_test_secret_is_reported_or_blocks_promotion
                unreachable_database_does_not_block_promotion;
            single_user_by_master:
                master_user_sets_password_of_single_user
                master_user_replaces_lost_password
                unknown_single_user_is_reported
                master_user_as_target_is_rejected;
            leaks:
                few_copies_of_passwords_stay_in_memory;
            preflight:
                preflight_passes_for_valid_secret
                preflight_reports_every_problem;
            failures:
                network_failures_have_distinct_errors
                moved_server_remedy_leads_to_rotation
                tls_failures_have_distinct_errors
                unusable_temporary_folder_is_reported
                unknown_password_fails_after_each_version_once
                previous_password_of_other_user_or_server_is_not_tried
                mismatched_versions_are_rejected_before_login
                malformed_secret_reports_every_problem
                reused_pending_password_is_rejected
                deprecated_password_of_other_user_is_not_tried
                earlier_password_is_not_sent_over_weaker_tls
                unusable_master_secret_is_reported;
            identifiers:
                unusual_user_names_rotate
                too_long_alternate_name_fails_in_create_secret
                passwords_with_any_punctuation_work
                host_and_port_spellings_are_accepted
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
