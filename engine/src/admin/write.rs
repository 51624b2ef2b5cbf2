//! The requests on the wire (PROTOCOL B.8 to B.14).

use bytes::Bytes;
use rocketmq_proto::header::{
    CreateTopicRequest, GetEarliestMsgStoreTimeRequest, GetMaxOffsetRequest, GetMinOffsetRequest,
    QueryMessageRequest, RecallMessageRequest, SearchOffsetRequest, ViewMessageRequest,
};
use rocketmq_proto::{EncodeError, OffsetMessageId, RequestCode, UniqueId};

use super::request::{AdminRequest, KeyQuery, NewTopic};
use crate::config::Config;
use crate::engine::Engine;
use crate::io::{ConnId, FrameSeq, Now, ProducerId};
use crate::pending::Waiter;

/// Java's older clients look for a unique id from a second before it was made (PROTOCOL B.11). An id
/// does not tell its time zone, so that ours begin a day earlier.
const BEFORE_UNIQUE_ID: u64 = 1_000 + 86_400_000;
/// Where to begin for a key that is no unique id: as 5.x.
const BEFORE_ANY_ID: u64 = 3 * 86_400_000;
type Written = Result<(i32, FrameSeq), EncodeError>;

impl Engine {
    pub(super) fn write_admin(
        &mut self,
        now: Now,
        conn: ConnId,
        producer: ProducerId,
        request: &AdminRequest,
        waiter: Waiter,
    ) -> Written {
        match request {
            AdminRequest::ClusterInfo => {
                let code = RequestCode::GET_BROKER_CLUSTER_INFO;
                self.request(conn, code, &(), Bytes::new(), waiter)
            }
            AdminRequest::TopicList => {
                let code = RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
                self.request(conn, code, &(), Bytes::new(), waiter)
            }
            AdminRequest::CreateTopic(new) => {
                let header = new.header();
                let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::EarliestStoreTime(queue) => {
                let header = GetEarliestMsgStoreTimeRequest {
                    topic: queue.topic.as_str().into(),
                    queue_id: queue.id,
                    broker_name: Some((&*queue.broker).into()),
                };
                let code = RequestCode::GET_EARLIEST_MSG_STORETIME;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::MaxOffset(queue) => {
                let header = GetMaxOffsetRequest {
                    topic: queue.topic.as_str().into(),
                    queue_id: queue.id,
                    committed: None,
                    broker_name: Some((&*queue.broker).into()),
                };
                let code = RequestCode::GET_MAX_OFFSET;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::MinOffset(queue) => {
                let header = GetMinOffsetRequest {
                    topic: queue.topic.as_str().into(),
                    queue_id: queue.id,
                    broker_name: Some((&*queue.broker).into()),
                };
                let code = RequestCode::GET_MIN_OFFSET;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::SearchOffset { queue, at_ms } => {
                let header = SearchOffsetRequest {
                    topic: queue.topic.as_str().into(),
                    queue_id: queue.id,
                    timestamp: signed(*at_ms),
                    boundary_type: None,
                    broker_name: Some((&*queue.broker).into()),
                };
                let code = RequestCode::SEARCH_OFFSET_BY_TIMESTAMP;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::Query(query) => {
                let (begin, end) = query.times(&self.config, now.unix_ms);
                let header = QueryMessageRequest {
                    topic: query.topic.as_str().into(),
                    key: query.key.as_str().into(),
                    max_num: i32::try_from(query.max).unwrap_or(i32::MAX),
                    begin_timestamp: begin,
                    end_timestamp: end,
                    unique_key: Some(query.times.is_none()),
                };
                let code = RequestCode::QUERY_MESSAGE;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::Recall {
                topic,
                handle,
                broker,
            } => {
                let group = self.members.config(producer).wire_group().into_owned();
                let header = RecallMessageRequest {
                    producer_group: Some(group.as_str().into()),
                    topic: topic.as_str().into(),
                    recall_handle: handle.as_str().into(),
                    broker_name: Some(broker.as_str().into()),
                };
                let code = RequestCode::RECALL_MESSAGE;
                self.request(conn, code, &header, Bytes::new(), waiter)
            }
            AdminRequest::View(id) => self.write_view(conn, id.offset, None, waiter),
            // Its id is one of a broker: only then is it asked in this form.
            AdminRequest::Find { topic, id } => {
                let offset = id.parse::<OffsetMessageId>();
                let offset = offset.map_or(-1, |id| id.offset);
                self.write_view(conn, offset, Some(topic.as_str()), waiter)
            }
        }
    }

    fn write_view(
        &mut self,
        conn: ConnId,
        offset: i64,
        topic: Option<&str>,
        waiter: Waiter,
    ) -> Written {
        let header = ViewMessageRequest {
            offset,
            topic: topic.map(Into::into),
        };
        let code = RequestCode::VIEW_MESSAGE_BY_ID;
        self.request(conn, code, &header, Bytes::new(), waiter)
    }
}

impl NewTopic {
    fn header(&self) -> CreateTopicRequest<'_> {
        let attributes = Some(self.attributes.as_str()).filter(|text| !text.is_empty());
        CreateTopicRequest {
            topic: self.topic.as_str().into(),
            default_topic: self.key_topic.as_str().into(),
            read_queue_nums: self.queues,
            write_queue_nums: self.queues,
            perm: self.perm,
            topic_filter_type: "SINGLE_TAG".into(),
            topic_sys_flag: Some(0),
            order: self.order,
            attributes: attributes.map(Into::into),
            force: None,
        }
    }
}

impl KeyQuery {
    /// From when to when, milliseconds since 1970.
    fn times(&self, config: &Config, now_unix_ms: u64) -> (i64, i64) {
        if let Some(times) = &self.times {
            return (signed(times.start), signed(times.end));
        }
        let begin = match UniqueId::parse(&self.key) {
            Ok(id) => id
                .made_at(now_unix_ms, config.utc_offset_seconds)
                .saturating_sub(BEFORE_UNIQUE_ID),
            Err(_) => now_unix_ms.saturating_sub(BEFORE_ANY_ID),
        };
        (signed(begin), i64::MAX)
    }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rocketmq_proto::{GroupName, TopicName};

    use super::*;

    fn begin(key: &str, now: u64) -> i64 {
        let query = KeyQuery::by_unique_id("T", key).unwrap();
        let config = Config::new(GroupName::new("g").unwrap());
        assert_eq!(query.topic, TopicName::new("T").unwrap());
        query.times(&config, now).0
    }

    #[test]
    fn a_unique_id_is_looked_for_from_before_it_was_made() {
        // From the capture: made at 1795197200694, which Java asks from one second before.
        let key = "FD000000000000000000000000000002151A4E0E2F2A65AF81360000";
        let (made, java) = (1_795_197_200_694, 1_795_197_199_694);
        for later in [0, 60_000, 20 * 86_400_000] {
            assert_eq!(
                begin(key, made + later),
                java - 86_400_000,
                "{later} ms later"
            );
        }
        let (day, now) = (86_400_000, 1_750_000_000_000);
        assert_eq!(begin("my own id", now), (now - 3 * day) as i64);
        assert_eq!(begin("my own id", 5), 0);
    }
}
