//! MD5 (RFC 1321) of many short messages at once.
//!
//! One message is a chain of 64 steps that wait for each other; side by side they keep the processor's
//! vector units busy: a third of the time. Partition keys are short and come by the hundreds.

/// So many that the compiler keeps the loops over them, which it then turns into vector code.
pub(crate) const LANES: usize = 32;
/// Longest message that fits one block, beside the end mark and the length.
pub(crate) const MESSAGE_MAX: usize = 55;

type Lanes = [u32; LANES];

/// The digests of `messages`, each at most [`MESSAGE_MAX`] bytes long.
pub(crate) fn digests(messages: [&[u8]; LANES]) -> [[u8; 16]; LANES] {
    let mut blocks = [[0; 64]; LANES];
    for (block, message) in blocks.iter_mut().zip(messages) {
        block[..message.len()].copy_from_slice(message);
        block[message.len()] = 0x80;
        block[56..].copy_from_slice(&(8 * message.len() as u64).to_le_bytes());
    }
    let state = compress(&blocks);
    std::array::from_fn(|lane| {
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(&state) {
            bytes.copy_from_slice(&word[lane].to_le_bytes());
        }
        digest
    })
}

fn compress(blocks: &[[u8; 64]; LANES]) -> [Lanes; 4] {
    let words: [Lanes; 16] = std::array::from_fn(|i| {
        std::array::from_fn(|lane| {
            let bytes = &blocks[lane][4 * i..4 * i + 4];
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        })
    });
    let mut state = START.map(|word| [word; LANES]);
    round::<7, 12, 17, 22>(&mut state, &words, 0, |i| i, |b, c, d| (b & c) | (!b & d));
    round::<5, 9, 14, 20>(&mut state, &words, 16, |i| 5 * i + 1, |b, c, d| (d & b) | (!d & c));
    round::<4, 11, 16, 23>(&mut state, &words, 32, |i| 3 * i + 5, |b, c, d| b ^ c ^ d);
    round::<6, 10, 15, 21>(&mut state, &words, 48, |i| 7 * i, |b, c, d| c ^ (b | !d));
    for (word, start) in state.iter_mut().zip(START) {
        *word = word.map(|lane| lane.wrapping_add(start));
    }
    state
}

/// Sixteen steps, four by four: then the words of the state are in their places again.
#[inline(always)]
fn round<const S0: u32, const S1: u32, const S2: u32, const S3: u32>(
    [a, b, c, d]: &mut [Lanes; 4],
    words: &[Lanes; 16],
    from: usize,
    word: impl Fn(usize) -> usize,
    mix: impl Fn(u32, u32, u32) -> u32 + Copy,
) {
    for step in (from..from + 16).step_by(4) {
        let more = |i: usize| (&words[word(step + i) % 16], SINES[step + i]);
        turn::<S0>(a, [b, c, d], more(0), mix);
        turn::<S1>(d, [a, b, c], more(1), mix);
        turn::<S2>(c, [d, a, b], more(2), mix);
        turn::<S3>(b, [c, d, a], more(3), mix);
    }
}

/// One step in all lanes.
#[inline(always)]
fn turn<const SHIFT: u32>(
    to: &mut Lanes,
    [x, y, z]: [&Lanes; 3],
    (word, sine): (&Lanes, u32),
    mix: impl Fn(u32, u32, u32) -> u32,
) {
    for lane in 0..LANES {
        let more = mix(x[lane], y[lane], z[lane]).wrapping_add(word[lane]).wrapping_add(sine);
        to[lane] = to[lane].wrapping_add(more).rotate_left(SHIFT).wrapping_add(x[lane]);
    }
}

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// floor(2^32 · |sin(i)|), i from 1.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee,
    0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be,
    0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa,
    0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed,
    0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c,
    0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05,
    0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039,
    0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1,
    0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::*;

    #[test]
    fn every_length_in_every_lane_is_as_one_by_one() {
        let text: Vec<u8> = (0..=MESSAGE_MAX as u8).map(|b| b.wrapping_mul(37)).collect();
        for from in 0..=MESSAGE_MAX {
            let messages = std::array::from_fn(|lane| &text[..(from + lane) % (MESSAGE_MAX + 1)]);
            let expected = messages.map(|m| <[u8; 16]>::from(Md5::digest(m)));
            assert_eq!(digests(messages), expected, "from length {from}");
        }
    }
}
