//! What name servers and brokers share: the request log, the fault script, and the writing of answers.

use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_proto::{
    Flags, Frame, FrameLimits, Head, LanguageCode, ResponseCode, SerializeType, encode_head,
    header::{FieldError, FieldProblem, Fields},
};

use crate::{
    Accounts, Action, Fault, FaultScript, Flavour, PeerId, RequestLog, ServerNow, access,
    request::Request,
};

/// A server that answers requests; [`serve`] does for it what is the same for all.
pub(crate) trait Process {
    fn desk(&mut self) -> &mut Desk;

    /// Who may send requests.
    fn accounts(&self) -> &Accounts;

    /// Handles one request. At most one answer, written through [`Desk::answer`].
    fn process(&mut self, now: ServerNow, request: &Request<'_>, out: &mut Vec<Action>);
}

/// Decodes a frame, remembers it, and answers it or does what the fault script says.
pub(crate) fn serve(
    server: &mut impl Process,
    now: ServerNow,
    conn: PeerId,
    peer: SocketAddr,
    frame: &Frame,
    out: &mut Vec<Action>,
) {
    let Ok(view) = frame.command() else {
        out.push(Action::Close { conn });
        return;
    };
    let request = Request {
        view,
        frame,
        conn,
        peer,
    };
    let desk = server.desk();
    desk.log.record(now, &request);
    if request.view.flags.is_response() {
        return;
    }
    match desk.faults.next(&request.view) {
        Some(fault) => fail(server, fault, now, &request, out),
        None => {
            admit(server, now, &request, out);
            server.desk().send_answer(conn, Duration::ZERO, out);
        }
    }
}

/// Refuses whoever may not ask, before anything else (PROTOCOL J.1).
fn admit(server: &mut impl Process, now: ServerNow, request: &Request<'_>, out: &mut Vec<Action>) {
    let flavour = server.desk().flavour;
    match access::refusal(server.accounts(), flavour, request) {
        Some((code, text)) => server.desk().refuse(request, code, Some(&text)),
        None => server.process(now, request, out),
    }
}

fn fail(
    server: &mut impl Process,
    fault: Fault,
    now: ServerNow,
    request: &Request<'_>,
    out: &mut Vec<Action>,
) {
    let conn = request.conn;
    let mut processed = |server: &mut _| {
        admit(server, now, request, out);
        Process::desk(server).take_answer()
    };
    match fault {
        Fault::Answer { code, remark } if is_stored(code) => {
            server.desk().instead_of_success = Some((code, remark));
            let answer = processed(server);
            server.desk().instead_of_success = None;
            push_write(conn, answer, Duration::ZERO, out);
        }
        Fault::Answer { code, remark } => {
            let desk = server.desk();
            desk.refuse(request, code, remark.as_deref());
            desk.send_answer(conn, Duration::ZERO, out);
        }
        Fault::AnswerTwice => {
            let answer = processed(server);
            push_write(conn, answer.clone(), Duration::ZERO, out);
            push_write(conn, answer, Duration::ZERO, out);
        }
        Fault::Delay(after) => {
            let answer = processed(server);
            push_write(conn, answer, after, out);
        }
        Fault::Garbage(bytes) => push_write(conn, bytes, Duration::ZERO, out),
        Fault::GoAway => {
            let desk = server.desk();
            desk.go_away(request);
            desk.send_answer(conn, Duration::ZERO, out);
        }
        Fault::NeverAnswer => drop(processed(server)),
        Fault::OversizedFrame => {
            let claim = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0x10]);
            push_write(conn, claim, Duration::ZERO, out);
        }
        Fault::ResetAfterBytes(count) => {
            let mut bytes = processed(server);
            bytes.truncate(count);
            out.push(Action::ResetAfter { conn, bytes });
        }
        Fault::ResetAfterProcessing => {
            drop(processed(server));
            out.push(reset(conn));
        }
        Fault::ResetBeforeProcessing => out.push(reset(conn)),
        Fault::Swallow => {}
    }
}

