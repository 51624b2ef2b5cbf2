//! Bodies made smaller and, within a bound, large again (PROTOCOL D.4).

use std::io::{self, Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use thiserror::Error;

use crate::sys_flag::SysFlag;

/// Most bytes that a body may have after decompression, unless said otherwise: 64 MiB.
pub const MAX_DECOMPRESSED_LEN: usize = 64 * 1024 * 1024;

/// The level that Java compresses with by default (`rocketmq.message.compressLevel`).
pub const DEFAULT_LEVEL: i32 = 5;

/// How to compress a body. Kinds beside zlib need 4.9.4 consumers, and their feature.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// An LZ4 frame; it has no levels.
    #[cfg(feature = "lz4")]
    Lz4,
    /// A zlib stream (RFC 1950); levels 0 to 9. Every consumer reads it.
    #[default]
    Zlib,
    /// A zstd frame; levels 1 to 22, and negative ones for speed.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// The compressor failed; the message can be sent as it is.
#[derive(Debug, Error)]
#[error("the body could not be compressed: {0}; send it uncompressed")]
pub struct CompressError(#[from] io::Error);

/// Why a body cannot be decompressed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The bytes are no whole stream of the kind that the flag names.
    #[error("the body is no valid {kind} stream: {source}")]
    Corrupt {
        /// The kind of compression.
        kind: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// This build cannot read the kind of compression.
    #[error(
        "the body is compressed with {kind}; build rocketmq-proto with the feature `{feature}`"
    )]
    MissingFeature {
        /// The kind of compression.
        kind: &'static str,
        /// The feature to switch on.
        feature: &'static str,
    },
    /// The body grows beyond the limit; reading stopped there.
    #[error(
        "the decompressed body is larger than {limit} bytes; raise the limit if such bodies are expected"
    )]
    TooLarge {
        /// Most bytes allowed.
        limit: usize,
    },
    /// The flag names a kind of compression that does not exist (PROTOCOL D.3).
    #[error(
        "sysFlag {0} names an unknown kind of compression; known are 1 LZ4, 2 ZSTD, 3 ZLIB, and 0 for ZLIB"
    )]
    UnknownKind(SysFlag),
}

impl Compression {
    /// The bits of the system flag that tell a consumer how the body was compressed.
    pub const fn sys_flag(self) -> SysFlag {
        SysFlag::COMPRESSED.with(match self {
            #[cfg(feature = "lz4")]
            Self::Lz4 => SysFlag::LZ4,
            Self::Zlib => SysFlag::ZLIB,
            #[cfg(feature = "zstd")]
            Self::Zstd => SysFlag::ZSTD,
        })
    }
}

/// Compresses `body` at `level`, which is brought into the kind's range.
///
/// zlib at level 5 begins with `78 5E`, as Java's; the bytes behind it may differ from Java's, since
/// every encoder searches in its own way. The result can be larger than `body`.
///
/// # Errors
///
/// What the compressor says. zlib into memory does not fail.
pub fn compress(kind: Compression, level: i32, body: &[u8]) -> Result<Vec<u8>, CompressError> {
    match kind {
        #[cfg(feature = "lz4")]
        Compression::Lz4 => compress_lz4(body),
        Compression::Zlib => compress_zlib(level, body),
        #[cfg(feature = "zstd")]
        Compression::Zstd => compress_zstd(level, body),
    }
}

/// The body as it was before it was compressed as `flag` says; a copy when it was not.
///
/// Reading stops as soon as there are more than `limit` bytes ([`MAX_DECOMPRESSED_LEN`] suits most):
/// a small body that claims to be a huge one costs no more memory than the limit.
///
/// # Errors
///
/// See [`DecompressError`].
pub fn decompress(flag: SysFlag, body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    if !flag.is_compressed() {
        return if body.len() <= limit {
            Ok(body.to_vec())
        } else {
            Err(DecompressError::TooLarge { limit })
        };
    }
    match flag.compression_bits() {
        0 | 3 => read_bounded("zlib", ZlibDecoder::new(body), body.len(), limit),
        1 => decompress_lz4(body, limit),
        2 => decompress_zstd(body, limit),
        _ => Err(DecompressError::UnknownKind(flag)),
    }
}

