use bytes::{Buf, BytesMut};
use thiserror::Error;

/// Most bytes of one member's properties: their length has 16 bits, with a sign (PROTOCOL D.8).
const MAX_MEMBER_PROPERTIES: usize = 32_767;

/// One message of a batch body (PROTOCOL D.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchMember<'a> {
    /// The application's own number.
    pub flag: i32,
    /// The body, never compressed.
    pub body: &'a [u8],
    /// The wire string of the properties.
    pub properties: &'a str,
}

/// The members of a batch body, first to last. Ends after an error.
#[derive(Clone, Debug)]
pub struct BatchMembers<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// A batch body that cannot be read or written, and where.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("batch member at byte {offset}: {problem}")]
pub struct BatchError {
    /// Where the member begins, counted from the start of the batch body.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: BatchMemberProblem,
}

/// What is wrong with a member of a batch body.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BatchMemberProblem {
    /// The body is longer than 32 bits can say.
    #[error("its body of {0} bytes is longer than a member can be")]
    BodyTooLong(usize),
    /// The lengths of body and properties do not add up to the member's.
    #[error("its lengths do not add up: {total} bytes in all, {inner} by its parts")]
    LengthMismatch {
        /// The member's length as it says itself.
        total: usize,
        /// The length that follows from its parts, as far as they could be read.
        inner: usize,
    },
    /// The length is less than that of an empty member, or negative.
    #[error("its length {0} is less than the 22 bytes of an empty member")]
    LengthTooSmall(i32),
    /// The properties are no UTF-8.
    #[error("its properties are not UTF-8")]
    NotUtf8,
    /// The properties are longer than a member can have.
    #[error("its properties take {0} bytes, MAX: {MAX_MEMBER_PROPERTIES}; move data into the body")]
    PropertiesTooLong(usize),
    /// The batch body ends before the member does.
    #[error("it needs {needed} bytes and only {left} are left")]
    Truncated {
        /// Bytes of the member.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
}

impl<'a> BatchMember<'a> {
    pub(super) const LEN_WITHOUT_DATA: usize = 22;

    /// Reads the member at the start of `bytes` and says how long it is. Its magic and checksum,
    /// which writers leave 0, are not looked at; brokers do not either.
    ///
    /// # Errors
    ///
    /// When the bytes end early or the lengths contradict each other; `offset` is 0.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, usize), BatchError> {
        Self::read(bytes).map_err(|problem| BatchError { offset: 0, problem })
    }

    /// Appends the member.
    ///
    /// # Errors
    ///
    /// When its properties have more than 32 767 bytes or its body is beyond 32 bits; `out` is
    /// unchanged then.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), BatchError> {
        let refuse = |problem| BatchError {
            offset: out.len(),
            problem,
        };
        let properties_len = i16::try_from(self.properties.len())
            .map_err(|_| refuse(BatchMemberProblem::PropertiesTooLong(self.properties.len())))?;
        let total = i32::try_from(self.encoded_len())
            .map_err(|_| refuse(BatchMemberProblem::BodyTooLong(self.body.len())))?;
        // Less than the total, which fits.
        let body_len = self.body.len() as i32;
        let mut head = [0; 20];
        head[..4].copy_from_slice(&total.to_be_bytes());
        head[12..16].copy_from_slice(&self.flag.to_be_bytes());
        head[16..].copy_from_slice(&body_len.to_be_bytes());
        out.reserve(self.encoded_len());
        out.extend_from_slice(&head);
        out.extend_from_slice(self.body);
        out.extend_from_slice(&properties_len.to_be_bytes());
        out.extend_from_slice(self.properties.as_bytes());
        Ok(())
    }

    /// Bytes that [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        Self::LEN_WITHOUT_DATA + self.body.len() + self.properties.len()
    }

    fn read(bytes: &'a [u8]) -> Result<(Self, usize), BatchMemberProblem> {
        let truncated = |needed| BatchMemberProblem::Truncated {
            needed,
            left: bytes.len(),
        };
        let stated = bytes
            .first_chunk()
            .ok_or_else(|| truncated(Self::LEN_WITHOUT_DATA))?;
        let stated = i32::from_be_bytes(*stated);
        let total = usize::try_from(stated)
            .ok()
            .filter(|&total| total >= Self::LEN_WITHOUT_DATA)
            .ok_or(BatchMemberProblem::LengthTooSmall(stated))?;
        let mut rest = bytes.get(..total).ok_or_else(|| truncated(total))?;

        rest.advance(12);
        let flag = rest.get_i32();
        let body_len = rest.get_i32();
        let mismatch = |inner| BatchMemberProblem::LengthMismatch { total, inner };
        let with_data = |data: isize| Self::LEN_WITHOUT_DATA.saturating_add_signed(data);
        let body_len = usize::try_from(body_len)
            .ok()
            .filter(|&len| len + 2 <= rest.len())
            .ok_or_else(|| mismatch(with_data(body_len as isize)))?;
        let (body, mut rest) = rest.split_at(body_len);
        let properties_len = rest.get_i16();
        if usize::try_from(properties_len) != Ok(rest.len()) {
            let data = body_len as isize + isize::from(properties_len);
            return Err(mismatch(with_data(data)));
        }
        let properties = std::str::from_utf8(rest).map_err(|_| BatchMemberProblem::NotUtf8)?;
        Ok((
            Self {
                flag,
                body,
                properties,
            },
            total,
        ))
    }
}

impl<'a> BatchMembers<'a> {
    /// The members of `body`, the body of a SEND_BATCH_MESSAGE request.
    pub fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            offset: 0,
        }
    }

    /// Where the next member begins, counted from the start of the batch body.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for BatchMembers<'a> {
    type Item = Result<BatchMember<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match BatchMember::read(self.rest) {
            Ok((member, len)) => {
                self.rest = &self.rest[len..];
                self.offset += len;
                Some(Ok(member))
            }
            Err(problem) => {
                self.rest = &[];
                Some(Err(BatchError {
                    offset: self.offset,
                    problem,
                }))
            }
        }
    }
}

impl std::iter::FusedIterator for BatchMembers<'_> {}
