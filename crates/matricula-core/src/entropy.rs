//! Sources of random bytes, handed in from outside.

/// A source of random bytes. Machines get it with each step, so that a recorded run can be replayed.
///
/// In production it is the operating system's generator.
pub trait Entropy {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// A uniformly random number below `bound`, or 0 if `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        // The product's high half; its bias is at most bound / 2^64.
        ((u128::from(u64::from_le_bytes(bytes)) * u128::from(bound)) >> 64) as u64
    }

    /// `len` characters drawn uniformly from `alphabet`, which must be ASCII and not empty.
    fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        let bound = alphabet.len() as u64;
        (0..len)
            .map(|_| char::from(alphabet[self.below(bound) as usize]))
            .collect()
    }
}

/// Entropy from a seed, for tests and simulations. Never use it for secrets.
#[derive(Clone, Debug)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// A source whose bytes depend on the seed alone, on every platform and in every version.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014).
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}
