//! A small deterministic generator and the hashes the pure functions use.

/// splitmix64: enough for a demo fleet, the same on every machine.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// Letters Kubernetes uses for generated names: no vowels, nothing that looks alike.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `lo..=hi`; `lo` when the range is empty.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        if hi <= lo { lo } else { lo + (self.next() % (hi - lo + 1) as u64) as i64 }
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        unit(self.next()) < p
    }

    /// A random (version 4) UUID's bits.
    pub fn uid(&mut self) -> u128 {
        let raw = (u128::from(self.next()) << 64) | u128::from(self.next());
        (raw & !(0xF000_u128 << 64) & !(0xC_u128 << 60)) | (0x4000_u128 << 64) | (0x8_u128 << 60)
    }

    /// A name suffix of `n` letters.
    pub fn suffix(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from(SAFE[(self.next() % 27) as usize])).collect()
    }
}

/// One round of mixing; spreads nearby inputs over all 64 bits.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a, mixed.
pub fn hash(s: &str) -> u64 {
    mix(s.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)))
}

/// Two numbers into one hash.
pub fn hash2(a: u64, b: u64) -> u64 {
    mix(a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31))
}

/// A hash as a number in `0.0..1.0`.
pub fn unit(h: u64) -> f64 {
    (h >> 11) as f64 / (1_u64 << 53) as f64
}

/// A hash as `n` letters safe in names.
pub fn letters(mut h: u64, n: usize) -> String {
    (0..n)
        .map(|_| {
            let c = SAFE[(h % 27) as usize];
            h = mix(h.wrapping_add(1));
            char::from(c)
        })
        .collect()
}

/// The canonical text of a UUID.
pub fn uuid(u: u128) -> String {
    let h = format!("{u:032x}");
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// Smooth noise in `0.0..1.0` over time, different for each seed.
pub fn noise(seed: u64, at_ms: i64, period_ms: i64) -> f64 {
    let k = at_ms.div_euclid(period_ms);
    let f = at_ms.rem_euclid(period_ms) as f64 / period_ms as f64;
    let (a, b) = (unit(hash2(seed, k as u64)), unit(hash2(seed, (k + 1) as u64)));
    a + (b - a) * f * f * (3.0 - 2.0 * f)
}
