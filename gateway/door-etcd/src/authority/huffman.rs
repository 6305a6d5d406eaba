//! The Huffman code of header values (RFC 7541, appendix B), for the bytes that addresses are made of.
//!
//! The code is canonical: of codes of one length, each is one more than the one before. So a table
//! of the symbols in order, by length, is all of it. Symbols with longer codes are in no URL; a
//! value that holds one is not understood.

/// Codes of one length.
struct Codes {
    bits: u32,
    /// The code of the first symbol.
    first: u32,
    symbols: &'static [u8],
}

const CODES: [Codes; 8] = [
    Codes {
        bits: 5,
        first: 0x0,
        symbols: b"012aceiost",
    },
    Codes {
        bits: 6,
        first: 0x14,
        symbols: b" %-./3456789=A_bdfghlmnpru",
    },
    Codes {
        bits: 7,
        first: 0x5c,
        symbols: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    },
    Codes {
        bits: 8,
        first: 0xf8,
        symbols: b"&*,;XZ",
    },
    Codes {
        bits: 10,
        first: 0x3f8,
        symbols: b"!\"()?",
    },
    Codes {
        bits: 11,
        first: 0x7fa,
        symbols: b"'+|",
    },
    Codes {
        bits: 12,
        first: 0xffa,
        symbols: b"#>",
    },
    Codes {
        bits: 13,
        first: 0x1ff8,
        symbols: b"\0$@[]~",
    },
];

/// Bits of the longest code here.
const BITS_MAX: u32 = 13;

/// The decoded bytes; none if they are not all in the table, or the padding is wrong.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut code, mut bits) = (0, 0);
    for byte in coded {
        for nth in (0..8).rev() {
            code = code << 1 | u32::from(byte >> nth & 1);
            bits += 1;
            if let Some(symbol) = symbol(code, bits) {
                decoded.push(symbol);
                (code, bits) = (0, 0);
            } else if bits == BITS_MAX {
                return None;
            }
        }
    }
    let is_padding = bits < 8 && code == (1 << bits) - 1;
    is_padding.then_some(decoded)
}

/// The encoded bytes; none if not all of them are in the table.
pub(super) fn encode(decoded: &[u8]) -> Option<Vec<u8>> {
    let mut coded = Vec::with_capacity(decoded.len());
    let (mut pending, mut bits) = (0_u32, 0);
    for byte in decoded {
        let (code, len) = code(*byte)?;
        pending = pending << len | code;
        bits += len;
        while bits >= 8 {
            bits -= 8;
            coded.push((pending >> bits) as u8);
        }
        pending &= (1 << bits) - 1;
    }
    if bits > 0 {
        let padding = 8 - bits;
        coded.push((pending << padding | ((1 << padding) - 1)) as u8);
    }
    Some(coded)
}

fn symbol(code: u32, bits: u32) -> Option<u8> {
    let codes = CODES.iter().find(|codes| codes.bits == bits)?;
    let place = code.checked_sub(codes.first)?;
    codes.symbols.get(place as usize).copied()
}

fn code(symbol: u8) -> Option<(u32, u32)> {
    CODES.iter().find_map(|codes| {
        let place = codes.symbols.iter().position(|known| *known == symbol)?;
        Some((codes.first + place as u32, codes.bits))
    })
}
