//! A block of remembered ids as it is kept in `state`: binary, since there are many.
//!
//! One version byte; first offset and first time, 8 bytes each, big endian; then for each id the differences of offset
//! and time to the one before as LEB128 (time zigzag), 16 bytes of id, 8 of fingerprint.

use jixinda_schemas::{MessageId, Timestamp, Topic};

const VERSION: u8 = 1;

/// One id with all that is remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub offset: i64,
    pub id: MessageId,
    /// Broker time of its request.
    pub at: Timestamp,
    pub fingerprint: u64,
}

/// Ids of one source, in order of offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub source: Topic,
    pub ids: Vec<Remembered>,
}

/// The bytes are no block.
#[derive(Debug, thiserror::Error)]
#[error("not a block of ids")]
pub struct BadBlock;

impl Block {
    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(17 + self.ids.len() * 28);
        let (mut offset, mut at) = self
            .ids
            .first()
            .map_or((0, 0), |r| (r.offset, r.at.millis()));
        out.push(VERSION);
        out.extend(offset.to_be_bytes());
        out.extend(at.to_be_bytes());
        for r in &self.ids {
            number(&mut out, r.offset.wrapping_sub(offset) as u64);
            let later = r.at.millis().wrapping_sub(at);
            number(&mut out, ((later << 1) ^ (later >> 63)) as u64);
            out.extend(r.id.0.as_bytes());
            out.extend(r.fingerprint.to_be_bytes());
            (offset, at) = (r.offset, r.at.millis());
        }
        out
    }

    /// Reads one back.
    ///
    /// # Errors
    /// When the bytes are cut or of another version.
    pub fn decode(source: Topic, bytes: &[u8]) -> Result<Self, BadBlock> {
        let mut left = bytes;
        if take::<1>(&mut left)? != [VERSION] {
            return Err(BadBlock);
        }
        let mut offset = i64::from_be_bytes(take(&mut left)?);
        let mut at = i64::from_be_bytes(take(&mut left)?);
        let mut ids = Vec::new();
        while !left.is_empty() {
            offset = offset.wrapping_add(read_number(&mut left)? as i64);
            let later = read_number(&mut left)?;
            at = at.wrapping_add((later >> 1) as i64 ^ -((later & 1) as i64));
            let id = MessageId(uuid::Uuid::from_bytes(take(&mut left)?));
            let fingerprint = u64::from_be_bytes(take(&mut left)?);
            ids.push(Remembered {
                offset,
                id,
                at: Timestamp(at),
                fingerprint,
            });
        }
        Ok(Self { source, ids })
    }
}

fn take<const N: usize>(left: &mut &[u8]) -> Result<[u8; N], BadBlock> {
    let (taken, rest) = left.split_first_chunk::<N>().ok_or(BadBlock)?;
    *left = rest;
    Ok(*taken)
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn read_number(left: &mut &[u8]) -> Result<u64, BadBlock> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(left)?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(n);
        }
    }
    Err(BadBlock)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_reads_back(ids in prop::collection::vec((any::<i64>(), any::<u128>(), any::<i64>(), any::<u64>()), 0..50)) {
            let ids = ids.into_iter().map(|(offset, id, at, fingerprint)| Remembered {
                offset, id: MessageId(uuid::Uuid::from_u128(id)), at: Timestamp(at), fingerprint,
            });
            let block = Block { source: Topic::RequestsOtp, ids: ids.collect() };
            prop_assert_eq!(Block::decode(Topic::RequestsOtp, &block.encode()).unwrap(), block);
        }

        #[test]
        fn rubbish_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Block::decode(Topic::RequestsOtp, &bytes));
        }
    }

    #[test]
    fn a_full_block_fits_a_record() {
        let far = |n: i64| Remembered {
            offset: n * 3_000,
            id: MessageId::random(),
            at: Timestamp(n * 100_000),
            fingerprint: 1,
        };
        let ids = (0..super::super::BLOCK_IDS as i64).map(far).collect();
        let bytes = Block {
            source: Topic::RequestsOtp,
            ids,
        }
        .encode();
        assert!(bytes.len() < 900_000, "{}", bytes.len());
    }
}
