//! Reading back: pull, view, query and offsets (PROTOCOL B.9 to B.11).

use bytes::BytesMut;
use rocketmq_proto::{
    ResponseCode,
    header::{
        GetEarliestMsgStoreTimeRequest, GetMaxOffsetRequest, GetMinOffsetRequest, OffsetResponse,
        PullMessageRequest, PullMessageResponse, QueryMessageRequest, QueryMessageResponse,
        SearchOffsetRequest, TimestampResponse, ViewMessageRequest,
    },
};

use super::Broker;
use crate::{desk::Answer, request::Request};

/// Java `maxTransferCountOnMessageInMemory` and `maxTransferBytesOnMessageInMemory`.
const MAX_PULLED: i32 = 32;
const MAX_PULLED_BYTES: usize = 256 * 1024;
/// Java `defaultQueryMaxNum`.
const MAX_QUERIED: usize = 32;
/// Queried messages come in one frame, so they must fit one.
const MAX_QUERIED_BYTES: usize = 8 * 1024 * 1024;

impl Broker {
    /// Answered at once: a real broker would hold a pull that finds nothing.
    pub(super) fn answer_pull(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<PullMessageRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let topic: &str = &header.topic;
        let Some(config) = self.topics.find(topic) else {
            let faq = self.flavour().faq();
            let remark = format!("topic[{topic}] not exist, apply first please!{faq}");
            let answer = Answer::new(ResponseCode::TOPIC_NOT_EXIST).remark(&remark);
            return self.desk.answer(request, answer, &());
        };
        if header.queue_id < 0 || header.queue_id >= config.read_queues {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}] consumer:[{}]",
                header.queue_id, config.read_queues, request.peer
            );
            let answer = Answer::new(self.flavour().bad_argument()).remark(&remark);
            return self.desk.answer(request, answer, &());
        }
        let max_offset = self.store.max_offset(topic, header.queue_id);
        let offset = header.queue_offset;
        let mut body = BytesMut::new();
        let mut found = 0;
        let wanted = i64::from(header.max_msg_nums.clamp(1, MAX_PULLED));
        let range = offset..offset.saturating_add(wanted);
        for message in self.store.read(topic, header.queue_id, range) {
            if found > 0 && body.len() + message.len() > MAX_PULLED_BYTES {
                break;
            }
            body.extend_from_slice(message);
            found += 1;
        }
        let (code, remark, next) = if offset < 0 {
            (ResponseCode::PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", 0)
        } else if found > 0 {
            (ResponseCode::SUCCESS, "FOUND", offset + found)
        } else if max_offset == 0 {
            let code = match offset {
                0 => ResponseCode::PULL_NOT_FOUND,
                _ => ResponseCode::PULL_OFFSET_MOVED,
            };
            (code, "NO_MESSAGE_IN_QUEUE", 0)
        } else if offset > max_offset {
            let code = ResponseCode::PULL_OFFSET_MOVED;
            (code, "OFFSET_OVERFLOW_BADLY", max_offset)
        } else {
            // At the end, or nothing is kept.
            let code = ResponseCode::PULL_NOT_FOUND;
            (code, "OFFSET_OVERFLOW_ONE", max_offset)
        };
        let fields = PullMessageResponse {
            suggest_which_broker_id: Some(0),
            next_begin_offset: next,
            min_offset: 0,
            max_offset,
        };
        let body = if offset < 0 { &[][..] } else { &body[..] };
        let answer = Answer::new(code).remark(remark).body(body);
        self.desk.answer(request, answer, &fields);
    }

    pub(super) fn answer_view(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<ViewMessageRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let Some(message) = self.store.at_offset(header.offset) else {
            let remark = format!("can not find message by the offset, {}", header.offset);
            let answer = Answer::new(ResponseCode::SYSTEM_ERROR).remark(&remark);
            return self.desk.answer(request, answer, &());
        };
        let answer = Answer::ok().body(message).always_json();
        self.desk.answer(request, answer, &());
    }

    pub(super) fn answer_query(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<QueryMessageRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        // A query by unique key is for all there are (PROTOCOL B.11).
        let max = match header.unique_key {
            Some(true) => MAX_QUERIED,
            _ => usize::try_from(header.max_num)
                .unwrap_or(0)
                .min(MAX_QUERIED),
        };
        let mut body = BytesMut::new();
        let found = self.store.by_key(
            &header.topic,
            &header.key,
            header.begin_timestamp,
            header.end_timestamp,
        );
        for message in found.take(max) {
            if body.len() + message.len() > MAX_QUERIED_BYTES {
                break;
            }
            body.extend_from_slice(message);
        }
        if body.is_empty() {
            let fields = query_header((0, 0));
            let answer = Answer::new(ResponseCode::QUERY_NOT_FOUND)
                .remark("can not find message, maybe time range not correct");
            return self.desk.answer(request, answer, &fields);
        }
        let fields = query_header(self.store.last_put());
        let answer = Answer::ok().body(&body).always_json();
        self.desk.answer(request, answer, &fields);
    }

    pub(super) fn answer_max_offset(&mut self, request: &Request<'_>) {
        match request.view.ext.decode::<GetMaxOffsetRequest<'_>>() {
            Ok(header) => {
                let offset = self.store.max_offset(&header.topic, header.queue_id);
                self.answer_offset(request, offset);
            }
            Err(error) => self.desk.bad_header(request, &error),
        }
    }

    /// Nothing is ever deleted, so the first offset is 0.
    pub(super) fn answer_min_offset(&mut self, request: &Request<'_>) {
        match request.view.ext.decode::<GetMinOffsetRequest<'_>>() {
            Ok(_) => self.answer_offset(request, 0),
            Err(error) => self.desk.bad_header(request, &error),
        }
    }

    pub(super) fn answer_search_offset(&mut self, request: &Request<'_>) {
        match request.view.ext.decode::<SearchOffsetRequest<'_>>() {
            Ok(header) => {
                let offset =
                    self.store
                        .search_offset(&header.topic, header.queue_id, header.timestamp);
                self.answer_offset(request, offset);
            }
            Err(error) => self.desk.bad_header(request, &error),
        }
    }

    pub(super) fn answer_earliest_time(&mut self, request: &Request<'_>) {
        match request
            .view
            .ext
            .decode::<GetEarliestMsgStoreTimeRequest<'_>>()
        {
            Ok(header) => {
                let timestamp = self
                    .store
                    .earliest_store_time(&header.topic, header.queue_id);
                let fields = TimestampResponse { timestamp };
                self.desk.answer(request, Answer::ok(), &fields);
            }
            Err(error) => self.desk.bad_header(request, &error),
        }
    }

    fn answer_offset(&mut self, request: &Request<'_>, offset: i64) {
        let fields = OffsetResponse { offset };
        self.desk.answer(request, Answer::ok(), &fields);
    }
}

fn query_header((timestamp, offset): (i64, i64)) -> QueryMessageResponse {
    QueryMessageResponse {
        index_last_update_timestamp: timestamp,
        index_last_update_phyoffset: offset,
    }
}
