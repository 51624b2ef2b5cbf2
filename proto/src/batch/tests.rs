use super::*;
use crate::message::InvalidMessage;
use crate::msg_id::{UniqueIdSeed, UniqueIds};

fn message(body: &'static str) -> Message {
    Message::new("orders", body)
}

fn ids() -> UniqueIds {
    UniqueIds::new(UniqueIdSeed {
        ip: "fd00::2".parse().unwrap(),
        pid: 1,
        hash: 2,
        utc_offset_seconds: 0,
    })
}

fn queue(id: i32) -> MessageQueue {
    MessageQueue::new(TopicName::new("orders").unwrap(), "broker-a", id)
}

fn half() -> Message {
    let mut half = message("b");
    half.properties_mut()
        .set(property::TRAN_MSG, "true")
        .unwrap();
    half
}

#[test]
fn every_rule_of_d8_has_its_text_and_gives_the_messages_back() {
    let rows = [
        (vec![], BatchProblem::Empty, "the batch is empty"),
        (
            vec![message("a").delay_level(1)],
            BatchProblem::Delay { index: 0 },
            "TimeDelayLevel is not supported for batching",
        ),
        (
            vec![message("a"), message("b").deliver_at(5)],
            BatchProblem::Timer { index: 1 },
            "timed delivery",
        ),
        (
            vec![message("a"), half()],
            BatchProblem::Transaction { index: 1 },
            "transactions",
        ),
        (
            vec![Message::new("%RETRY%g", "b")],
            BatchProblem::RetryTopic { index: 0 },
            "Retry Group is not supported for batching",
        ),
        (
            vec![message("a"), Message::new("other", "b")],
            BatchProblem::OtherTopic { index: 1 },
            "The topic of the messages in one batch should be the same",
        ),
        (
            vec![message("a"), message("b").wait_store_ok(false)],
            BatchProblem::OtherWait { index: 1 },
            "The waitStoreMsgOK of the messages in one batch should the same",
        ),
        (
            vec![message("a"), message("b").to(queue(0))],
            BatchProblem::OtherPlacement { index: 1 },
            "the messages of one batch go to one queue",
        ),
        (
            vec![message("a"), message("")],
            BatchProblem::Member {
                index: 1,
                why: InvalidMessage::EmptyBody,
            },
            "message 1: the message body length is zero",
        ),
    ];
    for (messages, problem, text) in rows {
        let count = messages.len();
        let error = Batch::new(messages).unwrap_err();
        assert_eq!(*error.problem(), problem);
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("Failed to initiate the MessageBatch: {text}")),
            "{shown}"
        );
        assert_eq!(error.into_messages().len(), count);
    }
}

#[test]
fn wait_true_and_no_wait_are_the_same() {
    assert!(Batch::new(vec![message("a"), message("b").wait_store_ok(true)]).is_ok());
}

#[test]
fn queue_and_budget_come_from_the_first_message_until_said_otherwise() {
    let first = message("a").to(queue(1)).timeout(Duration::from_secs(9));
    let batch = Batch::new(vec![first, message("b").to(queue(1))]).unwrap();
    assert!(matches!(batch.placement(), Placement::Queue(q) if q.id == 1));
    assert_eq!(batch.own_timeout(), Some(Duration::from_secs(9)));
    let batch = batch.by("key").timeout(Duration::from_secs(1));
    assert!(matches!(batch.placement(), Placement::Hash(_)));
    assert_eq!(batch.own_timeout(), Some(Duration::from_secs(1)));
}

#[test]
fn a_batch_placed_on_another_topics_queue_does_not_pass() {
    let other = MessageQueue::new(TopicName::new("other").unwrap(), "b", 0);
    let batch = Batch::new(vec![message("a")]).unwrap().to(other);
    assert!(matches!(
        batch.check(1 << 20),
        Err(BatchProblem::QueueOfOtherTopic(_))
    ));
}

#[test]
fn the_stamped_length_is_what_encode_writes_after_stamping() {
    let mut with_id = message("bb").tag("t");
    with_id
        .properties_mut()
        .set(property::UNIQ_KEY, "short")
        .unwrap();
    let mut batch = Batch::new(vec![
        message("a"),
        with_id,
        message("ccc").wait_store_ok(true),
    ])
    .unwrap();
    let foretold = batch.stamped_len();
    let mut ids = ids();
    batch.stamp(|| ids.next(1_700_000_000_000));
    assert_eq!(batch.stamped_len(), foretold);
    assert_eq!(batch.encoded_len(), foretold);
    let mut out = BytesMut::from("before");
    batch.encode(&mut out).unwrap();
    assert_eq!(out.len(), 6 + foretold);
    let members: Vec<_> = BatchMembers::new(&out[6..])
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(members.len(), 3);
    for (member, message) in members.iter().zip(batch.messages()) {
        assert_eq!(member.body, message.body());
        assert_eq!(member.properties, message.properties().as_wire());
    }
}

