//! Requests that a broker starts (PROTOCOL A.7). Their correlation numbers are the broker's own.

use bytes::Bytes;
use rocketmq_proto::{CommandView, Frame, RequestCode, ResponseCode};

use crate::engine::Engine;
use crate::io::{CloseReason, ConnId, Now};

/// Answers that wait to be written on one connection, at most: servers ask seldom, one at a time.
const MAX_UNWRITTEN_ANSWERS: usize = 64;
/// So much of a group's name is echoed: none is longer (PROTOCOL E.4).
const MAX_GROUP: usize = 255;

impl Engine {
    /// Answers what can be answered, drops what is oneway.
    pub(crate) fn server_request(
        &mut self,
        now: Now,
        conn: ConnId,
        frame: &Frame,
        request: &CommandView<'_>,
    ) {
        if RequestCode(request.code) == RequestCode::CHECK_TRANSACTION_STATE {
            return self.check_received(conn, request, frame.body());
        }
        if request.flags.is_oneway() {
            return;
        }
        let unwritten = self
            .peers
            .conns
            .get(conn)
            .map_or(0, |link| link.answers.len());
        if unwritten >= MAX_UNWRITTEN_ANSWERS {
            // It asks and asks, and does not read what we answer.
            return self.disconnect(now, conn, CloseReason::Garbage);
        }
        let mut body = Bytes::new();
        let (code, remark) = match RequestCode(request.code) {
            // For consumers: never answered.
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED
            | RequestCode::RESET_CONSUMER_CLIENT_OFFSET => return,
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                body = Bytes::from_static(br#"{"consumerTable":{},"messageQueueTable":{}}"#);
                (ResponseCode::SUCCESS, None)
            }
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => {
                return self.reply_pushed(now, conn, request, frame);
            }
            RequestCode::GET_CONSUMER_RUNNING_INFO | RequestCode::CONSUME_MESSAGE_DIRECTLY => {
                let group = request.ext.get("consumerGroup").unwrap_or_default();
                let group: String = group.chars().take(MAX_GROUP).collect();
                let remark = format!("The Consumer Group <{group}> not exist in this consumer");
                (ResponseCode::SYSTEM_ERROR, Some(remark))
            }
            code => {
                let remark = format!(" request type {} not supported", code.0);
                (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, Some(remark))
            }
        };
        self.transmit_answer(conn, request.opaque, code.0, remark.as_deref(), body);
    }
}
