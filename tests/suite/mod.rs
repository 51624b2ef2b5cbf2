//! What a producer promises, whatever runtime it is on (DESIGN 10.4).
//!
//! Each scenario is written once, against [`Harness`], as plain blocking code: what is asynchronous about a
//! runtime is its harness's business. A runtime's test target includes this folder and names its harness:
//!
//! ```text
//! #[path = "support/reader.rs"]
//! mod reader;
//! #[macro_use]
//! #[path = "../../tests/suite/mod.rs"]
//! mod suite;
//!
//! suite_everywhere!(current_thread, crate::CurrentThread, crate::suite::Servers::in_process());
//! suite_in_process!(current_thread_faults, crate::CurrentThread);
//! ```
//!
//! The modules `sending`, `placing` and a part of `gathering` and of `admin` need nothing but servers, so they also run beside real ones
//! (`tests/scripts/real-servers.sh`); all others bend and break the servers in process (`rocketmq_testkit`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_engine::{
    BrokerStats, Config, ConfigError, CreatedTopic, Decision, Event, NewTopic, QueryResult,
    SendError, SendReceipt, ShutdownReport, Stats, TransactionReceipt,
};
use rocketmq_proto::{Batch, ClusterInfo, Message, MessageQueue, StoredMessage};

pub(crate) mod support;

pub(crate) mod admin;
pub(crate) mod bad_input;
pub(crate) mod cancelling;
#[cfg(feature = "tls")]
pub(crate) mod certificates;
pub(crate) mod connections;
pub(crate) mod discovered;
#[cfg(feature = "tls")]
pub(crate) mod encrypted;
pub(crate) mod ending;
pub(crate) mod fault;
pub(crate) mod gathering;
pub(crate) mod hooking;
pub(crate) mod name_server_list;
pub(crate) mod name_servers;
pub(crate) mod naming;
pub(crate) mod placing;
pub(crate) mod pressure;
pub(crate) mod proxied;
pub(crate) mod reaching;
#[allow(dead_code, reason = "for targets beside real servers")]
pub(crate) mod real;
pub(crate) mod requesting;
pub(crate) mod retrying;
pub(crate) mod sending;
#[cfg(feature = "acl")]
pub(crate) mod signed;
pub(crate) mod static_topics;
pub(crate) mod timing;
pub(crate) mod together;
pub(crate) mod tracing;
pub(crate) mod transactions;
pub(crate) mod watching;

pub(crate) use support::Servers;

/// The outcome of a send.
pub(crate) type Sent = Result<SendReceipt, SendError>;

/// A runtime, as a scenario sees it.
pub(crate) trait Harness: Sized {
    type Producer: Producer;

    /// A runtime of its own, so that scenarios do not meet.
    fn new() -> Self;

    /// Starts a producer on it.
    fn start(
        &self,
        group: &str,
        name_servers: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String>;

    /// Starts producers of these groups on one client, and lets go of the client.
    fn start_on_one_client(
        &self,
        groups: &[&str],
        name_servers: &str,
    ) -> Result<Vec<Self::Producer>, String>;

    /// Ends the runtime at once, with everything that runs on it.
    fn abort(self);
}

/// The calls of `producer.admin()`, for whoever declares or makes them: `admin_calls!(macro)`.
macro_rules! admin_calls {
    ($with:ident) => {
        $with! {
            create_topic(topic: NewTopic) -> CreatedTopic;
            search_offset(queue: &MessageQueue, unix_ms: u64) -> i64;
            max_offset(queue: &MessageQueue) -> i64;
            min_offset(queue: &MessageQueue) -> i64;
            earliest_store_time(queue: &MessageQueue) -> i64;
            view_message(id: &str) -> StoredMessage;
            find_message(topic: &str, id: &str) -> StoredMessage;
            view_by_unique_id(topic: &str, id: &str) -> StoredMessage;
            query_message(topic: &str, key: &str, max: u32, unix_ms: Range<u64>) -> QueryResult;
            cluster_info() -> ClusterInfo;
            topic_list() -> Vec<String>;
        }
    };
}
#[allow(unused_imports, reason = "for harnesses in files of their own")]
pub(crate) use admin_calls;

macro_rules! declare {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $kind),*) -> Result<$answer, SendError>;)+
    };
}

/// What a producer can be asked beside its sends.
pub(crate) trait Admin {
    admin_calls!(declare);

    fn max_offset_within(&self, queue: &MessageQueue, budget: Duration) -> Result<i64, SendError>;
    fn recall(&self, topic: &str, handle: &str) -> Result<String, SendError>;
}

