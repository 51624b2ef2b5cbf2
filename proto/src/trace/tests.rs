use super::*;

fn publish() -> TraceRecord<'static> {
    TraceRecord::Publish(PublishTrace {
        timestamp: 1_700_000_000_123,
        region: Some("DefaultRegion".into()),
        group: "PID_golden".into(),
        topic: "TopicTest".into(),
        message_id: Some("7F000001000112345678010203040506".into()),
        tags: None,
        keys: Some("k1 k2".into()),
        store_host: Some("127.0.0.1:10911".into()),
        body_len: 11,
        cost_ms: 3,
        kind: TraceKind::Delay,
        offset_message_id: Some("7F00000100002A9F0000001CBE991A14".into()),
        success: true,
    })
}

fn end_transaction() -> TraceRecord<'static> {
    TraceRecord::EndTransaction(EndTransactionTrace {
        timestamp: 5,
        region: Some(DEFAULT_REGION.into()),
        group: "g".into(),
        topic: "t".into(),
        message_id: Some("m".into()),
        tags: Some("".into()),
        keys: None,
        store_host: Some("h:1".into()),
        kind: TraceKind::TransactionCommit,
        transaction_id: Some("tx".into()),
        state: "COMMIT_MESSAGE".into(),
        from_check: false,
    })
}

fn recall() -> TraceRecord<'static> {
    TraceRecord::Recall(RecallTrace {
        timestamp: 5,
        region: None,
        group: "g".into(),
        topic: "t".into(),
        message_id: Some("m".into()),
        success: true,
    })
}

fn encoded(record: &TraceRecord<'_>) -> String {
    let mut out = String::new();
    record.encode(&mut out).unwrap();
    out
}

#[test]
fn the_three_records_are_written_byte_for_byte() {
    let shown = |record| encoded(&record).replace('\u{1}', "|").replace('\u{2}', "$");
    assert_eq!(
        shown(publish()),
        "Pub|1700000000123|DefaultRegion|PID_golden|TopicTest|7F000001000112345678010203040506|null|k1 k2|127.0.0.1:10911|11|3|3|7F00000100002A9F0000001CBE991A14|true$"
    );
    assert_eq!(
        shown(end_transaction()),
        "EndTransaction|5|DefaultRegion|g|t|m||null|h:1|2|tx|COMMIT_MESSAGE|false$"
    );
    assert_eq!(shown(recall()), "Recall|5|null|g|t|m|true$");
}

#[test]
fn records_back_to_back_are_read_again() {
    let all = [publish(), end_transaction(), recall()];
    let body: String = all.iter().map(encoded).collect();
    let read: Vec<_> = TraceRecords::new(&body).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, all);
}

#[test]
fn a_text_with_a_separator_is_refused_and_nothing_is_written() {
    let mut record = recall();
    if let TraceRecord::Recall(trace) = &mut record {
        trace.topic = "a\u{2}b".into();
    }
    let mut out = "before".to_owned();
    assert_eq!(
        record.encode(&mut out),
        Err(TraceSeparator { field: "topic" })
    );
    assert_eq!(out, "before");
}

#[test]
fn what_is_no_record_is_refused_with_the_reason() {
    let good = encoded(&publish());
    assert!(matches!(
        TraceRecord::decode(&good.replace("Pub", "SubBefore")),
        Err(InvalidTrace::UnknownKind(kind)) if kind == "SubBefore"
    ));
    assert!(matches!(
        TraceRecord::decode(&good.replacen('\u{1}', "", 3)),
        Err(InvalidTrace::UnknownKind(_))
    ));
    assert_eq!(
        TraceRecord::decode("Recall\u{1}5\u{1}r"),
        Err(InvalidTrace::FieldCount {
            kind: "Recall",
            expected: 7,
            found: 3
        })
    );
    assert_eq!(
        TraceRecord::decode(&good.replace("true", "yes")),
        Err(InvalidTrace::BadField {
            index: 13,
            text: "yes".into()
        })
    );
    assert_eq!(
        TraceRecord::decode(&good.replace("\u{1}3\u{1}3\u{1}", "\u{1}3\u{1}9\u{1}")),
        Err(InvalidTrace::BadField {
            index: 11,
            text: "9".into()
        })
    );
}

#[test]
fn a_bad_record_does_not_hide_the_ones_behind_it() {
    let body = format!("junk\u{2}{}", encoded(&recall()));
    let read: Vec<_> = TraceRecords::new(&body).collect();
    assert!(read[0].is_err());
    assert_eq!(read[1], Ok(recall()));
}
