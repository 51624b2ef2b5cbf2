use super::*;

fn whole(text: &str) -> Result<(), JsonError> {
    let mut lexer = Lexer::new(text.as_bytes());
    lexer.skip_value()?;
    lexer.end()
}

#[test]
fn what_fastjson_reads_is_read() {
    for text in [
        r#"{}"#,
        r#"{"a":1}"#,
        r#" { "a" : [ 1 , -2.5e+7 , null , true , {} ] } "#,
        r#"{0:"x",1:'y',,}"#,
        r#"{,,a:{b_c$:[,]}}"#,
        r#"{"a":"{0:\"\\"}"#,
        r#"[[],[{}]]"#,
        r#"{名:"值"}"#,
    ] {
        assert_eq!(whole(text), Ok(()), "{text}");
    }
}

#[test]
fn what_is_no_json_is_an_error_with_its_place() {
    for (text, offset) in [
        ("", 0),
        ("{", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":\"x}", 6),
        ("{\"a\":\"x\\\"", 6),
        ("{\"a\":nope}", 5),
        ("{\"a\":1]", 6),
        ("[1}", 2),
        ("{} x", 3),
        ("{:1}", 1),
        ("{\"a\":1.}", 5),
        ("{\"a\":--1}", 5),
        ("{\"a\":.5}", 5),
        ("{\"a\":1e}", 5),
    ] {
        assert_eq!(whole(text).unwrap_err().offset, offset, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(whole(&nested(64)), Ok(()));
    assert!(whole(&nested(65)).is_err());
    assert!(whole(&"[{a:".repeat(1 << 20)).is_err());
}