/// A producer, as a scenario sees it: every call blocks until it is over.
pub(crate) trait Producer: Admin + Clone + Send + 'static {
    type Pending: Pending;
    type Events: Events;

    /// Whether this world's sends can be given up while they wait for room.
    const CAN_CANCEL: bool = true;

    fn send(&self, message: Message) -> Sent;
    /// One task, or thread, for each message, all of them at once.
    fn send_at_once(&self, messages: Vec<Message>) -> Vec<Sent>;
    fn send_batch(&self, batch: Batch) -> Sent;
    fn send_oneway(&self, message: Message) -> Result<(), SendError>;
    fn request(&self, message: Message, timeout: Duration) -> Result<StoredMessage, SendError>;
    fn reply(&self, request: &StoredMessage, body: &'static str) -> Sent;
    /// Waits for room.
    fn enqueue(&self, message: Message) -> Result<Self::Pending, SendError>;
    #[allow(clippy::result_large_err, reason = "a scenario copies it once")]
    fn try_enqueue(&self, message: Message) -> Result<Self::Pending, (Message, SendError)>;
    /// A send that was made and is dropped before anybody waited for it.
    fn forget(&self, message: Message);
    /// A send that has begun and for which nobody waits yet. Dropping it gives it up.
    fn begin(&self, message: Message) -> Self::Pending;
    fn publish_queues(&self, topic: &str) -> Result<Vec<MessageQueue>, SendError>;
    fn ready(&self, topic: &str) -> Result<(), SendError>;
    fn set_name_servers(&self, list: &str) -> Result<(), ConfigError>;
    fn flush(&self);
    fn shutdown(&self, grace: Duration) -> ShutdownReport;
    fn events(&self) -> Self::Events;
    fn stats(&self) -> Stats;
    fn broker_stats(&self) -> Vec<BrokerStats>;
}

/// Answers the brokers' questions about half messages.
pub(crate) type Listener = Arc<dyn Fn(StoredMessage) -> Decision + Send + Sync>;

/// A runtime whose builders take a check-back listener.
pub(crate) trait Transacts: Harness<Producer: Transact> {
    fn start_transacting(
        &self,
        group: &str,
        name_servers: &str,
        listener: Listener,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self::Producer, String>;
}

/// A producer that can send in a transaction.
pub(crate) trait Transact: Producer {
    fn transact(
        &self,
        message: Message,
        local: impl FnOnce(&Message, &SendReceipt) -> Decision + Send + 'static,
    ) -> Result<TransactionReceipt, SendError>;
}

/// A send under way. Waiting for it needs no runtime: it must end when that is gone as well.
pub(crate) trait Pending: Send + 'static {
    /// The outcome, or `None` when it did not come in time.
    fn wait_within(self, patience: Duration) -> Option<Sent>;

    /// The outcome. Fails the test when there is none.
    fn wait(self) -> Sent
    where
        Self: Sized,
    {
        self.wait_within(support::PATIENCE)
            .expect("every send must end, and this one hangs")
    }
}

/// What happens to a producer.
pub(crate) trait Events: Send + 'static {
    /// The next event; `None` when there is none in time, or never will be.
    fn next_within(&mut self, patience: Duration) -> Option<Event>;
    fn lost(&self) -> u64;
}

/// Every scenario that runs beside any servers: `suite_everywhere!(name, harness type, servers)`.
macro_rules! suite_everywhere {
    ($runtime:ident, $harness:ty, $servers:expr) => {
        mod $runtime {
            suite_everywhere! { @tests $harness, $servers;
                sending:
                    a_message_is_stored_as_it_was_sent,
                    enqueued_messages_are_confirmed_and_stored_once,
                    oneway_messages_are_stored,
                    the_members_of_a_batch_are_stored_with_ids_of_their_own,
                    a_batch_goes_to_the_queue_of_its_key,
                    a_large_body_travels_compressed_and_is_read_back_whole,
                    a_body_that_does_not_shrink_travels_as_it_is,
                    binary_headers_carry_every_kind_of_send,
                    messages_at_the_size_limit_are_stored,
                    a_thousand_tasks_at_once_all_get_through,
                    the_same_message_sent_twice_gets_two_ids,
                    a_text_file_comes_back_line_by_line,
                    a_text_file_in_batches_comes_back_line_by_line;
                gathering:
                    each_caller_gets_the_receipt_of_its_own_message;
                tracing:
                    what_was_sent_is_traced;
                placing:
                    a_message_goes_to_the_queue_it_names,
                    a_key_picks_the_queue_that_java_picks,
                    messages_of_one_key_stay_in_order,
                    a_selector_sees_queues_and_message_and_its_choice_holds;
                requesting:
                    replies_come_back_to_who_asked;
                admin:
                    what_was_sent_is_found_again,
                    a_topic_that_was_made_can_be_sent_to,
                    the_cluster_is_told;
            }
        }
    };
    (@tests $harness:ty, $servers:expr; $($module:ident: $($name:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $name() {
                if let Some(servers) = $servers {
                    crate::suite::$module::$name::<$harness>(&servers);
                }
            })+
        })+
    };
}