/// The codes with which a broker answers a send that it stored (PROTOCOL J.2 `ok`).
fn is_stored(code: ResponseCode) -> bool {
    [
        ResponseCode::FLUSH_DISK_TIMEOUT,
        ResponseCode::SLAVE_NOT_AVAILABLE,
        ResponseCode::FLUSH_SLAVE_TIMEOUT,
    ]
    .contains(&code)
}

fn reset(conn: PeerId) -> Action {
    Action::ResetAfter {
        conn,
        bytes: Bytes::new(),
    }
}

fn push_write(conn: PeerId, bytes: Bytes, after: Duration, out: &mut Vec<Action>) {
    if !bytes.is_empty() {
        out.push(Action::Write { conn, bytes, after });
    }
}

/// A header field that is missing or no number, as Java's decoder and parsers say it (PROTOCOL B).
pub(crate) fn header_exception(error: &FieldError) -> String {
    match &error.problem {
        FieldProblem::NotANumber(text) => number_exception(text),
        _ => format!(
            "org.apache.rocketmq.remoting.exception.RemotingCommandException: the custom field <{}> is null, \
             org.apache.rocketmq.remoting.protocol.RemotingCommand.decodeCommandCustomHeader(RemotingCommand.java)",
            error.field
        ),
    }
}

/// A text that is no number, as Java says it.
pub(crate) fn number_exception(text: &str) -> String {
    format!(
        "java.lang.NumberFormatException: For input string: \"{text}\", \
         java.lang.NumberFormatException.forInputString(NumberFormatException.java)"
    )
}

/// The writing end of a server.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) flavour: Flavour,
    pub(crate) faults: FaultScript,
    pub(crate) log: RequestLog,
    /// Put in the place of code 0 while a fault asks for it.
    instead_of_success: Option<(ResponseCode, Option<String>)>,
    /// The answer to the request in hand. Answers are split off, so that many share one allocation.
    answer: BytesMut,
    /// The opaque of the next request that the server itself starts (PROTOCOL A.6).
    next_opaque: i32,
}

/// How much room is made for an answer before it is written.
const ANSWER_ROOM: usize = 512;
const ANSWER_CHUNK: usize = 64 * 1024;

impl Desk {
    pub(crate) fn new(flavour: Flavour, log_limit: usize) -> Self {
        Self {
            flavour,
            faults: FaultScript::default(),
            log: RequestLog::new(log_limit),
            instead_of_success: None,
            answer: BytesMut::new(),
            next_opaque: 0,
        }
    }

    /// Answers with a header, extra fields and a body. A oneway request gets no answer.
    pub(crate) fn answer(
        &mut self,
        request: &Request<'_>,
        answer: Answer<'_>,
        fields: &impl Fields,
    ) {
        if !request.is_oneway() {
            self.write_answer(request, answer, fields);
        }
    }

    /// Answers with a code and a text, and no field at all: before or outside the processor (PROTOCOL J.1).
    pub(crate) fn refuse(
        &mut self,
        request: &Request<'_>,
        code: ResponseCode,
        remark: Option<&str>,
    ) {
        self.answer(request, Answer::own_type(code, remark), &());
    }

    /// The answer to a request code without a processor (PROTOCOL J.1).
    pub(crate) fn not_supported(&mut self, request: &Request<'_>) {
        let remark = format!(" request type {} not supported", request.view.code);
        let code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
        if !request.is_oneway() || self.flavour.refuses_oneway_aloud() {
            self.write_answer(request, Answer::own_type(code, Some(&remark)), &());
        }
    }

    /// An exception in a processor, as Java words it (PROTOCOL J.1).
    pub(crate) fn exception(&mut self, request: &Request<'_>, text: &str) {
        self.refuse(request, ResponseCode::SYSTEM_ERROR, Some(text));
    }

    /// A field that is missing or no number.
    pub(crate) fn bad_header(&mut self, request: &Request<'_>, error: &FieldError) {
        self.exception(request, &header_exception(error));
    }

    /// The answer of a server that is shutting down (PROTOCOL E.13).
    pub(crate) fn go_away(&mut self, request: &Request<'_>) {
        self.refuse(request, ResponseCode::GO_AWAY, Some("please go away"));
    }

