//! The codec of all services: protobuf, with a bound on what a message may unfold
//! to. A few bytes on the wire can stand for an entry that takes hundreds in
//! memory, so a bound on the encoded length alone is none.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Most entries of one message: ten times the largest batch, so that a batch that
/// is merely too long is still told so by its own rule.
const MOST_ENTRIES: usize = 10_000;

/// Protobuf messages with at most 10,000 entries at their top level.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<T, U>::default().decoder())
    }
}

/// Decodes a message after counting its entries.
#[derive(Debug, Clone)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The whole message lies in one piece.
        if entries_exceed(source.chunk(), MOST_ENTRIES) {
            return Err(Status::out_of_range(
                "Error, decoded message length too large: too many entries",
            ));
        }
        self.0.decode(source)
    }
}

/// Whether a message has more fields at its top level than `most`. What cannot be
/// read is left for the decoder to say.
fn entries_exceed(mut message: &[u8], most: usize) -> bool {
    let mut entries = 0;
    while message.has_remaining() {
        entries += 1;
        if entries > most {
            return true;
        }
        let Ok((tag, wire_type)) = decode_key(&mut message) else {
            return false;
        };
        if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}
