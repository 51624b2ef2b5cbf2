//! What the application asks beside its sends, and what the answers have to be (PROTOCOL B.8 to B.14).

use rocketmq_engine::proto::{MessageQueue, RecallHandle};
use rocketmq_engine::{AdminAnswer, AdminRequest, NewTopic, Operation, Outcome, Question};

use super::book::{End, What};
use super::world::{World, topic};

impl World {
    /// A question, drawn.
    pub(super) fn ask_admin(&mut self) -> Result<(), String> {
        let request = match self.rng.below(9) {
            0 => Question::create_topic(NewTopic::new(self.draw_made(), 2)).into_request(),
            1 => Question::max_offset(&self.draw_message_queue()).into_request(),
            2 => Question::search_offset(&self.draw_message_queue(), self.unix_ms()).into_request(),
            3 => {
                let key = format!("key-{}", self.rng.below(20));
                let name = self.draw_topic();
                Question::query_message(name, &key, 32, 0..u64::MAX).into_request()
            }
            4 | 5 => {
                let (name, id) = self.draw_sent();
                Question::find_message(name, &id).into_request()
            }
            6 => {
                let handle = RecallHandle {
                    topic: "stable".to_owned(),
                    broker: self.draw_message_queue().broker.to_string(),
                    deliver_at_ms: 1,
                    unique_id: "U".to_owned(),
                };
                Question::recall("stable", &handle.encode()).into_request()
            }
            7 => Question::cluster_info().into_request(),
            _ => Question::topic_list().into_request(),
        };
        let request = request.map_err(|error| format!("a sound question was refused: {error}"))?;
        let operation = Operation::Admin {
            request: Box::new(request),
            timeout: self.draw_timeout(),
        };
        self.submit(operation, None, true)
    }

    /// What was asked for is what was asked about, and what was made is there.
    pub(super) fn check_answers(&self) -> Result<(), String> {
        for record in self.book.records.iter().filter(|r| r.what == What::Admin) {
            let Some(End::Outcome(Outcome::Admin(answer))) = &record.end else {
                continue;
            };
            match &**answer {
                AdminAnswer::Created(created) => {
                    if created.brokers.is_empty() {
                        return Err("a topic was made nowhere".to_owned());
                    }
                    for name in &created.brokers {
                        let mut brokers = self.cluster.brokers().iter();
                        let broker = brokers.find(|broker| *broker.config().name == **name);
                        if broker
                            .and_then(|b| b.topic(&self.wire(&record.topic)))
                            .is_none()
                        {
                            return Err(format!("{} was not made on {name}", record.topic));
                        }
                    }
                }
                AdminAnswer::Messages(found) if found.messages.is_empty() => {
                    return Err("nothing found is no answer".to_owned());
                }
                AdminAnswer::Messages(found) => {
                    let wrong = found.messages.iter().find(|m| m.topic != record.topic);
                    if let Some(wrong) = wrong {
                        return Err(format!("{} has {}", record.topic, wrong.topic));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn topic_of(request: &AdminRequest) -> String {
        match request {
            AdminRequest::CreateTopic(new) => new.name().to_owned(),
            AdminRequest::Find { topic, .. } => topic.to_string(),
            AdminRequest::Query(query) => query.topic().to_string(),
            _ => String::new(),
        }
    }

    fn draw_made(&mut self) -> String {
        format!("made-{}", self.rng.below(3))
    }

    fn draw_message_queue(&mut self) -> MessageQueue {
        let (name, (broker, id)) = (self.draw_topic(), self.draw_queue());
        MessageQueue::new(topic(name), broker, id)
    }

    /// A topic and an id of either kind, as a receipt gave them; else one that nobody has.
    fn draw_sent(&mut self) -> (String, String) {
        let receipts = self
            .book
            .records
            .iter()
            .filter_map(|record| match &record.end {
                Some(End::Outcome(Outcome::Sent(receipt))) => Some(receipt),
                _ => None,
            });
        let receipts: Vec<_> = receipts.collect();
        if receipts.is_empty() {
            return ("stable".to_owned(), "F".repeat(32));
        }
        let receipt = receipts[self.rng.below(receipts.len())];
        let id = match self.rng.chance(500) {
            true => receipt.message_ids().next().unwrap_or_default(),
            false => receipt
                .offset_message_id
                .split(',')
                .next()
                .unwrap_or_default(),
        };
        (receipt.queue.topic.to_string(), id.to_owned())
    }
}