    /// A request that the server itself sends on a connection (PROTOCOL A.6). `None` when it is too large.
    pub(crate) fn start_request(
        &mut self,
        code: i32,
        flags: Flags,
        fields: &impl Fields,
        body: &[u8],
    ) -> Option<Bytes> {
        let head = Head {
            code,
            language: LanguageCode::JAVA,
            version: self.flavour.version(),
            opaque: self.next_opaque,
            flags,
            remark: None,
        };
        self.next_opaque = self.next_opaque.wrapping_add(1);
        let mut bytes = BytesMut::new();
        let ty = SerializeType::Json;
        let limits = FrameLimits::default();
        encode_head(&mut bytes, ty, &head, fields, &[], body.len(), limits).ok()?;
        bytes.put_slice(body);
        Some(bytes.freeze())
    }

    fn write_answer(&mut self, request: &Request<'_>, answer: Answer<'_>, fields: &impl Fields) {
        let replaced = match &self.instead_of_success {
            Some(replacement) if answer.code == ResponseCode::SUCCESS => Some(replacement.clone()),
            _ => None,
        };
        let (code, remark) = match &replaced {
            Some((code, remark)) => (*code, remark.as_deref()),
            None => (answer.code, answer.remark),
        };
        let head = Head {
            code: code.0,
            language: LanguageCode::JAVA,
            version: self.flavour.version(),
            opaque: request.view.opaque,
            flags: Flags::RESPONSE,
            remark,
        };
        let ty = if answer.mirrors && self.flavour.mirrors_serialize_type() {
            request.frame.serialize_type()
        } else {
            SerializeType::Json
        };
        if self.answer.capacity() < ANSWER_ROOM {
            self.answer.reserve(ANSWER_CHUNK);
        }
        self.answer.clear();
        let limits = FrameLimits::default();
        let body_len = answer.body.len();
        let extra = answer.extra;
        match encode_head(&mut self.answer, ty, &head, fields, extra, body_len, limits) {
            Ok(()) => self.answer.put_slice(answer.body),
            Err(error) => self.write_failure(&head, &error.to_string(), limits),
        }
    }

    /// What cannot be encoded is answered as an exception, and not at all when even that fails.
    fn write_failure(&mut self, head: &Head<'_>, text: &str, limits: FrameLimits) {
        let head = Head {
            code: ResponseCode::SYSTEM_ERROR.0,
            remark: Some(text),
            language: head.language,
            version: head.version,
            opaque: head.opaque,
            flags: Flags::RESPONSE,
        };
        let ty = SerializeType::Json;
        if encode_head(&mut self.answer, ty, &head, &(), &[], 0, limits).is_err() {
            self.answer.clear();
        }
    }

    fn take_answer(&mut self) -> Bytes {
        self.answer.split().freeze()
    }

    fn send_answer(&mut self, conn: PeerId, after: Duration, out: &mut Vec<Action>) {
        let answer = self.take_answer();
        push_write(conn, answer, after, out);
    }
}

/// An answer without its header fields.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    code: ResponseCode,
    remark: Option<&'a str>,
    extra: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    mirrors: bool,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(code: ResponseCode) -> Self {
        Self {
            code,
            remark: None,
            extra: &[],
            body: &[],
            mirrors: true,
        }
    }

    pub(crate) fn ok() -> Self {
        Self::new(ResponseCode::SUCCESS)
    }

    /// An answer off the normal path, which even 4.9 writes in its own serialize type (PROTOCOL A.4).
    fn own_type(code: ResponseCode, remark: Option<&'a str>) -> Self {
        Self {
            remark,
            mirrors: false,
            ..Self::new(code)
        }
    }

    pub(crate) fn remark(self, remark: &'a str) -> Self {
        Self {
            remark: Some(remark),
            ..self
        }
    }

    pub(crate) fn extra(self, extra: &'a [(&'a str, &'a str)]) -> Self {
        Self { extra, ..self }
    }

    pub(crate) fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// Answers in JSON whatever came in, as 4.9 does for some requests (PROTOCOL L 1).
    pub(crate) fn always_json(self) -> Self {
        Self {
            mirrors: false,
            ..self
        }
    }
}