/// Every scenario that needs real servers: `suite_real!(name, harness type)`.
#[allow(unused_macros, reason = "for targets beside real servers")]
macro_rules! suite_real {
    ($runtime:ident, $harness:ty) => {
        mod $runtime {
            suite_in_process! { @tests $harness;
                real:
                    a_killed_broker_loses_nothing_confirmed_and_costs_two_seconds,
                    a_transaction_is_delivered_at_once_or_when_the_broker_has_asked_or_never;
            }
        }
    };
}

/// Every scenario that needs servers which obey: `suite_in_process!(name, harness type)`.
macro_rules! suite_in_process {
    ($runtime:ident, $harness:ty) => {
        mod $runtime {
            suite_in_process! { @tests $harness;
                admin:
                    what_is_not_there_is_not_found,
                    large_messages_are_found_whole,
                    a_topic_is_made_although_a_broker_fails_at_first,
                    a_question_ends_in_its_own_time,
                    a_question_outlives_a_broker_that_goes_away,
                    nobody_answers_for_name_servers_that_are_gone,
                    a_message_for_later_can_be_taken_back,
                    an_old_broker_cannot_take_messages_back,
                    an_old_broker_gets_no_message_that_it_would_deliver_at_once,
                    whoever_allows_it_has_timers_ignored;
                bad_input:
                    a_topic_of_128_characters_is_refused,
                    illegal_characters_in_a_topic_are_refused,
                    an_empty_body_is_refused,
                    a_body_over_the_limit_is_refused,
                    an_unknown_topic_without_auto_create_is_an_error,
                    a_topic_that_appears_is_found,
                    a_batch_over_the_limit_is_refused,
                    a_wrong_setting_is_refused_at_the_start,
                    a_broker_that_refuses_a_message_is_quoted;
                cancelling:
                    dropped_before_its_first_poll_it_is_not_sent,
                    dropped_while_it_waits_for_room_it_is_not_sent,
                    dropped_while_it_waits_for_the_route_it_is_sent_all_the_same,
                    dropped_after_it_was_written_it_keeps_its_room_until_the_answer,
                    dropped_deliveries_arrive,
                    a_storm_of_cancelled_sends_leaves_no_permit_behind;
                connections:
                    a_half_open_broker_leaves_time_for_the_other_one,
                    garbage_from_a_broker_is_survived,
                    a_frame_that_claims_two_gib_is_survived,
                    garbage_from_the_only_broker_is_named_in_the_error,
                    going_away_once_goes_unnoticed,
                    going_away_twice_leads_to_the_other_broker,
                    going_away_for_ever_is_an_error_that_says_so,
                    a_stopped_broker_is_an_error_until_it_is_back,
                    a_broker_killed_under_load_costs_no_message,
                    an_answer_cut_short_is_no_answer,
                    a_second_answer_changes_nothing,
                    a_broker_hears_who_we_are_before_the_first_message;
                discovered:
                    the_first_send_finds_the_name_servers_by_itself,
                    a_list_that_changes_is_followed,
                    each_wrong_answer_is_an_error_that_says_so_in_time,
                    when_nobody_is_there_the_error_says_so_in_time,
                    without_name_servers_and_discovery_there_is_no_producer;
                ending:
                    flush_waits_for_all_that_was_sent_before,
                    flush_waits_for_what_fails_too,
                    flush_of_an_idle_producer_returns_at_once,
                    shutdown_delivers_what_is_under_way_and_says_goodbye,
                    shutdown_gives_up_when_the_grace_is_over,
                    shutdown_refuses_who_waits_for_room,
                    nothing_is_sent_after_a_shutdown,
                    dropping_the_last_handle_drains_in_the_background,
                    when_the_runtime_is_dropped_every_delivery_ends,
                    when_the_runtime_is_dropped_before_a_route_is_known_every_send_ends;
                gathering:
                    a_lone_message_is_held_for_the_linger_and_no_longer,
                    a_full_batch_does_not_wait,
                    a_flush_sends_what_is_gathered,
                    a_shutdown_sends_what_is_gathered,
                    dropped_while_it_is_gathered_it_is_sent_all_the_same;
                name_server_list:
                    a_new_list_is_used_at_once_and_old_connections_are_closed,
                    a_send_that_waits_for_a_silent_one_goes_on_with_the_new_list,
                    a_wrong_list_is_refused_and_the_old_one_stays,
                    a_host_name_is_looked_up_at_each_connect;
                fault:
                    a_slow_broker_is_passed_over_and_that_is_told,
                    with_every_broker_isolated_messages_still_go_out,
                    a_broker_that_failed_is_probed_and_told_to_be_back,
                    each_broker_has_numbers_of_its_own;
                hooking:
                    hooks_see_a_send_from_before_to_after,
                    a_hook_that_panics_harms_only_its_own_send,
                    a_hook_may_use_the_producer;
                naming:
                    a_namespace_is_seen_by_the_servers_only,
                    replies_come_back_into_a_namespace,
                    the_second_kind_of_namespace_changes_no_name;
                name_servers:
                    one_that_refuses_is_passed_over,
                    one_that_never_answers_is_passed_over,
                    one_that_never_answers_is_passed_over_within_a_short_budget,
                    one_that_answers_garbage_is_passed_over,
                    one_that_claims_two_gib_is_passed_over,
                    one_that_answers_errors_is_passed_over,
                    when_all_refuse_the_error_names_them_in_time,
                    when_none_answers_the_error_names_them_in_time,
                    when_they_come_back_everything_works_again,
                    a_known_route_outlives_them;
                pressure:
                    the_number_under_way_is_bounded,
                    the_bytes_under_way_are_bounded,
                    a_message_larger_than_the_budget_passes_alone,
                    room_is_given_first_come_first_served,
                    a_large_message_in_line_is_not_overtaken,
                    oneway_messages_have_room_of_their_own,
                    no_room_in_time_is_an_error_that_says_so;
                placing:
                    a_selector_that_panics_is_an_error_and_no_more,
                    failing_selectors_in_line_end_one_after_the_other,
                    a_message_that_panics_when_it_is_dropped_harms_no_other,
                    a_selector_that_chooses_nothing_is_an_error,
                    a_selector_that_chooses_what_does_not_exist_is_an_error,
                    queues_take_turns,
                    chance_reaches_every_queue_and_a_retry_stays_with_its_choice,
                    a_topic_with_an_order_configuration_has_the_queues_it_says;
                proxied:
                    every_connection_of_a_range_goes_through_the_proxy,
                    connections_outside_the_range_go_directly,
                    the_first_range_that_matches_counts,
                    the_proxy_looks_up_host_names,
                    user_and_password_are_given_and_checked,
                    a_proxy_that_wants_a_password_says_so,
                    a_target_that_the_proxy_refuses_is_an_error_until_it_is_not,
                    a_dead_proxy_is_an_error_that_names_it,
                    a_proxy_that_never_answers_is_given_up_in_time,
                    what_is_no_proxy_is_an_error_that_says_so,
                    a_real_proxy_connects_us_if_there_is_one;
                requesting:
                    a_request_gets_its_reply,
                    replies_find_their_requests_through_any_broker,
                    a_request_without_a_reply_ends_in_time_and_says_that_it_was_stored,
                    a_reply_that_comes_too_late_is_counted_and_harms_nobody,
                    a_reply_that_comes_before_the_confirmation_is_enough,
                    a_large_reply_travels_compressed_and_is_read_back_whole,
                    what_is_no_request_gets_no_reply;
                reaching:
                    servers_are_dialled_where_the_table_says,
                    an_error_names_what_was_said_and_what_was_dialled,
                    a_map_that_panics_is_an_error_that_says_so,
                    sends_go_to_the_vip_port_and_heartbeats_do_not;
                retrying:
                    each_retryable_code_leads_to_the_other_broker,
                    a_code_that_is_final_ends_it,
                    a_reset_before_the_message_was_handled_leads_to_the_other_broker,
                    a_reset_instead_of_the_answer_leads_to_the_other_broker_with_the_same_id,
                    without_retry_after_write_a_lost_answer_is_an_error,
                    a_message_for_one_queue_is_retried_there,
                    when_every_try_fails_the_error_lists_them,
                    stored_but_not_flushed_is_a_receipt_that_says_so,
                    stored_but_not_flushed_may_lead_to_the_other_broker;
                static_topics:
                    messages_go_to_the_logical_queues_of_a_static_topic,
                    a_logical_queue_that_moves_is_followed,
                    a_logical_queue_that_stays_refused_is_an_error;
                timing:
                    a_silent_broker_is_given_up_at_the_deadline,
                    a_silent_broker_leaves_time_for_the_other_one,
                    a_message_may_have_its_own_deadline,
                    the_route_is_part_of_the_budget,
                    a_busy_broker_keeps_its_requests,
                    one_lost_answer_among_many_is_tried_again_elsewhere,
                    one_overdue_answer_does_not_hurt_its_neighbours,
                    a_late_answer_is_counted_and_dropped,
                    readiness_has_a_deadline;
                together:
                    two_producers_in_one_process_do_not_meet,
                    producers_on_two_clusters_do_not_meet,
                    nothing_of_the_process_is_touched,
                    producers_of_one_client_share_its_connections,
                    the_last_producer_of_a_client_closes_its_connections,
                    a_group_has_one_producer_on_a_client,
                    a_producer_is_used_from_any_thread;
                tracing:
                    records_leave_by_themselves_after_the_linger,
                    a_shutdown_takes_the_trace_along,
                    records_without_room_are_dropped_and_counted,
                    without_a_trace_topic_everything_else_works,
                    the_ends_of_transactions_are_traced;
                transactions:
                    a_committed_message_is_delivered_and_a_rolled_back_one_is_not,
                    the_local_transaction_sees_the_message_and_its_confirmation,
                    what_is_left_unknown_is_settled_when_the_broker_asks,
                    a_local_transaction_that_fails_or_panics_is_unknown,
                    a_half_message_that_is_not_safe_is_rolled_back_unrun,
                    without_a_listener_a_transaction_is_refused,
                    a_listener_that_panics_is_asked_again,
                    checks_come_while_the_local_transaction_runs,
                    a_broker_killed_before_the_end_asks_when_it_is_back,
                    after_a_shutdown_nobody_is_asked,
                    a_shutdown_waits_for_the_local_transaction_and_its_end;
                watching:
                    events_tell_what_happens,
                    events_that_nobody_takes_are_counted,
                    events_end_with_the_producer,
                    stats_add_up;
            }
        }
    };
    (@tests $harness:ty; $($module:ident: $($name:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $name() {
                crate::suite::$module::$name::<$harness>();
            })+
        })+
    };
}

