//! From when on use is shown as a warning, and as critical.

use super::Tone;

/// Two limits, in per cent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Shown as a warning from here on.
    pub warn: f64,
    /// Shown as critical from here on.
    pub critical: f64,
}

impl Threshold {
    /// The tone of `percent` in a gauge: calm, busy or full.
    #[must_use]
    pub fn tone(self, percent: f64) -> Tone {
        if percent >= self.critical {
            Tone::Gauge(2)
        } else if percent >= self.warn {
            Tone::Gauge(1)
        } else {
            Tone::Gauge(0)
        }
    }
}

/// The limits that are set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Of CPU.
    pub cpu: Threshold,
    /// Of memory.
    pub memory: Threshold,
}

impl Default for Thresholds {
    fn default() -> Self {
        let usual = Threshold { warn: 80.0, critical: 95.0 };
        Self { cpu: usual, memory: usual }
    }
}
