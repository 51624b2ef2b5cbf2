//! Those of `bench`, as far as the peer can follow.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures the peer as `bench` measures ours.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) namesrv: String,
    #[arg(long, value_enum)]
    pub(crate) mode: Mode,
    #[arg(long)]
    pub(crate) count: u64,
    #[arg(long)]
    pub(crate) size: u32,
    #[arg(long)]
    pub(crate) width: u32,
    #[arg(long, default_value_t = 1)]
    pub(crate) topics: u32,
    /// Of the runtime that sends; the peer brings another one for its own tasks. Unless told, what is
    /// fastest: one for one sender, two for many.
    #[arg(long)]
    threads: Option<usize>,
    #[arg(long)]
    pub(crate) compress: bool,
    #[arg(long)]
    pub(crate) auto_batch: bool,
    #[arg(long)]
    pub(crate) roots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    Batch,
    Enqueue,
    Oneway,
    Sync,
}

impl Arguments {
    pub(crate) fn senders(&self) -> u32 {
        match self.mode {
            Mode::Batch | Mode::Enqueue => 1,
            Mode::Oneway | Mode::Sync => self.width,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
            .unwrap_or(if self.senders() == 1 { 1 } else { 2 })
    }

    pub(crate) fn warm_up(&self) -> u64 {
        (self.count / 10).clamp(500, 20_000).max(self.topics.into())
    }
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Enqueue => "enqueue",
            Self::Oneway => "oneway",
            Self::Sync => "sync",
        }
    }
}
