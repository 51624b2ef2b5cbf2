//! Reply messages: pushed to the requester, then stored (PROTOCOL G.3, B.7, J.5).

use std::time::Duration;

use rocketmq_proto::{
    Flags, RequestCode, ResponseCode,
    header::{ReplyMessageRequest, SendMessageRequest},
};

use super::{
    Broker,
    checks::{Accepted, Rejection},
    send::{Receipt, decode_send},
};
use crate::{Action, Flavour, ServerNow, properties, request::Request, store::NewMessage};

impl Broker {
    pub(super) fn answer_reply(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        out: &mut Vec<Action>,
    ) {
        let outcome =
            decode_send(request).and_then(|header| self.take_reply(now, request, &header, out));
        self.answer_outcome(request, outcome);
    }

    fn take_reply(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Receipt, Rejection> {
        let accepted = self.check_send(now, request, header)?;
        let mut stored = header.properties.as_deref().unwrap_or_default().to_owned();
        let Some(client_id) = properties::find(&stored, "REPLY_TO_CLIENT").map(str::to_owned)
        else {
            return Err(failed("reply message properties[REPLY_TO_CLIENT] is null"));
        };
        let Some(conn) = self.clients.conn_of(now, &client_id) else {
            return Err(failed(format!(
                "push reply message fail, channel of <{client_id}> not found."
            )));
        };
        self.append_broker_properties(&mut stored);
        properties::append(&mut stored, "PUSH_REPLY_TIME", &now.unix_ms.to_string());
        let body = request.frame.body();
        let push = self.push_header(now, request, header, &accepted, &stored);
        let code = RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT.0;
        let Some(bytes) = self.desk.start_request(code, Flags::REQUEST, &push, &body) else {
            return Err(failed(format!("push reply message to {client_id}fail.")));
        };
        out.push(Action::Write {
            conn,
            bytes,
            after: Duration::ZERO,
        });
        self.store_reply(now, request, header, &accepted, &stored)
    }

    /// The stored message's offsets, or `"0"` and 0 when replies are not stored.
    fn store_reply(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
        accepted: &Accepted,
        properties: &str,
    ) -> Result<Receipt, Rejection> {
        let mut receipt = Receipt {
            status: ResponseCode::SUCCESS,
            msg_id: "0".to_owned(),
            queue_id: accepted.queue_id,
            queue_offset: 0,
            transaction_id: None,
            recall_handle: None,
        };
        let body = request.frame.body();
        let message = NewMessage {
            topic: &header.topic,
            queue_id: accepted.queue_id,
            flag: header.flag,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            born_host: request.peer,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_offset: 0,
            properties,
            body: &body,
        };
        let fits = self.store.has_room(message.stored_len(self.config.address));
        // What cannot be stored was pushed all the same, and that is what is answered.
        if self.config.store_replies && fits {
            if let Ok(put) = self.store.append(now, message) {
                receipt.msg_id = self.offset_id(put);
                receipt.queue_offset = put.queue_offset;
            }
        }
        Ok(receipt)
    }

    fn push_header<'a>(
        &self,
        now: ServerNow,
        request: &Request<'_>,
        header: &'a SendMessageRequest<'_>,
        accepted: &Accepted,
        properties: &'a str,
    ) -> ReplyMessageRequest<'a> {
        // 4.9 prints the socket address as Java does, with the empty host name before it.
        let slash = match self.flavour() {
            Flavour::V4_9 => "/",
            Flavour::V5_3 => "",
        };
        ReplyMessageRequest {
            producer_group: header.producer_group.as_ref().into(),
            topic: header.topic.as_ref().into(),
            default_topic: header.default_topic.as_ref().into(),
            default_topic_queue_nums: header.default_topic_queue_nums,
            queue_id: accepted.queue_id,
            sys_flag: header.sys_flag,
            born_timestamp: header.born_timestamp,
            flag: header.flag,
            properties: Some(properties.into()),
            reconsume_times: header.reconsume_times,
            unit_mode: header.unit_mode,
            born_host: format!("{slash}{}", request.peer).into(),
            store_host: format!("{slash}{}", self.config.address).into(),
            store_timestamp: now.millis(),
        }
    }
}

fn failed(text: impl Into<String>) -> Rejection {
    Rejection::new(ResponseCode::SYSTEM_ERROR, text.into())
}