/// Every scenario under TLS, for targets with the feature `tls`: `suite_encrypted!(name, harness type)`.
#[cfg(feature = "tls")]
macro_rules! suite_encrypted {
    ($runtime:ident, $harness:ty) => {
        mod $runtime {
            suite_in_process! { @tests $harness;
                encrypted:
                    every_kind_of_send_gets_through,
                    bodies_of_four_mib_get_through,
                    name_servers_are_asked_for_in_the_clear,
                    a_restarted_server_is_reached_again,
                    a_name_may_be_expected_instead_of_the_address,
                    each_wrong_certificate_has_its_own_error,
                    a_wrong_certificate_of_a_name_server_is_named_too,
                    clients_show_a_certificate_when_they_have_to,
                    a_plain_server_is_an_error_that_says_so,
                    a_handshake_without_an_answer_ends_in_time,
                    garbage_under_tls_ends_the_connection,
                    each_mode_serves_whom_it_should,
                    nobody_is_trusted_unless_that_was_asked_for_by_name,
                    a_broker_killed_under_load_costs_no_message,
                    a_proxy_may_be_on_the_way;
            }
        }
    };
}

/// Every scenario with signed requests, for targets with the feature `acl`: `suite_signed!(name, harness type)`.
#[cfg(feature = "acl")]
macro_rules! suite_signed {
    ($runtime:ident, $harness:ty) => {
        mod $runtime {
            suite_in_process! { @tests $harness;
                signed:
                    every_kind_of_send_is_signed_as_each_release_checks_it,
                    bodies_of_four_mib_are_signed,
                    a_try_on_another_broker_is_signed_anew,
                    whoever_signs_wrongly_is_denied_at_once_by_the_broker,
                    whoever_signs_wrongly_is_denied_by_the_name_server,
                    temporary_credentials_send_their_token;
            }
        }
    };
}
