//! Topic administration (PROTOCOL B.8, J.5).

use rocketmq_proto::{ResponseCode, header::CreateTopicRequest, is_system_topic};

use super::{Broker, MAX_CREATED};
use crate::{Flavour, TopicConfig, desk::Answer, request::Request, topic::invalid_topic};

impl Broker {
    pub(super) fn answer_create_topic(&mut self, request: &Request<'_>) {
        let header = match request.view.ext.decode::<CreateTopicRequest<'_>>() {
            Ok(header) => header,
            Err(error) => return self.desk.bad_header(request, &error),
        };
        let topic: &str = &header.topic;
        if let Some(text) = self.invalid_new_topic(topic) {
            let answer = Answer::new(self.flavour().bad_argument()).remark(&text);
            return self.desk.answer(request, answer, &());
        }
        if !self.topics.contains(topic) && self.topics.len() >= MAX_CREATED {
            let text = format!("this broker of a test holds {MAX_CREATED} topics, the most it can");
            let answer = Answer::new(ResponseCode::SYSTEM_ERROR).remark(&text);
            return self.desk.answer(request, answer, &());
        }
        let mut config = TopicConfig::new(header.write_queue_nums).perm(header.perm);
        config.read_queues = header.read_queue_nums.max(0);
        config.sys_flag = header.topic_sys_flag.unwrap_or(0);
        config.order = header.order;
        for change in header.attributes.as_deref().unwrap_or_default().split(',') {
            if let Some((key, value)) = change.strip_prefix('+').and_then(|c| c.split_once('=')) {
                config.attributes.insert(key.to_owned(), value.to_owned());
            }
        }
        self.create_topic(topic, config);
        let answer = match self.flavour() {
            // PROTOCOL L 2.
            Flavour::V4_9 => Answer::ok().remark("not set any response code"),
            Flavour::V5_3 => Answer::ok(),
        };
        self.desk.answer(request, answer, &());
    }

    fn invalid_new_topic(&self, topic: &str) -> Option<String> {
        if is_system_topic(topic) {
            return Some(format!("The topic[{topic}] is conflict with system topic."));
        }
        invalid_topic(topic).map(str::to_owned)
    }
}