#[test]
fn a_batch_of_exactly_the_limit_passes_and_one_byte_less_does_not() {
    let batch = Batch::new(vec![message("a"), message("b")]).unwrap();
    let len = batch.stamped_len();
    assert_eq!(batch.check(len), Ok(()));
    assert_eq!(
        batch.check(len - 1),
        Err(BatchProblem::TooLarge {
            len,
            limit: len - 1
        })
    );
}

#[test]
fn split_fills_batches_to_the_byte_and_keeps_the_order() {
    let one = Batch::new(vec![message("x")]).unwrap().stamped_len();
    for (limit, sizes) in [
        (one, vec![1, 1, 1, 1, 1]),
        (2 * one - 1, vec![1, 1, 1, 1, 1]),
        (2 * one, vec![2, 2, 1]),
        (5 * one - 1, vec![4, 1]),
        (5 * one, vec![5]),
        (usize::MAX, vec![5]),
    ] {
        let messages = ["1", "2", "3", "4", "5"].map(message);
        let batches = Batch::split(messages, limit).unwrap();
        let lens: Vec<_> = batches.iter().map(Batch::len).collect();
        assert_eq!(lens, sizes, "{limit}");
        assert!(batches.iter().all(|batch| batch.check(limit).is_ok()));
        let bodies: Vec<_> = batches
            .iter()
            .flat_map(Batch::messages)
            .map(|m| m.body()[0])
            .collect();
        assert_eq!(bodies, b"12345");
    }
}

#[test]
fn a_message_that_fits_no_batch_is_named_with_its_size() {
    let one = Batch::new(vec![message("x")]).unwrap().stamped_len();
    let error = Batch::split([message("x"), message("yy"), message("z")], one).unwrap_err();
    let named = BatchProblem::MemberTooLarge {
        index: 1,
        len: one + 1,
        limit: one,
    };
    assert_eq!(*error.problem(), named);
    assert_eq!(error.problem().code(), 13);
    assert_eq!(error.into_messages().len(), 3);
}

#[test]
fn a_member_takes_32767_bytes_of_properties_and_not_one_more() {
    let text = "x".repeat(32_768);
    let member = |len| BatchMember {
        flag: 0,
        body: b"b",
        properties: &text[..len],
    };
    let mut out = BytesMut::new();
    member(32_767).encode(&mut out).unwrap();
    assert_eq!(out.len(), member(32_767).encoded_len());
    assert_eq!(BatchMember::decode(&out).unwrap().0, member(32_767));
    let before = out.clone();
    assert_eq!(
        member(32_768).encode(&mut out).unwrap_err().problem,
        BatchMemberProblem::PropertiesTooLong(32_768)
    );
    assert_eq!(out, before);
}

#[test]
fn members_with_lying_lengths_are_errors_that_say_where() {
    let mut good = BytesMut::new();
    BatchMember {
        flag: 1,
        body: b"body",
        properties: "a\u{1}b",
    }
    .encode(&mut good)
    .unwrap();
    let second = good.len();
    let lie = |at: usize, bytes: &[u8]| {
        let mut body = good.to_vec();
        body.extend_from_slice(&good);
        body[second + at..second + at + bytes.len()].copy_from_slice(bytes);
        let mut members = BatchMembers::new(&body);
        assert!(members.next().unwrap().is_ok());
        let error = members.next().unwrap().unwrap_err();
        assert_eq!(error.offset, second);
        assert!(members.next().is_none());
        error.problem
    };
    assert!(matches!(
        lie(0, &[0, 0, 0, 21]),
        BatchMemberProblem::LengthTooSmall(21)
    ));
    assert!(matches!(
        lie(0, &[0xFF; 4]),
        BatchMemberProblem::LengthTooSmall(-1)
    ));
    assert!(matches!(
        lie(0, &[0x7F, 0xFF, 0xFF, 0xFF]),
        BatchMemberProblem::Truncated { .. }
    ));
    assert!(matches!(
        lie(16, &[0xFF; 4]),
        BatchMemberProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        lie(16, &[0x7F, 0xFF, 0xFF, 0xFF]),
        BatchMemberProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        lie(24, &[0xFF; 2]),
        BatchMemberProblem::LengthMismatch { .. }
    ));
    assert!(matches!(
        lie(24, &[0, 2]),
        BatchMemberProblem::LengthMismatch { .. }
    ));
    assert!(matches!(lie(26, &[0xFF]), BatchMemberProblem::NotUtf8));
}

#[test]
fn a_batch_body_cut_anywhere_is_an_error_and_never_a_panic() {
    let mut good = BytesMut::new();
    BatchMember {
        flag: 1,
        body: b"body",
        properties: "a\u{1}b",
    }
    .encode(&mut good)
    .unwrap();
    for len in 1..good.len() {
        assert!(
            BatchMembers::new(&good[..len]).next().unwrap().is_err(),
            "{len}"
        );
    }
    assert!(BatchMembers::new(&[]).next().is_none());
}
