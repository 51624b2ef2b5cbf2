//! Whether a failed try is followed by another: a pure function over what happened (PROTOCOL E.10,
//! E.12; DESIGN 6, retry).

use std::time::Duration;

use rocketmq_proto::ResponseCode;

use crate::config::{Config, Retry};
use crate::denial::is_denial;
use crate::error::AttemptFailure;

/// The pause after a first flow-control answer; doubles with each try.
const FLOW_CONTROL_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const FLOW_CONTROL_PAUSE_MAX: Duration = Duration::from_millis(400);

/// What comes after a failed try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Another try, after a pause.
    Again(Duration),
    /// The operation fails.
    GiveUp,
}

/// Decides what comes after the try number `tries`, with `left` of the budget.
pub(crate) fn next_step(
    config: &Config,
    failure: &AttemptFailure,
    tries: u32,
    left: Duration,
) -> Step {
    if tries > config.retries || left.is_zero() || !is_worth_another(config, failure) {
        return Step::GiveUp;
    }
    let pause = pause_after(failure, tries);
    if pause >= left {
        return Step::GiveUp;
    }
    Step::Again(pause)
}

fn is_worth_another(config: &Config, failure: &AttemptFailure) -> bool {
    match failure {
        // GO_AWAY twice is a failed send, and the server has not looked at the message (E.13).
        AttemptFailure::Answered {
            code: ResponseCode::GO_AWAY,
            ..
        } => true,
        // Whoever is not let in here is let in nowhere (G.5).
        AttemptFailure::Answered { code, remark } if is_denial(*code, remark) => false,
        AttemptFailure::Answered { code, .. } => config.retry_codes.contains(code),
        // A success that cannot be read: the message is there (E.12, last row).
        AttemptFailure::BadAnswer(_) => false,
        AttemptFailure::NotStoredOk(_) => true,
        _ => !failure.may_be_stored() || config.retry == Retry::AtLeastOnce,
    }
}

fn pause_after(failure: &AttemptFailure, tries: u32) -> Duration {
    match failure {
        AttemptFailure::Answered {
            code: ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL,
            ..
        } => {
            (FLOW_CONTROL_PAUSE * (1 << tries.saturating_sub(1).min(8))).min(FLOW_CONTROL_PAUSE_MAX)
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use rocketmq_proto::GroupName;

    use super::*;
    use crate::io::{CloseCause, CloseReason};
    use crate::receipt::SendStatus;

    const LEFT: Duration = Duration::from_secs(1);

    fn config() -> Config {
        Config::new(GroupName::new("g").unwrap())
    }

    fn answered(code: ResponseCode) -> AttemptFailure {
        AttemptFailure::Answered {
            code,
            remark: String::new(),
        }
    }

    fn lost(written: bool) -> AttemptFailure {
        AttemptFailure::Lost {
            cause: CloseCause::PeerClosed,
            written,
        }
    }

    /// One row a line of E.10 and E.12, in their order: failure, and whether it is tried again
    /// under `AtLeastOnce` and under `NotAfterWrite`.
    #[test]
    fn each_outcome_of_a_try_is_followed_as_the_table_says() {
        let again = Step::Again(Duration::ZERO);
        let rows = [
            (
                AttemptFailure::NotStoredOk(SendStatus::FlushDiskTimeout),
                again,
                again,
            ),
            (answered(ResponseCode::TOPIC_NOT_EXIST), again, again),
            (answered(ResponseCode::SERVICE_NOT_AVAILABLE), again, again),
            (answered(ResponseCode::SYSTEM_ERROR), again, again),
            (answered(ResponseCode::NO_PERMISSION), again, again),
            (answered(ResponseCode::NO_BUYER_ID), again, again),
            (answered(ResponseCode::NOT_IN_CURRENT_UNIT), again, again),
            (answered(ResponseCode::GO_AWAY), again, again),
            (
                answered(ResponseCode::MESSAGE_ILLEGAL),
                Step::GiveUp,
                Step::GiveUp,
            ),
            (
                answered(ResponseCode::INVALID_PARAMETER),
                Step::GiveUp,
                Step::GiveUp,
            ),
            (answered(ResponseCode(-7)), Step::GiveUp, Step::GiveUp),
            (
                AttemptFailure::Connect(ErrorKind::ConnectionRefused.into()),
                again,
                again,
            ),
            (AttemptFailure::ConnectTimeout(LEFT), again, again),
            (AttemptFailure::NoAddress, again, again),
            (AttemptFailure::NoReply(LEFT), again, Step::GiveUp),
            (lost(false), again, again),
            (lost(true), again, Step::GiveUp),
            (
                AttemptFailure::Dropped {
                    why: CloseReason::Silent,
                    written: true,
                },
                again,
                Step::GiveUp,
            ),
            (
                AttemptFailure::BadAnswer("no msgId".into()),
                Step::GiveUp,
                Step::GiveUp,
            ),
        ];
        for (failure, at_least_once, not_after_write) in rows {
            let mut config = config();
            assert_eq!(
                next_step(&config, &failure, 1, LEFT),
                at_least_once,
                "{failure}"
            );
            config.retry = Retry::NotAfterWrite;
            assert_eq!(
                next_step(&config, &failure, 1, LEFT),
                not_after_write,
                "{failure}"
            );
        }
    }

    #[test]
    fn a_denial_is_final_although_its_code_is_worth_another_try() {
        let config = config();
        let rows = [
            (
                ResponseCode::SYSTEM_ERROR,
                "x.AclException: No acl config for X",
            ),
            (ResponseCode::NO_PERMISSION, "check signature failed."),
        ];
        for (code, remark) in rows {
            assert!(config.retry_codes.contains(&code));
            let remark = remark.to_owned();
            let denied = AttemptFailure::Answered { code, remark };
            assert_eq!(next_step(&config, &denied, 1, LEFT), Step::GiveUp);
        }
    }

    #[test]
    fn a_busy_broker_is_given_a_growing_pause_that_fits_the_budget() {
        let busy = answered(ResponseCode::SYSTEM_BUSY);
        let mut config = config();
        config.retries = 9;
        let pauses: Vec<_> = (1..6)
            .map(|tries| next_step(&config, &busy, tries, LEFT))
            .collect();
        assert_eq!(
            pauses,
            [50, 100, 200, 400, 400].map(|ms| Step::Again(Duration::from_millis(ms)))
        );
        assert_eq!(
            next_step(&config, &busy, 1, Duration::from_millis(50)),
            Step::GiveUp
        );
    }

    #[test]
    fn tries_and_time_both_end_it() {
        let failure = AttemptFailure::Connect(ErrorKind::ConnectionRefused.into());
        let config = config();
        assert_eq!(
            next_step(&config, &failure, 2, LEFT),
            Step::Again(Duration::ZERO)
        );
        assert_eq!(next_step(&config, &failure, 3, LEFT), Step::GiveUp);
        assert_eq!(
            next_step(&config, &failure, 1, Duration::ZERO),
            Step::GiveUp
        );
    }
}
