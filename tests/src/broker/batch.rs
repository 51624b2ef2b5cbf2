//! Batches: one request, many messages (PROTOCOL D.8).

use rocketmq_proto::{BatchMember, BatchMembers, header::SendMessageRequest};

use super::{
    Broker,
    checks::{Accepted, Rejection},
    facts::Facts,
    send::{Receipt, TRANSACTION_BITS},
};
use crate::{ServerNow, properties, request::Request, store::NewMessage};

impl Broker {
    /// Stores every member or none.
    pub(super) fn take_batch(
        &mut self,
        now: ServerNow,
        request: &Request<'_>,
        header: &SendMessageRequest<'_>,
        accepted: &Accepted,
    ) -> Result<Receipt, Rejection> {
        self.check_batch_topic(&header.topic)?;
        let body = request.frame.body();
        if body.is_empty() {
            return Err(self.no_body());
        }
        self.check_store(body.len())?;
        let of_batch = header.properties.as_deref().unwrap_or_default();
        let facts = Facts::read(of_batch);
        let is_delayed = facts.delay_level.is_some_and(|level| level != "0");
        if header.sys_flag & TRANSACTION_BITS != 0 || is_delayed {
            return Err(self.illegal_message());
        }
        self.check_sizes(body.len(), of_batch.len(), body.len())?;

        let members = self.members(&body, of_batch)?;
        let as_stored = |(member, properties): &(BatchMember<'_>, String)| {
            let message = new_message(request, header, accepted, member, properties);
            message.stored_len(self.config.address)
        };
        let stored_len = members.iter().map(as_stored).sum();
        self.check_batch_size(stored_len)?;
        self.check_store(stored_len)?;
        let status = self.check_health()?;

        let mut msg_id = String::new();
        let mut first = None;
        for (member, properties) in &members {
            let message = new_message(request, header, accepted, member, properties);
            let put = self.put(now, message)?;
            first.get_or_insert(put.queue_offset);
            if !msg_id.is_empty() {
                msg_id.push(',');
            }
            msg_id.push_str(&self.offset_id(put));
        }
        Ok(Receipt {
            status,
            msg_id,
            queue_id: accepted.queue_id,
            queue_offset: first.unwrap_or(0),
            transaction_id: self.transaction_id(facts.unique_key),
            recall_handle: None,
        })
    }

    /// The members with the properties that they are stored with: their own, then those of the batch and of the
    /// broker.
    fn members<'a>(
        &self,
        body: &'a [u8],
        of_batch: &str,
    ) -> Result<Vec<(BatchMember<'a>, String)>, Rejection> {
        let mut shared = of_batch.to_owned();
        self.append_broker_properties(&mut shared);
        let mut members = Vec::new();
        for member in BatchMembers::new(body) {
            let member = member.map_err(|_| {
                Rejection::exception(
                    "java.nio.BufferUnderflowException, java.nio.Buffer.nextGetIndex(Buffer.java)",
                )
            })?;
            let mut properties = member.properties.to_owned();
            properties::append_all(&mut properties, &shared);
            self.check_sizes(member.body.len(), properties.len(), member.body.len())?;
            members.push((member, properties));
        }
        Ok(members)
    }
}

fn new_message<'a>(
    request: &Request<'_>,
    header: &'a SendMessageRequest<'_>,
    accepted: &Accepted,
    member: &'a BatchMember<'_>,
    properties: &'a str,
) -> NewMessage<'a> {
    NewMessage {
        topic: &header.topic,
        queue_id: accepted.queue_id,
        flag: member.flag,
        sys_flag: header.sys_flag,
        born_timestamp: header.born_timestamp,
        born_host: request.peer,
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_offset: 0,
        properties,
        body: member.body,
    }
}
