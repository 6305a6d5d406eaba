//! Walks the fields of a protobuf message without decoding it: enough to count what is in a watch answer.
//!
//! Works on any bytes and ends at the first that are not a message. It knows numbers and lengths, not meanings.

/// One field: its number and, if it has a length, its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Field number.
    pub number: u64,
    /// Bytes of a length-delimited field; empty for the others.
    pub bytes: &'a [u8],
    /// Value of a varint field; 0 for the others.
    pub varint: u64,
}

/// The fields of one message, in order.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The bytes of the first field of that number.
    pub fn first(self, number: u64) -> Option<&'a [u8]> {
        { self }
            .find(|field| field.number == number)
            .map(|field| field.bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let number = tag >> 3;
        let plain = |bytes| Field {
            number,
            bytes,
            varint: 0,
        };
        match tag & 7 {
            0 => self.varint().map(|varint| Field {
                number,
                bytes: &[],
                varint,
            }),
            1 => self.take(8).map(|_| plain(&[])),
            2 => self
                .varint()
                .and_then(|length| self.take(length))
                .map(plain),
            5 => self.take(4).map(|_| plain(&[])),
            // Groups are gone from proto3: these bytes are no message.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
