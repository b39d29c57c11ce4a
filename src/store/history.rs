//! What was measured a little while ago: the sparklines' data.

use foldhash::HashMap;

use crate::domain::{ObjectId, Usage};

/// How many samples are kept: at a poll every 30 s, ten minutes.
pub const SAMPLES: usize = 20;

/// The last [`SAMPLES`] measurements of one object, and the latest exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    latest: Usage,
    /// Millicores and MiB, oldest first once `len` has reached the end.
    ring: [(u32, u32); SAMPLES],
    next: usize,
    len: usize,
    /// The generation of its source's rounds that this was last part of.
    round: u32,
}

impl Samples {
    fn new() -> Self {
        Self { latest: Usage::default(), ring: [(0, 0); SAMPLES], next: 0, len: 0, round: 0 }
    }

    fn push(&mut self, usage: Usage) {
        self.latest = usage;
        let cpu = u32::try_from(usage.cpu.0).unwrap_or(u32::MAX);
        let memory = u32::try_from(usage.memory.0 >> 20).unwrap_or(u32::MAX);
        self.ring[self.next] = (cpu, memory);
        self.next = (self.next + 1) % SAMPLES;
        self.len = (self.len + 1).min(SAMPLES);
    }

    /// The latest measurement.
    #[must_use]
    pub fn latest(&self) -> Usage {
        self.latest
    }

    /// Oldest first: millicores and MiB.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let len = self.len;
        let start = (self.next + SAMPLES - len) % SAMPLES;
        (0..len).map(move |i| self.ring[(start + i) % SAMPLES])
    }
}

/// Measurements of every object that has any.
#[derive(Debug, Default)]
pub struct History {
    of: HashMap<ObjectId, Box<Samples>>,
    rounds: u64,
    revision: u64,
}

impl History {
    /// Grows with every sample.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Grows with every round that is complete.
    #[must_use]
    pub(super) fn rounds(&self) -> u64 {
        self.rounds
    }

    /// The measurements of one object.
    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<&Samples> {
        self.of.get(id).map(Box::as_ref)
    }

    /// One object's measurement in a round: they come in parts, and several sources' at once.
    pub(super) fn push(&mut self, id: ObjectId, usage: Usage, round: u32) {
        self.revision += 1;
        let samples = self.of.entry(id).or_insert_with(|| Box::new(Samples::new()));
        samples.round = round;
        samples.push(usage);
    }

    /// A round is complete: what of its source was not in it is not measured any more.
    pub(super) fn finish(&mut self, round: u32, belongs: impl Fn(&ObjectId) -> bool) {
        self.revision += 1;
        self.rounds += 1;
        self.of.retain(|id, s| s.round == round || !belongs(id));
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, id: &ObjectId) {
        self.of.remove(id);
    }
}