fn read_bounded(
    kind: &'static str,
    stream: impl Read,
    compressed_len: usize,
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut body = Vec::with_capacity(compressed_len.saturating_mul(4).min(limit));
    stream
        .take(limit.saturating_add(1) as u64)
        .read_to_end(&mut body)
        .map_err(|source| DecompressError::Corrupt { kind, source })?;
    if body.len() > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    Ok(body)
}

fn compress_zlib(level: i32, body: &[u8]) -> Result<Vec<u8>, CompressError> {
    let level = level.clamp(0, 9).unsigned_abs();
    let packed = Vec::with_capacity(body.len() / 2);
    let mut stream = ZlibEncoder::new(packed, flate2::Compression::new(level));
    stream.write_all(body)?;
    let mut packed = stream.finish()?;
    // The Rust backend writes the header of level 6 whatever the level. Decoders do not care, but
    // the second byte is there to tell, so let it tell what Java's does.
    if let Some([0x78, told]) = packed.first_chunk_mut() {
        *told = match level {
            0 | 1 => 0x01,
            2..=5 => 0x5E,
            6 => 0x9C,
            _ => 0xDA,
        };
    }
    Ok(packed)
}

#[cfg(feature = "lz4")]
fn compress_lz4(body: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut stream = lz4_flex::frame::FrameEncoder::new(Vec::with_capacity(body.len() / 2));
    stream.write_all(body)?;
    stream.finish().map_err(|why| CompressError(why.into()))
}

#[cfg(feature = "lz4")]
fn decompress_lz4(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    // The decoder takes input that ends between two blocks, or within the header, for complete.
    if !has_end_mark(body) {
        let source = io::ErrorKind::UnexpectedEof.into();
        return Err(DecompressError::Corrupt {
            kind: "LZ4",
            source,
        });
    }
    let stream = lz4_flex::frame::FrameDecoder::new(body);
    read_bounded("LZ4", stream, body.len(), limit)
}

/// Whether a frame of at least magic, descriptor and end mark ends with that mark: a block of length
/// 0, behind which a checksum of the content may stand.
#[cfg(feature = "lz4")]
fn has_end_mark(frame: &[u8]) -> bool {
    const SHORTEST: usize = 4 + 3 + 4;
    const MARK: [u8; 4] = [0; 4];
    let before_checksum = &frame[..frame.len().saturating_sub(4)];
    frame.len() >= SHORTEST && (frame.ends_with(&MARK) || before_checksum.ends_with(&MARK))
}

#[cfg(not(feature = "lz4"))]
fn decompress_lz4(_body: &[u8], _limit: usize) -> Result<Vec<u8>, DecompressError> {
    Err(DecompressError::MissingFeature {
        kind: "LZ4",
        feature: "lz4",
    })
}

#[cfg(feature = "zstd")]
fn compress_zstd(level: i32, body: &[u8]) -> Result<Vec<u8>, CompressError> {
    let range = zstd::compression_level_range();
    let level = level.clamp(*range.start(), *range.end());
    let mut stream = zstd::Encoder::new(Vec::with_capacity(body.len() / 2), level)?;
    // Tells the encoder how small a window will do; Java's frames do not state the size either.
    stream.set_pledged_src_size(Some(body.len() as u64))?;
    stream.include_contentsize(false)?;
    stream.write_all(body)?;
    Ok(stream.finish()?)
}

#[cfg(feature = "zstd")]
fn decompress_zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    // A frame asks for a window of its own choice: allow what a body of that size could use (levels
    // 20 to 22 round up), and the 8 MiB that every decoder should support.
    let window = limit.saturating_mul(2).max(1).checked_next_power_of_two();
    let window_log = window.map_or(27, |window| window.trailing_zeros().clamp(23, 27));
    let corrupt = |source| DecompressError::Corrupt {
        kind: "zstd",
        source,
    };
    let mut stream = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
    stream.window_log_max(window_log).map_err(corrupt)?;
    read_bounded("zstd", stream, body.len(), limit)
}

#[cfg(not(feature = "zstd"))]
fn decompress_zstd(_body: &[u8], _limit: usize) -> Result<Vec<u8>, DecompressError> {
    Err(DecompressError::MissingFeature {
        kind: "zstd",
        feature: "zstd",
    })
}

#[cfg(test)]
mod tests;
